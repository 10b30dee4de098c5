"""The SavedModel of a round of given tracks: a network that labels boxes by the fit."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from a2d_tf.commands.rounds.tracks.track_round_input import TrackRoundInput
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.files import write_json
from a2d_tf.runs import model_source
from a2d_tf.training.given_tracks.fit_tracks import TrackFit

if TYPE_CHECKING:
    from a2d_tf.runs.held_out_scores import HeldOutScores
    from a2d_tf.training.given_tracks.labelling_network import LabellingNetwork


def write(
    inputs: TrackRoundInput,
    network: LabellingNetwork,
    fit: TrackFit,
    held_out: HeldOutScores | None,
) -> None:
    """Export the network with the fit, unless that export is there.

    `model.json` beside the export says from which weights and scores it was made.

    Args:
      inputs: the videos, tracks and settings of the round, and its folder.
      network: the network without the fit.
      fit: the labels of tracks, fitted to the coded videos.
      held_out: the scores in videos left out of the fit, which the export keeps; None
        if there are none.
    """
    path = inputs.folder.path / "model.json"
    facts = {"weights": _digest(inputs, network, fit, held_out)}
    if inputs.folder.model.exists():
        facts.update(model_source.identity(str(inputs.folder.model)))
    if path.exists() and load_json(path, {}, "delete it") == facts:
        return

    from a2d_tf.serving import exporter
    from a2d_tf.serving.signatures import BOX_SIGNATURES

    bout_seconds = inputs.source.bout_seconds
    model = network.build(fit.labels, fit.fitted, bout_seconds, held_out)
    exporter.export(model, str(inputs.folder.model), BOX_SIGNATURES)
    facts.update(model_source.identity(str(inputs.folder.model)))
    write_json(path, facts)


def _digest(
    inputs: TrackRoundInput,
    network: LabellingNetwork,
    fit: TrackFit,
    held_out: HeldOutScores | None,
) -> str:
    """Return the digest of all that the export is made from."""
    content = hashlib.sha256(network.digest().encode())
    content.update(fit.labels.to_json().encode())
    bout_seconds = sorted(inputs.source.bout_seconds.items())
    held_out_fields = None if held_out is None else held_out.to_json()
    content.update(repr((bout_seconds, held_out_fields)).encode())
    for part in (fit.fitted.actor, fit.fitted.action):
        for values in (*part.kernels, part.bias):
            content.update(np.float32(values).tobytes())
    return content.hexdigest()
