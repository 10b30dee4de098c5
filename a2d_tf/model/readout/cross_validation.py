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

    They are only of classes that several videos show; a class of one video is unknown
    to the fit without it.

    Attributes:
      values: float64 [m, C], the predictions; about 1 for the class, 0 for others.
      labels: int [m], the classes.
      videos: [m], the videos of the instances.
      num_classes: number of classes of the fit to all videos.
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
          values: [n, C], the predictions for all instances.
          targets: [n, C], their one-hot labels.
          videos: [n].
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
        """The number of videos."""
        return len(np.unique(self.videos))

    @property
    def is_enough(self) -> bool:
        """Whether there are at least eight videos: too few say nothing."""
        return self.num_videos >= _ENOUGH_VIDEOS

    def skill(self) -> float | None:
        """Return the balanced accuracy, adjusted for chance: 0 for chance, 1 at best.

        Each class has the same weight. None if the videos are not enough.
        """
        if not self.is_enough:
            return None
        right = self.values.argmax(axis=1) == self.labels
        accuracy = _mean_by_class(right, self.labels)
        classes = self.num_classes
        return float((accuracy * classes - 1) / (classes - 1))

    def inverse_temperature(self) -> float:
        """Return the factor on values at which a softmax makes the classes likeliest.

        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. It is the
        greatest factor if the videos are not enough.
        """
        if not self.is_enough:
            return MAX_INVERSE_TEMPERATURE
        return max(_INVERSE_TEMPERATURES, key=self.log_likelihood)

    def log_likelihood(self, inverse_temperature: float) -> float:
        """Return the mean log likelihood of the classes by a softmax of the values.

        Each class has the same weight.
        """
        logits = inverse_temperature * self.values
        true_logits = logits[np.arange(len(self.labels)), self.labels]
        log_likelihoods = true_logits - np.logaddexp.reduce(logits, axis=1)
        return _mean_by_class(log_likelihoods, self.labels)


def _mean_by_class(values: np.ndarray, labels: np.ndarray) -> Any:
    """Return the mean over classes of the mean of a class."""
    means = [values[labels == label].mean() for label in np.unique(labels)]
    return np.mean(means)
