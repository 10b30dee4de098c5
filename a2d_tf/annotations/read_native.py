"""Reader of this project's own annotations: a COCO file with an actor and an action each.

```
{"images": [{"id": 1, "file_name": "yard/00030.png", "width": 320, "height": 240}, …],
 "annotations": [{"image_id": 1, "actor": "truck", "action": "driving", "segmentation": …}, …]}
```

`file_name` is `<video>/<frame>`, with the 1-based number of the frame; its suffix is optional. An
image without annotations is an annotated frame without instances. `segmentation` is a list of
polygons or an RLE, compressed or not; `bbox` [x, y, width, height] is optional. Either all images
have a `split` ('train' or 'test') or none. Other fields are ignored.
"""

from __future__ import annotations

import re
from typing import Any

from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import AnnotatedFrame, Document, Instance, ReadOptions
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import is_file_name
from a2d_tf.core.labels import is_name
from a2d_tf.core.limits import MAX_INSTANCES, MAX_MASK_PIXELS, MAX_SIDE
from a2d_tf.data.manifest import SPLITS

FORMAT = "a2d_tf"


def matches(content: Any) -> bool:
    """Return whether a JSON is of this format: COCO's fields, with actors and no categories."""
    if not isinstance(content, dict) or "images" not in content:
        return False
    annotations = content.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        return "categories" not in content
    return any(isinstance(entry, dict) and "actor" in entry for entry in annotations)


def read(name: str, content: Any, container: Container, options: ReadOptions) -> list[Document]:
    """Read a file.

    Raises:
      InputError: a field is missing or malformed; names the file and the field. Masks and boxes are
        checked when they are decoded.
    """
    return [_Reader(container.locate(name)).document(content)]


class _Reader:
    """Reads the file at `path`, which errors name."""

    def __init__(self, path):
        self._path = path
        self._instances = {}  # by the id of their image

    def document(self, coco: Any) -> Document:
        for field in ("images", "annotations"):
            entries = coco.get(field) if isinstance(coco, dict) else None
            if not isinstance(entries, list):
                raise self._error(field, "missing, or not a list; see docs/own_data.md")
            for i, entry in enumerate(entries):
                if not isinstance(entry, dict):
                    raise self._error(f"{field}[{i}]", "not an object; see docs/own_data.md")
        images = coco["images"]
        if not images:
            raise self._error("images", "empty; list the annotated frames")
        named = self._check_images(images)
        self._read_annotations(coco["annotations"], images)
        self._check_splits(images, named)
        frames = [
            AnnotatedFrame(
                video=video,
                number=number,
                size=(image["height"], image["width"]),
                instances=tuple(self._instances[image["id"]]),
                where=f"images[{i}]",
                split=image.get("split"),
            )
            for i, (image, (video, number)) in enumerate(zip(images, named))
        ]
        return Document(
            path=self._path,
            format=FORMAT,
            frames=tuple(frames),
            numbering="video",
            explanation="yard/00005.png is frame 5, counted from 1",
        )

    def _error(self, field, problem):
        return InputError(f"{self._path}: {field}: {problem}")

    def _check_images(self, images):
        """Check the images; return their (video, 1-based frame number)."""
        first_of, index_of, named = {}, {}, {}
        for i, image in enumerate(images):
            where, identity = f"images[{i}]", image.get("id")
            if type(identity) not in (int, str):
                raise self._error(
                    f"{where}.id", f"{shown(identity)} is no number or text; give one"
                )
            if identity in index_of:
                raise self._error(
                    f"{where}.id",
                    f"{shown(identity)} is also that of images[{index_of[identity]}]; ids are "
                    "unique",
                )
            index_of[identity], self._instances[identity] = i, []
            for field in ("width", "height"):
                if type(image.get(field)) is not int or not 0 < image[field] <= MAX_SIDE:
                    raise self._error(
                        f"{where}.{field}",
                        f"{shown(image.get(field))} is no size; give it in pixels, up to "
                        f"{MAX_SIDE}",
                    )
            video, number = self._parse_name(f"{where}.file_name", image.get("file_name"))
            if (video, number) in named:
                raise self._error(
                    f"{where}.file_name",
                    f"frame {number} of '{video}' is also images[{named[video, number]}]; "
                    "put all instances of a frame on one image",
                )
            named[video, number] = i
            first = first_of.setdefault(video, i)
            for field in ("width", "height"):
                if image[field] != images[first][field]:
                    raise self._error(
                        f"{where}.{field}",
                        f"{image[field]}, but images[{first}] of the same video has "
                        f"{images[first][field]}; the frames of a video are of one size",
                    )
        return list(named)

    def _parse_name(self, where, name):
        """Parse a `file_name` into (video, 1-based frame number)."""
        video, _, frame = name.rpartition("/") if isinstance(name, str) else ("", "", "")
        frame = re.fullmatch(r"([0-9]{1,9})(\.(png|jpe?g))?", frame, re.IGNORECASE)
        if not video or not frame:
            raise self._error(
                where, f"{shown(name)} is not <video>/<frame>, such as yard/00030 or yard/00030.png"
            )
        if not is_file_name(video):
            raise self._error(
                where, f"video {shown(video)} cannot be a file name; rename the video"
            )
        if int(frame[1]) == 0:
            raise self._error(where, f"{name!r}: the first frame of a video is 00001")
        return video, int(frame[1])

    def _read_annotations(self, annotations, images):
        """Check the annotations and add them to `_instances`."""
        image_of = {image["id"]: i for i, image in enumerate(images)}
        for i, annotation in enumerate(annotations):
            where, identity = f"annotations[{i}]", annotation.get("image_id")
            if type(identity) not in (int, str) or identity not in image_of:
                raise self._error(f"{where}.image_id", f"{shown(identity)} is the id of no image")
            for field in ("actor", "action"):
                value = annotation.get(field)
                if not is_name(value):
                    raise self._error(f"{where}.{field}", f"{shown(value)} is no name; write one")
            if annotation.get("segmentation") is None:
                raise self._error(f"{where}.segmentation", "missing; draw the mask")
            if annotation.get("iscrowd"):
                raise self._error(
                    f"{where}.iscrowd", "crowds have no single action; annotate each instance"
                )
            image = images[image_of[identity]]
            most = min(MAX_MASK_PIXELS // (image["width"] * image["height"]), MAX_INSTANCES)
            if len(self._instances[identity]) >= most:
                raise self._error(
                    where,
                    f"more instances on images[{image_of[identity]}] than {most}, the most in a "
                    "frame of its size",
                )
            self._instances[identity].append(
                Instance(
                    label=annotation["actor"],
                    parts=(annotation["segmentation"],),
                    where=where,
                    actor=annotation["actor"],
                    action=annotation["action"],
                    box=annotation.get("bbox"),
                )
            )

    def _check_splits(self, images, named):
        if not any("split" in image for image in images):
            return
        first_of = {}
        for i, (image, (video, _)) in enumerate(zip(images, named)):
            split, where = image.get("split"), f"images[{i}].split"
            if split not in SPLITS:
                raise self._error(
                    where, f"{shown(split)} is neither 'train' nor 'test'; give all images one"
                )
            first = first_of.setdefault(video, i)
            if split != images[first]["split"]:
                raise self._error(
                    where,
                    f"'{split}', but images[{first}] of '{video}' is in "
                    f"'{images[first]['split']}'; a video is in one split",
                )
