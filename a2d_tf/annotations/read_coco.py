"""COCO's JSON as CVAT, Roboflow and Label Studio write it, and as others do.

The tools differ in how they name images and in what an image without annotations means, see
`_Dialect`. 'iscrowd' marks masks in CVAT, and is ignored unless `ReadOptions.crowds`.

Sources: cvat-ai/datumaro `coco/exporter.py`; label-studio-sdk 2.1.2 `converter/converter.py` and
`exports/brush_to_coco.py`; Roboflow's from public files.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

from a2d_tf.annotations import frame_names
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import AnnotatedFrame, Document, Instance, ReadOptions
from a2d_tf.annotations.fields import Fields, attributes_of, is_number, name_of
from a2d_tf.annotations.frame_names import FrameName
from a2d_tf.core.errors import shown

FORMAT = "coco"


@dataclasses.dataclass(frozen=True)
class _Dialect:
    """What the COCO of one tool means.

    Attributes:
      parse: the name of an image -> its frame, or None.
      form: what a name should look like, the remedy where `parse` finds none.
      twice: the remedy where a frame is there twice.
      empty: whether an image without annotations is an annotated frame without instances.
      thin: whether polygons may have no area, as the outlines of a line of pixels have none.
      scaled: see `AnnotatedFrame.scaled`.
    """

    parse: Callable[[str], FrameName | None]
    form: str = "<video>/<number>.jpg"
    twice: str = "put all instances of a frame on one image"
    empty: bool = False
    thin: bool = False
    scaled: bool = False


def matches(content: Any) -> bool:
    """Whether a parsed JSON is COCO, but not this project's own, whose annotations have actors."""
    if not isinstance(content, dict) or "videos" in content:
        return False
    images, annotations = content.get("images"), content.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list):
        return False
    if any(isinstance(entry, dict) and "actor" in entry for entry in annotations):
        return False
    return bool(annotations) or "categories" in content


def read(name: str, content: Any, container: Container, options: ReadOptions) -> list[Document]:
    """Read a COCO file.

    Args:
      name: the file, one of `container.names`.
      content: its parsed JSON.
      container: the export.
      options: what the user says of it.

    Returns:
      A document; two, where some images are numbered by CVAT and some by their names.

    Raises:
      InputError: the structure is broken, a name holds no frame, or nothing has a mask.
    """
    fields = Fields(container.locate(name))
    images = fields.entries(content, "images")
    dialect = _dialect(content, images, options)
    by_image = _sort(fields, content, images)
    left_out: collections.Counter[str] = collections.Counter()
    frames: list[tuple[FrameName, AnnotatedFrame]] = []
    for (i, image), drawn in zip(enumerate(images), by_image.values()):
        instances = _instances(drawn, dialect, options, left_out)
        if not _is_annotated(drawn, instances, dialect, options, left_out):
            continue
        found = _parse(fields, image, f"images[{i}]", dialect)
        size = fields.size(image, f"images[{i}]")
        frame = AnnotatedFrame(
            found.video,
            found.number,
            size,
            tuple(instances),
            f"images[{i}]",
            scaled=dialect.scaled and size is not None,
        )
        fields.check_once(frame, dialect.twice)
        frames.append((found, frame))
    if content["annotations"] and left_out[_NO_MASK] == len(content["annotations"]):
        problem = "none has a mask ('segmentation'); draw polygons or masks, boxes do not do"
        raise fields.error("annotations", problem)
    return frame_names.documents(fields.path, FORMAT, frames, left_out, _frame_count(images))


_NO_MASK = "annotations without a mask"


def _dialect(content, images, options):
    info = content.get("info")
    info = info if isinstance(info, dict) else {}
    names = [image["file_name"] for image in images if isinstance(image.get("file_name"), str)]
    if "roboflow" in str(info.get("description")) or any(map(frame_names.is_of_roboflow, names)):
        return _Dialect(
            lambda name: frame_names.of_roboflow(name, options.frame_step),
            twice="versions of one frame are augmentation; export a version without",
            empty=True,
            scaled=True,
        )
    if str(info.get("contributor")).startswith("Label Studio") or (
        names and all(map(frame_names.is_of_label_studio, names))
    ):
        return _Dialect(
            frame_names.of_label_studio,
            form="<video>_<number>.jpg before the import, for Label Studio keeps no folders",
            twice="export one annotation of each task",
            empty=True,
            thin=True,
        )
    if info.get("description") == frame_names.PREDICTION:  # lists nothing but key frames
        return _Dialect(frame_names.of_prediction, empty=True)
    return _Dialect(frame_names.of_cvat)


