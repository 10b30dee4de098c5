"""Zero-shot actions (paper, section 4.4 and Fig. 4): an actor trained without its action labels.

The AP of an actor is the mean of the joint APs of its valid pairs; the ratio r_zs (Eq. 3) compares
a model trained without any action label of that actor with the full model.
"""

from __future__ import annotations

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import box_data, detection


def actor_aps(per_pair_ap: dict[str, float], label_space: LabelSpace) -> dict[str, float]:
    """Average the APs of each actor's valid pairs: {"11": percent, …} -> {"1": percent, …}.

    Actors without valid pairs are left out.
    """
    aps = {}
    for actor in range(len(label_space.actors)):
        codes = label_space.encode(actor, np.flatnonzero(label_space.valid[actor]))
        if len(codes):
            aps[str(actor + 1)] = sum(per_pair_ap[str(code)] for code in codes) / len(codes)
    return aps


def figures(
    detections: box_data.Detections,
    truth: box_data.Truth,
    label_space: LabelSpace,
    actor: int,
    *,
    per_pair_ap: dict[str, float],
    seed: int,
    full: box_data.Detections | None = None,
) -> dict:
    """Compute the figures of Fig. 4 for the actor whose action labels were withheld.

    Args:
      detections, truth, label_space: see `chance`.
      actor: 0-based index.
      per_pair_ap: APs of these detections, {code: percent}.
      seed: of the shuffles.
      full: detections of the full model on the same ground truth.

    Returns:
      {"actor", "ap", "chance"} in percent, with `full` also {"full_ap", "ratio"}.

    Raises:
      InputError: see `chance` and `box_data.check`.
    """
    result = {
        "actor": label_space.actors[actor],
        "chance": chance(detections, truth, label_space, actor, seed=seed),
        "ap": actor_aps(per_pair_ap, label_space)[str(actor + 1)],
    }
    if full is not None:
        box_data.check(full, truth, label_space)
        _, pair_aps = detection.actor_aps(full, truth, label_space, actor)
        result["full_ap"] = sum(pair_aps.values()) / len(pair_aps)
        result["ratio"] = ratio(result["ap"], result["full_ap"])
    return result


def ratio(zero_shot: float, full: float) -> float | None:
    """Compute r_zs (Eq. 3), the zero-shot model's AP over the full one's; None if that is 0."""
    return zero_shot / full if full else None


def chance(
    detections: box_data.Detections,
    truth: box_data.Truth,
    label_space: LabelSpace,
    actor: int,
    *,
    seed: int,
    shuffles: int = 20,
) -> float:
    """Compute an actor's AP, in percent, with actions at chance: the floor of Fig. 4.

    The action scores are shuffled among the RoIs of the whole set whose most probable actor is
    this one. The result is the mean of `actor_aps` over the shuffles.

    Args:
      detections, truth, label_space: see `box_data.check`.
      actor: 0-based index.
      seed: of the shuffles.
      shuffles: number of them.

    Raises:
      InputError: the detections carry joint scores or boxes, which leave no action scores to
        shuffle; or see `box_data.check`.
    """
    if detections.joint_scores is not None or detections.joint_boxes is not None:
        raise InputError(f"{detections.source}: chance needs decoupled actor and action scores")
    box_data.check(detections, truth, label_space)
    actions = np.flatnonzero(label_space.valid[actor])
    if not len(actions):
        raise InputError(f"label space: actor '{label_space.actors[actor]}' has no valid action")
    movable = np.flatnonzero(detections.actor_scores.argmax(axis=1) == actor)
    rng = np.random.default_rng(seed)
    donors = np.tile(np.arange(len(detections.roi_frame), dtype=np.int32), (shuffles, 1))
    for donor in donors:
        donor[movable] = rng.permutation(movable)

    def scores_of(rois):
        shuffled = detections.action_scores[donors[:, rois]][..., actions].astype(np.float64)
        joint = detections.actor_scores[rois, actor, None] * shuffled  # [shuffles, n, actions]
        return joint.transpose(1, 0, 2).reshape(len(rois), -1)

    targets = truth.codes[:, None] == label_space.encode(actor, actions)
    aps = detection.average_precisions(
        detections,
        truth,
        lambda rois: detections.boxes[rois, actor],
        scores_of,
        targets=np.tile(targets, shuffles),
    )
    return sum(aps) / len(aps)
