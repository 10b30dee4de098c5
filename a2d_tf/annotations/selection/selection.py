"""What the user says of the annotated frames that are used."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping


@dataclasses.dataclass(frozen=True)
class Selection:
    """What the user says of the split into training and test, and of frames to use.

    Attributes:
      test_videos: the names of the test videos; all others are for training. If empty,
        the files state the split, or `split_by_pairs` chooses it.
      earlier: {name of a video: 'train' or 'test'} in earlier training records. It
        stays unless a file states another split.
      asked: the names of videos of which `a2d next` asked to annotate frames. They are
        trained on, unless a file or the earlier records say otherwise.
      max_frames: the largest number of frames to train on, of all videos together; None
        to use all frames.
      has_split: whether the videos are split into training and test, so that the user
        is told about it.
    """

    test_videos: Collection[str] = ()
    earlier: Mapping[str, str] = dataclasses.field(default_factory=dict)
    asked: Collection[str] = ()
    max_frames: int | None = None
    has_split: bool = True


ALL_FRAMES = Selection()
