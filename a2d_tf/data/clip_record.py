"""The contents of a record, before it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from a2d_tf.data.sources.annotation import Annotation


@dataclasses.dataclass(frozen=True)
class ClipRecord:
    """The contents of a record: a clip of T frames.

    Attributes:
      video: name of the video.
      frame: number of the key frame, from 1.
      split: 'train' or 'test'.
      clip_frames: numbers of the clip's frames in the video, from 1, [T].
      rgb: T frames uint8 [h, w, 3], at the stored size.
      flow: T flow fields float32 [h, w, 2]: the motion (u, v) of each pixel since the
        previous frame of the video, in pixels of the stored frames.
      annotation: ground truth of the key frame, at the size of the video.
      motion: {name: float32 [h, w, C]}, motion maps of the key frame, not negative.
    """

    video: str
    frame: int
    split: str
    clip_frames: tuple[int, ...]
    rgb: Sequence[np.ndarray]
    flow: Sequence[np.ndarray]
    annotation: Annotation
    motion: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
