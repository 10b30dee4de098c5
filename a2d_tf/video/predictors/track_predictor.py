"""Predict what the individuals of tracks that a user gave are and do."""

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
    """A predictor of videos whose boxes and tracks a user gave; it labels them.

    Attributes:
      info: the description of the model, as in `a2d_tf.json`.
      labels: the label space of the model.
      tracks: the given tracks of all videos.
      labeller_of: function that returns the labeller of a video, by the name of the
        video.
      coded: {name of a video with coded times: "left_out" if its labels come from a fit
        without these times, "seen" if from a fit with them}.
      detector: name of the detector that found the tracks; None if it is unknown.
    """

    info: ModelInfo
    labels: LabelSpace
    tracks: GivenTracks
    labeller_of: Callable[[str], BoxLabeller]
    coded: Mapping[str, str] = dataclasses.field(default_factory=dict)
    detector: str | None = None

    def description(self) -> str:
        """Say which weights label the given tracks, for the user."""
        return f"{self.info['checkpoint']}, given tracks"

    def frames(
        self,
        reader: Reader,
        span: Span,
        track_settings: TrackSettings,
        *,
        stops: Sequence[int] = (),
    ) -> Iterator[VideoFrame]:
        """Label the given tracks of a video.

        Args:
          reader: the reader of the video, by whose name the tracks are chosen.
          span: the answered frames, in which instances are predicted.
          track_settings: how labels are read; only the window and the lengths of bouts
            have an effect.
          stops: list of the numbers of the signals that have come, see
            `stop_on_signal`; when it gets one, no further frame is answered.

        Yields:
          the answered frames in order.

        Raises:
          InputError: a frame cannot be read, a shape is outside the frame, or a track
            goes on after the end of the video.
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
        """Return the fields of `video.json` about the given tracks of a video.

        These are "given_tracks" (True), "boxes_only" (True if neither the tracks nor
        the model have masks), "detector", and "coded" for a video with coded times; a
        field without a value is left out.

        Args:
          reader: the reader of the video, by whose name the tracks are chosen.
        """
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
        """Return the names of individuals in the given tracks of a video.

        Args:
          reader: the reader of the video, by whose name the tracks are chosen.

        Returns:
          {number of a track: name of its individual}, for the tracks that have a name.
        """
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
    """Load a model, read the tracks of videos, and print the device that computes.

    Args:
      path: path of the run or export that labels the boxes, or the name of a packed
        model.
      reading: the exports of tracks, and how they are read.
      videos: paths of all videos that are predicted.
      checkpoint: weights of a run, "last" or "best".
      device: 'cpu', 'gpu' or 'auto', see `devices.prepare`.
      settings: {name: value} of the settings of computing that the user set.

    Raises:
      InputError: the model cannot be loaded or cannot label boxes, or an export cannot
        be read or lacks a video.
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
