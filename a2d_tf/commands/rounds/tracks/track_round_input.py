"""All that a round of given tracks is made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.tracks.given_tracks import GivenTracks, Reading
from a2d_tf.commands.rounds.round_folder import RoundFolder
from a2d_tf.training.given_tracks.coded_instances import CodesOfVideo
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.library.library_videos import Job


@dataclasses.dataclass(frozen=True)
class TrackRoundInput:
    """The videos, tracks and settings of a round that labels given tracks.

    Attributes:
      folder: the folder of all results.
      jobs: all videos, each with the folder of its page.
      source: the videos with coded times, and the label space.
      reading: how the files of the tracks were read.
      tracks: the tracks of all videos.
      every: the interval of the labelled frames, in frames of the video.
      fps: images per second of videos that are folders of images; None means 25.
      track_settings: how labels are read along tracks.
      kinds: the results to write for each video.
      device: the device, see `devices.prepare`.
      detector: the name of the detector of the tracks; None if the user gave them.
      folds: the number of folds, or the path of a CSV of video and fold; None if there
        is no cross-validation.
    """

    folder: RoundFolder
    jobs: Sequence[Job]
    source: AnnotatedVideos
    reading: Reading
    tracks: GivenTracks
    every: int
    fps: float | None
    track_settings: TrackSettings
    kinds: tuple[str, ...]
    device: str
    detector: str | None = None
    folds: str | None = None

    def codes(self) -> dict[str, CodesOfVideo]:
        """Return the codes of the coded instances: {video: {(frame, track): code}}."""
        codes: dict[str, CodesOfVideo] = {}
        for video in self.source.videos:
            tracks = self.tracks.videos.get(video.vid)
            if tracks is None:
                continue
            codes_of_video = {}
            for frame in self.source.annotated_frames(video.vid):
                numbers = tracks.numbers(frame)
                for track, code in zip(numbers, self.source.codes(video.vid, frame)):
                    codes_of_video[frame, track] = code
            codes[video.vid] = codes_of_video
        return codes

    def count_cutting_gaps(self) -> int:
        """Count the gaps of tracks that are short, but contain a labelled frame.

        Such a gap cuts a bout in two, unless --merge_gap joins the parts.
        """
        if self.track_settings.merge_gap:
            return 0
        tracks_of_videos = self.tracks.videos.values()
        return sum(tracks.short_gaps(self.every) for tracks in tracks_of_videos)
