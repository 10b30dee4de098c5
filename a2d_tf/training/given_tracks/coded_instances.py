"""Coded instances: boxes of tracks in frames for which a person noted the actions.

Labels of given tracks are fitted to them, and scored by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from a2d_tf.training.given_tracks.track_features import TrackFeatures

CodesOfVideo = Mapping[tuple[int, int], int]
"""{(number of a frame from 1, number of a track): code of the actor and action that are
coded then}, for the coded instances of a video.
"""


class CodedInstance(NamedTuple):
    """An instance of an answered frame whose actor and action are coded.

    Attributes:
      video: name of the video.
      row: row of the instance in the `TrackFeatures` of the video.
      code: the coded actor and action, as a code of the label space.
      seconds: how many seconds of the video the instance stands for: its frame, and the
        frames up to the next answered one in which its track has the same code.
    """

    video: str
    row: int
    code: int
    seconds: float


def find(
    videos: Mapping[str, TrackFeatures], codes: Mapping[str, CodesOfVideo], every: int
) -> list[CodedInstance]:
    """Return the coded instances of all videos, one video after the other.

    Only instances in answered (predicted) frames count, since only they have features.

    Args:
      videos: {name of a video: features of its instances}.
      codes: {name of a coded video: the codes of its instances}.
      every: distance of answered frames; 1 if all frames are answered.
    """
    coded = []
    for video, codes_of_video in codes.items():
        features = videos[video]
        for row, frame in enumerate(features.numbers.tolist()):
            track = int(features.tracks[row])
            code = codes_of_video.get((frame, track))
            if code is None:
                continue
            alike = 0
            for later in range(frame, frame + every):
                if codes_of_video.get((later, track)) == code:
                    alike += 1
            seconds = alike / every * features.seconds
            coded.append(CodedInstance(video, row, code, seconds))
    return coded
