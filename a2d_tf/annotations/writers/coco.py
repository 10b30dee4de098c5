"""Writer of COCO's JSON, with CVAT's attributes: 'action', 'occluded', 'track_id'.

Images of a video are named as CVAT names them, which counts from 0:
clip1/frame_000004.PNG is frame 5; those of a folder have their own names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pycocotools import mask as rle_tools

from a2d_tf.annotations.documents.conventions import COCO_OF_OURS, OUR_DESCRIPTION
from a2d_tf.annotations.writers.outlines import polygons
from a2d_tf.annotations.writers.tracked_video import Shape, TrackedVideo, TrackShapes


def _fields(track: TrackShapes, shape: Shape) -> dict[str, Any]:
    """Return the fields of an annotation that do not depend on the kind of shapes."""
    return {
        "area": int(rle_tools.area(shape.mask)),
        "bbox": shape.box(),
        "attributes": {
            "action": shape.action,
            "occluded": False,
            "track_id": track.number,
        },
    }


def write(video: TrackedVideo, *, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Make the COCO file, with CVAT's attributes, for the tracks of a video.

    Args:
      video: the tracks in the frames to export.
      masks: whether shapes are written as masks; otherwise as polygons. If the network
        predicted boxes alone, they are written as boxes.

    Yields:
      the (name, content) of the only file, annotations/instances_default.json.
    """
    height, width = video.size
    category_ids = {actor: i for i, actor in enumerate(video.actions, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for frame, tracked_shapes in video.by_frame().items():
        if video.images is None:
            image_name = f"frame_{COCO_OF_OURS.number(frame):06d}.PNG"
        else:
            image_name = video.image(frame)
        image_id = len(images) + 1
        image = {
            "id": image_id,
            "file_name": f"{video.name}/{image_name}",
            "width": width,
            "height": height,
        }
        images.append(image)
        for track, shape in tracked_shapes:
            segmentation: Any = []
            if masks and not video.boxes_only:
                segmentation = shape.mask
            elif not video.boxes_only:
                segmentation = polygons(shape.decoded())
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "iscrowd": 0,
                "category_id": category_ids[track.actor],
                "segmentation": segmentation,
                **_fields(track, shape),
            }
            annotations.append(annotation)
    categories = [
        {"id": i, "name": actor, "supercategory": ""}
        for actor, i in category_ids.items()
    ]
    content = {
        "info": {"description": OUR_DESCRIPTION},
        "licenses": [],
        "categories": categories,
        "images": images,
        "annotations": annotations,
    }
    yield "annotations/instances_default.json", json.dumps(content).encode() + b"\n"
