"""The flags of a2d start --detector that follow `--`: some of a2d predict."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

from a2d_tf.core.command import flagfiles
from a2d_tf.core.command.register import Register
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.predictors import object_detector
from a2d_tf.video.predictors.detector_classes import DetectorClasses
from a2d_tf.video.track_store.detected_tracks import DetectedTracks

COMMAND = "start --detector"
"""The key of these flags in `RoundRequest.further_flags`."""
FLAGS = Register()
_ACTORS = FLAGS.define_list("actors", [], "As of a2d predict.")
_SCORE_THRESHOLD = FLAGS.define_float(
    "score_threshold", object_detector.SCORE_THRESHOLD, "As of a2d predict.", 0.0, 1.0
)
_PATIENCE = FLAGS.define_integer(
    "patience", TrackSettings.patience, "As of a2d predict.", 0
)
_MAX_TRACKS = FLAGS.define_string("max_tracks", None, "As of a2d predict.")


def read(detector: str, output: pathlib.Path, words: Sequence[str]) -> DetectedTracks:
    """Parse the flags after `--` that concern a detector of individuals.

    Args:
      detector: the folder of its SavedModel.
      output: the output folder of a2d start.
      words: the flags as they are typed.

    Returns:
      the tracks that the detector is to find; they are not computed yet.

    Raises:
      InputError: there is no SavedModel, or a flag is wrong.
    """
    object_detector.check_path(detector)
    flagfiles.parse_flags(words, FLAGS)
    DetectorClasses.parse(_ACTORS.value)  # raises before anything is written
    return DetectedTracks(
        output=output,
        detector=os.path.normpath(detector),
        actors=_ACTORS.value,
        score_threshold=_SCORE_THRESHOLD.value,
        track_settings=TrackSettings(
            patience=_PATIENCE.value, max_tracks=_MAX_TRACKS.value
        ),
    )
