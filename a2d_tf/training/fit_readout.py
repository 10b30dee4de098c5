"""Fit the network's readout to the instances of the training videos.

A readout is a linear layer that labels actors and actions by features of public
weights. It is fitted in closed form before the training, which leaves it as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.settings.config import Config
from a2d_tf.data import clip_records
from a2d_tf.data.batches import pipeline
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.model.readout.label_fit import LEAST_SKILL, ReadoutInstances, Skills
from a2d_tf.training import pooled_features

_INSTANCES = 1000  # about the most that are read, evenly over the videos
# Boxes beside the true one of each instance, since boxes of the network are not exact.
_MOVED_BOXES = 3
_SHIFT = 0.15  # of a box's sides, most that a side moves
_BATCH_SIZE = 4
_FIELDS = ("rgb", "size", "boxes", "actors", "actions", "present", "video")

_UNFITTED = Skills(0.0, 0.0)

logger = logging.getLogger(__name__)


def fit_readout(network: Network, manifest: Manifest, config: Config) -> Skills:
    """Fit the network's readout, if it has one, to the instances of training videos.

    About 1000 instances are read, evenly over the videos, each with its true box and
    some moved ones. Videos held out for validation or test are not read. The actions of
    the actor that `zero_shot_actor` names are not learned from (paper, 4.4). The result
    depends on weights and records alone.

    Args:
      network: the network with its initial weights; its readout is assigned.
      manifest: the manifest of the training records.
      config: the settings of the run.

    Returns:
      how well the readout labels training videos that were left out of its fit, from 0
      for chance to 1 for all right; 0 for both labels if nothing is fitted.

    Raises:
      InputError: the records are damaged.
    """
    if network.readout is None:
        return _UNFITTED
    instances = _read_training_videos(network, manifest, config)
    if instances is None:
        return _UNFITTED  # training will say that no clip is left
    zero_shot_actor = config.training.zero_shot_actor
    if zero_shot_actor:
        index = manifest.label_space.actor_index(zero_shot_actor)
        learned = np.where(instances.actors == index, -1, instances.actions)
        instances = instances._replace(actions=learned)
    skills = network.readout.fit(instances)
    logger.info("readout: %s", describe_skills(skills))
    if skills.summary:
        logger.info("readout: %s", skills.summary)
    return skills


def describe_skills(skills: Skills) -> str:
    """Say in words how well a readout labels videos left out of its fit.

    Args:
      skills: the result of `fit_readout`.

    Returns:
      clauses joined by semicolons, for a log or a report.
    """
    known = []
    unknown = []
    for name, skill in (("actors", skills.actor), ("actions", skills.action)):
        if skill is None:
            unknown.append(name)
        else:
            known.append(f"{name} {skill:.2f}")
    clauses = []
    if known:
        clauses.append(
            "how well it labels training videos that it has not seen, from 0 for chance"
            f" to 1 for all right: {', '.join(known)}; what is below"
            f" {LEAST_SKILL:.2f} is left to the network's heads"
        )
    if unknown:
        clauses.append(
            "there are too few training videos to leave some out and say how well it"
            f" labels {' and '.join(unknown)} in them"
        )
    return "; ".join(clauses)


def _read_training_videos(
    network: Network, manifest: Manifest, config: Config
) -> ReadoutInstances | None:
    """Return instances of the training videos with their features.

    The result is None if no clip is left to train on.
    """
    counts = manifest.counts["train"]
    most = max(counts["records"], counts["instances"])
    every = -(-most // _INSTANCES)  # of so many clips one is read
    fields = {*_FIELDS, *network.clip_fields}
    clips = pipeline.evaluation(
        manifest, "train", config, _BATCH_SIZE, fields=fields, every=every
    )
    rng = np.random.default_rng(0)
    pool = pooled_features.make_pooling(network)
    parts = []
    with clip_records.reporting_damage(manifest.directory):
        batches = -(-counts["records"] // (every * _BATCH_SIZE))
        for batch in progress_bar(clips, "features", batches, unit="batch"):
            parts.append(_read_instances(batch, pool, rng))
    if not parts:
        return None
    return tf.nest.map_structure(lambda *rows: np.concatenate(rows), *parts)


def _read_instances(
    batch: Mapping[str, tf.Tensor],
    pool: Callable[..., dict[str, tf.Tensor]],
    rng: np.random.Generator,
) -> ReadoutInstances:
    """Return the instances of a batch of clips: their true boxes, then moved ones.

    Args:
      batch: a batch of clips.
      pool: the function that `make_pooling` returns.
      rng: draws the shifts of moved boxes.
    """
    boxes = batch["boxes"].numpy()
    present = batch["present"].numpy()
    sides = np.tile(boxes[..., 2:] - boxes[..., :2], 2)
    copies = 1 + _MOVED_BOXES
    moves = rng.uniform(-_SHIFT, _SHIFT, (copies, *boxes.shape)) * sides
    moves[0] = 0.0
    moved = np.float32(np.concatenate(list(boxes + moves), axis=1))
    videos = np.broadcast_to(batch["video"].numpy()[:, None], present.shape)
    counted = np.tile(present, copies)
    exact = np.zeros(counted.shape, bool)
    exact[:, : present.shape[1]] = True
    groups = pool(batch, tf.constant(moved))
    return ReadoutInstances(
        features={name: x.numpy()[counted] for name, x in groups.items()},
        actors=np.tile(batch["actors"].numpy(), copies)[counted],
        actions=np.tile(batch["actions"].numpy(), copies)[counted],
        videos=np.tile(videos, copies)[counted],
        exact=exact[counted],
    )
