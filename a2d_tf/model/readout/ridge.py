"""Ridge regression in closed form, and what it gives for videos left out of it.

A linear classifier is fitted to instances, each class with the same weight. Features
come in groups, each of which has a share of the whole. Each video is then left out in
turn: what a fit without it gives for its instances follows from their residuals and
leverage in the whole fit. These values tell the skill of the classifier, the sharpness
of a softmax over it, and the best shares of the groups.

There may be more features than instances, so the equations are solved in their dual
form, in products of instances. Instances are multiplied by the roots of their weights
and have a weighted mean of 0: then weights and intercept are in no equation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

PENALTY = 0.03
"""Beside the mean square of standardised features, which is 1 for all together."""
SHARPEST = 20.0
"""The greatest factor on fitted values before a softmax; they are near 0 or 1."""
_SHARPNESSES = (5.0, 7.0, 10.0, 14.0, SHARPEST)
_ENOUGH_VIDEOS = 8  # fewer videos to leave out in turn say nothing
_PRIOR = 6.0  # log probability that the square of a distance of shares takes
_LEAST_SHARE = 0.02  # of a group that is read
_TINY = 1e-6


class Strength(NamedTuple):
    """How much a fit relies on its features.

    Attributes:
      shares: of the groups of features, which add up to 1; a group of share 0 is not
        read.
      penalty: on the weights of features, see PENALTY.
    """

    shares: tuple[float, ...]
    penalty: float = PENALTY


@dataclasses.dataclass(frozen=True)
class Instances:
    """Instances with labels, as the equations have them.

    Attributes:
      groups: of features, float64 [n, D], standardised, divided by the root of D,
        centred and multiplied by `roots`.
      centres: [D] of each group, the weighted mean of its features.
      scales: [D] of each group, what its features were divided by.
      roots: [n], the roots of the weights of the instances, which add up to 1.
      labels: int [n].
      targets: [n, C], one-hot labels.
      videos: [n].
    """

    groups: list[np.ndarray]
    centres: list[np.ndarray]
    scales: list[np.ndarray]
    roots: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    videos: np.ndarray

    @classmethod
    def of(
        cls,
        groups: Sequence[np.ndarray],
        labels: np.ndarray,
        count: int,
        videos: np.ndarray,
    ) -> Instances | None:
        """Return those of instances that have labels; None with less than two classes.

        Args:
          groups: of features, [n, D] each.
          labels: int [n] below `count`, -1 in rows that do not count.
          videos: [n].
        """
        labelled = labels >= 0
        labels = labels[labelled]
        sizes = np.bincount(labels, minlength=count)
        num_classes = np.count_nonzero(sizes)
        if num_classes < 2:
            return None
        class_weights = 1.0 / (np.maximum(sizes, 1) * num_classes)
        weights = class_weights[labels]
        roots = np.sqrt(weights)
        inputs = []
        centres = []
        scales = []
        for features in groups:
            x = np.asarray(features, np.float64)[labelled]
            scale = (x.std(axis=0) + _TINY) * np.sqrt(x.shape[1])
            centre = weights @ x
            x -= centre
            x /= scale
            x *= roots[:, None]
            inputs.append(x)
            centres.append(centre)
            scales.append(scale)
        return cls(
            groups=inputs,
            centres=centres,
            scales=scales,
            roots=roots,
            labels=labels,
            targets=np.eye(count)[labels],
            videos=videos[labelled],
        )

    def products(self, group: int) -> np.ndarray:
        """Return the products of instances in a group's features, [n, n]."""
        return self.groups[group] @ self.groups[group].T


class Classifier(NamedTuple):
    """A linear classifier.

    The sum of `features @ kernel` over the groups, plus the bias, is about 1 for the
    class of a row, 0 for others.

    Attributes:
      kernels: float64 [D, C] of each group.
      bias: float64 [C].
    """

    kernels: list[np.ndarray]
    bias: np.ndarray


