"""Writer of LabelMe's JSON, a file for each frame.

clip1/00005.json lies beside the image 00005.jpg. Labels are 'actor-action', or 'actor'
for a detector that knows no actions. Parts of one instance are shapes of one group,
whose number is the track's.
"""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np

from a2d_tf.annotations.documents.conventions import UNDEFINED
from a2d_tf.annotations.writers.outlines import crop, polygons
from a2d_tf.annotations.writers.tracked_video import Shape, TrackedVideo
from a2d_tf.core.errors import InputError, quoted


def write(video: TrackedVideo, *, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Make the files of LabelMe, one for each frame, for the tracks of a video.

    Args:
      video: the tracks in the frames to export.
      masks: whether shapes are written as masks; otherwise as polygons. If the network
        predicted boxes alone, they are written as rectangles.

    Yields:
      the (name, content) of each file, such as clip1/00005.json for frame 5.

    Raises:
      InputError: an actor without an action contains a hyphen, at which readers would
        split the label.
    """
    if video.boxes_only:
        shape_type = "rectangle"
    elif masks:
        shape_type = "mask"
    else:
        shape_type = "polygon"
    height, width = video.size
    for frame, tracked_shapes in video.by_frame().items():
        labelme_shapes = []
        for track, shape in tracked_shapes:
            label = _label(track.actor, shape.action)
            for points, png in _parts(shape, shape_type):
                labelme_shape: dict[str, Any] = {
                    "label": label,
                    "points": points,
                    "mask": png,
                    "group_id": track.number,
                    "description": "",
                    "shape_type": shape_type,
                    "flags": {},
                }
                labelme_shapes.append(labelme_shape)
        image = video.image(frame)
        content = {
            "version": "6.3.1",
            "flags": {},
            "shapes": labelme_shapes,
            "imagePath": image,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        path = pathlib.PurePosixPath(video.name, image).with_suffix(".json")
        yield str(path), json.dumps(content, indent=1).encode() + b"\n"


def _label(actor: str, action: str) -> str:
    """Return 'actor-action', or 'actor' without an action.

    Raises:
      InputError: an actor without an action contains a hyphen.
    """
    if action != UNDEFINED:
        return f"{actor}-{action}"
    if "-" in actor:
        raise InputError(
            f"--format=labelme: {quoted(actor)}, without an action, would be read as an"
            " actor and its action; choose another --format"
        )
    return actor


class _Part(NamedTuple):
    """A part of a shape.

    Attributes:
      points: [[x, y], ...] in pixels; two corners for a mask or a rectangle.
      png: the pixels, 0 or 1, of a mask between its corners, as PNG in base64; None for
        a polygon or a rectangle.
    """

    points: list
    png: str | None


def _parts(shape: Shape, shape_type: str) -> list[_Part]:
    """Return the parts of a shape: 'polygon', 'rectangle' or 'mask'."""
    if shape_type == "polygon":
        outlines = polygons(shape.decoded())
        return [
            _Part(np.reshape(outline, (-1, 2)).tolist(), None) for outline in outlines
        ]
    if shape_type == "rectangle":
        x, y, width, height = shape.box()
        return [_Part([[x, y], [x + width, y + height]], None)]
    inside, left, top = crop(shape.decoded())
    height, width = inside.shape
    png = cv2.imencode(".png", np.uint8(inside))[1]
    corners = [
        [float(left), float(top)],
        [float(left + width - 1), float(top + height - 1)],
    ]
    return [_Part(corners, base64.b64encode(png.tobytes()).decode())]
