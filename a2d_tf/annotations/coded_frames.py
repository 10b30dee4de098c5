"""The frames of a video that show what was coded, by their times or by their names."""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from a2d_tf.annotations.observations import (
    CodedBout,
    Observation,
    images_of_bout,
)
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.data import video_frames

_ROUNDING = 6e-4  # seconds; BORIS rounds to milliseconds
# Seconds by which a bout may end after the last frame: tools differ on the end.
_PAST = 1.0
_PART_PAST = 0.02  # the same as a part of the whole video


class CodedVideo:
    """A video whose frames are wanted by coded times.

    Args:
      path: the video file, or the folder of images.
      remedy: what the user can do about a broken file; ends errors.
    """

    def __init__(self, path: str | os.PathLike, remedy: str) -> None:
        self._path = pathlib.Path(path)
        self._remedy = remedy
        self._rate: float | None = None  # of images, as observations say

    def length_note(self, observation: Observation, fps: float | None) -> str | None:
        """Return a note if another video than this one seems to have been coded.

        It lasts longer or shorter than the observation says.

        Args:
          fps: as of `frames_of_bouts`.
        """
        coded = observation.media_seconds
        if coded is None or observation.counts_images or not observation.bouts:
            return None
        times = self._seconds(observation, fps)
        seconds = float(times[-1] + np.diff(times[-2:]).sum())
        if abs(seconds - coded) <= max(_PAST, _PART_PAST * coded):
            return None
        return (
            f"{observation.file}: {quoted(observation.name)} is of a video of"
            f" {coded:.1f} s, but {self._path} lasts {seconds:.1f} s; check that it is"
            " the same, or for images the --fps"
        )

    def frames_of_bouts(
        self, observation: Observation, fps: float | None
    ) -> Iterator[tuple[CodedBout, range]]:
        """Yield each bout of an observation with the 1-based numbers of its frames.

        Args:
          fps: the rate of a folder of images, which wins over the observation's.

        Raises:
          InputError: a bout does not lie in the video, or its seconds cannot be those
            of the video.
        """
        if not observation.bouts:
            return
        if not self._path.is_dir():
            observation.check_film(str(self._path))
        if observation.counts_images:
            for bout in observation.bouts:
                yield bout, images_of_bout(bout, self._image_names)
        else:
            times = self._seconds(observation, fps)
            for bout in observation.bouts:
                yield bout, _frames_of_seconds(bout, times)

    @functools.cached_property
    def _image_names(self) -> list[str]:
        """The names of the images of a folder, in the order of the frames."""
        paths = list(video_frames.images(self._path, self._remedy).values())
        count = video_frames.count(self._path, self._remedy)
        if paths and count < len(paths) and count:
            raise InputError(
                f"{self._path}: after {paths[count - 1].name} the image {count + 1} is"
                f" missing; {self._remedy}"
            )
        if not count:
            raise InputError(
                f"{self._path}: begins with {paths[0].name}; number the images from"
                " 00001, as the annotations do"
            )
        return [path.name for path in paths[:count]]

    def _seconds(self, observation: Observation, fps: float | None) -> np.ndarray:
        """Return when each frame begins in the clock of an observation."""
        if not self._path.is_dir():
            if observation.from_first_frame:
                return self._film_seconds
            return self._film_seconds + self._film_start
        rate = observation.rate_of_images(fps)
        if rate is None:
            raise InputError(
                f"{observation.file}: {quoted(observation.name)} has seconds, but"
                f" nothing says how many images a second {self._path} shows; pass --fps"
            )
        is_of_prediction = observation.from_first_frame
        if not is_of_prediction and rate != (self._rate or rate):
            raise InputError(
                f"{observation.file}: {quoted(observation.name)} has {rate:g} images a"
                f" second of {self._path}, and another observation {self._rate:g}; pass"
                " --fps"
            )
        if not is_of_prediction:
            self._rate = rate
        return np.arange(len(self._image_names)) / rate

    @functools.cached_property
    def _film_seconds(self) -> np.ndarray:
        return video_frames.seconds(self._path, self._remedy)

    @functools.cached_property
    def _film_start(self) -> float:
        return video_frames.film_start(self._path, self._remedy)


def _frames_of_seconds(bout: CodedBout, times: np.ndarray) -> range:
    """Return the numbers of the frames that begin at `times`, float64 [N] seconds."""
    last_time = times[-1]
    last_duration = np.diff(times[-2:]).sum()  # 0 if there is a single frame
    latest_end = last_time + max(_PAST, last_duration)
    if bout.start > last_time + max(last_duration, _ROUNDING) or bout.end > latest_end:
        raise InputError(
            f"{bout.where}: {bout.start:.3f} to {bout.end:.3f} s is behind the last"
            f" frame of the video, at {last_time:.3f} s; pass the video that was coded"
        )
    first_time = times[0]
    first_duration = np.diff(times[:2]).sum()
    # A film's picture may begin a little later than its sound.
    is_early = bout.end < first_time - first_duration
    if is_early or (bout.start < -_ROUNDING and bout.end < _ROUNDING):
        raise InputError(
            f"{bout.where}: {bout.start:.3f} to {bout.end:.3f} s is before the video"
            " begins; correct the times, or the time offset of the observation"
        )
    first = max(int(np.searchsorted(times, bout.start + _ROUNDING, "right")), 1)
    last = max(int(np.searchsorted(times, bout.end - _ROUNDING)), first)
    return range(first, last + 1)
