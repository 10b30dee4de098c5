"""Fits to fewer and fewer coded videos, which tell whether more of them would help."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.core.labels import LabelSpace
from a2d_tf.training.given_tracks.coded_instances import CodedInstance
from a2d_tf.training.given_tracks.fit_tracks import TrackWeights, fit_tracks
from a2d_tf.training.given_tracks.track_features import TrackFeatures


class SmallerFit(NamedTuple):
    """A fit to some of the videos outside a fold (videos that are left out together).

    Attributes:
      videos: number of videos that it is fitted to.
      weights: the fitted weights.
      left_out: the coded instances of the fold's videos, which were not fitted to.
    """

    videos: int
    weights: TrackWeights
    left_out: Sequence[CodedInstance]


def smaller_fits(
    features: Mapping[str, TrackFeatures],
    coded: Sequence[CodedInstance],
    labels: LabelSpace,
    folds: Sequence[Collection[str]],
) -> Iterator[SmallerFit]:
    """Fit labels to smaller and larger numbers of videos, for each fold.

    Scores of these fits show how labels improve with the number of coded videos. Of the
    videos outside a fold, the first ones in the order of a hash of their names are
    fitted. So the choice is alike on every machine, and each smaller set is part of the
    larger ones.

    Args:
      features: {name of a video: features of its instances}.
      coded: all coded instances.
      labels: the label space of their codes.
      folds: for each fold the names of the videos that are left out together.

    Yields:
      for each fold a fit of each of `sizes`, the smallest first.
    """
    videos = sorted({instance.video for instance in coded}, key=_hash)
    most = len(videos) - max(map(len, folds))
    for fold in folds:
        left_out = [instance for instance in coded if instance.video in fold]
        others = [video for video in videos if video not in fold]
        for size in sizes(most):
            fitted = set(others[:size])
            chosen = [instance for instance in coded if instance.video in fitted]
            weights = fit_tracks(features, chosen, labels).weights
            yield SmallerFit(size, weights, left_out)


def sizes(most: int) -> list[int]:
    """Return the numbers of videos to fit: `most`, half of it, and so on, down to 2.

    Args:
      most: the largest number of videos.

    Returns:
      the numbers in ascending order; halves are rounded up. [] if `most` is below 2.
    """
    numbers: list[int] = []
    number = most
    while number >= 2 and number not in numbers:
        numbers.insert(0, number)
        number = (number + 1) // 2
    return numbers


def _hash(video: str) -> bytes:
    return hashlib.sha256(video.encode()).digest()
