"""Number and size of the frames of a round's videos."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import NamedTuple

from a2d_tf.core.errors import InputError
from a2d_tf.training.suggestion.record_flags import MOST_SIDE
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.reading import video_reader

_MOST_PIXELS = 2 * 256**2


class VideoSizes(NamedTuple):
    """The sizes of the videos of a round.

    Attributes:
      frames: number of the frames of all videos.
      unpredicted_frames: number of the frames of videos without a prediction.
      pixels: number of the pixels of the largest frame, as the network sees it.
    """

    frames: int
    unpredicted_frames: int
    pixels: float

    @classmethod
    def read(cls, jobs: Sequence[Job]) -> VideoSizes:
        """Read the sizes that the files state; an unreadable video counts nothing."""
        frames = 0
        unpredicted_frames = 0
        pixels = 0.0
        for job in jobs:
            with contextlib.suppress(InputError):
                reader = video_reader.open_video(job.path)
                count = reader.expected or 0
                frames += count
                if not os.path.exists(job.output):
                    unpredicted_frames += count
                height, width = reader.size
                ratio = min(1.0, MOST_SIDE / max(height, width))
                pixels = max(pixels, ratio**2 * height * width)
        return cls(frames, unpredicted_frames, min(pixels, _MOST_PIXELS))
