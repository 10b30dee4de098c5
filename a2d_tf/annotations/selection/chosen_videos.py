"""The choice of annotated videos and frames: splits, tests, frames that differ."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.labels.names import Names
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations
from a2d_tf.annotations.selection.selection import Selection
from a2d_tf.annotations.selection.split import split_videos
from a2d_tf.annotations.selection.spread import SpreadAnnotations, spread_annotations
from a2d_tf.data.sources.video_list import Video, with_tests


class ChosenVideos(NamedTuple):
    """The result of `choose_videos`: the frames that are used, and the videos' splits.

    Attributes:
      annotations: {name of a video: its annotations, with the frames that are used}.
      left_out: {name of a video: {reason: the number of frames that were left out}}.
      splits: {name of a video: 'train' or 'test'}, as its files or earlier records
        state, or as it was chosen. It does not regard the test videos that the user
        names.
      candidates: all annotated videos with their final splits. If the user names test
        videos, all others are for training.
      videos: the candidates that have used frames.
    """

    annotations: Mapping[str, VideoAnnotations]
    left_out: Mapping[str, collections.Counter[str]]
    splits: Mapping[str, str]
    candidates: tuple[Video, ...]
    videos: tuple[Video, ...]

    def trained(self) -> list[str]:
        """Return the names of the training videos that have used frames."""
        return _trained(self.videos)


def choose_videos(
    annotations: Mapping[str, VideoAnnotations], names: Names, selection: Selection
) -> ChosenVideos:
    """Assign annotated videos to training and test, and choose the frames to train on.

    Args:
      annotations: {name of a video: its annotations}.
      names: maps labels of the tool to pairs of actor and action.
      selection: what the user says of splits, and of the number of frames. If he limits
        the number, only the training frames that differ most are kept; test videos keep
        all frames.

    Raises:
      InputError: a test video that the user names is not annotated.
    """
    known_splits = {**dict.fromkeys(selection.asked, "train"), **selection.earlier}
    splits = split_videos(annotations, names, known_splits)
    candidates = _in_splits(annotations, splits, selection.test_videos)
    spread = SpreadAnnotations(annotations)
    if selection.max_frames:
        spread = spread_annotations(
            annotations, _trained(candidates), names, selection.max_frames
        )
    return ChosenVideos(
        annotations=spread.annotations,
        left_out=spread.left_out,
        splits=splits,
        candidates=candidates,
        videos=_with_frames(candidates, spread.annotations),
    )


def _in_splits(
    annotations: Mapping[str, VideoAnnotations],
    splits: Mapping[str, str],
    test_videos: Collection[str],
) -> tuple[Video, ...]:
    """Return all annotated videos with their splits.

    Args:
      annotations: {name of a video: its annotations}.
      splits: {name of a video: 'train' or 'test'}.
      test_videos: the test videos that the user names; they replace those of `splits`.
    """
    videos = []
    for vid, video_annotations in annotations.items():
        count = len(video_annotations.frames)
        videos.append(Video(vid, frames=0, annotated=count, split=splits[vid]))
    return with_tests(tuple(videos), test_videos)


def _with_frames(
    videos: Sequence[Video], annotations: Mapping[str, VideoAnnotations]
) -> tuple[Video, ...]:
    """Return the videos that have used frames, with the numbers of these.

    Args:
      videos: all annotated videos.
      annotations: {name of a video: its annotations, with the frames that are used}.
    """
    remaining = []
    for video in videos:
        count = len(annotations[video.vid].frames)
        if count:
            remaining.append(dataclasses.replace(video, annotated=count))
    return tuple(remaining)


def _trained(videos: Sequence[Video]) -> list[str]:
    """Return the names of the videos in the training split."""
    return [video.vid for video in videos if video.split == "train"]
