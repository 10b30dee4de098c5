"""Load the network of a run folder or of a packed model, with its settings."""

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
      config: the settings, with those that were given to `load`; `score_threshold` is
        the threshold in use, never negative.
      network: the network with its weights.
      records: {name in `manifest.INPUT_SETTINGS`, such as "clip_stride": its value in
        the records that the network learned from}.
      checkpoint: the path of the weights.
      trained_on: the names of the videos that it was trained on.
      motion: the facts of the motion maps in its records (features of the motion around
        key frames); None without motion maps.
      labels_only: whether the network finds no objects, because its detector is not
        trained, but labels given tracks.
      bout_seconds: {action: mean length in seconds of its coded bouts in the training
        videos}; empty without coded bouts.
      held_out: how good its labels were in held-out videos; None if unknown.
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
        """Check that records are of the kind that the network learned from.

        They may have more labels than the network.

        Args:
          manifest: the manifest of the records.

        Raises:
          InputError: they were made with other settings, lack a label of the network,
            or have no motion maps, or others, while the network reads these.
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
    """Return the `Run.records` of a network that learned from no records.

    The network reads single frames, so that flow method and clip stride do not matter.

    Args:
      image_height: the largest height of its frames in pixels.
      image_width: the largest width of its frames in pixels.
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
      workdir: the run folder or packed model.
      settings: {name of a setting of inference or computing: value}, in place of the
        run's own. A negative score_threshold, which is the default, means the one that
        a validation chose.
      kind: which checkpoint to load: "last", or "best" for that of the best validation,
        with this validation's threshold.

    Raises:
      InputError: the folder is no run folder, or is damaged; or a setting is out of
        range.
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
    """The weights to load.

    Attributes:
      path: the path of a checkpoint, or of the folder of a packed model.
      score_threshold: the threshold of the validation of these weights; None to use the
        run's.
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
