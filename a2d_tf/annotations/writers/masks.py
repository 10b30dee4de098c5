"""Writer of folders of masks that DAVIS, SAM 2 and Cutie read.

clip1/00004.png is frame 5; masks of a folder of images have the images' names. A pixel
holds the number of its track; where masks overlap, that of the higher score counts. A
row of objects.csv lasts to the next row of the track, so that masks that a tool adds
between the key frames have an action.
"""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from a2d_tf.annotations.documents import frame_names
from a2d_tf.annotations.documents.conventions import MASKS
from a2d_tf.annotations.readers.masks import COLUMNS, LIST
from a2d_tf.annotations.writers.tracked_video import TrackedShape, TrackedVideo
from a2d_tf.core.errors import InputError
from a2d_tf.ops.visualize import track_colours

_LARGEST = 2**16 - 1  # in a pixel of a grey PNG


def write(video: TrackedVideo, *, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Make the list of objects and the PNGs of masks for the tracks of a video.

    Args:
      video: the tracks in the frames to export.
      masks: ignored, since this format has only masks.

    Yields:
      the (name, content) of objects.csv, then of the PNG of each frame.

    Raises:
      InputError: the network predicted no masks, the number of a track is too large for
        a pixel, or the images' names have no numbers, which rows need.
    """
    if video.boxes_only:
        raise InputError(
            "--format=masks: the network predicts no masks; choose another format"
        )
    png_stems = {}
    for frame in video.frames:
        if video.images is None:
            png_stems[frame] = f"{MASKS.number(frame):05d}"
        else:
            png_stems[frame] = pathlib.PurePath(video.image(frame)).stem
    yield LIST, _object_list(video, png_stems)

    most = max((track.number for track in video.tracks), default=0)
    if most > _LARGEST:
        raise InputError(
            f"--format=masks: pixels of 16 bits cannot hold the number of track {most};"
            " choose another format"
        )
    has_palette = most < 256
    palette = bytes([0, 0, 0]) + track_colours(range(1, 256)).tobytes()
    for frame, tracked_shapes in video.by_frame().items():
        pixels = np.zeros(video.size, np.uint8 if has_palette else np.uint16)
        for track, shape in sorted(tracked_shapes, key=lambda one: one.shape.score):
            pixels[shape.decoded()] = track.number
        image = Image.fromarray(pixels)
        if has_palette:
            image.putpalette(palette)
        png = io.BytesIO()
        image.save(png, "PNG")
        yield f"{video.name}/{png_stems[frame]}.png", png.getvalue()


def _object_list(video: TrackedVideo, png_stems: Mapping[int, str]) -> bytes:
    """Return the content of objects.csv.

    Args:
      png_stems: {frame: the name of its PNG without suffix}.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    shapes_of_number: dict[int, list[TrackedShape]] = {}
    for track in video.tracks:
        shapes = shapes_of_number.setdefault(track.number, [])
        shapes.extend(TrackedShape(track, shape) for shape in track.shapes)
    for shapes in shapes_of_number.values():
        shapes.sort(key=lambda one: one.shape.frame)
        table.writerows(_rows(shapes, video.name, png_stems))
    return text.getvalue().encode()


def _rows(
    shapes: Sequence[TrackedShape], video_name: str, png_stems: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Return the rows of an object, one for each period with one actor and action.

    The first period begins with the video, and the last one ends with it.

    Args:
      shapes: the shapes of the object, in the order of time.
      video_name: the name of the video.
      png_stems: {frame: the name of its PNG without suffix}.
    """
    rows: list[dict[str, Any]] = []
    pair = None
    for track, shape in shapes:
        if (track.actor, shape.action) == pair:
            continue
        pair = (track.actor, shape.action)
        row = {
            "video": video_name,
            "object": track.number,
            "actor": track.actor,
            "action": shape.action,
        }
        if rows:
            first = _number(png_stems[shape.frame], video_name)
            row["first"] = first
            rows[-1]["last"] = first - 1
        rows.append(row)
    return rows


def _number(png_stem: str, video_name: str) -> int:
    """Return the number at the end of a PNG's name; InputError if it has none."""
    video_and_number = frame_names.split_frame_name(f"{png_stem}.png")
    if not video_and_number:
        raise InputError(
            f"{video_name}: image names do not end in a number, which objects.csv"
            " needs to mark where an action changes; choose another --format"
        )
    return video_and_number.number
