"""The split of annotated videos into training and test, or into folds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from a2d_tf.annotations.labels.names import Names, Pair
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations


class _Faults(NamedTuple):
    """The faults of a split, the most important first; they compare as a tuple.

    Attributes:
      has_no_test: whether no video is a test video, though some should be.
      pairs_without_training: the number of pairs that no training video shows.
      pairs_without_test: the number of pairs of two videos or more that no test video
        shows.
    """

    has_no_test: bool
    pairs_without_training: int
    pairs_without_test: int


def split_videos(
    annotations: Mapping[str, VideoAnnotations],
    names: Names,
    earlier: Mapping[str, str],
) -> dict[str, str]:
    """Assign annotated videos to 'train' and 'test'; both show each pair if they can.

    A pair is an actor with its action.

    Args:
      annotations: {name of a video: its annotations}.
      names: maps labels of the tool to pairs of actor and action.
      earlier: {name of a video: 'train' or 'test'} of earlier records.

    Returns:
      {name of a video: 'train' or 'test'}. A split that the annotation files state
      counts first, then the earlier one; the others follow from `split_by_pairs`.
    """
    stated = {}
    videos_of_pairs: dict[Pair | None, set[str]] = {}
    for vid, video_annotations in annotations.items():
        stated[vid] = stated_split(video_annotations)
        for frame in video_annotations.frames.values():
            for instance in frame.instances:
                pair = names.pair(instance)
                videos_of_pairs.setdefault(pair, set()).add(vid)
    return split_by_pairs(stated, videos_of_pairs.values(), earlier)


def stated_split(annotations: VideoAnnotations) -> str | None:
    """Return the split, 'train' or 'test', that the annotation files of a video state.

    Args:
      annotations: the annotations of the video, of which the first frame with a split
        counts.

    Returns:
      the split; None if no frame states one.
    """
    for frame in annotations.frames.values():
        if frame.split:
            return frame.split
    return None


def split_by_pairs(
    stated: Mapping[str, str | None],
    videos_of_pairs: Iterable[set[str]],
    earlier: Mapping[str, str],
) -> dict[str, str]:
    """Assign videos to 'train' and 'test', so that both show each pair if possible.

    A pair is an actor with its action. Only videos without a stated or an earlier split
    move; they begin in training. First the video moves to the other split that removes
    most faults, again and again until no move removes any. The faults are, the most
    important first: there is no test video; a pair has no training video; a pair of two
    videos or more has no test video. Then videos move in the order of a hash of their
    names until about a fifth of them is tested, if the move makes no new fault. The
    result is the same on every machine and in every order of the videos.

    Args:
      stated: {name of a video: the split that its annotation files state, or None}.
      videos_of_pairs: for each pair, the names of the videos that show it.
      earlier: {name of a video: its split} in earlier records, which may have other
        videos, too.

    Returns:
      {name of a video: 'train' or 'test'}. It is the stated split, or else the earlier
      one, if there is any.
    """
    pairs = list(videos_of_pairs)
    unstated = {vid for vid, split in stated.items() if not split}
    movable = sorted(unstated - earlier.keys(), key=_hash)
    test_count = 0
    if len(unstated) > 1:
        test_count = max(round(len(unstated) / 5), 1)

    def faults(tests: set[str]) -> _Faults:
        without_training = 0
        without_test = 0
        for videos in pairs:
            without_training += videos <= tests
            without_test += len(videos) > 1 and videos.isdisjoint(tests)
        has_no_test = test_count > 0 and unstated.isdisjoint(tests)
        return _Faults(has_no_test, without_training, without_test)

    def distance(tests: set[str]) -> int:
        """Return how far the number of tests is from a fifth of the unstated videos."""
        return abs(len(tests & unstated) - test_count)

    tests = set()
    for vid, split in stated.items():
        if (split or earlier.get(vid)) == "test":
            tests.add(vid)
    while movable:
        moves = [tests ^ {vid} for vid in movable]
        best = min(moves, key=faults)
        if faults(best) >= faults(tests):
            break
        tests = best
    for vid in movable:
        moved = tests ^ {vid}
        if distance(moved) < distance(tests) and faults(moved) <= faults(tests):
            tests = moved
    splits = {}
    for vid in stated:
        splits[vid] = "test" if vid in tests else "train"
    return splits


def folds_by_pairs(
    videos_of_pairs: Iterable[set[str]], count: int
) -> dict[str, list[str]]:
    """Divide videos into folds for cross-validation, each with all pairs if possible.

    From the rarest pair of actor and action on, each of its videos goes to the fold
    that has fewest videos with this pair, then fewest in all. The result is the same on
    every machine and in every order of the videos.

    Args:
      videos_of_pairs: for each pair, the names of the videos that show it.
      count: the number of folds, at most the number of videos.

    Returns:
      {name of a fold, '1' to the number of folds: the names of its videos, sorted}.
    """
    folds: list[set[str]] = [set() for _ in range(count)]
    placed: set[str] = set()
    for videos in sorted(
        videos_of_pairs, key=lambda videos: (len(videos), min(videos))
    ):
        for vid in sorted(videos - placed, key=_hash):
            fold = min(folds, key=lambda fold: (len(fold & videos), len(fold)))
            fold.add(vid)
        placed |= videos
    return {str(i): sorted(fold) for i, fold in enumerate(folds, 1)}


def _hash(vid: str) -> bytes:
    """Return a key that sorts videos as if by chance, but alike on every machine."""
    return hashlib.sha256(vid.encode()).digest()
