"""The predictions of a round of given tracks: labels of all videos by kept features."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from a2d_tf.annotations.readers.exports import exports_digest
from a2d_tf.behaviour.prediction_folder import LEFT_OUT, SEEN
from a2d_tf.commands.rounds.tracks.track_round_input import TrackRoundInput
from a2d_tf.evaluation.own_labels import learning_curve
from a2d_tf.runs import model_source
from a2d_tf.training.given_tracks.fit_tracks import TrackFit
from a2d_tf.training.given_tracks.track_features import TrackFeatures
from a2d_tf.video.library import library_prediction, library_tables
from a2d_tf.video.library.library_request import Request


def write(
    inputs: TrackRoundInput,
    fit: TrackFit,
    features: Mapping[str, TrackFeatures],
    notes: Sequence[str],
) -> None:
    """Predict all videos with the fit, and print the videos that fail.

    A coded video has the labels of the fit without it, if it can be left out.

    Args:
      inputs: the videos, tracks and settings of the round, and its folder.
      fit: the fit to all coded videos.
      features: {name of a video: its features}.
      notes: lines for the page of the library.
    """
    from a2d_tf.serving import model_info
    from a2d_tf.video.predictors.fitted_labeller import FittedLabeller
    from a2d_tf.video.predictors.track_predictor import TrackPredictor

    info = model_info.read(str(inputs.folder.model))

    def labeller_of(name: str) -> FittedLabeller:
        weights = fit.weights
        if name in fit.videos and fit.can_leave_out:
            weights = fit.without(name)
        return FittedLabeller(weights, fit.labels, features[name], info)

    predictor = TrackPredictor(
        info=info,
        labels=fit.labels,
        tracks=inputs.tracks,
        labeller_of=labeller_of,
        coded=dict.fromkeys(fit.videos, LEFT_OUT if fit.can_leave_out else SEEN),
        detector=inputs.detector,
    )
    request = Request(
        every=inputs.every,
        track_settings=inputs.track_settings,
        kinds=inputs.kinds,
        model=model_source.identity(str(inputs.folder.model)),
        settings={"tracks": exports_digest(inputs.reading.exports)},
        fps=inputs.fps,
        overwrite=True,
        notes=tuple(notes),
        curve=str(inputs.folder.path / learning_curve.PICTURE),
    )
    unfinished = [job for job in inputs.jobs if not request.is_finished(job)]
    failures: dict[str, str] = {}
    if unfinished:
        failures = library_prediction.predict(
            lambda: predictor, unfinished, request, "skip"
        )
    library = str(inputs.folder.videos)
    library_tables.conclude(library, inputs.jobs, request, failures)
    for reason in failures.values():
        print(f"skipped {reason}", file=sys.stderr)
