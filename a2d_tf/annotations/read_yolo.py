"""Ultralytics' YOLO: data.yaml, and a text file of polygons or boxes for each image.

```
data.yaml                     names: {0: mouse-run, 1: mouse-rest}
labels/train/clip1/00005.txt  1 0.305 0.081 0.414 0.081 0.414 0.241
train.txt                     data/images/train/clip1/00005.jpg
```

A line is an instance: its class, and x, y as shares of the image's width and height; or
a box by its centre, width and height, and perhaps its track. An image without text file
is empty, or was not annotated.

Source: cvat-ai/datumaro `yolo/exporter.py`.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
from typing import Any

import yaml

from a2d_tf.annotations import frame_names
from a2d_tf.annotations.container import File
from a2d_tf.annotations.document import Document, Instance, ReadOptions
from a2d_tf.core.errors import quoted

_SUBSETS = {"train", "val", "valid", "test", "default"}
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def matches(content: Any) -> bool:
    """Return whether a YAML file, as bytes, lists classes."""
    return bool(re.search(rb"(?m)^['\"]?names['\"]?\s*:", content))


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read a data set from its data.yaml; InputError where the yaml or a line is
    broken, or a name holds no frame.
    """
    dataset, classes = _load(file)
    subsets = _SUBSETS | {
        key.lower() for key, value in dataset.items() if isinstance(value, str)
    }
    files = _files(file, subsets)
    document = Document(file.path, "yolo")
    for (_, stem), (labels, image) in sorted(files.items()):
        instances: tuple[Instance, ...] = ()
        if labels:
            lines = file.container.text(labels).splitlines()
            instances = _instances(File(file.container, labels, lines), classes)
        elif not options.empty_frames:
            document.left_out["images without a label file"] += 1
            continue
        found = _frame_name(file, stem, image, options)
        document.add(labels or image, found, (1, 1), instances, scaled=True)
    return [document]


def _load(file):
    """Return data.yaml and {number as text: name} of its classes.

    All its scalars stay texts, so that a class may be called 'no'.
    """
    dataset: Any = None
    with contextlib.suppress(yaml.YAMLError):
        dataset = yaml.load(file.content, Loader=yaml.BaseLoader)
    names = dataset.get("names") if isinstance(dataset, dict) else None
    if isinstance(names, list):
        names = {str(number): label for number, label in enumerate(names)}
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
    return dataset, names


def _files(file, subsets):
    """Return {(subset, path in it without suffix): [text file or None, image or
    None]}.
    """
    files: dict[tuple[str, str], list[str | None]] = {}
    folder = posixpath.dirname(file.name)
    prefix = f"{folder}/" if folder else ""
    names = [name for name in file.container.names if name.startswith(prefix)]
    lists = {f"{prefix}{subset}.txt".lower() for subset in subsets}
    listed = [file.container.text(name) for name in names if name.lower() in lists]
    for name in [*names, *(line for text in listed for line in text.splitlines())]:
        stem, suffix = posixpath.splitext(name.strip().replace("\\", "/"))
        is_text, is_image = suffix.lower() == ".txt", suffix.lower() in _IMAGES
        key = _split(stem, "labels" if is_text else "images", subsets)
        if key and (is_text or is_image) and key[1] != "classes":
            files.setdefault(key, [None, None])[is_image] = (
                key[1] + suffix if is_image else name
            )
    return files


def _split(stem, kind, subsets):
    """Split a path at its folder `kind`, as (subset, the rest); None where it has
    none.
    """
    *folders, last = stem.split("/")
    if kind not in folders:
        return None
    at = len(folders) - 1 - folders[::-1].index(kind)
    inner = folders[at + 1 :]
    if inner and inner[0].lower() in subsets:
        return inner[0], "/".join([*inner[1:], last])
    outer = folders[at - 1] if at and folders[at - 1].lower() in subsets else ""
    return outer, "/".join([*inner, last])


def _frame_name(file, stem, image, options):
    """Return the frame of an image; `image` is None where only the text file exists."""
    if image is None and re.fullmatch(r"(.*/)?frame_[0-9]{6,9}", stem):
        problem = (
            "may be numbered from 0, as in CVAT, or from 1; add train.txt or the images"
        )
        raise file.error(stem, problem)
    name = image or f"{stem}.txt"
    if frame_names.is_of_roboflow(name):
        return frame_names.of_roboflow(name, options.frame_step) or name
    return frame_names.of_cvat(name) or name


def _instances(file, classes):
    """Return the instances in the lines of a text file."""
    instances = []
    for i, line in enumerate(file.content, 1):
        if not line.strip():
            continue
        label, *words = line.split()
        # CVAT's "Ultralytics YOLO Detection Track" ends a box with its track.
        track = int(words.pop()) if len(words) == 5 and words[4].isdecimal() else None
        with file.at(f"line {i}"):
            polygon = [float(word) for word in words]
            name = classes[label]
            if len(polygon) < 4 or len(polygon) % 2:
                raise ValueError(
                    f"{quoted(line)} is not a class with a box or a polygon"
                )
        parts: tuple = ([polygon],)
        box = None
        if len(polygon) == 4:
            (x, y, width, height), parts = polygon, ()
            box = [x - width / 2, y - height / 2, width, height]
        instances.append(
            Instance(name, parts, file.place(f"line {i}"), track=track, box=box)
        )
    return tuple(instances)
