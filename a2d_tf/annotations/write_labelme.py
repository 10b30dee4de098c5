"""Writer of LabelMe's JSON, a file for each frame: clip1/00005.json beside the image 00005.jpg.

Labels are 'actor-action'. Parts of one instance are shapes of one group, whose number is the
track's.

Source: labelme 6.3.1 `_label_file.py`, `utils/shape.py`.
"""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from a2d_tf.annotations.polygons import crop, polygons
from a2d_tf.annotations.tracked_video import Shape, TrackedVideo

SUFFIX, BETWEEN = "", False  # a folder
_VERSION = "6.3.1"


def write(video: TrackedVideo, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Yield (relative path, content) of every file; masks or else polygons."""
    for frame, found in video.by_frame().items():
        image = video.image(frame)
        content = {
            "version": _VERSION,
            "flags": {},
            "shapes": [
                {
                    "label": f"{track.actor}-{shape.action}",
                    "points": points,
                    "group_id": track.id,
                    "description": "",
                    "shape_type": "mask" if masks else "polygon",
                    "flags": {},
                    "mask": mask,
                }
                for track, shape in found
                for points, mask in ([_mask(shape)] if masks else _polygons(shape))
            ],
            "imagePath": image,
            "imageData": None,
            "imageHeight": video.size[0],
            "imageWidth": video.size[1],
        }
        path = pathlib.PurePosixPath(video.name, image).with_suffix(".json")
        yield str(path), json.dumps(content, indent=1).encode() + b"\n"


def _polygons(shape: Shape) -> list[tuple[list, Any]]:
    """(points, no mask) of each part of a shape."""
    return [(np.reshape(outline, (-1, 2)).tolist(), None) for outline in polygons(shape.decoded())]


def _mask(shape):
    """(first and last pixel, PNG of 0 and 1 between them in base64) of a shape."""
    inside, left, top = crop(shape.decoded())
    height, width = inside.shape
    png = cv2.imencode(".png", np.uint8(inside))[1]
    corners = [[float(left), float(top)], [float(left + width - 1), float(top + height - 1)]]
    return corners, base64.b64encode(png.tobytes()).decode()
