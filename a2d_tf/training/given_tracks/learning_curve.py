"""Fits to fewer and fewer coded videos, which tell whether more of them would help."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.core.labels import LabelSpace
from a2d_tf.training.given_tracks.coded_rows import CodedRow
from a2d_tf.training.given_tracks.fit_tracks import TrackWeights, fit_tracks
from a2d_tf.training.given_tracks.track_features import TrackFeatures


class SmallerFit(NamedTuple):
    """A fit to some of the videos that are not of a fold.

    Attributes:
      videos: how many it is fitted to.
      weights: the fit.
      rows: the coded instances of the fold, which it has not seen.
    """

    videos: int
    weights: TrackWeights
    rows: Sequence[CodedRow]


def smaller_fits(
    features: Mapping[str, TrackFeatures],
    rows: Sequence[CodedRow],
    labels: LabelSpace,
    folds: Sequence[Collection[str]],
) -> Iterator[SmallerFit]:
    """Yield fits of each size for each fold.

    Of the other videos, the first ones in the order of a hash of their names are
    fitted: alike on every machine, and each smaller set is part of the larger ones.

    Args:
      features: {name: features}.
      rows: all coded instances.
      labels: the label space of their codes.
      folds: videos that are left out together.
    """
    coded = sorted({row.video for row in rows}, key=_hash)
    for fold in folds:
        of_fold = [row for row in rows if row.video in fold]
        others = [video for video in coded if video not in fold]
        for size in sizes(len(coded) - max(map(len, folds))):
            fitted = set(others[:size])
            chosen = [row for row in rows if row.video in fitted]
            weights = fit_tracks(features, chosen, labels).weights
            yield SmallerFit(size, weights, of_fold)


def sizes(most: int) -> list[int]:
    """Return numbers of videos that double, up to the most, ascending; from 2 on."""
    numbers: list[int] = []
    number = most
    while number >= 2 and number not in numbers:
        numbers.insert(0, number)
        number = (number + 1) // 2
    return numbers


def _hash(video: str) -> bytes:
    return hashlib.sha256(video.encode()).digest()