@dataclasses.dataclass(frozen=True)
class RidgeFit:
    """The fit to instances.

    Attributes:
      instances, strength: what was fitted, and how.
      inverse: [n, n], of the matrix of the equations.
      kernels, bias: as of `Classifier`.
      values_left_out: float64 [n, C], what a fit without its own video gives for each
        instance; NaN if all are of one video.
      left_out: those of classes with several videos.
    """

    instances: Instances
    strength: Strength
    inverse: np.ndarray
    kernels: list[np.ndarray]
    bias: np.ndarray
    values_left_out: np.ndarray
    left_out: LeftOut

    def without(self, *videos: str) -> Classifier:
        """Return what a fit without some videos gives, which must not be all.

        Centres, scales and weights of instances are those of the whole fit. A fit is
        the same with and without instances that it gives their targets anyway.
        """
        rows = np.flatnonzero(np.isin(self.instances.videos, videos))
        penalty = self.strength.penalty
        residuals = _residuals(self.instances, self.inverse, penalty)
        targets = self.instances.targets.copy()
        targets[rows] = _values_without(
            self.instances, self.inverse, penalty, residuals, rows
        )
        return _classifier(self.instances, self.strength, self.inverse, targets)


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """What fits without their own video give for instances.

    Only instances of classes with several videos count.

    Attributes:
      values: float64 [m, C].
      labels: int [m].
      videos: [m].
      num_classes: how many classes the whole fit has.
    """

    values: np.ndarray
    labels: np.ndarray
    videos: np.ndarray
    num_classes: int

    @property
    def is_enough(self) -> bool:
        """Whether they are of at least eight videos; fewer say nothing."""
        return len(np.unique(self.videos)) >= _ENOUGH_VIDEOS


def fit(instances: Instances, strength: Strength) -> RidgeFit:
    """Fit the classifier."""
    products = np.zeros([len(instances.labels)] * 2)
    for group, share in enumerate(strength.shares):
        if share:
            products += share * instances.products(group)
    inverse = _inverse(products, strength.penalty)
    classifier = _classifier(instances, strength, inverse, instances.targets)
    values = _leave_videos_out(instances, inverse, strength.penalty)
    return RidgeFit(
        instances=instances,
        strength=strength,
        inverse=inverse,
        kernels=classifier.kernels,
        bias=classifier.bias,
        values_left_out=values,
        left_out=_of_several_videos(instances, values),
    )


def likely_strength(
    instances: Instances, usual: Strength, candidates: Iterable[Strength]
) -> Strength | None:
    """Return the mean of the candidates, each weighted by its probability.

    The likelihood of the labels of videos left out, with one observation a video, says
    how probable a candidate is. So few videos do not choose one by chance, and of many
    one remains. Shares near the usual ones are a little more probable.

    Returns:
      the arithmetic mean of the shares, of which tiny ones are 0, and the geometric
      mean of the penalties; None if there are fewer than eight videos: too few to tell.
    """
    products = [instances.products(group) for group in range(len(instances.groups))]
    shares = []
    penalties = []
    log_probabilities = []
    for candidate in candidates:
        joined = np.zeros_like(products[0])
        for share, of_group in zip(candidate.shares, products):
            joined += share * of_group
        inverse = _inverse(joined, candidate.penalty)
        values = _leave_videos_out(instances, inverse, candidate.penalty)
        left_out = _of_several_videos(instances, values)
        if not left_out.is_enough:
            return None
        num_videos = len(np.unique(left_out.videos))
        likelihood = num_videos * _likelihood(left_out, sharpness(left_out))
        distance = np.square(np.subtract(candidate.shares, usual.shares)).sum()
        shares.append(candidate.shares)
        penalties.append(candidate.penalty)
        log_probabilities.append(likelihood - _PRIOR * distance)
    probabilities = np.exp(np.array(log_probabilities) - max(log_probabilities))
    probabilities /= probabilities.sum()
    means = probabilities @ np.array(shares)
    means[means < _LEAST_SHARE] = 0.0
    means /= means.sum()
    penalty = np.exp(probabilities @ np.log(penalties))
    return Strength(tuple(means.tolist()), float(penalty))


def skill(left_out: LeftOut) -> float | None:
    """Return how much better than chance the classes are told: 0 for chance, 1 at best.

    Each class has the same weight. None if there are fewer than eight videos: too few
    to tell.
    """
    if not left_out.is_enough:
        return None
    right = left_out.values.argmax(axis=1) == left_out.labels
    share = _mean_by_class(right, left_out.labels)
    classes = left_out.num_classes
    return float((share * classes - 1) / (classes - 1))


