"""Writer of YouTube-VIS's JSON: an annotation for each track and action, with a shape or null in
each of the frames listed, which are named from 0: clip1/00004.jpg is frame 5. Its `track_id`, which
is not YouTube-VIS's, joins the actions of a track.

Source: youtubevos/cocoapi, `ytvos.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pycocotools import mask as rle_tools

from a2d_tf.annotations.frame_names import PREDICTION
from a2d_tf.annotations.polygons import polygons
from a2d_tf.annotations.tracked_video import TrackedVideo

SUFFIX, BETWEEN = ".json", False


def write(video: TrackedVideo, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Yield (name in a zip, content) of the one file; masks or else polygons."""
    names = [f"{actor}-{action}" for actor, actions in video.actions.items() for action in actions]
    numbers = {name: i for i, name in enumerate(names, 1)}
    places = {frame: k for k, frame in enumerate(video.frames)}
    height, width = video.size
    annotations: dict[tuple[int, str], dict[str, Any]] = {}
    for track in video.tracks:
        for shape in track.shapes:
            annotation = annotations.setdefault(
                (track.id, shape.action),
                {
                    "id": len(annotations) + 1,
                    "video_id": 1,
                    "track_id": track.id,
                    "category_id": numbers[f"{track.actor}-{shape.action}"],
                    "iscrowd": 0,
                    "width": width,
                    "height": height,
                    **{
                        field: [None] * len(places)
                        for field in ("segmentations", "bboxes", "areas")
                    },
                },
            )
            k = places[shape.frame]
            segmentation = shape.mask if masks else polygons(shape.decoded())
            annotation["segmentations"][k] = segmentation
            annotation["bboxes"][k] = rle_tools.toBbox(shape.mask).tolist()
            annotation["areas"][k] = int(rle_tools.area(shape.mask))
    content = {
        "info": {"description": PREDICTION},
        "videos": [
            {
                "id": 1,
                "file_names": [f"{video.name}/{frame - 1:05d}.jpg" for frame in video.frames],
                "width": width,
                "height": height,
                "length": len(video.frames),
            }
        ],
        "categories": [{"id": i, "name": name} for name, i in numbers.items()],
        "annotations": list(annotations.values()),
    }
    yield "annotations/instances.json", json.dumps(content).encode() + b"\n"
