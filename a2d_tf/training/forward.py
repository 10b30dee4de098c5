"""The forward pass of training: features, proposals, RoIs, terms of each head (3.3).

Loss terms and health figures are pairs (sum, count), so that replicas can add them up
before they divide.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from a2d_tf.core.config import TrainingConfig
from a2d_tf.model import targets
from a2d_tf.model.network import Network
from a2d_tf.model.structures import BatchTruth, Options, Rows, Term, Terms
from a2d_tf.ops import boxes as box_ops
from a2d_tf.training import replicas
from a2d_tf.training.phases import trains


def forward(
    network: Network,
    batch: Mapping[str, tf.Tensor],
    seed: tf.Tensor,
    settings: TrainingConfig,
) -> tuple[Terms, dict[str, Term]]:
    """Compute the loss terms of a batch.

    Args:
      batch: an element of `pipeline.training`.
      seed: int [2], of the sampling of anchors and RoIs.
      settings: its `train_phase` decides which terms there are.

    Returns:
      (terms, health): health maps `proposal_recall` (of instances, at IoU 0.5) and
      `positives` (positive RoIs per frame) to its `Term`, and is empty in phase
      'refiner'.
    """
    truth = BatchTruth.of(batch)
    options = _options(network, settings)
    rng = targets.Rng(seed, batch["row"], settings.batch_size)
    phase = settings.train_phase
    for instance_head in network.instance_heads.values():
        if phase == instance_head.phase:
            image = network.key_image(batch["rgb"])
            number = options.most_positives
            return instance_head.terms_alone(image, truth, number, rng), {}

    roi_rng, anchor_rng = rng.split(2)
    features = network.clip_features(batch, training=True)
    with tf.name_scope("proposals"):
        proposals, valid = network.proposals.decode(
            features,
            truth.size,
            settings.train_proposals_before_nms,
            settings.train_proposals,
        )
    with tf.name_scope("targets"):
        rows = targets.sample_rois(
            proposals,
            valid,
            truth,
            samples=settings.roi_samples,
            positives=options.most_positives,
            add_truth=settings.add_truth_rois,
            rng=roi_rng,
        )
    seen = network.run_roi_heads(features, rows.rois, batch["rgb"], training=True)

    terms: Terms = {}
    if trains(phase, network.proposals.branch):
        _add(terms, network.proposals.terms(features, truth, options, anchor_rng))
    for head in network.heads:
        if trains(phase, head.branch):
            _add(terms, head.terms(seen, rows, truth, options))
    return terms, _health(truth, proposals, rows)


def _options(network: Network, settings: TrainingConfig) -> Options:
    """Return the settings that sampling and losses read."""
    zero_shot_actor = -1
    if settings.zero_shot_actor:
        zero_shot_actor = network.labels.actor_index(settings.zero_shot_actor)
    return Options(
        rpn_samples=settings.rpn_samples,
        rpn_beta=settings.rpn_beta,
        rpn_box_normaliser=settings.rpn_box_normaliser,
        box_normaliser=settings.box_normaliser,
        most_positives=targets.most_positives(
            settings.roi_samples, settings.positive_fraction
        ),
        zero_shot_actor=zero_shot_actor,
    )


def _add(terms: Terms, head_terms: Terms) -> None:
    """Add the terms of a head to those of the heads before it."""
    for name, parts in head_terms.items():
        terms.setdefault(name, []).extend(parts)


def _health(truth: BatchTruth, proposals: tf.Tensor, rows: Rows) -> dict[str, Term]:
    """Return figures that tell whether proposals and sampling work, see `forward`."""
    best_ious = tf.reduce_max(box_ops.iou(truth.boxes, proposals), axis=2)
    present = tf.cast(truth.present, tf.float32)
    recalled = tf.cast(best_ious >= 0.5, tf.float32) * present
    frames = tf.reduce_sum(tf.cast(truth.annotated, tf.float32))
    positives = tf.reduce_sum(tf.cast(rows.positive, tf.float32))
    return {
        "proposal_recall": Term(tf.reduce_sum(recalled), tf.reduce_sum(present)),
        "positives": Term(positives, frames),
    }


def weighted(terms: Terms, settings: TrainingConfig) -> dict[str, tf.Tensor]:
    """Return each term times its lambda, and their sum as `total` (paper, Eq. 1)."""
    values = {}
    for name, parts in terms.items():
        quotients = [tf.math.divide_no_nan(total, count) for total, count in parts]
        values[name] = getattr(settings, f"lambda_{name}") * tf.add_n(quotients)
    values["total"] = tf.add_n(list(values.values()))
    return values


def scalars(
    terms: Terms, health: dict[str, Term], settings: TrainingConfig
) -> dict[str, tf.Tensor]:
    """Return what a step reports: weighted terms, their total, and health figures.

    In a replica the counts are those of all replicas and the sums its own, so that the
    results, added up over the replicas, are those of the whole batch.

    Args:
      terms, health: of `forward`.
    """
    own_counts = {}
    for name, parts in terms.items():
        own_counts[name] = [count for _, count in parts]
    own_health_counts = {name: count for name, (_, count) in health.items()}
    counts, health_counts = replicas.total((own_counts, own_health_counts))
    over_all: Terms = {}
    for name, parts in terms.items():
        over_all[name] = []
        for (total, _), count in zip(parts, counts[name]):
            over_all[name].append(Term(total, count))
    values = weighted(over_all, settings)
    for name, (total, _) in health.items():
        values[name] = tf.math.divide_no_nan(total, health_counts[name])
    return values
