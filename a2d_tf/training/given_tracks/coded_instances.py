"""The coded instances of videos, which labels are fitted to and scored by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from a2d_tf.training.given_tracks.track_features import TrackFeatures

CodesOfVideo = Mapping[tuple[int, int], int]
"""{(number of a frame, number of a track): code of its coded pair}."""


class CodedInstance(NamedTuple):
    """A coded instance of an answered frame.

    Attributes:
      video: name.
      row: its row in the features of the video.
      code: of the coded pair.
      seconds: how long it stands for: its frame, and those up to the next answered one
        that are coded alike.
    """

    video: str
    row: int
    code: int
    seconds: float


def find(
    videos: Mapping[str, TrackFeatures], codes: Mapping[str, CodesOfVideo], every: int
) -> list[CodedInstance]:
    """Return the coded instances of all videos, one video after the other.

    Args:
      videos: {name: features}.
      codes: {name of a coded video: codes of its instances}.
      every: one of so many frames is answered.
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
