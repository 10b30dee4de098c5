"""The forward pass of training: features, proposals, sampled RoIs, heads, loss terms (paper, 3.3).

Loss terms and health figures are pairs (sum, count), so that replicas can add them up before they
divide.
"""

from __future__ import annotations

import functools
from typing import Callable

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import LearningConfig
from a2d_tf.model import fpn, scoring
from a2d_tf.model.execution import cluster
from a2d_tf.model.network import Network
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops import masks as mask_ops
from a2d_tf.training import losses, refinement, replicas, targets

VALIDATION_SEED = (0, 0)


def forward(
    network: Network,
    batch: dict,
    seed: tf.Tensor,
    learning: LearningConfig,
    *,
    training: bool,
    features: dict | None = None,
) -> tuple[dict, dict]:
    """Compute the loss terms of a batch.

    Args:
      network: a Network; batch: an element of `pipeline.training`.
      seed: int [2], of the sampling of anchors and RoIs.
      learning: a LearningConfig; its `train_phase` decides which terms there are.
      training: whether batch normalisation uses the statistics of the batch.
      features: `network.features` of the batch, if already computed.

    Returns:
      (terms, health): terms maps names of losses.TERMS to lists of (sum, count), whose quotients
      add up to the term; health maps `proposal_recall` (of instances, at IoU 0.5) and `positives`
      (positive RoIs per frame) to (sum, count), and is empty in phase 'refiner'.
    """
    if learning.train_phase == "refiner":
        return refinement.forward(network, batch, seed, learning, training=training)
    jit = training and learning.jit
    roi_rng, anchor_rng = targets.Rng(seed, batch["row"], learning.batch_size).split(2)
    if features is None:
        inputs = {name: batch[name] for name in network.features.input_names}
        features = network.features(inputs, training=training)
    with tf.name_scope("proposals"):
        proposals, valid = fpn.propose(
            features["rpn_logits"],
            features["rpn_deltas"],
            network.anchors,
            batch["size"],
            coder=network.rpn_coder,
            before_nms=learning.before_nms,
            after_nms=learning.train_proposals,
        )
    with tf.name_scope("targets"):
        rois = targets.sample_rois(proposals, valid, batch, learning, rng=roi_rng, jit=jit)
        labels = cluster(lambda: _roi_labels(network, batch, rois), jit)
    pyramids = {name: features[name] for name in ("actor", "action")}
    outputs = network.roi_heads({**pyramids, "rois": rois["rois"]}, training=training)
    terms = {}
    # The gradient of a choice is a sum that XLA makes deterministic by a loop over its rows.
    together = functools.partial(cluster, jit=jit and not learning.deterministic)
    if learning.train_phase != "action":
        with tf.name_scope("targets"):
            anchors = targets.anchor_targets(
                network.anchors, batch, learning, coder=network.rpn_coder, rng=anchor_rng, jit=jit
            )
        objects, proposed = together(lambda: _rpn_terms(network, features, anchors, learning))
        boxes, actors = together(lambda: _actor_terms(outputs, labels, rois, learning))
        terms = {"roi_cls": [objects], "box_reg": [proposed, boxes], "actor_cls": [actors]}
        if network.mask_head is not None:
            masks = _masks(network, batch, features, {**rois, **labels}, learning, training)
            terms["mask"] = [together(lambda: losses.mask(*masks))]
    if learning.train_phase != "actor" and "action_logits" in outputs:
        logits = outputs["action_logits"]
        action = together(lambda: _action_term(network, logits, labels, rois, learning=learning))
        terms["action_cls"] = [action]
    return terms, cluster(lambda: _health(batch, proposals, rois), jit)


def _roi_labels(network, batch, rois):
    """Return `targets.roi_targets` of the sampled RoIs."""
    space = network.labels
    lookup = np.zeros(space.valid.shape, np.int32)
    lookup[space.valid] = scoring.class_of_pair(space, network.model_config.label_mode)
    # Padding is -1; no loss reads its class, but it must be an index of the lookup.
    pairs = tf.maximum(tf.stack([batch["actors"], batch["actions"]], axis=-1), 0)
    return targets.roi_targets(
        rois,
        batch,
        tf.gather_nd(lookup, pairs),
        num_classes=network.num_classes,
        coder=network.head_coder,
    )


