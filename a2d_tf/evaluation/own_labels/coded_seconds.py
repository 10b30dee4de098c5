"""How many coded seconds of each behaviour are predicted right.

Somebody coded what tracked individuals do, second by second. Labels are fitted to the
features of these tracks. Each coded instance is predicted by a fit that has not seen
its video.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from a2d_tf.core.counts import BehaviourCounts, Counts
from a2d_tf.runs.held_out_scores import SecondsScores


@dataclasses.dataclass(frozen=True)
class VideoSeconds:
    """How far the prediction of a video agrees with its coding.

    Attributes:
      name: the name of the video.
      coded: the number of its coded seconds.
      right: the number of these that are predicted right.
    """

    name: str
    coded: float
    right: float

    @property
    def share(self) -> float:
        """The share of the coded seconds that is predicted right, in [0, 1]."""
        return self.right / self.coded


@dataclasses.dataclass(frozen=True)
class CodedSeconds:
    """The scores of all behaviours and of all coded videos, each left out of its fit.

    Attributes:
      behaviours: the coded, predicted and right seconds of each coded behaviour.
      videos: the scores of the videos; those that agree least come first.
    """

    behaviours: tuple[BehaviourCounts, ...]
    videos: tuple[VideoSeconds, ...]

    @classmethod
    def count(
        cls,
        names: Sequence[str],
        videos: Sequence[str],
        seconds: Sequence[float],
        coded: Sequence[int],
        predicted: Sequence[int],
    ) -> CodedSeconds:
        """Add up the seconds of coded instances by behaviour and by video.

        An instance is an individual in a frame. Somebody who watched the video coded
        its behaviour, and a fit that has not seen the video predicted it.

        Args:
          names: the names of the behaviours.
          videos: the name of the video of each instance.
          seconds: the number of seconds that each instance stands for.
          coded: the coded behaviour of each instance, an index into `names`.
          predicted: the predicted behaviour of each instance, an index into `names`.
        """
        video_of = np.array(videos)
        weights = np.array(seconds, float)
        true = np.array(coded, int)
        answer = np.array(predicted, int)
        behaviours = []
        for index in sorted(set(true.tolist())):
            is_coded = true == index
            taken_for = {}
            for other in sorted(set(answer[is_coded].tolist()) - {index}):
                taken_for[names[other]] = _sum(weights, is_coded & (answer == other))
            counts = Counts(
                annotated=_sum(weights, is_coded),
                right=_sum(weights, is_coded & (answer == index)),
                predicted=_sum(weights, answer == index),
            )
            video_count = len(set(video_of[is_coded].tolist()))
            behaviours.append(
                BehaviourCounts(names[index], counts, video_count, taken_for)
            )
        of_videos = []
        for name in dict.fromkeys(videos):
            is_of_video = video_of == name
            coded_seconds = _sum(weights, is_of_video)
            right = _sum(weights, is_of_video & (true == answer))
            of_videos.append(VideoSeconds(name, coded_seconds, right))
        of_videos.sort(key=lambda video: (video.share, video.name))
        return cls(tuple(behaviours), tuple(of_videos))

    def total(self) -> SecondsScores:
        """Return the scores that a model keeps in `held_out.json`.

        They are the seconds of each behaviour, and the coded and right seconds of all
        videos together.
        """
        return SecondsScores(
            videos=len(self.videos),
            seconds=round(sum(video.coded for video in self.videos), 3),
            right=round(sum(video.right for video in self.videos), 3),
            behaviours=self.behaviours,
        )


def _sum(weights: np.ndarray, counted: np.ndarray) -> float:
    return round(float(weights[counted].sum()), 3)
