"""Load a network and its settings.

They are those of a run folder, of a packed model, or of COCO's weights alone.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from a2d_tf.annotations.conventions import UNDEFINED
from a2d_tf.core import checked_json, files
from a2d_tf.core.config import Config, InferenceConfig, ModelConfig
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import LabelSpace, is_name
from a2d_tf.data.manifest import FACTS, Manifest, MotionFacts
from a2d_tf.model.label_modes import Detected
from a2d_tf.model.network import Network
from a2d_tf.pretrained import cache, transfer
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.runs import (
    checkpoint_files,
    checkpoints,
    chosen_threshold,
    packed,
    run_folder,
)

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Run:
    """A loaded run folder.

    Attributes:
      config: its settings, with those given to `load` and the resolved score_threshold.
      network: with the weights of the checkpoint.
      records: {'flow_method', 'image_height', 'image_width', 'clip_stride'} of its
        records.
      checkpoint: path of its weights.
      trained_on: names of the videos of its training split.
      motion: the motion maps of its records; None without any.
    """

    config: Config
    network: Network
    records: dict[str, Any]
    checkpoint: str
    trained_on: frozenset[str] = frozenset()
    motion: MotionFacts | None = None

    def check_records(self, manifest: Manifest) -> None:
        """Raise InputError unless the network learned from records of this kind."""
        run_folder.check_made_alike(self.records, manifest)
        self._check_motion(manifest)
        run_folder.compare(
            manifest.directory,
            dataclasses.asdict(self.network.labels),
            dataclasses.asdict(manifest.label_space),
            remedy=(
                "build records with the network's labels, a2d records"
                " --labels=RUN/labels.json"
            ),
        )

    def _check_motion(self, manifest):
        """Raise InputError unless records have the motion maps that the network reads.

        Those of an action backbone must be by the weights that the network has.
        """
        model = self.config.model
        if not (model.action_backbone or model.flow_histograms):
            return
        manifest.check_motion(model.action_backbone, model.flow_histograms)
        if model.action_backbone and self.motion is not None:
            run_folder.compare(
                manifest.directory,
                {"sha256": self.motion.sha256},
                {"sha256": manifest.motion.sha256},
                remedy=(
                    f"its motion maps are by other weights of {model.action_backbone};"
                    " rebuild the records with those of the run"
                ),
            )


def load(
    workdir: str, settings: dict[str, Any] | None = None, kind: str = "last"
) -> Run:
    """Load the network of a run folder or of a packed model.

    Args:
      workdir: the folder.
      settings: {setting of inference or computing: value}, over the run's own.
      kind: of checkpoint_files.FOLDERS; "best" has the threshold of its own validation.

    Raises:
      InputError: no run folder, a damaged one, or a setting out of range.
    """
    config = run_folder.settings(workdir).with_inference(**(settings or {})).checked()
    labels = LabelSpace.from_json(os.path.join(workdir, "labels.json"))
    threshold = None
    if kind == "best":
        threshold = _best_threshold(workdir)
    if config.inference.score_threshold < 0:
        if threshold is None:
            threshold = chosen_threshold.read(workdir)
        config = config.with_inference(score_threshold=threshold)
    network = Network(config.model, labels, config.compute)
    if packed.is_packed(workdir):
        _assign_packed(network, os.path.join(workdir, packed.WEIGHTS))
        checkpoint = workdir
    else:
        checkpoint = checkpoints.restore(network, workdir, kind)
    facts = run_folder.record_facts(workdir)
    motion = None
    if "motion" in facts:
        motion = MotionFacts(**facts["motion"])
    return Run(
        config=config,
        network=network,
        records={name: facts[name] for name in FACTS},
        checkpoint=checkpoint,
        trained_on=frozenset(facts["videos"]),
        motion=motion,
    )


def _assign_packed(network, path):
    """Assign the weights of a packed model to a network."""
    try:
        stored = files.read_npz(path)
        for name, variable in transfer.variables(network).items():
            variable.assign(stored[name].astype(np.float32))
    except files.UNREADABLE as error:
        raise InputError(
            f"{path}: corrupt, or not for this flags.txt ({error}); pack the run again"
        ) from error


def _best_threshold(workdir):
    """Read the threshold of a run's best validation.

    Raises:
      InputError: there was none, or the run was killed while its weights were written.
    """
    folder = checkpoint_files.folder(workdir, "best")
    path = os.path.join(folder, checkpoint_files.BEST)
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
    return best["score_threshold"]


def untrained(
    path: str, settings: dict[str, Any] | None = None, actors: Sequence[str] = ()
) -> Run:
    """Load a network with COCO's weights alone.

    It finds COCO's classes, and knows no actions.

    Args:
      path: of a detector's imported weights, or a name of `pretrained`.
      settings: {setting of inference or computing: value}.
      actors: the classes to find, each as CLASS or NAME=CLASS; several may have one
        name. Without any, all classes by their own names.

    Raises:
      InputError: no such file, or not a detector's; or an actor that is none of its
        classes.
    """
    path = cache.resolve(path)
    weights = Weights.read(path)
    if not weights.classes:
        raise InputError(
            f"{path}: {weights.source} weights are for a backbone only and cannot "
            "detect actors; use detector weights"
        )
    actor_of_class = _actors_of_classes(actors, weights.classes)
    names = list(dict.fromkeys(actor_of_class.values()))
    # It has learned no action.
    labels = LabelSpace.from_fields({"actors": names, "actions": [UNDEFINED]})
    actor_indices = {}
    for coco_class in weights.classes:
        actor_indices[coco_class] = -1
        if coco_class in actor_of_class:
            actor_indices[coco_class] = names.index(actor_of_class[coco_class])
    model = ModelConfig(use_flow=False, temporal_layers=0, **weights.model_fields())
    config = Config(model, InferenceConfig(score_threshold=chosen_threshold.DEFAULT))
    config = config.with_inference(**(settings or {})).checked()
    label_mode = Detected(labels, actor_indices)
    network = Network(model, labels, config.compute, label_mode)
    logger.info(transfer.load(network, weights).summary())
    records = {
        "flow_method": "dis",
        "image_height": model.image_height,
        "image_width": model.image_width,
        "clip_stride": 1,
    }
    return Run(config, network, records, path)


def _actors_of_classes(actors, classes):
    """Return {class of COCO: name of its actor} of the `actors` of `untrained`.

    Raises:
      InputError: an actor is of no class, or a class has two names.
    """
    actor_of_class: dict[str, str] = {}
    for actor in actors or classes:
        name, equals, coco_class = actor.rpartition("=")
        if not equals:
            name = coco_class
        if coco_class not in classes or not is_name(name):
            nearest = difflib.get_close_matches(coco_class.lower(), classes, 1, 0)[0]
            raise InputError(
                f"--actors: {quoted(actor)} is not CLASS or NAME=CLASS with a class of"
                f" COCO; did you mean {nearest}?"
            )
        first_name = actor_of_class.setdefault(coco_class, name)
        if first_name != name:
            raise InputError(
                f"--actors: {coco_class} has two names, {first_name} and {name}"
            )
    return actor_of_class
