"""The choice of a few annotated frames that differ: of all pairs and videos, and times.

Frames that follow each other look alike, so that many of them teach a network little.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from a2d_tf.annotations.labels.names import Names, Pair
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations

_BEYOND = "frames beyond --max_frames"


class _RankedFrame(NamedTuple):
    """A frame that shows a pair, comparable: those to be chosen first come first."""

    rank_in_pair: int
    pair_index: int
    video: str
    number: int


class SpreadAnnotations(NamedTuple):
    """The result of `spread_annotations`.

    Attributes:
      annotations: {name of a video: its annotations, with the frames that were kept}.
      left_out: {name of a video: {reason: the number of its frames that were left
        out}}.
    """

    annotations: Mapping[str, VideoAnnotations]
    left_out: Mapping[str, collections.Counter[str]] = {}


def spread_annotations(
    annotations: Mapping[str, VideoAnnotations],
    vids: Iterable[str],
    names: Names,
    max_frames: int,
) -> SpreadAnnotations:
    """Keep only as many annotated frames as the user wants to train on.

    `spread` chooses frames that differ: of all pairs and videos, and far apart in time.

    Args:
      annotations: {name of a video: its annotations}.
      vids: the names of the videos whose frames are chosen; other videos keep all
        frames.
      names: maps labels of the tool to pairs of actor and action. Frames without
        instances are treated as a pair of their own.
      max_frames: the number of frames to keep, in all these videos together.
    """
    vids = list(vids)
    frames_of_pairs: dict[Pair | None, dict[str, list[int]]] = {}
    for vid in vids:
        for number, frame in sorted(annotations[vid].frames.items()):
            pairs = [names.pair(instance) for instance in frame.instances]
            if not pairs:
                pairs = [None]  # only background
            # In the order of the instances, so that a conversion can be repeated.
            for pair in dict.fromkeys(pairs):
                frames_of_videos = frames_of_pairs.setdefault(pair, {})
                frames_of_videos.setdefault(vid, []).append(number)
    kept_numbers = spread(frames_of_pairs, max_frames)
    remaining = dict(annotations)
    left_out = {}
    for vid in vids:
        frames = {}
        for number, frame in annotations[vid].frames.items():
            if (vid, number) in kept_numbers:
                frames[number] = frame
        remaining[vid] = dataclasses.replace(annotations[vid], frames=frames)
        left_out_count = len(annotations[vid].frames) - len(frames)
        left_out[vid] = collections.Counter({_BEYOND: left_out_count})
    return SpreadAnnotations(remaining, left_out)


def spread(
    frames_of_pairs: Mapping[Any, Mapping[str, Sequence[int]]], count: int
) -> set[tuple[str, int]]:
    """Choose frames that differ: of all pairs, of all videos, and far apart in time.

    Each pair of actor and action gets the same number of frames, if it has so many, and
    so does each video that shows the pair.

    Args:
      frames_of_pairs: {pair: {name of a video: numbers of the frames that show the
        pair, ascending}}.
      count: the number of frames to choose; if there are fewer, all are chosen.

    Returns:
      a (name of the video, number of the frame) for each chosen frame.
    """
    ranked_frames = []
    for pair_index, frames_of_videos in enumerate(frames_of_pairs.values()):
        # The first frame of each video, then the second of each, and so on.
        frames_of_pair = []
        for video, numbers in frames_of_videos.items():
            for turn, number in enumerate(far_apart(numbers)):
                frames_of_pair.append((turn, video, number))
        frames_of_pair.sort()
        for rank, (_, video, number) in enumerate(frames_of_pair):
            ranked_frames.append(_RankedFrame(rank, pair_index, video, number))
    chosen_frames: set[tuple[str, int]] = set()
    for frame in sorted(ranked_frames):
        if len(chosen_frames) >= count:
            break
        chosen_frames.add((frame.video, frame.number))
    return chosen_frames


def far_apart(values: Sequence[int]) -> list[int]:
    """Order values so that the first few, however many, are far apart in the list.

    This is the order of the van der Corput sequence: of eight values those at positions
    0, 4, 2, 6, 1, 5, 3, 7.

    Args:
      values: numbers of frames, ascending.
    """
    bits = max(len(values) - 1, 1).bit_length()
    indices = sorted(range(len(values)), key=lambda index: _mirrored(index, bits))
    return [values[index] for index in indices]


def _mirrored(number: int, bits: int) -> int:
    """Return a number whose lowest bits are in the opposite order: 0b001 is 0b100."""
    mirrored = 0
    for _ in range(bits):
        mirrored = 2 * mirrored + number % 2
        number //= 2
    return mirrored
