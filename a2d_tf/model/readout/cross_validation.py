"""How well a classifier knows videos that it was not fitted to."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

MAX_INVERSE_TEMPERATURE = 20.0
"""The greatest factor on fitted values, which are near 0 or 1, before a softmax."""
_INVERSE_TEMPERATURES = (5.0, 7.0, 10.0, 14.0, MAX_INVERSE_TEMPERATURE)
_ENOUGH_VIDEOS = 8  # results on fewer left-out videos are chance


@dataclasses.dataclass(frozen=True)
class LeftOutPredictions:
    """Predictions for instances by fits to all videos but their own.

    By them the readout tells how well it labels new videos. They are only of classes
    that several videos show; a class of one video is unknown to the fit without it.

    Attributes:
      values: float64 [m, C], the predictions for m instances; about 1 for the class of
        an instance, 0 for others.
      labels: int [m], the true classes, from 0.
      videos: [m], the names of the videos that show the instances.
      num_classes: number of classes that the fit to all videos knows.
    """

    values: np.ndarray
    labels: np.ndarray
    videos: np.ndarray
    num_classes: int

    @classmethod
    def select(
        cls, values: np.ndarray, targets: np.ndarray, videos: np.ndarray
    ) -> LeftOutPredictions:
        """Select the predictions for classes that several videos show.

        Args:
          values: float64 [n, C], the predictions for all n instances by fits without
            their videos.
          targets: [n, C], the true classes, one-hot.
          videos: [n], the names of the videos that show the instances.
        """
        labels = targets.argmax(axis=1)
        count = targets.shape[1]
        in_several_videos = np.zeros(count, bool)
        for label in range(count):
            videos_of_label = np.unique(videos[labels == label])
            in_several_videos[label] = len(videos_of_label) > 1
        selected = in_several_videos[labels]
        return cls(
            values=values[selected],
            labels=labels[selected],
            videos=videos[selected],
            num_classes=np.count_nonzero(targets.any(axis=0)),
        )

    @property
    def num_videos(self) -> int:
        """The number of videos that show the instances."""
        return len(np.unique(self.videos))

    @property
    def is_enough(self) -> bool:
        """Whether there are eight videos or more; fewer say nothing about new ones."""
        return self.num_videos >= _ENOUGH_VIDEOS

    def skill(self) -> float | None:
        """Return the balanced accuracy, adjusted for chance: 0 for chance, 1 at best.

        It is (C a - 1) / (C - 1) for the mean a of the classes' accuracies and C
        classes. It is negative if chance is better. None if there are fewer than eight
        videos.
        """
        if not self.is_enough:
            return None
        right = self.values.argmax(axis=1) == self.labels
        accuracy = _mean_by_class(right, self.labels)
        classes = self.num_classes
        return float((accuracy * classes - 1) / (classes - 1))

    def inverse_temperature(self) -> float:
        """Return the factor on predictions that makes their softmax best calibrated.

        Among five candidates from 5 to 20 it is the one with the highest
        `log_likelihood` (Guo et al., "On Calibration of Modern Neural Networks", ICML
        2017); 20 if there are fewer than eight videos.
        """
        if not self.is_enough:
            return MAX_INVERSE_TEMPERATURE
        return max(_INVERSE_TEMPERATURES, key=self.log_likelihood)

    def log_likelihood(self, inverse_temperature: float) -> float:
        """Return the mean log likelihood of the true classes by a softmax.

        Each class has the same weight.

        Args:
          inverse_temperature: factor on the predictions before the softmax.
        """
        logits = inverse_temperature * self.values
        true_logits = logits[np.arange(len(self.labels)), self.labels]
        log_likelihoods = true_logits - np.logaddexp.reduce(logits, axis=1)
        return _mean_by_class(log_likelihoods, self.labels)


def _mean_by_class(values: np.ndarray, labels: np.ndarray) -> Any:
    """Average values over the instances of each class, then over the classes."""
    means = [values[labels == label].mean() for label in np.unique(labels)]
    return np.mean(means)
