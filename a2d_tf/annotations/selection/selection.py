"""What the user says of the annotated frames that are used."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which videos are tested, and how many frames trained.

    Attributes:
      test_videos: names of the test split; by default as the files say, else
        `split_by_pairs`.
      earlier: {video: split} of earlier records, which stays unless a file states
        another split.
      asked: names of videos of which frames were asked for, to be trained; a split that
        a file states stays, and an earlier one.
      max_frames: the most frames that are used for training, see `spread_annotations`.
      has_split: whether there is a test split at all, of which notes tell.
    """

    test_videos: Collection[str] = ()
    earlier: Mapping[str, str] = dataclasses.field(default_factory=dict)
    asked: Collection[str] = ()
    max_frames: int | None = None
    has_split: bool = True


ALL_FRAMES = Selection()
