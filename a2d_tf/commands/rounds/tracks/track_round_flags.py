"""The flags of a2d start --tracks that follow `--`, and the files that they name."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from a2d_tf.annotations.annotated_videos import AnnotatedVideos
from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.annotations.matching.video_names import name_of_path
from a2d_tf.annotations.tracks.given_tracks import GivenTracks, Reading
from a2d_tf.behaviour.prediction_folder import RESULT_FILES
from a2d_tf.commands.flags.source_flags import SourceFlags
from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.commands.rounds.stage_clock import timed_stage
from a2d_tf.commands.rounds.tracks.track_round_input import TrackRoundInput
from a2d_tf.core.command import command_flags, flagfiles
from a2d_tf.core.command.register import Register
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.reading import video_reader
from a2d_tf.video.track_store.detected_tracks import DetectedTracks
from a2d_tf.video.video_flags import kinds_of_results

COMMAND = "start --tracks"
"""The key of these flags in `RoundRequest.further_flags`."""
FLAGS = Register()
"""Some flags of a2d records, and some of a2d predict."""
_SOURCE = SourceFlags.define(FLAGS)
_EVERY = FLAGS.define_integer(
    "every", None, "Label only every Nth frame; by default some five a second.", 1
)
_WINDOW = FLAGS.define_integer(
    "window", TrackSettings.window, "As of a2d predict.", lower_bound=1
)
_MIN_BOUT, _MERGE_GAP = command_flags.define_bout_lengths(FLAGS)
_RESULTS = FLAGS.define_list("results", list(RESULT_FILES), "As of a2d predict.")
_DEVICE = command_flags.define_device(FLAGS)
_LABELLED_PER_SECOND = 5  # frames, by default


def read(
    request: RoundRequest, detected: DetectedTracks | None = None
) -> TrackRoundInput:
    """Parse the flags, and read the tracks and the coded times that they name.

    Args:
      detected: the tracks of a detector, which are completed first; None if the user
        gave the tracks.

    Raises:
      InputError: a flag is wrong; the tracks or the coded times do not fit the videos;
        or see `DetectedTracks.complete`.
    """
    words = [*request.source_flags(), *request.further_flags[COMMAND]]
    flagfiles.parse_flags(words, FLAGS)
    kinds = kinds_of_results(_RESULTS.value)
    if detected is not None:
        # Mistakes are reported before the detector's hours.
        _SOURCE.check(has_release=False)
        _SOURCE.coding.read()
        with timed_stage("tracks"):
            detected.complete(request.jobs, _DEVICE.value, FLAGS.fps)
    source = _SOURCE.open_own_videos(has_split=False, by_sight=detected is not None)
    for doubt in source.doubts:
        print(f"note: {doubt}", file=sys.stderr)
    reading = _SOURCE.reading_of_tracks()
    return TrackRoundInput(
        folder=request.folder,
        jobs=request.jobs,
        source=source,
        reading=reading,
        tracks=_read_tracks(request, source, reading, of_detector=detected is not None),
        every=_EVERY.value or _usual_every(request.jobs, FLAGS.fps),
        fps=FLAGS.fps,
        track_settings=TrackSettings(
            window=_WINDOW.value,
            min_bout=_MIN_BOUT.value,
            merge_gap=_MERGE_GAP.value,
        ),
        kinds=kinds,
        device=_DEVICE.value,
        detector=None if detected is None else detected.name,
        folds=request.folds,
    )


def _read_tracks(
    request: RoundRequest,
    source: AnnotatedVideos,
    reading: Reading,
    *,
    of_detector: bool,
) -> GivenTracks:
    """Read the tracks of all videos, and say which actors are left out."""
    paths = [pathlib.Path(job.path).absolute() for job in request.jobs]
    given = GivenTracks.read(
        reading,
        VideoFolder.of_paths(pathlib.Path(request.videos), paths),
        source.label_space,
        [name_of_path(path) for path in paths],
        of_detector=of_detector,
    )
    for actor, count in given.left_out.items():
        print(
            f"note: nobody coded {actor}, so its {count} boxes are left out;"
            " --actors chooses what is detected",
            file=sys.stderr,
        )
    return given


def _usual_every(jobs: Sequence[Job], fps: float | None) -> int:
    """Return the interval of labelled frames by which some five a second are labelled.

    Args:
      fps: images a second of folders of images; None: 25.
    """
    rates = [video_reader.open_video(job.path, fps).fps for job in jobs]
    return max(1, round(float(np.median(rates)) / _LABELLED_PER_SECOND))
