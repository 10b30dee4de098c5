"""Compare coded bouts with those of predictions, or of a second coder."""

from __future__ import annotations

import os

from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.behaviour import agreement, bouts, coder_agreement, prediction_folder
from a2d_tf.behaviour.comparison import Comparison
from a2d_tf.core.errors import InputError
from a2d_tf.tracking.bout_lengths import BoutLengths


def compare(
    truth: str, predicted: str, *, fps: float | None, lengths: BoutLengths
) -> Comparison:
    """Compare coded bouts with those of predictions, or of a second coder.

    Args:
      truth: a file of coded times.
      predicted: the folder of a library or of a prediction; or a file of the second
        coder's times.
      fps: the images per second of predicted folders of images; None takes the rate
        that BORIS states, or else that of the prediction.
      lengths: the shortest predicted bout and the longest gap to close, in seconds.

    Returns:
      the agreement of the two, behaviour by behaviour.

    Raises:
      InputError: a file cannot be used, or the two do not fit each other.
    """
    if os.path.isfile(predicted):
        if not lengths.are_unlimited:
            raise InputError(
                f"--min_bout, --merge_gap: are for predictions, and {predicted} is a"
                " file of coded times"
            )
        return coder_agreement.compare_coders(
            bout_files.read(truth), bout_files.read(predicted), fps
        )
    folders = prediction_folder.folders_of([predicted])
    observations = bout_files.read(truth)
    return agreement.compare(observations, bouts.read_all(folders), fps, lengths)
