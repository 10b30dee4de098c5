"""COCO's JSON of CVAT, Roboflow, Label Studio and other tools, and our own format.

The tools differ in how they name images and in what an image without annotations means,
see `Dialect`. A file names its tool in `info`; without it, it is read as CVAT's.
'iscrowd' marks masks in CVAT, and is ignored.

This project's own format has no categories, but an actor and an action for each
annotation:

```
{"images": [{"id": 1, "file_name": "yard/00030.png", "width": 320, "height": 240}, …],
 "annotations": [{"image_id": 1, "actor": "truck", "action": "driving", "segmentation":
 …}, …]}
```

`file_name` is `<video>/<frame>`, with the number of the frame; its suffix is optional.
An annotation has a `segmentation`, a `bbox` [x, y, width, height], or both, and may
have a field of `instance_fields.FIELDS`. An image may have a `split` ('train' or
'test').

Sources: cvat-ai/datumaro `coco/exporter.py`; label-studio-sdk 2.1.2
`converter/converter.py` and `exports/brush_to_coco.py`; Roboflow's from public files.
"""

from __future__ import annotations

from typing import Any

from a2d_tf.annotations.documents import frame_names
from a2d_tf.annotations.documents.conventions import (
    COCO,
    COCO_OF_CVAT,
    COCO_OF_LABEL_STUDIO,
    COCO_OF_OURS,
    COCO_OF_ROBOFLOW,
    OUR_DESCRIPTION,
    OWN_JSON,
)
from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.numbering import Counted, FrameName
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.coco_document import (
    CATEGORIES,
    ID,
    SIDE,
    CocoAnnotation,
    CocoImage,
    Dialect,
    category_names,
    make_document,
)
from a2d_tf.annotations.readers.container import File, size_of
from a2d_tf.core.checked_json import one_of
from a2d_tf.core.errors import quoted
from a2d_tf.data.record_folder.manifest import SPLITS

_COCO = {
    "images": [
        {
            "id": ID,
            "file_name": str,
            "width?": (SIDE, None),
            "height?": (SIDE, None),
        }
    ],
    "categories": CATEGORIES,
    "annotations": [{"image_id": ID, "category_id": ID, "attributes?": (dict, None)}],
}
_OWN = {
    "images": [
        {
            "id": ID,
            "file_name": str,
            "width": SIDE,
            "height": SIDE,
            "split?": one_of(*SPLITS),
        }
    ],
    "annotations": [{"image_id": ID, "actor": str, "action": str}],
}


def is_own(content: Any) -> bool:
    """Return whether a parsed JSON is this project's format: COCO without categories.

    Args:
      content: the value that was parsed from a .json file.
    """
    return matches(content) and not content.get("categories")


