"""Compare predicted bouts, periods with one action, with those coded in BORIS.

To code is to note the bouts while watching a video. An observation of BORIS holds the
coded bouts of a video.
"""

from __future__ import annotations

import collections
import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from a2d_tf.annotations.coded_times.image_order import CodedImages
from a2d_tf.annotations.coded_times.media_length import check_media_length
from a2d_tf.annotations.coded_times.observations import (
    PAST_END,
    Observation,
    by_video,
    check_observations,
)
from a2d_tf.behaviour.bouts import Prediction, spans_of_actions
from a2d_tf.behaviour.comparison import (
    ComparedVideo,
    Comparison,
    SpansByAction,
    compare_splits,
)
from a2d_tf.behaviour.prediction_folder import VideoInfo
from a2d_tf.behaviour.spans import TimeSpan
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.tracking.bout_lengths import ANY_LENGTHS, BoutLengths

logger = logging.getLogger(__name__)


def compare(
    observations: Sequence[Observation],
    predictions: Iterable[Prediction],
    fps: float | None = None,
    lengths: BoutLengths = ANY_LENGTHS,
) -> Comparison:
    """Compare coded with predicted bouts, action by action.

    It does not matter which individual a bout is of. Of the individuals that do an
    action at a moment, the smaller of the two numbers agrees. A coded and a predicted
    bout match if their IoU in time is at least .5, each at most once. Only the part of
    a video that was predicted counts.

    Args:
      observations: the coded bouts.
      predictions: the predictions, of all coded videos at least.
      fps: images per second, for videos that are folders of images; by default the rate
        that BORIS says, or else the prediction.
      lengths: the least lengths of predicted bouts and of the gaps between them.

    Returns:
      the comparison of all videos, and of the videos of each split.

    Raises:
      InputError: observations contradict each other; a coded video has no prediction,
        or one of another length; no coded behaviour is an action of the network; or the
        rate of images is unknown.
    """
    check_observations(observations)
    pairs = _pair_up(observations, predictions, fps)
    actions: set[str] = set()
    behaviours: set[str] = set()
    videos = []
    for prediction, coded in pairs:
        actions.update(prediction.video.labels.actions)
        behaviours.update(coded)
        predicted = _predicted_spans(prediction, lengths)
        segmented = TimeSpan(*prediction.video.span)
        videos.append(
            ComparedVideo(
                prediction.name,
                coded,
                predicted,
                segmented,
                prediction.video.fps,
                prediction.video.split,
            )
        )
    if not behaviours & actions:
        raise InputError(
            f"none of {sorted(behaviours)} is one of the actions {sorted(actions)}"
        )
    return compare_splits(videos, actions, behaviours)


class _CodedVideo(NamedTuple):
    """A video that was coded and predicted, with the times of both at one rate.

    Attributes:
      prediction: its prediction.
      coded: its coded bouts by action.
    """

    prediction: Prediction
    coded: SpansByAction


def _pair_up(
    observations: Iterable[Observation],
    predictions: Iterable[Prediction],
    fps: float | None,
) -> list[_CodedVideo]:
    """Return the coded videos with their predictions.

    Raises:
      InputError: a coded video has no prediction, or one of another length, or nothing
        says its rate of images.
    """
    prediction_of = {prediction.name: prediction for prediction in predictions}
    observations_of = by_video(observations)
    missing = sorted(set(observations_of) - set(prediction_of))
    if missing:
        raise InputError(
            f"no prediction for {quoted(missing[0])}; predicted:"
            f" {sorted(prediction_of)}"
        )
    videos = []
    for name, observations_of_video in observations_of.items():
        rate = _rate(prediction_of[name], observations_of_video, fps)
        prediction = prediction_of[name].at_rate(rate)
        for observation in observations_of_video:
            _check_length(observation, prediction.video)
        coded = _coded_spans(observations_of_video, prediction)
        _warn_if_longer(coded, prediction)
        videos.append(_CodedVideo(prediction, coded))
    return videos


def _rate(
    prediction: Prediction, observations: Iterable[Observation], fps: float | None
) -> float:
    """Return the frames per second at which a prediction's times are the coded times.

    Raises:
      InputError: the video is a folder of images whose rate is unknown, or files state
        different rates; or an observation is not of the prediction's video.
    """
    video = prediction.video
    stated_rate = None if video.fps_is_assumed else video.fps
    rates = set()
    for observation in observations:
        if video.images is None:
            observation.check_times_of_video(f"'{prediction.name}'")
            rate: float | None = video.fps
        elif observation.counts_images:
            rate = fps or video.fps
        else:
            rate = observation.rate_of_images(fps, stated_rate)
        if rate is None:
            raise InputError(
                f"{observation.file}: {quoted(observation.name)} has seconds, but"
                f" nothing says how many images a second '{prediction.name}' shows: its"
                f" prediction took {video.fps:g}; pass --fps"
            )
        rates.add(rate)
    if len(rates) != 1:
        raise InputError(
            f"'{prediction.name}': observations say {sorted(rates)} images a second;"
            " pass --fps"
        )
    return rates.pop()


def _check_length(observation: Observation, video: VideoInfo) -> None:
    """Raise InputError if an observation is of a video of another length."""
    if observation.counts_images or video.frames is None:
        return  # if its length is unknown, less than the whole video may have been read
    seconds = video.seconds
    if not observation.from_first_frame:
        seconds += video.first_frame_time
    check_media_length(
        observation,
        seconds,
        video=video.name,
        fps=video.fps,
        has_images=video.images is not None,
    )


def _coded_spans(
    observations: Iterable[Observation], prediction: Prediction
) -> SpansByAction:
    """Return the coded state events of a video by action, in seconds."""
    coded: SpansByAction = collections.defaultdict(list)
    video = prediction.video
    images = CodedImages(video.images or ())
    for observation in observations:
        for bout in observation.bouts:
            if bout.start >= bout.end:
                continue
            if observation.counts_images:
                numbers = images.of_bout(bout)
                span = TimeSpan(
                    (numbers.start - 1) / video.fps, (numbers.stop - 1) / video.fps
                )
            elif observation.from_first_frame:
                span = TimeSpan(bout.start, bout.end)
            else:
                span = TimeSpan(
                    bout.start - video.first_frame_time,
                    bout.end - video.first_frame_time,
                )
            coded[bout.action].append(span)
    return coded


def _warn_if_longer(coded: SpansByAction, prediction: Prediction) -> None:
    """Warn of bouts behind the end of a video: another one may have been coded."""
    end = prediction.video.seconds
    last_end = 0.0
    for coded_spans in coded.values():
        for span in coded_spans:
            last_end = max(last_end, span.end)
    if last_end > end + PAST_END:
        logger.warning(
            "'%s' lasts %.1f s, but was coded until %.1f s; bouts behind its end do not"
            " count; check that it is the coded video, or for images the --fps",
            prediction.name,
            end,
            last_end,
        )


def _predicted_spans(prediction: Prediction, lengths: BoutLengths) -> SpansByAction:
    predicted: SpansByAction = collections.defaultdict(list)
    for track in prediction.tracks:
        for span in spans_of_actions(track, lengths):
            predicted[span.label].append(TimeSpan(span.start, span.end))
    return predicted