def sharpness(left_out: LeftOut) -> float:
    """Return the factor at which a softmax of the values makes the classes likeliest.

    It is an inverse temperature (Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017). If there are fewer than eight videos, it is the greatest.
    """
    if not left_out.is_enough:
        return SHARPEST
    return max(_SHARPNESSES, key=lambda factor: _likelihood(left_out, factor))


def _classifier(
    instances: Instances, strength: Strength, inverse: np.ndarray, targets: np.ndarray
) -> Classifier:
    """Return the solution of the equations for targets [n, C]."""
    weighted = instances.roots[:, None] * targets
    mean = instances.roots @ weighted
    duals = inverse @ (weighted - instances.roots[:, None] * mean)
    kernels = []
    bias = mean
    for group, share in enumerate(strength.shares):
        kernel = share * (instances.groups[group].T @ duals)
        kernel /= instances.scales[group][:, None]
        kernels.append(kernel)
        bias = bias - instances.centres[group] @ kernel
    return Classifier(kernels, bias)


def _inverse(products: np.ndarray, penalty: float) -> np.ndarray:
    """Return the inverse [n, n] of the matrix of the equations."""
    return np.linalg.inv(products + penalty * np.eye(len(products)))


def _leave_videos_out(
    instances: Instances, inverse: np.ndarray, penalty: float
) -> np.ndarray:
    """Return what fits without each video in turn give for its instances, [n, C]."""
    videos = np.unique(instances.videos)
    if len(videos) < 2:
        return np.full_like(instances.targets, np.nan)
    residuals = _residuals(instances, inverse, penalty)
    values = np.zeros_like(instances.targets)
    for video in videos:
        rows = np.flatnonzero(instances.videos == video)
        values[rows] = _values_without(instances, inverse, penalty, residuals, rows)
    return values


def _residuals(instances: Instances, inverse: np.ndarray, penalty: float) -> np.ndarray:
    """Return the residuals of the whole fit, [n, C], times the roots.

    They are its targets times `penalty * inverse`, less what the intercept takes.
    """
    roots = instances.roots
    weighted = roots[:, None] * instances.targets
    return penalty * (inverse @ weighted) - np.outer(roots, roots @ weighted)


def _values_without(
    instances: Instances,
    inverse: np.ndarray,
    penalty: float,
    residuals: np.ndarray,
    rows: np.ndarray,
) -> np.ndarray:
    """Return what a fit without some rows gives for them, [number of rows, C]."""
    roots = instances.roots
    remaining = penalty * inverse[np.ix_(rows, rows)]
    remaining -= np.outer(roots[rows], roots[rows])
    errors = np.linalg.solve(remaining, residuals[rows])
    return instances.targets[rows] - errors / roots[rows, None]


def _of_several_videos(instances: Instances, values: np.ndarray) -> LeftOut:
    """Return the values of instances whose class several videos show."""
    count = instances.targets.shape[1]
    in_several_videos = np.zeros(count, bool)
    for label in range(count):
        videos_of_label = np.unique(instances.videos[instances.labels == label])
        in_several_videos[label] = len(videos_of_label) > 1
    counted = in_several_videos[instances.labels]
    return LeftOut(
        values=values[counted],
        labels=instances.labels[counted],
        videos=instances.videos[counted],
        num_classes=np.count_nonzero(instances.targets.any(axis=0)),
    )


def _likelihood(left_out: LeftOut, factor: float) -> float:
    """Return the mean log likelihood of the classes by a softmax of factor * values."""
    return _mean_by_class(_log_likelihoods(left_out, factor), left_out.labels)


def _log_likelihoods(left_out: LeftOut, factor: float) -> np.ndarray:
    """Return the log likelihood of the class of each instance, [m]."""
    labels = left_out.labels
    logits = factor * left_out.values
    true_logits = logits[np.arange(len(labels)), labels]
    return true_logits - np.logaddexp.reduce(logits, axis=1)


def _mean_by_class(values: np.ndarray, labels: np.ndarray) -> Any:
    """Return the mean over classes of the mean of a class."""
    means = [values[labels == label].mean() for label in np.unique(labels)]
    return np.mean(means)
