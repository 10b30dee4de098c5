"""Mean lengths of the coded bouts of each action."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np

from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.observations import CodedBout, Observation


def mean_bout_seconds(coding: Coding, videos: Iterable[str]) -> dict[str, float]:
    """Return the mean length of the coded bouts of each action, in seconds.

    The action `coding.outside`, if the user states one, has as bouts the times between
    two bouts of a subject. Point events and images without a known rate do not count,
    nor do subjects and actions that the user leaves out.

    Args:
      coding: the coded times, and the user's settings for them.
      videos: the names of the videos whose bouts count.

    Returns:
      {action: seconds}, in alphabetical order; rounded to milliseconds, as BORIS does.
    """
    lengths: dict[str, list[float]] = collections.defaultdict(list)
    for vid in sorted(videos):
        for observation in coding.of_video(vid):
            rate = _images_a_second(observation, coding.fps)
            if rate is None:
                continue
            bouts = []
            for bout in observation.bouts:
                if coding.leaves_out(bout.subject, vid):
                    continue
                if coding.leaves_out(bout.action, vid):
                    continue
                bouts.append(bout)
                lengths[bout.action].append((bout.end - bout.start) / rate)
            if coding.outside:
                for gap in _gaps(bouts):
                    lengths[coding.outside].append(gap / rate)
    means = {}
    for action in sorted(lengths):
        measured = np.array(lengths[action])
        measured = measured[measured >= 0.001]
        if measured.size:
            means[action] = round(float(measured.mean()), 3)
    return means


def _images_a_second(observation: Observation, fps: float | None) -> float | None:
    """Return the number by which a coded time is divided to get seconds.

    Args:
      observation: the coded times of a video.
      fps: images a second that the user states; None if he does not.

    Returns:
      the images a second, None if unknown; 1 if the times are seconds.
    """
    if not observation.counts_images:
        return 1.0
    return observation.rate_of_images(fps)


def _gaps(bouts: Iterable[CodedBout]) -> list[float]:
    """Return the lengths of the gaps between the bouts of each subject."""
    bouts_of_subject: dict[str, list[CodedBout]] = collections.defaultdict(list)
    for bout in sorted(bouts, key=lambda bout: (bout.start, bout.end)):
        bouts_of_subject[bout.subject].append(bout)
    gaps = []
    for bouts_of_one in bouts_of_subject.values():
        for bout, following in zip(bouts_of_one, bouts_of_one[1:]):
            gaps.append(max(0.0, following.start - bout.end))
    return gaps
