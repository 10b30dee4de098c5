"""COCO's JSON as CVAT, Roboflow and Label Studio write it, as others do, and this project's own;
and YouTube-VIS's.

The tools differ in how they name images and in what an image without annotations means, see
`_Dialect`. 'iscrowd' marks masks in CVAT, and is ignored.

This project's own has no categories, but an actor and an action for each annotation:

```
{"images": [{"id": 1, "file_name": "yard/00030.png", "width": 320, "height": 240}, …],
 "annotations": [{"image_id": 1, "actor": "truck", "action": "driving", "segmentation": …}, …]}
```

`file_name` is `<video>/<frame>`, with the 1-based number of the frame; its suffix is optional.
An annotation has a `segmentation`, a `bbox` [x, y, width, height], or both. Either all images have
a `split` ('train' or 'test') or none.

YouTube-VIS lists videos with their frames, and an annotation for each track: `segmentations[k]`
belongs to `file_names[k]` of its video, and is null, polygons or an RLE; where it is null,
`bboxes[k]` may be a box. All listed frames are annotated. A track has one category, so it ends
where the action changes; a `track_id`, which is not YouTube-VIS's, joins its actions.

Sources: cvat-ai/datumaro `coco/exporter.py`; label-studio-sdk 2.1.2 `converter/converter.py` and
`exports/brush_to_coco.py`; Roboflow's from public files; youtubevos/cocoapi `ytvos.py`; labelformat
0.1.17 `youtubevis.py`, which sets 'iscrowd' for every mask.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

from a2d_tf.annotations import frame_names
from a2d_tf.annotations.container import File, size_of
from a2d_tf.annotations.document import (
    Document,
    FrameName,
    Instance,
    ReadOptions,
    Segmentation,
)
from a2d_tf.annotations.shapes import area
from a2d_tf.core.errors import MAX_SIDE, shown
from a2d_tf.core.files import check_json, one_of, whole
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
    "images": [{**_IMAGE, "width": _SIDE, "height": _SIDE}],
    "annotations": [
        {"image_id": _ID, "actor": str, "action": str, "segmentation?": (list, dict, None)}
    ],
}
_YOUTUBE_VIS = {
    "videos": [{"id": _ID, "file_names": [str], **_SIZE}],
    "categories": _CATEGORIES,
    "annotations": [
        {"video_id": _ID, "category_id": _ID}
        | {f"{name}?": (list, None) for name in ("segmentations", "bboxes")}
    ],
}
_NOTHING = "annotations without a mask or a box"


@dataclasses.dataclass(frozen=True)
class _Dialect:
    """What the COCO of one tool means.

    Attributes:
      parse: the name of an image -> its frame, or None.
      form: what a name should look like, the remedy where `parse` finds none.
      empty: whether an image without annotations is an annotated frame without instances.
      thin: whether polygons may have no area, as the outlines of a line of pixels have none.
      scaled: see `AnnotatedFrame.scaled`.
    """

    parse: Callable[[str], FrameName | None]
    form: str = "<video>/<number>.jpg"
    empty: bool = False
    thin: bool = False
    scaled: bool = False


def is_own(content: Any) -> bool:
    """Return whether a parsed JSON is this project's format: COCO with actors, no categories."""
    if not matches(content):
        return False
    entries = content["annotations"]
    if not entries:
        return "categories" not in content
    return any(isinstance(entry, dict) and "actor" in entry for entry in entries)


def matches(content: Any) -> bool:
    """Return whether a parsed JSON is COCO."""
    if not isinstance(content, dict) or "videos" in content:
        return False
    return all(isinstance(content.get(name), list) for name in ("images", "annotations"))