def matches(content: Any) -> bool:
    """Return whether a parsed JSON is COCO: it lists images and annotations, no videos.

    Args:
      content: the value that was parsed from a .json file.
    """
    if not isinstance(content, dict) or "videos" in content:
        return False
    images = content.get("images")
    annotations = content.get("annotations")
    return isinstance(images, list) and isinstance(annotations, list)


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read the COCO file of an annotation tool, which names itself in `info`.

    Args:
      file: the file.
      options: how images number frames, and which images count as annotated.

    Returns:
      a list of one document with the annotated frames.

    Raises:
      InputError: the structure is broken, or the name of an image has no frame number.
    """
    content = file.check(_COCO)
    labels = category_names(file)
    images = _images_by_id(file)
    for i, annotation in enumerate(content["annotations"]):
        where = f"annotations[{i}]"
        attributes = {}
        for name, value in (annotation.get("attributes") or {}).items():
            attributes[name.lower()] = value
        with file.at(where):
            coco_annotation = CocoAnnotation(
                where=where,
                label=labels[annotation["category_id"]],
                attributes=attributes,
                segmentation=annotation.get("segmentation"),
                box=annotation.get("bbox"),
            )
            images[annotation["image_id"]].annotations.append(coco_annotation)
    dialect = _dialect(content, options)
    document = make_document(file, dialect, options, images.values())
    document.frame_count = _frame_count(content)
    # Our own exports name their video, and contain only some of its frames. From a
    # single image the length of the video does not follow.
    count = document.frame_count or 0
    if count > 1 and all(frame.video is None for frame in document.frames):
        document.frame_range = range(count)
    return [document]


def read_own(file: File, options: ReadOptions) -> list[Document]:
    """Read a file of this project's own format, all images of which are annotated.

    Args:
      file: the file.
      options: whether interpolated frames count.

    Returns:
      a list of one document with the annotated frames.

    Raises:
      InputError: the structure is broken, or the name of an image has no frame number.
    """
    content = file.check(_OWN)
    images = _images_by_id(file, has_splits=True)
    for i, annotation in enumerate(content["annotations"]):
        where = f"annotations[{i}]"
        own_annotation = CocoAnnotation(
            where=where,
            label=annotation["actor"],
            attributes=annotation,
            segmentation=annotation.get("segmentation"),
            box=annotation.get("bbox"),
        )
        with file.at(where):
            images[annotation["image_id"]].annotations.append(own_annotation)
    dialect = Dialect("a2d_tf", frame_names.parse_image, OWN_JSON, is_own=True)
    return [make_document(file, dialect, options, images.values())]


def _images_by_id(file: File, has_splits: bool = False) -> dict[int | str, CocoImage]:
    """Return {id: image}, still without annotations.

    Args:
      has_splits: whether an image of this format may state its split.

    Raises:
      InputError: an id is used twice.
    """
    images: dict[int | str, CocoImage] = {}
    for i, image in enumerate(file.content["images"]):
        where = f"images[{i}]"
        if image["id"] in images:
            raise file.error(f"{where}.id", f"{quoted(image['id'])} is used twice")
        images[image["id"]] = CocoImage(
            where=where,
            file_name=image["file_name"],
            size=size_of(image),
            split=image.get("split") if has_splits else None,
            annotations=[],
        )
    return images


def _dialect(content: dict[str, Any], options: ReadOptions) -> Dialect:
    """Return the dialect of the tool that `info` names, by default CVAT's."""
    info = content.get("info")
    if not isinstance(info, dict):
        info = {}
    description = info.get("description")
    if "roboflow" in str(description):

        def parse(name: str) -> FrameName | None:
            return frame_names.parse_roboflow(name, options.frame_step)

        return Dialect("coco", parse, COCO_OF_ROBOFLOW, scaled=True)
    if str(info.get("contributor")).startswith("Label Studio"):
        return Dialect("coco", frame_names.parse_label_studio, COCO_OF_LABEL_STUDIO)
    conventions = COCO
    if description == OUR_DESCRIPTION:
        conventions = COCO_OF_OURS  # it lists only key frames
    elif _is_of_cvat(content):
        conventions = COCO_OF_CVAT
    return Dialect("coco", frame_names.parse_cvat, conventions)


def _is_of_cvat(content: dict[str, Any]) -> bool:
    """Return whether an annotation has an attribute that only CVAT writes."""
    for annotation in content["annotations"]:
        attributes = annotation.get("attributes") or {}
        if "occluded" in attributes or "keyframe" in attributes:
            return True
    return False


def _frame_count(content: dict[str, Any]) -> int | None:
    """Return the video's number of frames if CVAT lists all of them; else None."""
    image_count = len(content["images"])
    numbers = []
    for image in content["images"]:
        frame = frame_names.parse_cvat(image["file_name"])
        if frame and frame.numbering.kind == Counted.VIDEO_FRAMES:
            numbers.append(frame.number)
    is_whole_video = sorted(numbers) == list(range(1, image_count + 1))
    return image_count if is_whole_video else None
