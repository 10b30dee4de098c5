"""The identities of the mini A2D on every frame, in YouTube-VIS's form (one JSON file).

A figure of the mini A2D keeps its action, so a figure is one annotation. Its masks are those of the
release on annotated frames, and by the same rule between them: its visible pixels, null below
MIN_VISIBLE.

| field | contents |
|---|---|
| `videos` | `id` from 1; `file_names` `<VID>/00000.jpg`, 0-based, every frame; `length`, sizes |
| `categories` | the valid pairs: `id` is A2D's code, `name` 'actor-action' |
| `annotations` | `id` from 1, `video_id`, `category_id`, `iscrowd` 0; `track_id`, the figure |
| `segmentations`, `bboxes`, `areas` | theirs on each frame: RLE, compressed; x, y, width, height |

Categories belong to tracks, so another writer begins an annotation anew where the action changes;
`track_id` then joins what is one figure.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tqdm
from pycocotools import mask as rle_tools

from a2d_tf.core.files import write_json
from a2d_tf.core.labels import A2D
from a2d_tf.core.workers import imap
from a2d_tf.data.mini import HEIGHT, Scene, VideoPlan

PER_FRAME = ("segmentations", "bboxes", "areas")
"""Fields of an annotation that have a value a frame, null where the figure is not visible."""


def write_tracks(
    path: str | os.PathLike, videos: Sequence[VideoPlan], workers: int
) -> pathlib.Path:
    """Create or replace the file of the identities in clips.

    Args:
      path: the JSON file.
      videos: the plans of the clips, as `synthetic.plan` gives them.
      workers: number of processes; the file does not depend on it.

    Raises:
      InputError: the file cannot be written.
    """
    annotations: list[dict[str, Any]] = []
    bar = functools.partial(tqdm.tqdm, total=len(videos), desc="tracks", unit="clip")
    for number, tracks in enumerate(bar(imap(video_tracks, videos, workers)), 1):
        for track in tracks:
            identity = len(annotations) + 1
            annotations.append({"id": identity, "track_id": identity, "video_id": number, **track})
    document = {
        "info": {"description": "Mini A2D: every figure on every frame"},
        "videos": [_video(number, video) for number, video in enumerate(videos, 1)],
        "categories": [{"id": code, "name": A2D.name(code)} for code in A2D.codes],
        "annotations": annotations,
    }
    write_json(path, document)
    return pathlib.Path(path)


def video_tracks(video: VideoPlan) -> list[dict[str, Any]]:
    """Return the annotations of a clip's figures, without the fields of their numbers.

    A figure that no frame shows has none.
    """
    scene, tracks = Scene(video), {}
    for index in range(video.frames):
        for figure, mask in scene.instances(index).items():
            if figure not in tracks:
                empty = {name: [None] * video.frames for name in PER_FRAME}
                tracks[figure] = {"category_id": video.codes[figure], "iscrowd": 0, **empty}
            for name, value in zip(PER_FRAME, _measure(mask)):
                tracks[figure][name][index] = value
    return [tracks[figure] for figure in sorted(tracks)]


def _measure(mask):
    """Return the RLE, the box and the area of a mask."""
    rle = rle_tools.encode(np.asfortranarray(mask, np.uint8))
    box = [int(side) for side in rle_tools.toBbox(rle)]
    return {"size": rle["size"], "counts": rle["counts"].decode()}, box, int(mask.sum())


def _video(number, video):
    names = [f"{video.vid}/{index:05d}.jpg" for index in range(video.frames)]
    size = {"height": HEIGHT, "width": video.width, "length": video.frames}
    return {"id": number, **size, "file_names": names}