def _sort(fields, content, images):
    """Check the annotations; return {image id: [(where, label, annotation), ...]}, all images."""
    labels = fields.entries(content, "categories")
    categories = fields.by_id(labels, "categories")
    by_image = {identity: [] for identity in fields.by_id(images, "images")}
    for i, annotation in enumerate(fields.entries(content, "annotations")):
        where = f"annotations[{i}]"
        image = fields.reference(annotation, "image_id", where, by_image)
        k = categories[fields.reference(annotation, "category_id", where, categories)]
        label = fields.text(labels[k], "name", f"categories[{k}]")
        by_image[image].append((where, label, annotation))
    return by_image


def _instances(annotations, dialect, options, left_out):
    instances = []
    for where, label, annotation in annotations:
        parts = _segmentation(annotation.get("segmentation"), left_out)
        if parts is None:
            left_out[_NO_MASK] += 1
        elif options.crowds and annotation.get("iscrowd"):
            left_out["crowds"] += 1
        elif dialect.thin and _is_thin(parts):
            left_out["polygons without an area"] += 1
        else:
            attributes = attributes_of(annotation)
            track = attributes.get("track_id")
            instances.append(
                Instance(
                    label,
                    (parts,),
                    where,
                    actor=_name(attributes.get("actor")),
                    action=_name(attributes.get("action")),
                    track=track if type(track) is int else None,
                )
            )
    return instances


def _name(value):
    """An attribute that names something; None where it is absent or empty."""
    value = name_of(value)
    return value if isinstance(value, str) and value.strip() else None


def _segmentation(value, left_out):
    """A COCO segmentation; a polygon that is not in a list is put into one. None: no mask."""
    if isinstance(value, list) and value and all(map(is_number, value)):
        return [value]
    if isinstance(value, list) and any(map(_is_splinter, value)):
        # Programs that outline masks leave them beside polygons.
        whole = [polygon for polygon in value if not _is_splinter(polygon)]
        if whole:
            left_out["parts of one or two points"] += len(value) - len(whole)
            return whole
    return None if value in (None, [], [[]], {}, "") else value


def _is_splinter(polygon):
    return isinstance(polygon, list) and len(polygon) in (2, 4) and all(map(is_number, polygon))


def _is_thin(segmentation):
    """Whether all polygons have no area; what is malformed is left for `decode_mask` to refuse."""
    if not isinstance(segmentation, list):
        return False
    for polygon in segmentation:
        if not isinstance(polygon, list) or not all(map(is_number, polygon)) or len(polygon) % 2:
            return False
        xs, ys = polygon[::2], polygon[1::2]
        following = zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1])
        if abs(sum(x * next_y - next_x * y for x, y, next_x, next_y in following)) > 1e-6:
            return False
    return True


def _is_annotated(annotations, instances, dialect, options, left_out):
    """Whether a frame was annotated, with what is on it; else it is counted."""
    if not annotations:
        reason = None if dialect.empty or options.empty_frames else "frames without annotations"
    elif not instances:
        reason = "frames with nothing but such annotations"
    else:
        drawn = any(
            attributes_of(annotation).get("keyframe") not in (False, "false", "False")
            for _, _, annotation in annotations
        )
        reason = None if drawn or options.interpolated else "interpolated frames"
    if reason:
        left_out[reason] += 1
    return reason is None


def _parse(fields, image, where, dialect):
    """Return the frame that an image's name says, of Roboflow's the name that was uploaded."""
    name, extra = fields.text(image, "file_name", where), image.get("extra")
    uploaded = extra.get("name") if dialect.scaled and isinstance(extra, dict) else None
    found = dialect.parse(uploaded) if isinstance(uploaded, str) else None
    found = found or dialect.parse(name)
    if not found:
        problem = f"{shown(name)} names no frame of a video; name images {dialect.form}"
        raise fields.error(f"{where}.file_name", problem)
    return found


def _frame_count(images):
    """The number of frames of the video, where CVAT lists every frame of one; else None."""
    found = [frame_names.of_cvat(str(image.get("file_name"))) for image in images]
    numbers = sorted(frame.number for frame in found if frame and frame.numbering == "video")
    return len(images) if numbers == list(range(1, len(images) + 1)) else None
