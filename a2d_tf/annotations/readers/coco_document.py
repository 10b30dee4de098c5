"""The common part of the readers of COCO and YouTube-VIS.

A reader collects images with their annotations; `make_document` turns these into
annotated frames with instances.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from a2d_tf.annotations.documents import frame_names
from a2d_tf.annotations.documents.conventions import Conventions
from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.instance import Instance, Segmentation, number_in_name
from a2d_tf.annotations.documents.numbering import FrameName
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.container import File
from a2d_tf.annotations.readers.shapes import box_around_turned, segmentation_area
from a2d_tf.core.checked_json import check_json, whole
from a2d_tf.core.errors import quoted
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.data.instance_fields import FIELDS

# Kinds of `core.checked_json`, in the files of both formats.
ID = (int, str)
SIDE = whole(1, MAX_SIDE)
CATEGORIES = [{"id": ID, "name": str}]


class Dialect(NamedTuple):
    """How one tool writes COCO's or YouTube-VIS's JSON.

    Attributes:
      format: the name of the format, one of `readers.formats.FORMATS`.
      parse: a function that takes the name of an image, and returns its video and
        frame; None if the name has no number.
      conventions: tells whether an image without annotations is an annotated frame, and
        whether a person numbered the tracks.
      scaled: whether images may have another size than the video, so that coordinates
        are scaled.
      is_own: whether the format is this project's own. There the box of a mask may be
        larger than the mask, and no box is rotated.
    """

    format: str
    parse: Callable[[str], FrameName | None]
    conventions: Conventions
    scaled: bool = False
    is_own: bool = False


class CocoAnnotation(NamedTuple):
    """An annotation of an image, as the file has it.

    Attributes:
      where: the place in the file, for errors: 'annotations[3]'.
      label: the name of its category; in this project's own format its actor.
      attributes: {name of an attribute in lower case: value}.
      segmentation: the polygons or the RLE; None for a box alone.
      box: the value of `bbox`, [x, y, width, height] in pixels; None if it is missing.
    """

    where: str
    label: str
    attributes: Mapping[str, Any]
    segmentation: Any
    box: Any


class CocoImage(NamedTuple):
    """An image of a file, with its annotations.

    Attributes:
      where: the place in the file, for errors: 'images[0]'.
      file_name: the path or name of the image, which tells its video and frame.
      size: (height, width) in pixels; None if the file does not say.
      split: 'train' or 'test'; None if the file does not say.
      annotations: the annotations of the image.
    """

    where: str
    file_name: str
    size: tuple[int, int] | None
    split: str | None
    annotations: list[CocoAnnotation]


def category_names(file: File) -> dict[int | str, str]:
    """Return {id: name} of the categories, COCO's classes, of a file.

    Args:
      file: a file with a checked list `categories`.

    Raises:
      InputError: an id has two names.
    """
    names: dict[int | str, str] = {}
    for i, category in enumerate(file.content["categories"]):
        name = names.setdefault(category["id"], category["name"])
        if name != category["name"]:
            problem = f"{quoted(category['id'])} is used twice"
            raise file.error(
                f"categories[{i}].id", f"{problem}; give each category its own id"
            )
    return names


def make_document(
    file: File, dialect: Dialect, options: ReadOptions, images: Iterable[CocoImage]
) -> Document:
    """Make the document of a file, its annotated frames, from its images.

    Annotations without a mask or a box are left out and counted, and so are images that
    nobody has annotated, or whose shapes were all interpolated.

    Args:
      file: the file, for its path and for errors.
      dialect: how the tool names images, and what an image without annotations means.
      options: which images count as annotated.
      images: the images of the file with their annotations.

    Raises:
      InputError: the name of an annotated image has no frame number.
    """
    document = Document(file.path, dialect.format)
    for image in images:
        instances = []
        for annotation in image.annotations:
            instance = _instance(annotation, file, dialect, document.left_out)
            if instance is None:
                document.left_out["annotations without a mask or a box"] += 1
            else:
                instances.append(instance)
        reason = _reason_to_leave_out(image.annotations, instances, dialect, options)
        if reason:
            document.left_out[reason] += 1
            continue
        name = dialect.parse(image.file_name)
        if name is None:
            raise file.error(
                image.where, frame_names.not_a_frame_message(image.file_name)
            )
        document.add(
            image.where,
            name,
            image.size,
            instances,
            split=image.split,
            scaled=dialect.scaled,
        )
    return document


def _instance(
    annotation: CocoAnnotation,
    file: File,
    dialect: Dialect,
    left_out: collections.Counter[str],
) -> Instance | None:
    """Return the instance of an annotation; None if it has neither mask nor box.

    Args:
      annotation: the annotation.
      file: the file, for the place in errors.
      dialect: how the tool writes boxes and tracks.
      left_out: counts the shapes that are left out; it is changed.
    """
    attributes = annotation.attributes
    segmentation = annotation.segmentation
    parts = _parts(segmentation, left_out)
    # If the outline has no area, its box does not count, either.
    is_box_alone = not isinstance(segmentation, (list, dict)) or not any(segmentation)
    box = None
    if is_box_alone or (parts and dialect.is_own):
        degrees = None if dialect.is_own else attributes.get("rotation")
        box = _box(annotation.box, degrees)
    if not parts and not box:
        return None
    track = attributes.get("track_id")
    if type(track) is not int or track < 0:
        track = None
    name = _text(attributes.get("name"))
    number = number_in_name(name)
    if number is None and dialect.conventions.tracks_have_names:
        number = track
    return Instance(
        label=annotation.label,
        parts=parts,
        where=file.place(annotation.where),
        actor=_text(attributes.get("actor")),
        action=_text(attributes.get("action")),
        track=track,
        box=box,
        name=name,
        number=number,
        fields={field.name: attributes.get(field.name) for field in FIELDS},
    )


def _text(value: Any) -> str | None:
    """Return an attribute as text; None if it is neither text nor a number.

    CVAT writes a number for a text that looks like one.
    """
    if type(value) is float and value.is_integer():
        value = int(value)
    return str(value) if type(value) in (int, float, str) else None


def _parts(
    segmentation: Any, left_out: collections.Counter[str]
) -> tuple[Segmentation, ...]:
    """Return the parts of an `Instance`; () if there is no mask.

    Args:
      segmentation: as in the file; the list around polygons may be missing.
      left_out: counts the polygons without area.
    """
    if isinstance(segmentation, dict):
        return (segmentation,)
    if not isinstance(segmentation, list) or not any(segmentation):
        return ()
    polygons = segmentation
    if not all(isinstance(polygon, list) for polygon in polygons):
        polygons = [segmentation]
    # Programs that outline masks leave points and lines of pixels beside polygons.
    polygons_with_area = [polygon for polygon in polygons if not _is_thin(polygon)]
    thin_count = len(polygons) - len(polygons_with_area)
    if thin_count:
        left_out["polygons with zero area"] += thin_count
    return (polygons_with_area,) if polygons_with_area else ()


def _is_thin(polygon: Any) -> bool:
    """Return whether a polygon has no area.

    The answer for a damaged polygon is False: decoding the mask reports the damage.
    """
    with contextlib.suppress(ValueError):
        check_json(polygon, [float])
        return len(polygon) in (2, 4) or segmentation_area([polygon]) < 1e-6
    return False


def _box(box: Any, degrees: Any) -> Any:
    """Return the box of an annotation; None if there is none, or it has no area.

    Decoding the box reports damage.

    Args:
      box: as in the file, which is the box before it is rotated.
      degrees: its rotation; None or 0 without.
    """
    if isinstance(box, list) and len(box) == 4 and 0 in box[2:]:
        return None
    if not degrees:
        return box or None
    with contextlib.suppress(TypeError, ValueError):
        return box_around_turned(box, degrees)
    return box


def _reason_to_leave_out(
    annotations: Sequence[CocoAnnotation],
    instances: Sequence[Instance],
    dialect: Dialect,
    options: ReadOptions,
) -> str | None:
    """Return the reason why an image is no annotated frame; None if it is one."""
    if not annotations:
        if dialect.conventions.lists_empty or options.empty_frames:
            return None
        return "frames without annotations"
    if not instances:
        return "frames with no usable annotations"
    if options.interpolated:
        return None
    for annotation in annotations:
        if annotation.attributes.get("keyframe") not in (False, "false", "False"):
            return None
    return "interpolated frames"
