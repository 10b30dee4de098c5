"""Predict a video whose tracks are given: what each of them is and does."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.annotations.matching.video_names import name_of_path
from a2d_tf.annotations.tracks.given_tracks import GivenTracks, Reading, VideoTracks
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.machine import devices
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames import streaming
from a2d_tf.video.frames.instances import Labeller
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import Span


@dataclasses.dataclass(frozen=True)
class TrackPredictor:
    """Labels the given tracks of videos, in the place of a `Predictor`.

    Attributes:
      info: what is known of the network.
      labels: the label space of the codes.
      given: the tracks.
      labeller_of: returns, for the name of a video, what says what its tracks are and
        do.
      coded: {name of a video with coded times: as `prediction_folder.VideoInfo.coded`}.
      detector: the name of what found the tracks; None if nobody says.
    """

    info: ModelInfo
    labels: LabelSpace
    given: GivenTracks
    labeller_of: Callable[[str], Labeller]
    coded: Mapping[str, str] = dataclasses.field(default_factory=dict)
    detector: str | None = None

    def frames(
        self,
        reader: Reader,
        span: Span,
        track_settings: TrackSettings,
        *,
        stops: Sequence[Any] = (),
    ) -> Iterator[VideoFrame]:
        """Yield the answered frames of a video; see `streaming.label_frames`.

        Args:
          track_settings: of which only the window and the lengths of bouts count, for
            tracks are given.
        """
        return streaming.label_frames(
            self.labeller_of(name_of_path(reader.path)),
            reader,
            self._tracks(reader),
            span,
            track_settings.window,
            bout_lengths=track_settings.bout_lengths,
            stops=stops,
        )

    def video_facts(self, reader: Reader) -> dict[str, Any]:
        """Return further fields of `video.json`; see `prediction_folder.VideoInfo`."""
        facts: dict[str, Any] = {"given_tracks": True}
        if self.info.get("boxes_only") and not self._tracks(reader).has_masks:
            facts["boxes_only"] = True
        if self.detector is not None:
            facts["detector"] = self.detector
        name = name_of_path(reader.path)
        if name in self.coded:
            facts["coded"] = self.coded[name]
        return facts

    def track_names(self, reader: Reader) -> dict[int, str]:
        """Return {number of a track: the name of its individual}."""
        return self._tracks(reader).names

    def _tracks(self, reader: Reader) -> VideoTracks:
        return self.given.videos[name_of_path(reader.path)]


def load(
    path: str,
    *,
    reading: Reading,
    videos: Sequence[str],
    checkpoint: str,
    device: str,
    settings: dict[str, Any],
) -> TrackPredictor:
    """Load a model, read the tracks of videos, and announce the device.

    Args:
      path: of the model, as of `Predictor.load`.
      reading: of the exports of tracks.
      videos: paths of all videos that are predicted.
      checkpoint: of a run, "last" or "best".
      device: as for `devices.prepare`.
      settings: {name: value} of computing that are given.

    Raises:
      InputError: as of `BoxLabeller.load` and of `GivenTracks.read`.
    """
    from a2d_tf.video.predictors.box_labeller import BoxLabeller

    gpus = devices.prepare(device)
    labeller = BoxLabeller.load(path, checkpoint=checkpoint, **settings)
    paths = [pathlib.Path(video).absolute() for video in videos]
    folder = VideoFolder.of_paths(paths[0].parent, paths)
    wanted = [name_of_path(video) for video in paths]
    given = GivenTracks.read(reading, folder, labeller.labels, wanted)
    devices.announce(gpus, labeller.info["precision"])
    return TrackPredictor(
        labeller.info, labeller.labels, given, labeller_of=lambda _: labeller
    )
