"""The forward pass of training: features, proposals, RoIs, loss terms (paper, 3.3).

Loss terms and health figures are `Term`s, a sum and its divisor, so that replicas can
add them up before they divide.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from a2d_tf.core.settings.config import TrainingConfig
from a2d_tf.model import targets
from a2d_tf.model.network import Network
from a2d_tf.model.structures import BatchTruth, LossSettings, SampledRois, Term, Terms
from a2d_tf.ops import boxes as box_ops
from a2d_tf.training.step import replicas
from a2d_tf.training.step.phases import trains


def forward(
    network: Network,
    batch: Mapping[str, tf.Tensor],
    seed: tf.Tensor,
    training: TrainingConfig,
) -> tuple[Terms, dict[str, Term]]:
    """Run the network on a batch, and compute the loss terms of its heads.

    The steps are: features of the clips, proposals, RoIs sampled from proposals and
    true boxes, the heads on these RoIs, and the loss terms of each head that
    `train_phase` trains. The terms are not yet weighted by their lambdas, see
    `weighted`.

    Args:
      network: the network.
      batch: a batch of training clips, {field: tensor [B, ...]}, an element of
        `pipeline.training`.
      seed: int [2], the seed with which anchors and RoIs are sampled.
      training: the settings of the training.

    Returns:
      terms: {name of a loss: its `Term`s}, the names as in lambda_NAME (paper, Eq. 1).
      health: {name: `Term`} of figures that tell whether the training works:
        `proposal_recall`, the share of true instances with a proposal of IoU 0.5 or
        more, and `positives`, the number of positive RoIs per frame. It is empty in
        phase 'refiner'.
    """
    truth = BatchTruth.of(batch)
    settings = _loss_settings(network, training)
    rng = targets.Rng(seed, batch["row"], training.batch_size)
    phase = training.train_phase
    for instance_head in network.instance_heads.values():
        if phase == instance_head.phase:
            image = network.key_image(batch["rgb"])
            number = settings.most_positives
            return instance_head.terms_alone(image, truth, number, rng), {}

    roi_rng, anchor_rng = rng.split(2)
    features = network.extract_features(batch, training=True)
    with tf.name_scope("proposals"):
        proposals, valid = network.proposals.decode(
            features,
            truth.size,
            training.train_proposals_before_nms,
            training.train_proposals,
        )
    with tf.name_scope("targets"):
        rois = targets.sample_rois(
            proposals,
            valid,
            truth,
            samples=training.roi_samples,
            positives=settings.most_positives,
            add_truth=training.add_truth_rois,
            rng=roi_rng,
        )
    head_inputs = network.run_roi_heads(
        features, rois.boxes, batch["rgb"], training=True
    )

    terms: Terms = {}
    if trains(phase, network.proposals.branch):
        _add(terms, network.proposals.terms(features, truth, settings, anchor_rng))
    for head in network.heads:
        if trains(phase, head.branch):
            _add(terms, head.terms(head_inputs, rois, truth, settings))
    return terms, _health(truth, proposals, rois)


def weighted(terms: Terms, training: TrainingConfig) -> dict[str, tf.Tensor]:
    """Return each loss term times its lambda, and their sum (paper, Eq. 1).

    Args:
      terms: {name of a loss: its `Term`s}, whose quotients are added.
      training: the settings of the training, which have `lambda_NAME` for each loss.

    Returns:
      {name of a loss: float32 scalar}, and the sum of all as 'total'.
    """
    values = {}
    for name, parts in terms.items():
        quotients = [tf.math.divide_no_nan(x.total, x.divisor) for x in parts]
        values[name] = getattr(training, f"lambda_{name}") * tf.add_n(quotients)
    values["total"] = tf.add_n(list(values.values()))
    return values


def reported_values(
    terms: Terms, health: dict[str, Term], training: TrainingConfig
) -> dict[str, tf.Tensor]:
    """Return a replica's part of the losses and health figures of a step.

    A replica divides its own sums by the divisors of all replicas. So the results add
    up over the replicas to the values of the whole batch. Call it in a replica.

    Args:
      terms: the loss terms that `forward` returns, of this replica.
      health: the health figures that `forward` returns, of this replica.
      training: the settings of the training, which have the weight of each loss.

    Returns:
      {name: float32 scalar}: each loss times its lambda, their sum 'total', and the
      health figures.
    """
    of_replicas = {name: _over_replicas(parts) for name, parts in terms.items()}
    values = weighted(of_replicas, training)
    for name, term in health.items():
        (figure,) = _over_replicas([term])
        values[name] = tf.math.divide_no_nan(figure.total, figure.divisor)
    return values


def _loss_settings(network: Network, training: TrainingConfig) -> LossSettings:
    """Return the settings that sampling and losses read."""
    zero_shot_actor = -1
    if training.zero_shot_actor:
        zero_shot_actor = network.labels.actor_index(training.zero_shot_actor)
    return LossSettings(
        rpn_samples=training.rpn_samples,
        rpn_beta=training.rpn_beta,
        rpn_box_normaliser=training.rpn_box_normaliser,
        box_normaliser=training.box_normaliser,
        most_positives=targets.most_positives(
            training.roi_samples, training.positive_fraction
        ),
        zero_shot_actor=zero_shot_actor,
    )


def _add(terms: Terms, head_terms: Terms) -> None:
    """Add the terms of a head to the terms of the heads before it."""
    for name, parts in head_terms.items():
        terms.setdefault(name, []).extend(parts)


def _health(
    truth: BatchTruth, proposals: tf.Tensor, rois: SampledRois
) -> dict[str, Term]:
    """Return figures that tell whether proposals and sampling work, see `forward`."""
    best_ious = tf.reduce_max(box_ops.iou(truth.boxes, proposals), axis=2)
    present = tf.cast(truth.present, tf.float32)
    recalled = tf.cast(best_ious >= 0.5, tf.float32) * present
    frames = tf.reduce_sum(tf.cast(truth.annotated, tf.float32))
    positives = tf.reduce_sum(tf.cast(rois.positive, tf.float32))
    return {
        "proposal_recall": Term(tf.reduce_sum(recalled), tf.reduce_sum(present)),
        "positives": Term(positives, frames),
    }


def _over_replicas(terms: list[Term]) -> list[Term]:
    """Return a replica's terms with the divisors of all replicas."""
    divisors = replicas.total([term.divisor for term in terms])
    return [Term(term.total, divisor) for term, divisor in zip(terms, divisors)]
