"""Compare the codings of the same videos by two people."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

from a2d_tf.annotations.coded_times.observations import (
    PAST_END,
    Observation,
    by_video,
    check_observations,
)
from a2d_tf.behaviour import spans
from a2d_tf.behaviour.comparison import (
    ComparedVideo,
    Comparison,
    SpansByAction,
    compare_videos,
)
from a2d_tf.behaviour.spans import TimeSpan
from a2d_tf.core.errors import InputError, quoted

_USUAL_FPS = 25.0  # assumed for videos whose rate is in no file


def compare_coders(
    observations: Sequence[Observation],
    others: Sequence[Observation],
    fps: float | None = None,
) -> Comparison:
    """Compare the bouts, periods with one action, that two people coded.

    The rules are those of `agreement.compare`, with the second coder in the place of
    the prediction. The actions are those that either of them has coded. A video lasts
    as long as the files say, or else until the last bout ends.

    Args:
      observations: the observations of the first coder; the videos of these are
        compared.
      others: the observations of the second coder, of these videos and maybe others.
      fps: frames per second of the videos; by default the rate that the files say, or
        else 25.

    Raises:
      InputError: observations of a coder contradict each other; the second coder has
        not coded a video; one counts images and the other one seconds, and nothing says
        the rate; or the two have coded videos of different lengths.
    """
    check_observations(observations)
    check_observations(others)
    first_of = by_video(observations)
    second_of = by_video(others)
    missing = sorted(set(first_of) - set(second_of))
    if missing:
        raise InputError(
            f"the second coder has no {quoted(missing[0])}; coded: {sorted(second_of)}"
        )
    videos = []
    behaviours: set[str] = set()
    for name, first in first_of.items():
        second = second_of[name]
        rate = _rate_of_coders(name, [*first, *second], fps)
        coded = _seconds_of_coder(first, rate)
        coded_again = _seconds_of_coder(second, rate)
        behaviours.update(coded)
        behaviours.update(coded_again)
        end = 0.0
        for bouts in (*coded.values(), *coded_again.values()):
            for span in bouts:
                end = max(end, span.end)
        stated = [o.media_seconds for o in (*first, *second) if o.media_seconds]
        if stated and max(stated) - min(stated) > PAST_END:
            raise InputError(
                f"'{name}': coded in a video of {min(stated):.1f} s and in one of"
                f" {max(stated):.1f} s; pass two codings of one video"
            )
        limits = TimeSpan(0.0, max(stated, default=end))
        for action, bouts in coded_again.items():
            coded_again[action] = spans.cut(bouts, limits)
        videos.append(ComparedVideo(name, coded, coded_again, limits, rate))
    return compare_videos(videos, behaviours, behaviours)


def _rate_of_coders(
    name: str, observations: Sequence[Observation], fps: float | None
) -> float:
    """Return the frames per second of a video that two coders have coded.

    Raises:
      InputError: one counts images and the other one seconds, and the rate is unknown.
    """
    rates = [observation.fps for observation in observations if observation.fps]
    rate = fps or next(iter(rates), None)
    counts_images = {observation.counts_images for observation in observations}
    if rate is None and len(counts_images) == 2:
        raise InputError(
            f"'{name}': one coder counts images, the other one seconds; pass --fps"
        )
    return rate or _USUAL_FPS


def _seconds_of_coder(observations: Iterable[Observation], fps: float) -> SpansByAction:
    """Return the state events of a coder by action, in seconds."""
    coded: SpansByAction = collections.defaultdict(list)
    for observation in observations:
        for bout in observation.bouts:
            if bout.start >= bout.end:
                continue
            span = TimeSpan(bout.start, bout.end)
            if observation.counts_images:
                span = TimeSpan((bout.start - 1) / fps, (bout.end - 1) / fps)
            coded[bout.action].append(span)
    return coded
