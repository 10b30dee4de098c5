"""a2d start --tracks: from tracks and coded times to the pages of all videos.

Nothing is trained; a trained detector may find the tracks (--detector). The features of
the tracks are computed once and kept. A fit in closed form tells from them what each
track does, so more coded times cost seconds.
"""

from __future__ import annotations

import sys

from a2d_tf.commands.rounds.stage_clock import timed_stage
from a2d_tf.commands.rounds.tracks import label_model, left_out_scores, track_pages
from a2d_tf.commands.rounds.tracks.track_round_input import TrackRoundInput
from a2d_tf.core.errors import InputError
from a2d_tf.core.machine import devices
from a2d_tf.data.decoding import video_frames
from a2d_tf.evaluation.own_labels import fold_scores
from a2d_tf.training.given_tracks import coded_instances
from a2d_tf.training.given_tracks.fit_tracks import fit_tracks
from a2d_tf.video.track_store.feature_folder import FeatureFolder

_WITHOUT_MOTION = (
    "note: weights of I3D, which know actions by their motion, are not installed, and"
    " labels do without; to read them, too: {install}, and the same command again"
)


def run(inputs: TrackRoundInput) -> None:
    """Compute features, fit and score labels, export the model, and predict all videos.

    Finished features, models and predictions are left as they are.

    Raises:
      InputError: no labelled frame has a coded time, or a file cannot be used.
    """
    from a2d_tf.training.given_tracks.labelling_network import LabellingNetwork

    devices.prepare(inputs.device)
    labels = inputs.source.label_space
    _note_gaps(inputs)
    with timed_stage("features"):
        sizes = [video_frames.size(job.path) for job in inputs.jobs]
        network = LabellingNetwork.for_videos(sizes)
        if not network.motion.action_backbone:
            _note_missing_weights()
        feature_folder = FeatureFolder(
            inputs.folder.path / "features",
            network,
            inputs.tracks,
            inputs.every,
            inputs.fps,
        )
        features = feature_folder.complete(inputs.jobs, labels)

    if inputs.folds:
        print("--folds: follow from the fit in closed form; nothing is trained")
    with timed_stage("fit"):
        coded = coded_instances.find(features, inputs.codes(), inputs.every)
        if not coded:
            raise InputError(
                f"--every={inputs.every}: no answered frame has a coded time; answer"
                " more, as in -- --every=1"
            )
        fit = fit_tracks(features, coded, labels)
        scores = left_out_scores.score(inputs, fit, features, coded)
    print("\n".join(scores.lines), flush=True)
    if scores.folds:
        fold_scores.write(inputs.folder.path, scores.folds)
        print(f"\n{fold_scores.table(scores.folds, 'seconds').text()}\n", flush=True)

    with timed_stage("model"):
        label_model.write(inputs, network, fit, scores.held_out(fit.videos))
    with timed_stage("videos"):
        track_pages.write(inputs, fit, features, scores.lines)
    print(inputs.folder.videos / "index.html")


def _note_gaps(inputs: TrackRoundInput) -> None:
    """Say how often a bout is cut because a labelled frame lacks a track."""
    gaps = inputs.count_cutting_gaps()
    if gaps:
        print(
            f"note: one of {inputs.every} frames is labelled, and {gaps} times a track"
            " is missing just there, for fewer frames: this cuts its bout in two; to"
            " join the parts: -- --merge_gap=0.5 (seconds)",
            file=sys.stderr,
            flush=True,
        )


def _note_missing_weights() -> None:
    """Say that labels do without motion, and how to install its weights."""
    from a2d_tf.training.suggestion.presets import INSTALL_ACTION_BACKBONE

    note = _WITHOUT_MOTION.format(install=INSTALL_ACTION_BACKBONE)
    print(note, file=sys.stderr, flush=True)