def is_youtube_vis(content: Any) -> bool:
    """Return whether a parsed JSON is YouTube-VIS's."""
    videos = content.get("videos") if isinstance(content, dict) else None
    return isinstance(videos, list) and any(
        isinstance(video, dict) and "file_names" in video for video in videos
    )


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read a tool's COCO file.

    Raises:
      InputError: the structure is broken, a name holds no frame, or nothing has a mask.
    """
    content = file.check(_COCO)
    labels = _labels(file)
    dialect = _dialect(content, options)
    document = Document(file.path, "coco", frame_count=_frame_count(content))
    left_out = document.left_out
    for i, drawn in enumerate(_by_image(file, {"category_id": labels})):
        instances = []
        for where, annotation in drawn:
            segmentation = _segmentation(annotation.get("segmentation"), left_out)
            box = None if segmentation else _box(annotation.get("bbox"))
            if not segmentation and not box:
                left_out[_NOTHING] += 1
            elif dialect.thin and segmentation and _is_thin(file, segmentation, where):
                left_out["polygons without an area"] += 1
            else:
                label = labels[annotation["category_id"]]
                attributes = _attributes(annotation)
                actor, action = (_text(attributes.get(name)) for name in ("actor", "action"))
                track = attributes.get("track_id")
                track = track if type(track) is int else None
                parts = (segmentation,) if segmentation else ()
                place = file.place(where)
                instances.append(Instance(label, parts, place, actor, action, track, box))
        reason = _reason(drawn, instances, dialect, options)
        if reason:
            left_out[reason] += 1
        else:
            name, size = _name(file, i, dialect), size_of(content["images"][i])
            document.add(f"images[{i}]", name, size, instances, dialect.scaled)
    if content["annotations"] and left_out[_NOTHING] == len(content["annotations"]):
        problem = (
            "none has a mask ('segmentation') or a box ('bbox'); draw polygons, masks or boxes"
        )
        raise file.error("annotations", problem)
    return [document]


def read_own(file: File, options: ReadOptions) -> list[Document]:
    """Read a file of this project's own format; all of its images are annotated.

    Raises:
      InputError: the structure is broken; masks and boxes are checked when they are decoded.
    """
    images = file.check(_OWN)["images"]
    if any("split" in image for image in images):
        file.check({"images": [{"split": one_of(*SPLITS)}]})
    dialect = _Dialect(frame_names.of_own, "<video>/<frame>, such as yard/00030 or yard/00030.png")
    document = Document(file.path, "a2d_tf")
    for i, drawn in enumerate(_by_image(file, {})):
        instances = []
        for where, annotation in drawn:
            if annotation.get("iscrowd"):
                problem = "crowds have no single action; annotate each instance"
                raise file.error(f"{where}.iscrowd", problem)
            actor, action, box = annotation["actor"], annotation["action"], annotation.get("bbox")
            mask = annotation.get("segmentation")
            parts = (mask,) if mask or not box else ()
            instances.append(Instance(actor, parts, file.place(where), actor, action, box=box))
        name, size, split = _name(file, i, dialect), size_of(images[i]), images[i].get("split")
        document.add(f"images[{i}]", name, size, instances, split=split)
    return [document]


def read_youtube_vis(file: File, options: ReadOptions) -> list[Document]:
    """Read a YouTube-VIS file.

    Raises:
      InputError: the structure is broken, or a name holds no frame.
    """
    videos = file.check(_YOUTUBE_VIS)["videos"]
    document = Document(file.path, "youtube_vis")
    tracks = _sort(file)
    # A file that lists 00000.jpg leaves no doubt that it counts from 0.
    names = [name for video in videos for name in video["file_names"]]
    certain = any(name and name[1] == 0 for name in map(frame_names.split_frame_name, names))
    for i, video in enumerate(videos):
        for k, name in enumerate(video["file_names"]):
            where = f"videos[{i}].file_names[{k}]"
            found = frame_names.of_youtube_vis(name, certain)
            if not found:
                problem = f"{shown(name)} names no frame; name frames <video>/<number>.jpg"
                raise file.error(where, problem)
            document.add(where, found, size_of(video), tracks.get((i, k), ()))
    return [document]


def _labels(file):
    """Return {id: name} of the categories; InputError where two names share an id."""
    labels: dict = {}
    for i, category in enumerate(file.content["categories"]):
        if labels.setdefault(category["id"], category["name"]) != category["name"]:
            raise file.error(f"categories[{i}].id", f"{shown(category['id'])} is also another's")
    return labels


def _dialect(content, options):
    info = content.get("info")
    info = info if isinstance(info, dict) else {}
    names = [image["file_name"] for image in content["images"]]
    if "roboflow" in str(info.get("description")) or any(map(frame_names.is_of_roboflow, names)):
        return _Dialect(
            lambda name: frame_names.of_roboflow(name, options.frame_step), empty=True, scaled=True
        )
    if str(info.get("contributor")).startswith("Label Studio") or (
        names and all(map(frame_names.is_of_label_studio, names))
    ):
        return _Dialect(
            frame_names.of_label_studio,
            form="<video>_<number>.jpg before the import, for Label Studio keeps no folders",
            empty=True,
            thin=True,
        )
    if info.get("description") == frame_names.PREDICTION:  # lists nothing but key frames
        return _Dialect(frame_names.of_prediction, empty=True)
    return _Dialect(frame_names.of_cvat)


def _by_image(file, lists):
    """Return [(where, annotation), ...] of each image.

    Args:
      file: the file; lists: {field of annotations: what it may be}, beside `image_id`.
    """
    drawn = {}
    for i, image in enumerate(file.content["images"]):
        if image["id"] in drawn:
            raise file.error(f"images[{i}].id", f"{shown(image['id'])} is also another's")
        drawn[image["id"]] = []
    for i, annotation in enumerate(file.content["annotations"]):
        file.check_listed(f"annotations[{i}]", annotation, {"image_id": drawn, **lists})
        drawn[annotation["image_id"]].append((f"annotations[{i}]", annotation))
    return drawn.values()


def _name(file, i, dialect):
    """Return the name of the frame that images[i] is."""
    image = file.content["images"][i]
    name, extra = image["file_name"], image.get("extra")
    # Roboflow keeps the name that was uploaded, and numbers frames in it.
    uploaded = extra.get("name") if dialect.scaled and isinstance(extra, dict) else None
    found = dialect.parse(uploaded) if isinstance(uploaded, str) else None
    found = found or dialect.parse(name)
    if not found:
        problem = f"{shown(name)} names no frame of a video; name images {dialect.form}"
        raise file.error(f"images[{i}].file_name", problem)
    return found


def _attributes(annotation):
    """Return the 'attributes' of an annotation by their names in small letters."""
    return {name.lower(): value for name, value in (annotation.get("attributes") or {}).items()}


def _text(value):
    """Return an attribute as text: CVAT writes a number where it looks like one; else None."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return str(value) if type(value) in (int, float, str) else None


