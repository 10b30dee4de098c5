"""Ridge regression in closed form, with the predictions for videos left out of it.

A linear classifier is fitted to instances, each class with the same weight. Features
come in groups, and each group has a weight in the whole. The predictions of fits that
leave out one video are not fitted one by one: they follow from the residuals and the
leverage of the whole fit.

There may be more features than instances, so the equations are solved in their dual
form, in products of instances. Instances are multiplied by the roots of their weights
and have a weighted mean of 0. Then neither weights nor intercept are in the equations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.model.readout.cross_validation import LeftOutPredictions

PENALTY = 0.03
"""Usual factor of the classifier's squared weights; features have a mean square of 1.
"""
_TINY = 1e-6


class Hyperparameters(NamedTuple):
    """How much a ridge regression relies on its features.

    Attributes:
      group_weights: a weight for each group of features; they add up to 1, and a group
        of weight 0 is not read.
      penalty: factor of the classifier's squared weights in the sum that is minimised;
        features are standardised to a mean square of 1.
    """

    group_weights: tuple[float, ...]
    penalty: float = PENALTY


@dataclasses.dataclass(frozen=True)
class TrainingSet:
    """n labelled instances, standardised and weighted for the equations.

    Attributes:
      groups: the features of each group, float64 [n, D], standardised, divided by the
        root of D, centred and multiplied by `roots`.
      centres: [D] for each group, the weighted mean of its features.
      scales: [D] for each group, the divisors of its features.
      roots: [n], the roots of the weights of the instances, which add up to 1; each
        class has the same weight.
      targets: [n, C], the classes, one-hot.
      videos: [n], the names of the videos that show the instances.
    """

    groups: list[np.ndarray]
    centres: list[np.ndarray]
    scales: list[np.ndarray]
    roots: np.ndarray
    targets: np.ndarray
    videos: np.ndarray

    @classmethod
    def of(
        cls,
        groups: Sequence[np.ndarray],
        labels: np.ndarray,
        count: int,
        videos: np.ndarray,
    ) -> TrainingSet | None:
        """Standardise and weight instances for a fit.

        Args:
          groups: the features of each group, [n, D].
          labels: int [n] below `count`; -1 for an instance without a label, which is
            left out.
          count: C, the number of classes.
          videos: [n], the names of the videos that show the instances.

        Returns:
          the training set; None if the instances show fewer than two classes.
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
            targets=np.eye(count)[labels],
            videos=videos[labelled],
        )

    def products(self, group: int) -> np.ndarray:
        """Return the products of all pairs of instances in a group's features.

        Args:
          group: index of the group, from 0.

        Returns:
          float64 [n, n], the Gram matrix of the standardised features.
        """
        return self.groups[group] @ self.groups[group].T


class Classifier(NamedTuple):
    """A linear classifier over groups of features.

    The sum of `features @ kernel` over the groups, plus the bias, is about 1 for the
    class of an instance, 0 for others.

    Attributes:
      kernels: float64 [D, C] for each group; they apply to features that are not
        standardised.
      bias: float64 [C].
    """

    kernels: list[np.ndarray]
    bias: np.ndarray


@dataclasses.dataclass(frozen=True)
class RidgeFit:
    """A classifier with the training set that it was fitted to.

    Attributes:
      training_set: the n instances.
      hyperparameters: the weights of groups, and the penalty.
      inverse: [n, n], the inverse of the matrix of the equations, from which fits
        without some videos follow.
      classifier: the solution.
      left_out_values: float64 [n, C], the prediction for each instance by a fit without
        its video; NaN if all instances are of one video.
    """

    training_set: TrainingSet
    hyperparameters: Hyperparameters
    inverse: np.ndarray
    classifier: Classifier
    left_out_values: np.ndarray

    def left_out_predictions(self) -> LeftOutPredictions:
        """Return the predictions for each video by a fit to the others.

        They tell how well the classifier does in new videos; only classes that several
        videos show are among them.
        """
        return LeftOutPredictions.select(
            self.left_out_values, self.training_set.targets, self.training_set.videos
        )

    def without(self, *videos: str) -> Classifier:
        """Return the classifier of a fit to all videos but these.

        It is not fitted anew: the targets of the left-out instances are replaced by
        what a fit without them predicts for them. Then these instances change nothing,
        and the equations of the whole fit give the classifier. Means, scales and
        weights of instances stay those of the whole fit.

        Args:
          videos: names of the videos to leave out, not all that the fit has.

        Returns:
          its kernels [D, C] for each group, and bias [C].
        """
        rows = np.flatnonzero(np.isin(self.training_set.videos, videos))
        penalty = self.hyperparameters.penalty
        residuals = _residuals(self.training_set, self.inverse, penalty)
        targets = self.training_set.targets.copy()
        targets[rows] = _values_without(
            self.training_set, self.inverse, penalty, residuals, rows
        )
        return _solve(self.training_set, self.hyperparameters, self.inverse, targets)


