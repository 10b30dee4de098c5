"""COCO's JSON as CVAT, Roboflow and Label Studio write it, as others do, and this
project's own; and YouTube-VIS's.

The tools differ in how they name images and in what an image without annotations means,
see `_Dialect`. 'iscrowd' marks masks in CVAT, and is ignored.

This project's own has no categories, but an actor and an action for each annotation:

```
{"images": [{"id": 1, "file_name": "yard/00030.png", "width": 320, "height": 240}, …],
 "annotations": [{"image_id": 1, "actor": "truck", "action": "driving", "segmentation":
 …}, …]}
```

`file_name` is `<video>/<frame>`, with the number of the frame; its suffix is optional.
An annotation has a `segmentation`, a `bbox` [x, y, width, height], or both, and may
have a field of `instance_fields.FIELDS`. An image may have a `split` ('train' or
'test').

YouTube-VIS lists videos with their frames, and an annotation for each track:
`segmentations[k]` belongs to `file_names[k]` of its video, and is null, polygons or an
RLE; where it is null, `bboxes[k]` may be a box. All listed frames are annotated. A
track has one category, so it ends where the action changes.

Sources: cvat-ai/datumaro `coco/exporter.py`; label-studio-sdk 2.1.2
`converter/converter.py` and `exports/brush_to_coco.py`; Roboflow's from public files;
youtubevos/cocoapi `ytvos.py`; labelformat 0.1.17 `youtubevis.py`, which sets 'iscrowd'
for every mask.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from a2d_tf.annotations import frame_names
from a2d_tf.annotations.container import File, size_of
from a2d_tf.annotations.document import Document, FrameName, Instance, ReadOptions
from a2d_tf.annotations.shapes import area, turned
from a2d_tf.core.checked_json import check_json, one_of, whole
from a2d_tf.core.errors import MAX_SIDE, quoted
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.data.manifest import SPLITS

_ID, _SIDE = (int, str), whole(1, MAX_SIDE)
_IMAGE = {"id": _ID, "file_name": str}
_SIZE = {"width?": (_SIDE, None), "height?": (_SIDE, None)}
_CATEGORIES = [{"id": _ID, "name": str}]
_COCO = {
    "images": [{**_IMAGE, **_SIZE}],
    "categories": _CATEGORIES,
    "annotations": [{"image_id": _ID, "category_id": _ID, "attributes?": (dict, None)}],
}
_OWN = {
    "images": [{**_IMAGE, "width": _SIDE, "height": _SIDE, "split?": one_of(*SPLITS)}],
    "annotations": [{"image_id": _ID, "actor": str, "action": str}],
}
_YOUTUBE_VIS = {
    "videos": [{"id": _ID, "file_names": [str], **_SIZE}],
    "categories": _CATEGORIES,
    "annotations": [
        {"video_id": _ID, "category_id": _ID}
        | {f"{name}?": (list, None) for name in ("segmentations", "bboxes")}
    ],
}


class _Dialect(NamedTuple):
    """What the COCO of one tool means.

    Attributes:
      parse: the name of an image -> its frame, or None.
      empty: whether an image without annotations is an annotated frame without
        instances.
      scaled: see `AnnotatedFrame.scaled`.
    """

    parse: Callable[[str], FrameName | None]
    empty: bool = False
    scaled: bool = False


class _Drawn(NamedTuple):
    """An annotation of an image; `mask` and `box` as in the file, or None."""

    where: str
    label: str
    attributes: Mapping[str, Any]
    mask: Any
    box: Any


def is_own(content: Any) -> bool:
    """Return whether a parsed JSON is this project's format: COCO without
    categories.
    """
    return matches(content) and not content.get("categories")


def matches(content: Any) -> bool:
    """Return whether a parsed JSON is COCO."""
    if not isinstance(content, dict) or "videos" in content:
        return False
    return all(
        isinstance(content.get(name), list) for name in ("images", "annotations")
    )


def is_youtube_vis(content: Any) -> bool:
    """Return whether a parsed JSON is YouTube-VIS's."""
    videos = content.get("videos") if isinstance(content, dict) else None
    return isinstance(videos, list) and any(
        isinstance(video, dict) and "file_names" in video for video in videos
    )


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read a tool's COCO file; InputError where the structure is broken, or a name
    has no frame.
    """
    content, labels = file.check(_COCO), _labels(file)

    def described(annotation: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        attributes = annotation.get("attributes") or {}
        named = {name.lower(): value for name, value in attributes.items()}
        return labels[annotation["category_id"]], named

    images = _by_image(file, described)
    document = _document(file, "coco", _dialect(content, options), options, images)
    document.frame_count = _frame_count(content)
    # Our own exports name their video, and hold some frames of it. A single image says
    # nothing.
    count = document.frame_count or 0
    if count > 1 and all(frame.video is None for frame in document.frames):
        document.frame_range = range(count)
    return [document]


def read_own(file: File, options: ReadOptions) -> list[Document]:
    """Read a file of this project's own format, as `read`; all of its images are
    annotated.
    """
    file.check(_OWN)
    images = _by_image(file, lambda annotation: (annotation["actor"], annotation))
    return [
        _document(
            file, "a2d_tf", _Dialect(frame_names.of_image, empty=True), options, images
        )
    ]


def read_youtube_vis(file: File, options: ReadOptions) -> list[Document]:
    """Read a YouTube-VIS file, as `read`."""
    videos = file.check(_YOUTUBE_VIS)["videos"]
    # A file that lists 00000.jpg leaves no doubt that it counts from 0.
    names = [name for video in videos for name in video["file_names"]]
    certain = any(
        name and name[1] == 0 for name in map(frame_names.split_frame_name, names)
    )
    dialect = _Dialect(lambda name: frame_names.from_0(name, certain), empty=True)
    return [_document(file, "youtube_vis", dialect, options, _by_frame(file))]


def _document(file, form, dialect, options, images):
    """Return the document of a file; `images` are (where, fields, [_Drawn, ...]) of
    each.
    """
    document = Document(file.path, form)
    for where, image, drawn in images:
        instances = []
        for annotation in drawn:
            attributes, parts = annotation.attributes, _parts(annotation.mask, document)
            # In our own format the box of a mask may be larger than its smallest one. A
            # mask that is left out, a speck beside another outline, has no box either.
            alone = not isinstance(annotation.mask, (list, dict)) or not any(
                annotation.mask
            )
            box = None
            if alone or (parts and form == "a2d_tf"):
                box = _box(
                    annotation.box, form == "coco" and attributes.get("rotation")
                )
            if not parts and not box:
                document.left_out["annotations without a mask or a box"] += 1
                continue
            actor, action, name = (
                _text(attributes.get(x)) for x in ("actor", "action", "name")
            )
            track = attributes.get("track_id")
            track = track if type(track) is int and track >= 0 else None
            fields = {field.name: attributes.get(field.name) for field in FIELDS}
            known = annotation.label, parts, file.place(annotation.where)
            instances.append(
                Instance(*known, actor, action, track, box, name, fields=fields)
            )
        reason = _reason(drawn, instances, dialect, options)
        if reason:
            document.left_out[reason] += 1
        else:
            split = image.get("split") if form == "a2d_tf" else None
            name = dialect.parse(image["file_name"]) or image["file_name"]
            document.add(
                where,
                name,
                size_of(image),
                instances,
                split=split,
                scaled=dialect.scaled,
            )
    return document


def _labels(file):
    """Return {id: name} of the categories; InputError where an id has two names."""
    labels: dict = {}
    for i, category in enumerate(file.content["categories"]):
        if labels.setdefault(category["id"], category["name"]) != category["name"]:
            problem = (
                f"{quoted(category['id'])} is used twice; give each category its own id"
            )
            raise file.error(f"categories[{i}].id", problem)
    return labels


def _dialect(content, options):
    info = content.get("info")
    info = info if isinstance(info, dict) else {}
    names = [image["file_name"] for image in content["images"]]
    if "roboflow" in str(info.get("description")) or any(
        map(frame_names.is_of_roboflow, names)
    ):
        return _Dialect(
            lambda name: frame_names.of_roboflow(name, options.frame_step),
            empty=True,
            scaled=True,
        )
    if str(info.get("contributor")).startswith("Label Studio") or (
        names and all(map(frame_names.is_of_label_studio, names))
    ):
        return _Dialect(frame_names.of_label_studio, empty=True)
    # Our own export of a prediction lists nothing but key frames.
    return _Dialect(
        frame_names.of_cvat, empty=info.get("description") == frame_names.PREDICTION
    )


def _by_image(file, described):
    """Return the images of COCO, as `_document` takes them.

    `described` gives the label of an annotation and its attributes by names in small
    letters.
    """
    drawn: dict[int | str, list[_Drawn]] = {}
    images = []
    for i, image in enumerate(file.content["images"]):
        if image["id"] in drawn:
            raise file.error(f"images[{i}].id", f"{quoted(image['id'])} is used twice")
        drawn[image["id"]] = []
        images.append((f"images[{i}]", image, drawn[image["id"]]))
    for i, annotation in enumerate(file.content["annotations"]):
        where = f"annotations[{i}]"
        mask, box = annotation.get("segmentation"), annotation.get("bbox")
        with file.at(where):
            label, attributes = described(annotation)
            drawn[annotation["image_id"]].append(
                _Drawn(where, label, attributes, mask, box)
            )
    return images


def _by_frame(file):
    """Yield the frames of YouTube-VIS, as `_document` takes images."""
    labels, drawn = _labels(file), collections.defaultdict(list)
    videos = {video["id"]: video for video in file.content["videos"]}
    for j, annotation in enumerate(file.content["annotations"]):
        where = f"annotations[{j}]"
        track = annotation.get("id")
        track = track if type(track) is int and track >= 0 else j
        lists = [annotation.get(name) or () for name in ("segmentations", "bboxes")]
        with file.at(where):
            video, label = (
                videos[annotation["video_id"]],
                labels[annotation["category_id"]],
            )
            if {len(each) for each in lists if each} != {len(video["file_names"])}:
                raise ValueError(
                    "the number of segmentations or bboxes differs from file_names"
                )
        fields = label, {"track_id": track}
        for k, (mask, box) in enumerate(itertools.zip_longest(*lists)):
            if mask or box:
                drawn[video["id"], k].append(
                    _Drawn(f"{where}[{k}]", *fields, mask, box)
                )
    for i, video in enumerate(file.content["videos"]):
        for k, name in enumerate(video["file_names"]):
            where = f"videos[{i}].file_names[{k}]"
            yield where, {**video, "file_name": name}, drawn[video["id"], k]


def _text(value):
    """Return an attribute as text: CVAT writes a number where it looks like one;
    else None.
    """
    if type(value) is float and value.is_integer():
        value = int(value)
    return str(value) if type(value) in (int, float, str) else None


def _parts(value, document):
    """Return a COCO segmentation, whose polygons may lack the list around them; ()
    for no mask.
    """
    if not isinstance(value, list) or not any(value):
        return (value,) if isinstance(value, dict) else ()
    polygons = value if all(isinstance(polygon, list) for polygon in value) else [value]
    # Programs that outline masks leave points and lines of pixels beside polygons.
    kept = [polygon for polygon in polygons if not _is_thin(polygon)]
    if len(kept) < len(polygons):
        document.left_out["polygons with zero area"] += len(polygons) - len(kept)
    return (kept,) if kept else ()


def _is_thin(polygon):
    """Return whether a polygon has no area; False where it is damaged, which is told
    later.
    """
    with contextlib.suppress(ValueError):
        check_json(polygon, [float])
        return len(polygon) in (2, 4) or area([polygon]) < 1e-6
    return False


def _box(value, degrees):
    """Return a COCO box to be decoded later; None where there is none, or one of no
    area.

    CVAT writes the box as it is before it is turned by `degrees`, if any.
    """
    if isinstance(value, list) and len(value) == 4 and 0 in value[2:]:
        return None
    # of a damaged box, which is told later
    with contextlib.suppress(TypeError, ValueError):
        return turned(value, degrees) if degrees else value or None
    return value


def _reason(drawn, instances, dialect, options):
    """Return why a frame with what is drawn on it does not count as annotated; else
    None.
    """
    if not drawn:
        return (
            None
            if dialect.empty or options.empty_frames
            else "frames without annotations"
        )
    if not instances:
        return "frames with no usable annotations"
    keys = (annotation.attributes.get("keyframe") for annotation in drawn)
    interpolated = all(key in (False, "false", "False") for key in keys)
    return "interpolated frames" if interpolated and not options.interpolated else None


def _frame_count(content):
    """The number of frames of the video, where CVAT lists every frame of one; else
    None.
    """
    found = [frame_names.of_cvat(image["file_name"]) for image in content["images"]]
    numbers = sorted(
        frame.number for frame in found if frame and frame.numbering.kind == "video"
    )
    return len(found) if numbers == list(range(1, len(found) + 1)) else None
