"""Predict what the tracks that a user gave are and do."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.annotations.matching.video_names import name_of_path
from a2d_tf.annotations.tracks.given_tracks import GivenTracks, Reading, VideoTracks
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.machine import devices
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames.answers import answer_clips, needed_frames
from a2d_tf.video.frames.clips import Clip
from a2d_tf.video.frames.instances import LabelledBoxes
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.frames.tracked_answers import keep_tracks
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.predictors.roles import BoxLabeller
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import Span


@dataclasses.dataclass(frozen=True)
class TrackPredictor:
    """A `VideoPredictor` of videos whose boxes and tracks a user gave.

    Attributes:
      info: the description of the model.
      labels: the label space of the codes.
      tracks: the tracks of the videos.
      labeller_of: returns the labeller of the video of a name.
      coded: {name of a video with coded times: `prediction_folder.VideoInfo.coded`}.
      detector: the name of the detector that found the tracks; None if unknown.
    """

    info: ModelInfo
    labels: LabelSpace
    tracks: GivenTracks
    labeller_of: Callable[[str], BoxLabeller]
    coded: Mapping[str, str] = dataclasses.field(default_factory=dict)
    detector: str | None = None

    def description(self) -> str:
        """See `VideoPredictor`."""
        return f"{self.info['checkpoint']}, given tracks"

    def frames(
        self,
        reader: Reader,
        span: Span,
        track_settings: TrackSettings,
        *,
        stops: Sequence[int] = (),
    ) -> Iterator[VideoFrame]:
        """See `VideoPredictor`.

        Args:
          track_settings: only the window and the lengths of bouts have an effect.

        Raises:
          InputError: also if a shape is outside the frame, or a track goes on after the
            end of the video.
        """
        tracks = self._tracks(reader)
        labeller = self.labeller_of(name_of_path(reader.path))

        def label(clip: Clip) -> LabelledBoxes:
            instances = tracks.instances(clip.key + 1, clip.size)
            return labeller.label(instances, clip)

        if reader.count is not None:
            # A file may claim some frames too few or too many, so the end is checked
            # again when the frames are counted.
            tracks.check_length(reader.count + math.ceil(reader.fps))
        frames = needed_frames(reader, span, labeller.info, stops)
        answers = answer_clips(labeller, label, frames, span)
        yield from keep_tracks(
            labeller,
            answers,
            tracks.last_frames,
            reader,
            span,
            track_settings,
            stops=stops,
        )
        if reader.length is not None:
            tracks.check_length(reader.length)

    def video_facts(self, reader: Reader) -> dict[str, Any]:
        """See `VideoPredictor`."""
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
        """See `VideoPredictor`."""
        return self._tracks(reader).names

    def _tracks(self, reader: Reader) -> VideoTracks:
        return self.tracks.videos[name_of_path(reader.path)]


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
      path: of the model, see `ServedFeatureNetwork.load`.
      reading: the exports of tracks, and how they are read.
      videos: paths of all videos that are predicted.
      checkpoint: "last" or "best" of a run.
      device: see `devices.prepare`.
      settings: {name: value} of the settings of computing that the user set.

    Raises:
      InputError: see `ServedLabeller.load` and `GivenTracks.read`.
    """
    from a2d_tf.video.predictors.served_labeller import ServedLabeller

    gpus = devices.prepare(device)
    labeller = ServedLabeller.load(path, checkpoint=checkpoint, **settings)
    paths = [pathlib.Path(video).absolute() for video in videos]
    folder = VideoFolder.of_paths(paths[0].parent, paths)
    wanted = [name_of_path(video) for video in paths]
    given = GivenTracks.read(reading, folder, labeller.labels, wanted)
    devices.announce(gpus, labeller.info["precision"])
    return TrackPredictor(
        labeller.info, labeller.labels, given, labeller_of=lambda _: labeller
    )
