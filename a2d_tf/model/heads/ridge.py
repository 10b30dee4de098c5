"""Ridge regression in closed form, and what it gives for videos left out of it.

A linear classifier is fitted to instances, each class with the same weight. Each video
is then left out in turn: what a fit without it gives for its instances follows from
their residuals and leverage in the whole fit. These values tell the skill of the
classifier and the sharpness of a softmax over it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

# beside the mean square of standardised features, which is 1 for all together
_RIDGE = 0.03
SHARPEST = 20.0
"""The greatest factor on fitted values before a softmax; they are near 0 or 1."""
_SHARPNESSES = (5.0, 7.0, 10.0, 14.0, SHARPEST)
_ENOUGH_VIDEOS = 8  # fewer videos to leave out in turn say nothing


@dataclasses.dataclass(frozen=True)
class RidgeFit:
    """A linear classifier and the system of equations that it solves.

    `features @ kernel + bias` is about 1 for the class of a row, 0 for others.

    Attributes:
      kernel: float64 [D, C].
      bias: float64 [C].
      labels: int [n], the classes of the rows.
      videos: [n], the videos of the rows.
      targets: [n, C], one-hot labels.
      inputs: [n, D + 1], standardised features and a 1.
      weighted: [D + 1, n], the inputs times the rows' weights.
      inverse: [D + 1, D + 1], of the matrix of the regularised normal equations.
      solution: [D + 1, C], the weights of the inputs; `inputs @ solution` are the
        fitted values.
    """

    kernel: np.ndarray
    bias: np.ndarray
    labels: np.ndarray
    videos: np.ndarray
    targets: np.ndarray
    inputs: np.ndarray
    weighted: np.ndarray
    inverse: np.ndarray
    solution: np.ndarray


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """What fits without their own video give for instances.

    Only instances of classes with several videos count.

    Attributes:
      values: float64 [m, C].
      labels: int [m].
      num_videos: how many videos these are of.
      num_classes: how many classes the whole fit has.
    """

    values: np.ndarray
    labels: np.ndarray
    num_videos: int
    num_classes: int


def fit(
    features: np.ndarray, labels: np.ndarray, count: int, videos: np.ndarray
) -> RidgeFit | None:
    """Fit the classifier; return None if there are fewer than two classes.

    Args:
      features: [n, D].
      labels: int [n] below `count`, -1 in rows that do not count.
      videos: [n].
    """
    labelled = labels >= 0
    x = np.asarray(features, np.float64)[labelled]
    labels = labels[labelled]
    sizes = np.bincount(labels, minlength=count)
    num_classes = np.count_nonzero(sizes)
    if num_classes < 2:
        return None
    weights = (1.0 / (np.maximum(sizes, 1) * num_classes))[labels][:, None]
    mean = x.mean(axis=0)
    scale = (x.std(axis=0) + 1e-6) * np.sqrt(x.shape[1])
    inputs = np.c_[(x - mean) / scale, np.ones(len(x))]
    targets = np.eye(count)[labels]
    weighted = (weights * inputs).T
    penalty = np.diag(np.r_[np.full(x.shape[1], _RIDGE), 0.0])
    inverse = np.linalg.inv(weighted @ inputs + penalty)
    solution = inverse @ (weighted @ targets)
    kernel = solution[:-1] / scale[:, None]
    return RidgeFit(
        kernel=kernel,
        bias=solution[-1] - mean @ kernel,
        labels=labels,
        videos=videos[labelled],
        targets=targets,
        inputs=inputs,
        weighted=weighted,
        inverse=inverse,
        solution=solution,
    )


def leave_videos_out(ridge: RidgeFit) -> LeftOut:
    """Return what fits without each video in turn give for its instances."""
    count = ridge.targets.shape[1]
    in_several_videos = np.zeros(count, bool)
    for label in range(count):
        videos_of_label = np.unique(ridge.videos[ridge.labels == label])
        in_several_videos[label] = len(videos_of_label) > 1
    counted = in_several_videos[ridge.labels]
    videos = np.unique(ridge.videos[counted])
    values = np.zeros_like(ridge.targets)
    for video in videos:
        rows = np.flatnonzero(ridge.videos == video)
        x = ridge.inputs[rows]
        targets = ridge.targets[rows]
        residuals = targets - x @ ridge.solution
        leverage = x @ ridge.inverse @ ridge.weighted[:, rows]
        remaining = np.eye(len(rows)) - leverage
        values[rows] = targets - np.linalg.solve(remaining, residuals)
    return LeftOut(
        values=values[counted],
        labels=ridge.labels[counted],
        num_videos=len(videos),
        num_classes=np.count_nonzero(ridge.targets.any(axis=0)),
    )


def skill(left_out: LeftOut) -> float | None:
    """Return how much better than chance the classes are told: 0 for chance, 1 at best.

    Each class has the same weight. None if there are fewer than eight videos: too few
    to tell.
    """
    if left_out.num_videos < _ENOUGH_VIDEOS:
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
    if left_out.num_videos < _ENOUGH_VIDEOS:
        return SHARPEST
    labels = left_out.labels

    def likelihood(factor: float) -> float:
        logits = factor * left_out.values
        true_logits = logits[np.arange(len(labels)), labels]
        return _mean_by_class(true_logits - np.logaddexp.reduce(logits, axis=1), labels)

    return max(_SHARPNESSES, key=likelihood)


def _mean_by_class(values, labels):
    """Return the mean over classes of the mean of a class."""
    means = [values[labels == label].mean() for label in np.unique(labels)]
    return np.mean(means)