def _segmentation(value: Any, left_out: collections.Counter[str]) -> Segmentation | None:
    """Return a COCO segmentation, whose polygons may lack the list around them; None: no mask."""
    if not isinstance(value, list) or not any(value):
        return value if isinstance(value, dict) else None
    if not all(isinstance(polygon, list) for polygon in value):
        return [value]
    # Programs that outline masks leave parts of one or two points beside polygons.
    polygons = [polygon for polygon in value if len(polygon) not in (2, 4)]
    if not polygons or len(polygons) == len(value):
        return value
    left_out["parts of one or two points"] += len(value) - len(polygons)
    return polygons


def _box(value: Any) -> Any:
    """Return a COCO box to be decoded later; None where there is none, or one of no area."""
    if isinstance(value, list) and len(value) == 4 and 0 in value[2:]:
        return None
    return value or None


def _is_thin(file, segmentation, where):
    with file.at(f"{where}.segmentation"):
        check_json(segmentation, (dict, [[float]]))
        return isinstance(segmentation, list) and area(segmentation) < 1e-6


def _reason(drawn, instances, dialect, options):
    """Return why a frame with what is drawn on it does not count as annotated; else None."""
    if not drawn:
        return None if dialect.empty or options.empty_frames else "frames without annotations"
    if not instances:
        return "frames with nothing but such annotations"
    keys = (_attributes(annotation).get("keyframe") for _, annotation in drawn)
    interpolated = all(key in (False, "false", "False") for key in keys)
    return "interpolated frames" if interpolated and not options.interpolated else None


def _frame_count(content):
    """The number of frames of the video, where CVAT lists every frame of one; else None."""
    found = [frame_names.of_cvat(image["file_name"]) for image in content["images"]]
    numbers = sorted(frame.number for frame in found if frame and frame.numbering.kind == "video")
    return len(found) if numbers == list(range(1, len(found) + 1)) else None


def _sort(file):
    """Return {(index of a video of YouTube-VIS, of its frame): [Instance, ...]}."""
    videos = {video["id"]: i for i, video in enumerate(file.content["videos"])}
    labels = _labels(file)
    instances: dict[tuple[int, int], list[Instance]] = {}
    for j, annotation in enumerate(file.content["annotations"]):
        where = f"annotations[{j}]"
        file.check_listed(where, annotation, {"video_id": videos, "category_id": labels})
        i = videos[annotation["video_id"]]
        count = len(file.content["videos"][i]["file_names"])
        lists = {name: annotation.get(name) for name in ("segmentations", "bboxes")}
        for name, given in lists.items():
            if given is not None and len(given) != count:
                problem = f"{len(given)}, but videos[{i}] has {count} file_names; export it again"
                raise file.error(f"{where}.{name}", problem)
        if lists["segmentations"] is None and lists["bboxes"] is None:
            raise file.error(f"{where}.segmentations", "missing, and 'bboxes' too; export it again")
        masks, boxes = (given or [None] * count for given in lists.values())
        ids = [annotation.get(name) for name in ("track_id", "id")]
        track = next((number for number in ids if type(number) is int and number >= 0), j)
        for k, (mask, bbox) in enumerate(zip(masks, boxes)):
            parts = () if mask in (None, []) else (mask,)
            box = None if parts else _box(bbox)
            if parts or box:
                place = file.place(f"{where}.{'segmentations' if parts else 'bboxes'}[{k}]")
                instance = Instance(
                    labels[annotation["category_id"]], parts, place, track=track, box=box
                )
                instances.setdefault((i, k), []).append(instance)
    return instances
