"""Load the network of a run folder or of a packed model, and its settings."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core import checked_json, files
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.model.network import Network
from a2d_tf.pretrained import transfer
from a2d_tf.runs import (
    checkpoints,
    chosen_threshold,
    compatibility,
    held_out_file,
    packed,
    run_folder,
)
from a2d_tf.runs.held_out_scores import HeldOutScores


@dataclasses.dataclass(frozen=True)
class Run:
    """A loaded network with its settings: of a run, a packed model or a detector.

    Attributes:
      config: the settings, with those given to `load` and the resolved score_threshold.
      network: with its weights.
      records: {name in `manifest.INPUT_SETTINGS`: its value in the training records}.
      checkpoint: path of the weights.
      trained_on: names of the videos of its training split.
      motion: the motion maps of its records; None without any.
      labels_only: whether its detector is not trained: it labels given tracks alone.
      bout_seconds: of its records, as of `Manifest`.
      held_out: how good its labels were in videos held out; None if unknown.
    """

    config: Config
    network: Network
    records: dict[str, Any]
    checkpoint: str
    trained_on: frozenset[str] = frozenset()
    motion: MotionFacts | None = None
    labels_only: bool = False
    bout_seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    held_out: HeldOutScores | None = None

    def check_records(self, manifest: Manifest) -> None:
        """Raise InputError unless the network learned from records of this kind.

        These may have more labels.
        """
        compatibility.check_made_alike(self.records, manifest)
        model = self.config.model
        if model.action_backbone or model.flow_histograms:
            manifest.check_motion(model.action_backbone, model.flow_histograms)
        if model.action_backbone and self.motion is not None:
            compatibility.check_motion_weights(
                manifest,
                self.motion.sha256,
                self.checkpoint,
                remedy="rebuild the records with those of the run",
            )
        compatibility.check_known(
            manifest.directory,
            manifest.label_space,
            self.network.labels,
            remedy=(
                "build records with the network's labels, a2d records"
                " --labels=RUN/labels.json"
            ),
        )


def facts_without_records(image_height: int, image_width: int) -> dict[str, Any]:
    """Return `Run.records` of a network of single frames that no records taught.

    Args:
      image_height, image_width: the most that its frames have, pixels.
    """
    return {
        "flow_method": "dis",
        "image_height": image_height,
        "image_width": image_width,
        "clip_stride": 1,
    }


def load(
    workdir: str, settings: dict[str, Any] | None = None, kind: str = "last"
) -> Run:
    """Load the network of a run folder or of a packed model.

    Args:
      workdir: the folder.
      settings: {setting of inference or computing: value}, over the run's own.
      kind: of run_folder.CHECKPOINTS; "best" has the threshold of its own validation.

    Raises:
      InputError: no run folder, a damaged one, or a setting out of range.
    """
    config = run_folder.read_loadable_config(workdir)
    config = config.with_settings(**(settings or {})).checked()
    labels = run_folder.read_labels(workdir)
    weights = _find_weights(workdir, kind)
    if config.inference.score_threshold < 0:
        threshold = weights.score_threshold
        if threshold is None:
            threshold = chosen_threshold.read(workdir)
        config = config.with_settings(score_threshold=threshold)
    network = Network(config.model, labels, config.compute)
    if packed.is_packed(workdir):
        _assign_packed(network, os.path.join(workdir, packed.WEIGHTS))
    else:
        checkpoints.load(weights.path, {"network": network})
    facts = run_folder.record_facts(workdir)
    motion = None
    if "motion" in facts:
        motion = MotionFacts.from_fields(facts["motion"])
    return Run(
        config=config,
        network=network,
        records={
            "flow_method": facts["flow_method"],
            "image_height": facts["image_height"],
            "image_width": facts["image_width"],
            "clip_stride": facts["clip_stride"],
        },
        checkpoint=weights.path,
        trained_on=frozenset(facts["videos"]),
        motion=motion,
        bout_seconds=facts.get("bout_seconds", {}),
        held_out=held_out_file.read(workdir) if kind == "last" else None,
    )


def _assign_packed(network: Network, path: str) -> None:
    """Assign the weights of a packed model to a network."""
    try:
        stored = files.read_npz(path)
        for name, variable in transfer.variables(network).items():
            variable.assign(stored[name].astype(np.float32))
    except files.UNREADABLE as error:
        raise InputError(
            f"{path}: corrupt, or not for this flags.txt ({error}); pack the run again"
        ) from error


class _FoundWeights(NamedTuple):
    """Weights to be loaded.

    Attributes:
      path: of a checkpoint, or of the folder of a packed model.
      score_threshold: that of their own validation; None for the run's.
    """

    path: str
    score_threshold: float | None = None


def _find_weights(workdir: str, kind: str) -> _FoundWeights:
    """Find the weights of a run or of a packed model; errors as of `load`."""
    if kind == "best":
        return _read_best(workdir)
    if packed.is_packed(workdir):
        return _FoundWeights(workdir)
    return _FoundWeights(checkpoints.find(workdir))


def _read_best(workdir: str) -> _FoundWeights:
    """Find the checkpoint of a run's best validation, and its threshold.

    Raises:
      InputError: there was none, or the run was killed while its weights were written.
    """
    folder = run_folder.checkpoint_folder(workdir, "best")
    path = os.path.join(folder, run_folder.BEST)
    remedy = "use --checkpoint=last"
    best = checked_json.load_json(
        path, {**chosen_threshold.KIND, "step": int}, f"validate first, or {remedy}"
    )
    newest = checkpoints.newest(folder)
    if newest != os.path.join(folder, f"ckpt-{best['step']}"):
        raise InputError(
            f"{path}: for step {best['step']}, but the checkpoint is {newest}: the run"
            f" was killed; run its command again, or {remedy}"
        )
    return _FoundWeights(newest, best["score_threshold"])
