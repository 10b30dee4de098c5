"""The forward pass of training: features, proposals, sampled RoIs, heads, loss terms (paper, 3.3).

Loss terms and health figures are pairs (sum, count), so that replicas can add them up before they
divide. The refiner (4.3, w/o Mask + SM) is trained without the detector, on instances inside
jittered boxes; the jitter stands for the error of the detector's boxes.
"""

from __future__ import annotations

from typing import Callable

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import TrainingConfig
from a2d_tf.model import fpn, refiner
from a2d_tf.model.network import Network
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops import masks as mask_ops
from a2d_tf.training import losses, replicas, targets

# As in SharpMask's training: shifts up to 16 of the object's 128 pixels, scales within 2^(1/4).
_SHIFT = 16 / 128
_LOG2_SCALE = 0.25


def forward(
    network: Network,
    batch: dict,
    seed: tf.Tensor,
    settings: TrainingConfig,
    *,
    training: bool,
    features: dict | None = None,
) -> tuple[dict, dict]:
    """Compute the loss terms of a batch.

    Args:
      batch: an element of `pipeline.training`.
      seed: int [2], of the sampling of anchors and RoIs.
      training: its `train_phase` decides which terms there are.
      training: whether batch normalisation uses the statistics of the batch.
      features: `network.features` of the batch, if already computed.

    Returns:
      (terms, health): terms maps names of losses.TERMS to lists of (sum, count), whose quotients
      add up to the term; health maps `proposal_recall` (of instances, at IoU 0.5) and `positives`
      (positive RoIs per frame) to (sum, count), and is empty in phase 'refiner'.
    """
    if settings.train_phase == "refiner":
        return _refine(network, batch, seed, settings, training), {}
    roi_rng, anchor_rng = targets.Rng(seed, batch["row"], settings.batch_size).split(2)
    if features is None:
        inputs = {name: batch[name] for name in network.features.input_names}
        features = network.features(inputs, training=training)
    with tf.name_scope("proposals"):
        predicted = features["rpn_logits"], features["rpn_deltas"]
        proposals, valid = fpn.propose(
            *predicted,
            network.anchors,
            batch["size"],
            network.rpn_coder,
            before_nms=settings.train_proposals_before_nms,
            after_nms=settings.train_proposals,
        )
    with tf.name_scope("targets"):
        rois = targets.sample_rois(proposals, valid, batch, settings, rng=roi_rng)
        labels = _roi_labels(network, batch, rois)
    pyramids = {name: features[name] for name in ("actor", "action")}
    outputs = network.roi_heads({**pyramids, "rois": rois["rois"]}, training=training)
    terms = {}
    if settings.train_phase != "action":
        with tf.name_scope("targets"):
            anchors = targets.anchor_targets(
                network.anchors, batch, settings, coder=network.rpn_coder, rng=anchor_rng
            )
        found = {**features, **outputs}
        terms = _detection_terms(network, found, anchors, labels, rois, settings)
        if network.mask_head is not None:
            rows = {**rois, **labels}
            terms["mask"] = [_mask_term(network, batch, features, rows, settings, training)]
    if settings.train_phase != "actor" and "action_logits" in outputs:
        logits = outputs["action_logits"]
        terms["action_cls"] = [_action_term(network, logits, labels, rois, settings)]
    return terms, _health(batch, proposals, rois)


def _roi_labels(network, batch, rois):
    """Return `targets.roi_targets` of the sampled RoIs."""
    space = network.labels
    lookup = np.zeros(space.valid.shape, np.int64)
    cartesian = network.model_config.label_mode == "cartesian"
    lookup[space.valid] = np.arange(len(space.codes)) if cartesian else space.pairs[:, 0]
    # Padding is -1; no loss reads its class, but it must be an index of the lookup.
    pairs = tf.maximum(tf.stack([batch["actors"], batch["actions"]], axis=-1), 0)
    return targets.roi_targets(
        rois,
        batch,
        tf.gather_nd(lookup, pairs),
        num_classes=network.num_classes,
        coder=network.head_coder,
    )


def _detection_terms(network, found, anchors, labels, rois, settings):
    """Return the terms of the proposals' and the actors' boxes and classes."""
    rpn = settings.rpn_beta or network.rpn_beta, settings.rpn_box_normaliser
    return {
        "objectness": [losses.objectness(found["rpn_logits"], anchors)],
        "box_reg": [
            losses.proposal_boxes(found["rpn_deltas"], anchors, *rpn),
            losses.actor_boxes(found["deltas"], labels, rois, settings.box_normaliser),
        ],
        "actor_cls": [losses.actor_class(found["class_logits"], labels, rois)],
    }


