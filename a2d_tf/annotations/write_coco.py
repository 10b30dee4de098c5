"""Writer of COCO's JSON, with CVAT's attributes: 'action', 'occluded', 'track_id', 'keyframe'.

Images of a video are named as CVAT names them, which counts from 0: clip1/frame_000004.PNG is frame
5; those of a folder have their own names. CVAT makes a track of annotations with a 'keyframe',
which ends where a frame has none: so it has the frames between key frames, too, where 'keyframe' is
false. A track cannot hold masks or several parts: these have no 'keyframe', and key frames alone.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/bindings.py`, `_validate_track_shapes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pycocotools import mask as rle_tools

from a2d_tf.annotations import frame_names
from a2d_tf.annotations.polygons import polygons
from a2d_tf.annotations.tracked_video import TrackedVideo

SUFFIX, BETWEEN = ".json", True


def write(video: TrackedVideo, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Yield (name in a zip, content) of the one file; masks or else polygons."""
    numbers = {actor: i for i, actor in enumerate(video.actions, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[str] = []
    for frame, found in video.by_frame().items():
        rows = [(track, shape, *_segmentation(shape, masks)) for track, shape in found]
        rows = [row for row in rows if row[1].key or row[3]]
        if found and not rows:  # nothing but masks in parts, between key frames
            continue
        images.append(
            {
                "id": len(images) + 1,
                "file_name": f"{video.name}/{_image(video, frame)}",
                "width": video.size[1],
                "height": video.size[0],
            }
        )
        for track, shape, segmentation, keyframe in rows:
            attributes = {"action": shape.action, "occluded": False, "track_id": track.id}
            annotation = {
                "id": len(annotations) + 1,
                "image_id": len(images),
                "category_id": numbers[track.actor],
                "segmentation": segmentation,
                "area": int(rle_tools.area(shape.mask)),
                "bbox": rle_tools.toBbox(shape.mask).tolist(),
                "iscrowd": 0,
                "attributes": {**attributes, **keyframe},
            }
            annotations.append(json.dumps(annotation))  # a tenth of the objects' memory
    content = {
        "info": {"description": frame_names.PREDICTION},
        "licenses": [],
        "categories": [
            {"id": i, "name": actor, "supercategory": ""} for actor, i in numbers.items()
        ],
        "images": images,
    }
    text = f'{json.dumps(content)[:-1]}, "annotations": [{", ".join(annotations)}]}}\n'
    yield "annotations/instances_default.json", text.encode()


def _segmentation(shape, masks):
    """The segmentation of a shape, and the attribute 'keyframe' where it can be of a track."""
    segmentation = shape.mask if masks else polygons(shape.decoded())
    of_track = not masks and len(segmentation) == 1
    return segmentation, {"keyframe": shape.key} if of_track else {}


def _image(video, frame):
    return video.image(frame) if video.images is not None else f"frame_{frame - 1:06d}.PNG"
