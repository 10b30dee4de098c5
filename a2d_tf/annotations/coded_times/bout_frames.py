"""The frames of a video that show a coded bout, found by times or by image names."""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from a2d_tf.annotations.coded_times.image_order import CodedImages
from a2d_tf.annotations.coded_times.media_length import check_media_length
from a2d_tf.annotations.coded_times.observations import PAST_END, CodedBout, Observation
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.data.decoding import video_frames, video_paths

_ROUNDING = 6e-4  # seconds; BORIS rounds to milliseconds


class BoutFrames:
    """Finds the frames of a video that show coded bouts, by seconds or image names.

    A bout is a period in which a subject does one thing. The video is decoded at the
    first request.

    Args:
      path: the video file, or the folder of images.
      remedy: what the user can do about a broken file; ends errors.
    """

    def __init__(self, path: str | os.PathLike, remedy: str) -> None:
        self._path = pathlib.Path(path)
        self._remedy = remedy

    def check_rates(
        self, observations: Iterable[Observation], fps: float | None
    ) -> None:
        """Raise InputError if observations of a folder of images state different rates.

        For a video file there is nothing to check. Observations that count images, or
        that come from a prediction, are ignored.

        Args:
          observations: the coded times of the video, one observation for each coding of
            it.
          fps: the images a second that the user states; None if he does not.
        """
        if not self._path.is_dir():
            return
        rate = None
        for observation in observations:
            # A prediction's seconds are at its own rate.
            is_of_prediction = observation.from_first_frame
            has_seconds = observation.bouts and not observation.counts_images
            if is_of_prediction or not has_seconds:
                continue
            rate_of_this = observation.rate_of_images(fps)
            if rate is not None and rate_of_this not in (None, rate):
                raise InputError(
                    f"{observation.file}: {quoted(observation.name)} has"
                    f" {rate_of_this:g} images a second of {self._path}, and another"
                    f" observation {rate:g}; pass --fps"
                )
            rate = rate or rate_of_this

    def of_observation(
        self, observation: Observation, fps: float | None
    ) -> Iterator[tuple[CodedBout, range]]:
        """Yield each coded bout of an observation with the frames that show it.

        Args:
          observation: coded times of the video.
          fps: images a second of a folder of images, if the user states it; None for
            the rate that the observation states.

        Yields:
          the bout, and the range of the 1-based numbers of its frames, at least one.

        Raises:
          InputError: a bout is not within the video, the video is not as long as the
            coded one, or the rate of the images is unknown.
        """
        if not observation.bouts:
            return
        if not self._path.is_dir():
            observation.check_times_of_video(str(self._path))
        if observation.counts_images:
            for bout in observation.bouts:
                yield bout, self._images.of_bout(bout)
        else:
            times = self._seconds(observation, fps)
            self._check_length(observation, times)
            for bout in observation.bouts:
                yield bout, _frames_of_seconds(bout, times)

    @functools.cached_property
    def _images(self) -> CodedImages:
        """The images of a folder; InputError if their numbers have gaps."""
        names: list[str] = []
        for number, path in video_paths.images(self._path, self._remedy).items():
            if number == len(names) + 1:
                names.append(path.name)
            elif names:
                raise InputError(
                    f"{self._path}: after {names[-1]} the image {len(names) + 1} is"
                    f" missing; {self._remedy}"
                )
            else:
                raise InputError(
                    f"{self._path}: begins with {path.name}; number the images from"
                    " 00001, as the annotations do"
                )
        return CodedImages(names)

    def _seconds(self, observation: Observation, fps: float | None) -> np.ndarray:
        """Return the seconds, as the observation counts them, at which frames begin.

        Returns:
          float64 [N].
        """
        if not self._path.is_dir():
            if observation.from_first_frame:
                return self._frame_seconds
            return self._frame_seconds + self._first_frame_time
        rate = observation.rate_of_images(fps)
        if rate is None:
            raise InputError(
                f"{observation.file}: {quoted(observation.name)} has seconds, but"
                f" nothing says how many images a second {self._path} shows; pass --fps"
            )
        return np.arange(len(self._images)) / rate

    def _check_length(self, observation: Observation, times: np.ndarray) -> None:
        """Raise InputError if an observation is of a video of another length.

        Args:
          times: the seconds at which the frames begin, float64 [N].
        """
        fps = None
        if len(times) > 1:
            fps = (len(times) - 1) / (times[-1] - times[0])
        check_media_length(
            observation,
            float(times[-1] + _last_duration(times)),
            video=str(self._path),
            fps=fps,
            has_images=self._path.is_dir(),
        )

    @functools.cached_property
    def _frame_seconds(self) -> np.ndarray:
        """The seconds from the first frame at which frames begin, float64 [N]."""
        seconds = video_frames.seconds(self._path, self._remedy)
        if not len(seconds):
            raise InputError(f"{self._path}: no frame can be decoded; {self._remedy}")
        return seconds

    @functools.cached_property
    def _first_frame_time(self) -> float:
        """The second, from the start of the file, at which the first frame begins."""
        return video_frames.first_frame_time(self._path, self._remedy)


def _last_duration(times: np.ndarray) -> float:
    """Return how many seconds the last frame is shown.

    This is taken to be as long as the frame before it; it is 0 for a single frame.

    Args:
      times: the seconds at which the frames begin, float64 [N].
    """
    return np.diff(times[-2:]).sum()


def _frames_of_seconds(bout: CodedBout, times: np.ndarray) -> range:
    """Return the 1-based numbers of the frames that show a bout.

    Args:
      times: the seconds at which the frames begin, float64 [N].

    Raises:
      InputError: the bout is before or behind the video.
    """
    last_time = times[-1]
    last_duration = _last_duration(times)
    latest_end = last_time + max(PAST_END, last_duration)
    if bout.start > last_time + max(last_duration, _ROUNDING) or bout.end > latest_end:
        raise InputError(
            f"{bout.where}: {bout.start:.3f} to {bout.end:.3f} s is behind the last"
            f" frame of the video, at {last_time:.3f} s; pass the video that was coded"
        )
    first_time = times[0]
    first_duration = np.diff(times[:2]).sum()
    # The frames of a video may begin a little later than its sound.
    is_early = bout.end < first_time - first_duration
    if is_early or (bout.start < -_ROUNDING and bout.end < _ROUNDING):
        raise InputError(
            f"{bout.where}: {bout.start:.3f} to {bout.end:.3f} s is before the video"
            " begins; correct the times, or the time offset of the observation"
        )
    first = max(int(np.searchsorted(times, bout.start + _ROUNDING, "right")), 1)
    last = max(int(np.searchsorted(times, bout.end - _ROUNDING)), first)
    return range(first, last + 1)