def fit(training_set: TrainingSet, hyperparameters: Hyperparameters) -> RidgeFit:
    """Fit a linear classifier to instances by ridge regression in closed form.

    The predictions for each video by fits to the others come with it.

    Args:
      training_set: the instances, their features and classes.
      hyperparameters: how much each group of features counts, and the penalty.

    Returns:
      the classifier, and the predictions for each instance by a fit without its video.
    """
    products = np.zeros([len(training_set.roots)] * 2)
    for group, weight in enumerate(hyperparameters.group_weights):
        if weight:
            products += weight * training_set.products(group)
    penalty = hyperparameters.penalty
    inverse = _invert(products, penalty)
    return RidgeFit(
        training_set=training_set,
        hyperparameters=hyperparameters,
        inverse=inverse,
        classifier=_solve(training_set, hyperparameters, inverse, training_set.targets),
        left_out_values=_leave_videos_out(training_set, inverse, penalty),
    )


def predict_left_out(
    training_set: TrainingSet, products: np.ndarray, penalty: float
) -> LeftOutPredictions:
    """Return the predictions for each video by a fit to the others, and no classifier.

    It takes less time than `fit`, for a comparison of many hyperparameters.

    Args:
      training_set: the n instances.
      products: [n, n], the products of instances in all features: the sum of
        `TrainingSet.products` over the groups, each times the group's weight.
      penalty: the penalty of squared weights, as in `Hyperparameters`.
    """
    inverse = _invert(products, penalty)
    return LeftOutPredictions.select(
        _leave_videos_out(training_set, inverse, penalty),
        training_set.targets,
        training_set.videos,
    )


def _invert(products: np.ndarray, penalty: float) -> np.ndarray:
    """Return the inverse [n, n] of the matrix of the dual equations."""
    return np.linalg.inv(products + penalty * np.eye(len(products)))


def _solve(
    training_set: TrainingSet,
    hyperparameters: Hyperparameters,
    inverse: np.ndarray,
    targets: np.ndarray,
) -> Classifier:
    """Return the classifier that solves the dual equations for targets [n, C]."""
    weighted = training_set.roots[:, None] * targets
    mean = training_set.roots @ weighted
    duals = inverse @ (weighted - training_set.roots[:, None] * mean)
    kernels = []
    bias = mean
    for group, weight in enumerate(hyperparameters.group_weights):
        kernel = weight * (training_set.groups[group].T @ duals)
        kernel /= training_set.scales[group][:, None]
        kernels.append(kernel)
        bias = bias - training_set.centres[group] @ kernel
    return Classifier(kernels, bias)


def _leave_videos_out(
    training_set: TrainingSet, inverse: np.ndarray, penalty: float
) -> np.ndarray:
    """Predict the instances of each video by a fit to the others, [n, C].

    The result is NaN if all instances are of one video.
    """
    videos = np.unique(training_set.videos)
    if len(videos) < 2:
        return np.full_like(training_set.targets, np.nan)
    residuals = _residuals(training_set, inverse, penalty)
    values = np.zeros_like(training_set.targets)
    for video in videos:
        rows = np.flatnonzero(training_set.videos == video)
        values[rows] = _values_without(training_set, inverse, penalty, residuals, rows)
    return values


def _residuals(
    training_set: TrainingSet, inverse: np.ndarray, penalty: float
) -> np.ndarray:
    """Return the residuals of the whole fit times `roots`, [n, C].

    They are the fit's targets times `penalty * inverse`, minus the share of the
    intercept.
    """
    roots = training_set.roots
    weighted = roots[:, None] * training_set.targets
    return penalty * (inverse @ weighted) - np.outer(roots, roots @ weighted)


def _values_without(
    training_set: TrainingSet,
    inverse: np.ndarray,
    penalty: float,
    residuals: np.ndarray,
    rows: np.ndarray,
) -> np.ndarray:
    """Predict some rows by a fit without them, [len(rows), C]."""
    roots = training_set.roots
    remaining = penalty * inverse[np.ix_(rows, rows)]
    remaining -= np.outer(roots[rows], roots[rows])
    errors = np.linalg.solve(remaining, residuals[rows])
    return training_set.targets[rows] - errors / roots[rows, None]
