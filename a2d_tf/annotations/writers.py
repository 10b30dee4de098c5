"""Writers of tracks for annotation tools, as a file, zip or folder, whole or not at
all.

Each writer yields (name in a zip, content) of its files. The files hold key frames, see
`keep_key_frames`.
"""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import pathlib
import zipfile
from collections.abc import Callable, Collection, Iterator
from typing import Any, BinaryIO, NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as rle_tools

from a2d_tf.annotations import frame_names
from a2d_tf.annotations.outlines import crop, polygons
from a2d_tf.annotations.read_masks import COLUMNS, LIST
from a2d_tf.annotations.tracked_video import (
    Shape,
    TrackedVideo,
    interpolate_boxes,
    keep_key_frames,
    select_frames,
)
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_file
from a2d_tf.core.folders import whole_folder
from a2d_tf.data.segmentations import encode_mask, runs_of
from a2d_tf.ops.visualize import track_colours


def _coco(video: TrackedVideo, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Write COCO's JSON, with CVAT's attributes: 'action', 'occluded', 'track_id'.

    Images of a video are named as CVAT names them, which counts from 0:
    clip1/frame_000004.PNG is frame 5; those of a folder have their own names.
    """
    numbers = {actor: i for i, actor in enumerate(video.actions, 1)}
    size = {"width": video.size[1], "height": video.size[0]}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for frame, found in video.by_frame().items():
        name = (
            f"frame_{frame - 1:06d}.PNG" if video.images is None else video.image(frame)
        )
        images.append(
            {"id": len(images) + 1, "file_name": f"{video.name}/{name}", **size}
        )
        for track, shape in found:
            outline = shape.mask if masks else polygons(shape.decoded())
            annotation = {
                **{"id": len(annotations) + 1, "image_id": len(images), "iscrowd": 0},
                "category_id": numbers[track.actor],
                "segmentation": [] if video.boxes_only else outline,
                **{"area": int(rle_tools.area(shape.mask)), "bbox": shape.box()},
                "attributes": {
                    "action": shape.action,
                    "occluded": False,
                    "track_id": track.id,
                },
            }
            annotations.append(annotation)
    classes = [
        {"id": i, "name": actor, "supercategory": ""} for actor, i in numbers.items()
    ]
    content: dict[str, Any] = {
        "info": {"description": frame_names.PREDICTION},
        "licenses": [],
    }
    content |= {"categories": classes, "images": images, "annotations": annotations}
    yield "annotations/instances_default.json", json.dumps(content).encode() + b"\n"


def _cvat(video: TrackedVideo, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Write 'CVAT for video 1.1', which CVAT imports into a task of the same video.

    CVAT counts frames from 0, and interpolates between two key frames of a track; so a
    track has a shape that is 'outside' where it is gone. What it interpolates is
    written, too, as in its own exports: it does not import that. A label keeps its name
    along a track, the attribute 'action' may change. Parts of one instance are tracks
    of one group. CVAT has no tracks of masks: it takes the first shape of each for a
    mask on one frame, so every mask is a track of its own.

    Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`.
    """
    root = Element("annotations")
    _add(root, "version", "1.1")
    task = _add(_add(root, "meta"), "task")
    for tag in ("name", "source"):
        _add(task, tag, video.source)
    if video.frame_count is not None:
        _add(task, "size", video.frame_count)
        _add(task, "start_frame", 0)
    size = _add(task, "original_size")
    _add(size, "width", video.size[1])
    _add(size, "height", video.size[0])
    for track in video.tracks:
        of_masks = masks and not video.boxes_only
        for element in (
            _of_masks(track, video) if of_masks else _of_outlines(track, video)
        ):
            element.set("id", str(len(root) - 2))
            root.append(element)
    ElementTree.indent(root)
    yield (
        "annotations.xml",
        ElementTree.tostring(root, "utf-8", xml_declaration=True) + b"\n",
    )


def _add(parent, tag, text=None):
    element = SubElement(parent, tag)
    element.text = None if text is None else str(text)
    return element


def _of_outlines(track, video):
    """The <track> of a track's boxes, or its <track>s of polygons, one for each part
    at most.
    """
    tag = "box" if video.boxes_only else "polygon"
    parts = [
        (
            [_corners(shape)]
            if video.boxes_only
            else [*map(_points, polygons(shape.decoded()))]
        )
        for shape in track.shapes
    ]
    most = max(map(len, parts))
    for k in range(most):
        element = _track(track, most > 1)
        following = zip([*track.shapes[1:], None], [*parts[1:], ()])
        for shape, outlines, (after, others) in zip(track.shapes, parts, following):
            if k < len(outlines):
                _shape(element, tag, shape, outlines[k])
                gone = after.frame if after and k >= len(others) else None
                if shape.until or gone:
                    _shape(element, tag, shape, outlines[k], shape.until or gone)
        yield element


def _of_masks(track, video):
    """A <track> for each mask of a track: the mask, and its end a frame later, if
    there is one.
    """
    for shape in track.shapes:
        element, fields = _track(track, True), _runs(shape)
        _shape(element, "mask", shape, fields)
        if shape.frame != video.frame_count:
            _shape(element, "mask", shape, fields, shape.frame + 1)
        yield element


def _track(track, grouped):
    group = {"group_id": str(track.id)} if grouped else {}
    return Element("track", {"id": "", "label": track.actor, "source": "auto", **group})


def _shape(
    track, tag: str, shape: Shape, fields: dict[str, str], outside: int | None = None
):
    """Append a shape, or where it is outside from a frame on, the end of one."""
    times = {
        "frame": str((outside or shape.frame) - 1),
        "keyframe": str(int(shape.interpolated_box is None or outside is not None)),
        "outside": str(int(outside is not None)),
        "occluded": "0",
    }
    element = SubElement(track, tag, {**times, **fields, "z_order": "0"})
    _add(element, "attribute", shape.action).set("name", "action")


def _points(outline):
    return {
        "points": ";".join(
            f"{x:.2f},{y:.2f}" for x, y in zip(outline[::2], outline[1::2])
        )
    }


def _corners(shape):
    x, y, width, height = shape.box()
    edges = {"xtl": x, "ytl": y, "xbr": x + width, "ybr": y + height}
    return {name: f"{edge:.2f}" for name, edge in edges.items()}


def _runs(shape):
    """A mask's runs, background first, row by row through its box."""
    inside, left, top = crop(shape.decoded())
    height, width = inside.shape
    runs = runs_of(encode_mask(inside.T)["counts"], inside.size)  # COCO's go by columns
    box = {"left": left, "top": top, "width": width, "height": height}
    return {
        "rle": ", ".join(map(str, runs)),
        **{name: str(edge) for name, edge in box.items()},
    }


def _labelme(video: TrackedVideo, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Write LabelMe's JSON, a file for each frame: clip1/00005.json beside the image
    00005.jpg.

    Labels are 'actor-action'. Parts of one instance are shapes of one group, whose
    number is the track's.
    """
    kind = "rectangle" if video.boxes_only else "mask" if masks else "polygon"
    height, width = video.size
    for frame, found in video.by_frame().items():
        image = video.image(frame)
        plain: dict[str, Any] = {"description": "", "shape_type": kind, "flags": {}}
        shapes = [
            {"label": f"{track.actor}-{shape.action}", "points": points, "mask": mask}
            | {"group_id": track.id, **plain}
            for track, shape in found
            for points, mask in _parts(shape, kind)
        ]
        content: dict[str, Any] = {"version": "6.3.1", "flags": {}, "shapes": shapes}
        content |= {"imagePath": image, "imageData": None}
        content |= {"imageHeight": height, "imageWidth": width}
        path = pathlib.PurePosixPath(video.name, image).with_suffix(".json")
        yield str(path), json.dumps(content, indent=1).encode() + b"\n"


def _parts(shape: Shape, kind: str) -> list[tuple[list, str | None]]:
    """(points; of masks a PNG of 0 and 1 between these, in base64) of each part of a
    shape.
    """
    if kind == "polygon":
        return [
            (np.reshape(ring, (-1, 2)).tolist(), None)
            for ring in polygons(shape.decoded())
        ]
    if kind == "rectangle":
        x, y, width, height = shape.box()
        return [([[x, y], [x + width, y + height]], None)]
    inside, left, top = crop(shape.decoded())
    height, width = inside.shape
    png = cv2.imencode(".png", np.uint8(inside))[1]
    corners = [
        [float(left), float(top)],
        [float(left + width - 1), float(top + height - 1)],
    ]
    return [(corners, base64.b64encode(png.tobytes()).decode())]


def _masks(video: TrackedVideo, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Write folders of masks that DAVIS, SAM 2 and Cutie read: clip1/00004.png is frame
    5.

    Masks of a folder of images have the images' names. Pixels hold the numbers of their
    tracks, that of the higher score where masks overlap. A row of objects.csv lasts to
    the next one of the track, so that masks that are drawn between the key frames have
    their action.
    """
    if video.boxes_only:
        raise InputError(
            "--format=masks: the network predicts no masks; choose another format"
        )
    most = max((track.id for track in video.tracks), default=0)
    names = {frame: f"{frame - 1:05d}" for frame in video.frames}
    if video.images is not None:
        names = {
            frame: pathlib.PurePath(video.image(frame)).stem for frame in video.frames
        }
    yield LIST, _objects(video, names)
    palette = bytes([0, 0, 0]) + track_colours(range(1, 256)).tobytes()
    for frame, found in video.by_frame().items():
        values = np.zeros(video.size, np.uint8 if most < 256 else np.uint16)
        for track, shape in sorted(found, key=lambda each: each[1].score):
            values[shape.decoded()] = track.id
        image, file = Image.fromarray(values), io.BytesIO()
        if most < 256:
            image.putpalette(palette)
        image.save(file, "PNG")
        yield f"{video.name}/{names[frame]}.png", file.getvalue()


def _objects(video, names):
    """The content of objects.csv; `names` are those of the frames' PNGs."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for track in video.tracks:
        actions = itertools.groupby(track.shapes, lambda shape: shape.action)
        starts = [(action, next(shapes).frame) for action, shapes in actions]
        firsts = [
            frame_names.split_frame_name(f"{names[frame]}.png")
            for _, frame in starts[1:]
        ]
        numbers = [found[1] for found in firsts if found]
        if len(numbers) < len(firsts):
            raise InputError(
                f"{video.name}: image names do not end in a number, which objects.csv"
                " needs to mark where an action changes; choose another --format"
            )
        lasts = [number - 1 for number in numbers]
        for (action, _), first, last in zip(starts, ["", *numbers], [*lasts, ""]):
            table.writerow([video.name, track.id, track.actor, action, first, last])
    return text.getvalue().encode()


class Writer(NamedTuple):
    """A format; `suffix` is that of its one file, '' of a folder."""

    write: Callable[[TrackedVideo, bool], Iterator[tuple[str, bytes]]]
    suffix: str


WRITERS = {
    "cvat": Writer(_cvat, ".xml"),
    "coco": Writer(_coco, ".json"),
    "labelme": Writer(_labelme, ""),
    "masks": Writer(_masks, ""),
}


def check_output(output: str, form: str) -> None:
    """Raise InputError unless `output` ends in .zip or in the suffix of a format of
    `WRITERS`.
    """
    suffix, own = pathlib.PurePath(output).suffix.lower(), WRITERS[form].suffix
    if suffix != ".zip" and (suffix != own if own else suffix in (".json", ".xml")):
        what = f"a {own}" if own else "a folder"
        raise InputError(f"--output={output}: --format={form} needs {what} or a .zip")


def save(
    video: TrackedVideo,
    output: str,
    form: str,
    masks: bool = False,
    every: int = 1,
    frames: Collection[int] | None = None,
    min_iou: float = 1.0,
) -> TrackedVideo:
    """Write an export; a file that is there is replaced, a folder must be new or empty.

    Args:
      video: what to write; of it, what was written is returned.
      output: path of a file, a zip or a folder, see `check_output`.
      form: one of `WRITERS`.
      masks: whether shapes are masks; else polygons.
      every: see `keep_key_frames`.
      frames: instead of every few frames these alone, see `select_frames`.
      min_iou: of boxes that CVAT interpolates, see `interpolate_boxes`.

    Raises:
      InputError: it cannot be written, or not there.
    """
    writer = WRITERS[form]
    video = (
        keep_key_frames(video, every)
        if frames is None
        else select_frames(video, frames)
    )
    if form == "cvat" and video.boxes_only:
        video = interpolate_boxes(video, min_iou)
    members = writer.write(video, masks)

    def fill(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)

    if output.lower().endswith(".zip"):
        write_file(output, fill)
    elif writer.suffix:
        ((_, content),) = members
        write_file(output, lambda file: file.write(content))
    else:
        with whole_folder(output, replace=False) as folder:
            for name, content in members:
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    return video
