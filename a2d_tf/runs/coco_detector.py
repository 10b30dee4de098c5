"""Load a public detector of COCO's classes in the form of a run, without a training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from a2d_tf.annotations.documents.conventions import UNDEFINED
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.settings.config import Config, InferenceConfig, ModelConfig
from a2d_tf.model.label_modes import DetectorLabels
from a2d_tf.model.network import Network
from a2d_tf.pretrained import cache, coco, transfer
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.runs import chosen_threshold
from a2d_tf.runs.loading import Run, facts_without_records

logger = logging.getLogger(__name__)


def load(
    path: str, settings: dict[str, Any] | None = None, actors: Sequence[str] = ()
) -> Run:
    """Load a network with the public weights of a detector of COCO's classes.

    It finds objects of these classes, and knows no actions: every instance has the
    action `UNDEFINED`.

    Args:
      path: a file of imported weights of a detector, or a name of public weights such
        as "coco".
      settings: {name of a setting of inference or computing: value}, in place of the
        defaults.
      actors: the classes to find, each as CLASS or NAME=CLASS, by which it gets another
        name; several may have one name. If empty, all classes by their own names.

    Raises:
      InputError: there is no such file, or its weights are not a detector's; or an
        actor is none of the detector's classes.
    """
    path = cache.resolve(path)
    weights = Weights.read(path)
    if not weights.classes:
        raise InputError(
            f"{path}: {weights.source} weights are for a backbone only and cannot "
            "detect actors; use detector weights"
        )
    actor_of_class = coco.actors_of_classes(actors, weights.classes)
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
    config = config.with_settings(**(settings or {})).checked()
    label_mode = DetectorLabels(labels, actor_indices)
    network = Network(model, labels, config.compute, label_mode)
    logger.info(transfer.load(network, weights).summary())
    records = facts_without_records(model.image_height, model.image_width)
    return Run(config, network, records, path)
