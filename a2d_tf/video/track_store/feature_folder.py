"""The folder in which the features of the given tracks of videos are kept."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from a2d_tf.annotations.tracks.given_tracks import GivenTracks
from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.machine import devices
from a2d_tf.training.given_tracks import track_features
from a2d_tf.training.given_tracks.track_features import TrackFeatures
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.reading import video_reader
from a2d_tf.video.reading.video_content import video_content

if TYPE_CHECKING:
    from a2d_tf.training.given_tracks.labelling_network import LabellingNetwork

_SECONDS = 0.03  # that a frame's features take on one core, with I3D


@dataclasses.dataclass(frozen=True)
class FeatureFolder:
    """A folder with the features of given tracks, a file NAME.npz for each video.

    Labels are fitted to these features, so that no video is read again for new labels.

    Attributes:
      path: path of the folder.
      settings: the settings of the network that computes the features.
      given: the given tracks of all videos.
      every: N if only each Nth frame is predicted and has features.
      fps: number of images a second of folders of images; None for 25.
    """

    path: pathlib.Path
    settings: LabellingNetwork
    given: GivenTracks
    every: int
    fps: float | None

    def complete(
        self, jobs: Sequence[Job], labels: LabelSpace
    ) -> dict[str, TrackFeatures]:
        """Return the features of videos; compute and keep those that are missing.

        Features are missing, too, if the video, its tracks or the settings have
        changed. How long it may take is printed.

        Args:
          jobs: the videos.
          labels: the label space for building the network; features do not depend on
            it.

        Returns:
          {name of a video: features of its tracks' instances}.

        Raises:
          InputError: a video cannot be read, or a track does not fit its frames.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        digests = self._digests(jobs)
        features = {}
        missing = []
        for job in jobs:
            kept = track_features.read(self._file(job), digests[job.name])
            if kept is None:
                missing.append(job)
            else:
                features[job.name] = kept
        if not missing:
            return features

        from a2d_tf.video.track_store.feature_maker import FeatureMaker

        print(self._expectation(missing), flush=True)
        maker = FeatureMaker(self.settings.build(labels))
        with progress_bar(missing, "features", unit="video", smoothing=0) as bar:
            for job in bar:
                made = maker.make(
                    video_reader.open_video(job.path, self.fps),
                    self.given.videos[job.name],
                    self.every,
                    digests[job.name],
                )
                made.write(self._file(job))
                features[job.name] = made
        return features

    def _file(self, job: Job) -> pathlib.Path:
        return self.path / f"{job.name}.npz"

    def _digests(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Return {name of a video: digest of what its features depend on}."""
        settings = self.settings.digest()
        digests = {}
        for job in jobs:
            facts = (
                settings,
                self.given.videos[job.name].digest(),
                video_content(job.path).digest,
                self.every,
                self.fps,
            )
            digests[job.name] = hashlib.sha256(repr(facts).encode()).hexdigest()
        return digests

    def _expectation(self, jobs: Sequence[Job]) -> str:
        """Say how long the features of videos take on this machine."""
        frames = 0
        for job in jobs:
            frames += video_reader.open_video(job.path, self.fps).expected or 0
        minutes = frames * _SECONDS / min(devices.cores(), 2) / 60
        duration = f"about {minutes:.0f} minutes" if minutes >= 1 else "a minute"
        return (
            f"features of {len(jobs)} videos, {frames} frames: {duration}; they are"
            " kept"
        )
