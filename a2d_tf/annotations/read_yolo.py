"""Ultralytics' YOLO segmentation: data.yaml, and a text file of polygons for each image.

```
data.yaml                     names: {0: mouse-run, 1: mouse-rest}
labels/train/clip1/00005.txt  1 0.305 0.081 0.414 0.081 0.414 0.241
train.txt                     data/images/train/clip1/00005.jpg
```

A line is an instance: its class, and x, y as shares of the image's width and height. An image
without text file is empty, or was not annotated.

Source: cvat-ai/datumaro `yolo/exporter.py`.
"""

from __future__ import annotations

import collections
import math
import posixpath
import re
from typing import Any

import yaml

from a2d_tf.annotations import frame_names
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import AnnotatedFrame, Document, Instance, ReadOptions
from a2d_tf.annotations.fields import Fields
from a2d_tf.annotations.frame_names import FrameName
from a2d_tf.core.errors import shown

FORMAT = "yolo"

_SUBSETS = {"train", "val", "valid", "test", "default"}
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def matches(content: bytes) -> bool:
    """Whether a YAML file lists classes."""
    return bool(re.search(rb"(?m)^['\"]?names['\"]?\s*:", content))


def read(name: str, content: Any, container: Container, options: ReadOptions) -> list[Document]:
    """Read a data set from its data.yaml.

    Args:
      name: the data.yaml.
      content: its bytes.
      container: the export.
      options: what the user says of it.

    Returns:
      A document; two, where some images are numbered by CVAT and some by their names.

    Raises:
      InputError: the yaml or a line is broken, or a name holds no frame.
    """
    fields = Fields(container.locate(name))
    dataset = _load(fields, content)
    classes = _classes(fields, dataset.get("names"))
    subsets = _SUBSETS | {key.lower() for key, value in dataset.items() if isinstance(value, str)}
    files = _files(container, posixpath.dirname(name), subsets)
    if not any(labels for labels, _ in files.values()):
        problem = "no labels/<subset>/<image>.txt beside it; give the whole folder, or its zip"
        raise fields.error("labels", problem)
    left_out: collections.Counter[str] = collections.Counter()
    frames: list[tuple[FrameName, AnnotatedFrame]] = []
    for (_, stem), (labels, image) in sorted(files.items()):
        if labels:
            instances, lines = _instances(container, labels, classes, left_out)
            if lines and not instances:
                left_out["frames with nothing but boxes"] += 1
                continue
        elif options.empty_frames:
            instances = ()
        else:
            left_out["images without a text file"] += 1
            continue
        if image is None and re.fullmatch(r"(.*/)?frame_[0-9]{6,9}", stem):
            problem = "CVAT counts such names from 0, others from 1; give the export with its"
            raise Fields(container.locate(labels)).error("name", f"{problem} train.txt or images")
        file = image or f"{stem}.txt"
        if frame_names.is_of_roboflow(file):
            found = frame_names.of_roboflow(file, options.frame_step)
        else:
            found = frame_names.of_cvat(file)
        if not found:
            where = labels or image
            problem = f"{shown(stem)} names no frame of a video; name images <video>/<number>.jpg"
            raise Fields(container.locate(where)).error("name", problem)
        frame = AnnotatedFrame(
            found.video, found.number, (1, 1), instances, labels or image, scaled=True
        )
        fields.check_once(frame, "keep one of them")
        frames.append((found, frame))
    return frame_names.documents(fields.path, FORMAT, frames, left_out)


def _load(fields, content):
    """Parse data.yaml; all its scalars stay texts, so that a class may be called 'no'."""
    try:
        dataset = yaml.load(content, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        # A YAML error goes on for lines, and the first says what is wrong.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise fields.error("content", f"no YAML ({reason}); export it again") from error
    return fields.check_object(dataset, "content")


def _classes(fields, names):
    """Return {number as text: name} of a list or an object of names."""
    if isinstance(names, list):
        names = {str(number): label for number, label in enumerate(names)}
    if not isinstance(names, dict) or not names:
        raise fields.error("names", f"{shown(names)} lists no classes; export it again")
    return {number: fields.text(names, number, "names") for number in names}


def _files(container, folder, subsets):
    """Return {(subset, path in it without suffix): [text file or None, image or None]}.

    The text file is a name in the container, the image a path in its subset. Images are those in
    the container and in the lists beside data.yaml, such as train.txt, whose paths begin anywhere.
    """
    files: dict[tuple[str, str], list[str | None]] = {}
    prefix = f"{folder}/" if folder else ""
    names = [name for name in container.names if name.startswith(prefix)]
    lists = [f"{prefix}{subset}.txt" for subset in subsets]
    listed = [container.text(name) for name in names if name.lower() in map(str.lower, lists)]
    for name in [*names, *(line for text in listed for line in text.splitlines())]:
        stem, suffix = posixpath.splitext(name.strip().replace("\\", "/"))
        is_text, is_image = suffix.lower() == ".txt", suffix.lower() in _IMAGES
        key = _split(stem, "labels" if is_text else "images", subsets)
        if key and (is_text or is_image) and key[1] != "classes":
            texts_and_images = files.setdefault(key, [None, None])
            texts_and_images[is_image] = key[1] + suffix if is_image else name
    return files


def _split(stem, kind, subsets):
    """Split a path at its folder `kind`, as (subset, the rest); None where it has no such folder.

    The subset's folder is inside that folder, or around it: labels/train/, train/labels/.
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


def _instances(container, name, classes, left_out):
    """Read a text file; return its instances and the number of its lines."""
    fields, instances = Fields(container.locate(name)), []
    lines = [line.split() for line in container.text(name).splitlines()]
    for number, (label, *words) in ((i, line) for i, line in enumerate(lines, 1) if line):
        where = f"line {number}"
        if label not in classes:
            problem = f"class {shown(label)} is not among the 'names' of data.yaml"
            raise fields.error(where, f"{problem}; export both together")
        polygon = [_number(fields, word, where) for word in words]
        if len(polygon) == 4:
            left_out["boxes without a mask"] += 1
            continue
        if len(polygon) < 6 or len(polygon) % 2:
            problem = f"{len(polygon)} numbers after the class; three points x y or more"
            raise fields.error(where, f"{problem} make a polygon")
        instances.append(Instance(classes[label], ([polygon],), f"{name}: {where}"))
    return tuple(instances), sum(map(bool, lines))


def _number(fields, word, where):
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    # Points slightly outside are clipped; points far outside are in other units.
    if not -1 <= number <= 2:
        problem = f"{shown(word)} is no share of the image's side"
        raise fields.error(where, f"{problem}; write coordinates from 0 to 1")
    return number
