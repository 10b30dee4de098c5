"""Ultralytics' YOLO: data.yaml, and a text file of polygons or boxes for each image.

```
data.yaml                     names: {0: mouse-run, 1: mouse-rest}
labels/train/clip1/00005.txt  1 0.305 0.081 0.414 0.081 0.414 0.241
train.txt                     data/images/train/clip1/00005.jpg
```

`yolo_labels` describes the text files. An image without a text file has no instances,
or was not annotated.

Source: cvat-ai/datumaro `yolo/exporter.py`.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Collection
from typing import Any, NamedTuple

import yaml

from a2d_tf.annotations.documents import frame_names
from a2d_tf.annotations.documents.document import Document, ToolLabel
from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.annotations.documents.numbering import FrameName
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.container import File
from a2d_tf.annotations.readers.yolo_labels import is_named_by_cvat, read_instances
from a2d_tf.core.errors import quoted

_SUBSETS = {"train", "val", "valid", "test", "default"}
YAMLS = ("data.yaml", "data.yml")
"""Names of the files that list classes."""
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class _ImageKey(NamedTuple):
    """The subset of an image, '' if it has none, and its path there without suffix."""

    subset: str
    path: str


@dataclasses.dataclass
class _Image:
    """An image of the data set, with a text file, a path, or both.

    Attributes:
      label_file: the name of its text file in the container; None if there is none.
      image_path: its path in its subset, of a file or in a list; None if there is none.
    """

    label_file: str | None = None
    image_path: str | None = None


def matches(content: Any) -> bool:
    """Return whether a YAML file lists the classes of a data set, by a field `names`.

    Args:
      content: the bytes of the file.
    """
    return bool(re.search(rb"(?m)^['\"]?names['\"]?\s*:", content))


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read a data set of YOLO: data.yaml, and the text files and images beside it.

    Args:
      file: the data.yaml, which names the classes.
      options: whether an image without a text file counts as an annotated frame.

    Returns:
      a list of one document with a frame for each image.

    Raises:
      InputError: the yaml or a line is broken, or a file's name has no frame number.
    """
    dataset = _load(file)
    classes = _classes(file, dataset)

    def label_of_class(number: str) -> ToolLabel:
        return ToolLabel(classes[number])

    subsets = set(_SUBSETS)
    for field, value in dataset.items():
        if isinstance(value, str):
            subsets.add(field.lower())
    document = Document(file.path, "yolo")
    images = _images(file, subsets)
    for key, image in sorted(images.items()):
        instances: tuple[Instance, ...] = ()
        if image.label_file:
            label_file = File.open(file.container, image.label_file)
            instances = read_instances(label_file, label_of_class)
        elif not options.empty_frames:
            document.left_out["images without a label file"] += 1
            continue
        where = image.label_file or image.image_path or ""
        name = _frame_name(file, key.path, image.image_path)
        if name is None:
            raise file.error(
                where,
                frame_names.not_a_frame_message(image.image_path or f"{key.path}.txt"),
            )
        document.add(where, name, (1, 1), instances, scaled=True)
    return [document]


def _load(file: File) -> dict[str, Any]:
    """Return the content of data.yaml; {} if it is not a mapping.

    All scalars stay texts, so that a class may be called 'no'.

    Raises:
      InputError: the file is not YAML.
    """
    try:
        dataset = yaml.load(file.content, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise file.error(
            "names", f"the file is malformed YAML ({problem}); correct it there"
        ) from error
    return dataset if isinstance(dataset, dict) else {}


def _classes(file: File, dataset: dict[str, Any]) -> dict[str, str]:
    """Return {number as text: name} of the classes.

    Args:
      dataset: the content of data.yaml.

    Raises:
      InputError: the content lists no classes, or keypoints.
    """
    names = dataset.get("names")
    if isinstance(names, list):
        names = {str(number): name for number, name in enumerate(names)}
    if not isinstance(names, dict) or not all(
        isinstance(name, str) for name in names.values()
    ):
        raise file.error(
            "names", f"{quoted(names)} does not list classes; export it again"
        )
    if "kpt_shape" in dataset:
        raise file.error(
            "kpt_shape", "keypoints have no area; export boxes or polygons"
        )
    return names


def _images(file: File, subsets: Collection[str]) -> dict[_ImageKey, _Image]:
    """Return the images of a data set.

    An image has a file, a text file, or a line in the list of a subset.

    Args:
      subsets: the names of the subsets, in lower case.
    """
    folder = posixpath.dirname(file.name)
    prefix = f"{folder}/" if folder else ""
    names_of_lists = {f"{prefix}{subset}.txt".lower() for subset in subsets}
    names = []
    listed_paths: list[str] = []
    for name in file.container.names:
        if not name.startswith(prefix):
            continue
        names.append(name)
        if name.lower() in names_of_lists:
            listed_paths += file.container.text(name).splitlines()
    images: dict[_ImageKey, _Image] = {}
    for name in [*names, *listed_paths]:
        stem, suffix = posixpath.splitext(name.strip().replace("\\", "/"))
        is_label_file = suffix.lower() == ".txt"
        if not is_label_file and suffix.lower() not in _IMAGES:
            continue
        key = _image_key(stem, "labels" if is_label_file else "images", subsets)
        if key is None or key.path == "classes":
            continue
        image = images.setdefault(key, _Image())
        if is_label_file:
            image.label_file = name
        else:
            image.image_path = key.path + suffix
    return images


def _image_key(stem: str, folder: str, subsets: Collection[str]) -> _ImageKey | None:
    """Return the key of an image or a text file.

    Args:
      stem: its path without suffix.
      folder: 'images' or 'labels'; the last folder with this name counts. The subset is
        the folder within it, or else the folder that contains it.
      subsets: the names of the subsets, in lower case.

    Returns:
      None if the path has no such folder.
    """
    *folders, last = stem.split("/")
    if folder not in folders:
        return None
    position = len(folders) - 1 - folders[::-1].index(folder)
    inner = folders[position + 1 :]
    if inner and inner[0].lower() in subsets:
        return _ImageKey(inner[0], "/".join([*inner[1:], last]))
    subset = ""
    if position and folders[position - 1].lower() in subsets:
        subset = folders[position - 1]
    return _ImageKey(subset, "/".join([*inner, last]))


def _frame_name(file: File, stem: str, image_path: str | None) -> FrameName | None:
    """Return the frame of an image; None if its name contains no number.

    Args:
      stem: the path of the image or text file in its subset, without suffix.
      image_path: the image's path with suffix; None if only the text file exists.

    Raises:
      InputError: the name may be CVAT's, which counts from 0, or another one.
    """
    if image_path is None and is_named_by_cvat(stem):
        problem = (
            "may be numbered from 0, as in CVAT, or from 1; add train.txt or the images"
        )
        raise file.error(stem, problem)
    return frame_names.parse_cvat(image_path or f"{stem}.txt")
