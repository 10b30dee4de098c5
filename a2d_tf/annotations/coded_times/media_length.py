"""Check that a video is as long as the coded one."""

from __future__ import annotations

from a2d_tf.annotations.coded_times.observations import PAST_END, Observation
from a2d_tf.core.errors import InputError, quoted

_LENGTH_TOLERANCE = 0.02  # of a video's length, as tools tell it
# Of short videos: a version of half the rate, played slowly, is twice as long.
_OTHER_LENGTH = 1.8
_SHORTEST = 0.2  # seconds; shorter differences are of single frames


def check_media_length(
    observation: Observation,
    seconds: float,
    *,
    video: str,
    fps: float | None,
    has_images: bool,
) -> None:
    """Raise InputError if the video that was coded has another length than this one.

    Then the coded times may be those of other frames. The two may have different rates.

    Args:
      observation: the coded times, with the length of the video that was coded. If it
        states none, nothing is checked.
      seconds: the length of this video, as the observation counts time.
      video: the path or the name of this video, for the error.
      fps: the frames a second of this video; None if it has one frame.
      has_images: whether this video is a folder of images.
    """
    coded = observation.media_seconds
    if coded is None or _are_alike(seconds, coded):
        return
    coded_rate = ""
    rate = ""
    if observation.fps and fps:
        coded_rate = f" with {observation.fps:.4g} frames a second"
        rate = f" with {fps:.4g}"
    remedy = "pass the video that was coded, or code this one"
    if has_images:
        remedy = "pass --fps, the images a second of the video that was coded"
    raise InputError(
        f"{observation.file}: {quoted(observation.name)} was coded in a video of"
        f" {coded:.1f} s{coded_rate}, but {video} lasts {seconds:.1f} s{rate}, so its"
        f" times may be those of other frames; {remedy}; if only the end was cut off"
        " since, delete the media duration in that file"
    )


def _are_alike(seconds: float, coded: float) -> bool:
    """Return whether two lengths may be of one video.

    They differ a little if the sound goes on after the picture, or the end was cut off.

    Args:
      seconds: the length of the video, in seconds.
      coded: the length of the coded video, in seconds.
    """
    shorter = min(seconds, coded)
    difference = abs(seconds - coded)
    if difference > max(PAST_END, _LENGTH_TOLERANCE * coded):
        return False
    return difference <= max(_SHORTEST, (_OTHER_LENGTH - 1) * shorter)