def _mask_term(network, batch, features, rows, settings, training):
    """Return the mask term of the rows that can be positive.

    Their number is static, so that there is one trace and never an empty batch, and small, because
    mask rows are expensive.
    """
    most = targets.most_positives(settings)
    names = "rois", "match", "class_index", "positive"
    rows = {name: rows[name][:, :most] for name in names}
    inputs = network.mask_inputs(batch["rgb"], features, rows["rois"])
    logits = network.mask_head(inputs, training=training)
    with tf.name_scope("targets"):
        truth = mask_ops.crop_targets(batch["masks"], rows["rois"], rows["match"], logits.shape[2])
    has_mask = tf.gather(batch["has_mask"], rows["match"], batch_dims=1)
    return losses.mask(logits, truth, rows["class_index"], rows["positive"] & has_mask)


def _action_term(network, logits, labels, rois, settings):
    """Return the action term, without the labels of a held-out actor (paper, 4.4)."""
    held_out = -1
    if settings.zero_shot_actor:
        held_out = network.labels.actor_index(settings.zero_shot_actor)
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


def _refine(network, batch, seed, settings, training):
    """Return the mask term of the refiner.

    A frame has as many rows as the mask head in training, each an instance drawn with replacement.
    """
    match_rng, jitter_rng = targets.Rng(seed, batch["row"], settings.batch_size).split(2)
    count = tf.reduce_sum(tf.cast(batch["present"], tf.int64), axis=1, keepdims=True)
    rows = targets.most_positives(settings)
    # The instances that are present come first.
    match = tf.cast(match_rng.uniform([rows]) * tf.cast(count, tf.float32), tf.int64)
    boxes = jitter(tf.gather(batch["boxes"], match, batch_dims=1), jitter_rng)
    rgb = batch["rgb"][:, batch["rgb"].shape[1] // 2]
    logits = network.refiner({"rgb": rgb, "rois": boxes}, training=training)
    truth = mask_ops.crop_targets(batch["masks"], refiner.windows(boxes), match, logits.shape[2])
    valid = batch["annotated"][:, None] & (count > 0)
    valid &= tf.gather(batch["has_mask"], match, batch_dims=1)
    return {"mask": [losses.mask(logits[..., None], truth, tf.zeros_like(match), valid)]}


def jitter(boxes: tf.Tensor, rng: targets.Rng) -> tf.Tensor:
    """Shift boxes [B, R, 4] by up to 1/8 of their sides and scale them by up to 2^(1/4), per axis.

    Boxes are (y1, x1, y2, x2).
    """
    size = boxes[..., 2:] - boxes[..., :2]
    draw = rng.uniform([*size.shape[1:], 2], -1.0, 1.0)
    centre = boxes[..., :2] + size * (0.5 + _SHIFT * draw[..., 0])
    half = 0.5 * size * tf.pow(2.0, _LOG2_SCALE * draw[..., 1])
    return tf.concat([centre - half, centre + half], axis=-1)


def weighted(terms: dict, settings: TrainingConfig) -> dict[str, tf.Tensor]:
    """Return each term times its lambda, and their sum as `total` (paper, Eq. 1)."""
    values = {
        name: getattr(settings, f"lambda_{name}")
        * tf.add_n([tf.math.divide_no_nan(total, count) for total, count in parts])
        for name, parts in terms.items()
    }
    return dict(values, total=tf.add_n(list(values.values())))


def scalars(terms: dict, health: dict, settings: TrainingConfig) -> dict[str, tf.Tensor]:
    """Return the weighted terms, their total and the health figures of `forward`'s pairs.

    In a replica the counts are those of all replicas and the sums its own, so that the results,
    added up over the replicas, are those of the whole batch.
    """
    pairs = {"terms": terms, "health": health}
    flat = tf.nest.flatten(pairs)
    flat[1::2] = replicas.total(flat[1::2])
    pairs = tf.nest.pack_sequence_as(pairs, flat)
    ratios = {name: tf.math.divide_no_nan(*pair) for name, pair in pairs["health"].items()}
    return {**weighted(pairs["terms"], settings), **ratios}


def make_measure(
    network: Network, settings: TrainingConfig
) -> Callable[[dict, dict], dict[str, tf.Tensor]]:
    """Return (batch, its `network.features`) -> {name: scalar}, the losses of validation."""

    def measure(batch: dict, features: dict) -> dict[str, tf.Tensor]:
        seed = tf.zeros([2], tf.int64)  # the same at every validation
        with tf.name_scope("losses"):
            pairs = forward(network, batch, seed, settings, training=False, features=features)
            return scalars(*pairs, settings)

    return measure