def _rpn_terms(network, features, anchors, learning):
    """Return objectness, and of `box_reg` the part of the proposals."""
    beta, deltas = learning.rpn_beta or network.rpn_beta, features["rpn_deltas"]
    return (
        losses.objectness(features["rpn_logits"], anchors),
        losses.proposal_boxes(deltas, anchors, beta, learning.box_normaliser),
    )


def _actor_terms(outputs, labels, rois, learning):
    """Return of `box_reg` the part of the actors, and the actors' classes."""
    return (
        losses.actor_boxes(outputs["deltas"], labels, rois, learning.box_normaliser),
        losses.actor_class(outputs["class_logits"], labels, rois),
    )


def _masks(network, batch, features, rows, learning, training):
    """Return the arguments of `losses.mask` for the rows that can be positive.

    Their number is static, so that there is one trace and never an empty batch, and small, because
    mask rows are expensive.
    """
    most = targets.most_positives(learning)
    names = "rois", "match", "class_index", "positive"
    rows = {name: rows[name][:, :most] for name in names}
    inputs = {"actor": features["actor"], "rois": rows["rois"]}
    logits = network.mask_head(inputs, training=training)
    with tf.name_scope("targets"):
        truth = mask_ops.crop_targets(batch["masks"], rows["rois"], rows["match"], logits.shape[2])
    return logits, truth, rows["class_index"], rows["positive"]


def _action_term(network, logits, labels, rois, *, learning):
    """Return the action term, without the labels of a held-out actor (paper, 4.4)."""
    held_out = -1
    if learning.zero_shot_actor:
        held_out = network.labels.actor_index(learning.zero_shot_actor)
    return losses.action_class(
        logits,
        labels,
        rois,
        len(network.labels.actions),
        background=network.model_config.has_action_background,
        held_out=held_out,
    )


def _health(batch, proposals, rois):
    overlaps = tf.reduce_max(box_ops.iou(batch["boxes"], proposals), axis=2)
    present = tf.cast(batch["present"], tf.float32)
    recalled = tf.cast(overlaps >= 0.5, tf.float32) * present
    frames = tf.reduce_sum(tf.cast(batch["annotated"], tf.float32))
    positives = tf.reduce_sum(tf.cast(rois["positive"], tf.float32))
    return {
        "proposal_recall": (tf.reduce_sum(recalled), tf.reduce_sum(present)),
        "positives": (positives, frames),
    }


def weighted(terms: dict, learning: LearningConfig) -> dict[str, tf.Tensor]:
    """Return each term times its lambda, and their sum as `total` (paper, Eq. 1)."""
    values = {
        name: getattr(learning, f"lambda_{name}")
        * tf.add_n([tf.math.divide_no_nan(total, count) for total, count in parts])
        for name, parts in terms.items()
    }
    return dict(values, total=tf.add_n(list(values.values())))


def scalars(terms: dict, health: dict, learning: LearningConfig) -> dict[str, tf.Tensor]:
    """Return the weighted terms, their total and the health figures of `forward`'s pairs.

    In a replica the counts are those of all replicas and the sums its own, so that the results,
    added up over the replicas, are those of the whole batch.
    """
    pairs = {"terms": terms, "health": health}
    flat = tf.nest.flatten(pairs)
    flat[1::2] = replicas.total(flat[1::2])
    pairs = tf.nest.pack_sequence_as(pairs, flat)
    ratios = {name: tf.math.divide_no_nan(*pair) for name, pair in pairs["health"].items()}
    return {**weighted(pairs["terms"], learning), **ratios}


def make_measure(
    network: Network, learning: LearningConfig
) -> Callable[[dict, dict], dict[str, tf.Tensor]]:
    """Return (batch, its `network.features`) -> {name: scalar}, the losses of validation."""

    def measure(batch, features):
        seed = tf.constant(VALIDATION_SEED, tf.int64)
        with tf.name_scope("losses"):
            pairs = forward(network, batch, seed, learning, training=False, features=features)
            return scalars(*pairs, learning)

    return measure
