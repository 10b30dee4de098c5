"""Zero-shot actions (paper, section 4.4 and Fig. 4): an actor trained without its
action labels.

The AP of an actor is the mean of the joint APs of its valid pairs; the ratio r_zs (Eq.
3) compares a model trained without any action label of that actor with the full model.
"""

from __future__ import annotations

import copy

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import box_data
from a2d_tf.evaluation.metrics import RESULTS, ROIS, Metric, Split, Table, detection


class ZeroShot(Metric):
    """The AP of every actor's actions, and Fig. 4 for the actor held out."""

    section, place = "zero_shot", 3
    needs = (ROIS, RESULTS)

    def result(self) -> dict:
        """Return {"zero_shot_actor_ap": see `actor_aps`, "zero_shot": see
        `figures`}.
        """
        aps = actor_aps(self.split.metrics["per_pair_ap"], self.split.labels)
        if not self.split.zero_shot_actor:
            return {"zero_shot_actor_ap": aps}
        return {"zero_shot_actor_ap": aps, "zero_shot": figures(self.split, aps)}

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return Fig. 4 as a table."""
        found = metrics.get("zero_shot")
        if not found:
            return []
        columns = {
            "ap": "AP",
            "chance": "chance",
            "full_ap": "full model",
            "r_zs": "r_zs",
        }
        ratio = found.get("ratio")
        values = {**found, "r_zs": None if ratio is None else 100 * ratio}
        title = (
            f"Figure 4: zero-shot actions of '{found['actor']}', AP and r_zs in percent"
        )
        return [
            Table(title, columns, {"": {name: values.get(name) for name in columns}})
        ]


def actor_aps(
    per_pair_ap: dict[str, float], label_space: LabelSpace
) -> dict[str, float]:
    """Average the APs of each actor's valid pairs: {"11": percent, …} -> {"1": percent,
    …}.

    Actors without valid pairs are left out.
    """
    aps: dict[str, list[float]] = {}
    for code in label_space.codes:
        aps.setdefault(str(code // label_space.base), []).append(per_pair_ap[str(code)])
    return {actor: sum(values) / len(values) for actor, values in aps.items()}


def figures(split: Split, aps: dict[str, float]) -> dict:
    """Compute the figures of Fig. 4 for the actor whose action labels were withheld.

    Args:
      split: with `zero_shot_actor`, detections, truth, and perhaps the `full` model's
        detections.
      aps: `actor_aps` of these detections.

    Returns:
      {"actor", "ap", "chance"} in percent, with `full` also {"full_ap", "ratio"}.
    """
    actor = split.labels.actor_index(split.zero_shot_actor)
    result: dict = {
        "actor": split.zero_shot_actor,
        "chance": chance(
            split.detections, split.truth, split.labels, actor, seed=split.seed
        ),
        "ap": aps[str(actor + 1)],
    }
    if split.full is not None:
        split.full.check(split.truth, split.labels)
        pairs = split.labels.pairs[split.labels.pairs[:, 0] == actor]
        classes = detection.Classes(split.full, split.truth)
        full = detection.pair_aps(classes, split.full, split.labels, pairs).values()
        result["full_ap"] = sum(full) / len(full)
        result["ratio"] = (
            result["ap"] / result["full_ap"] if result["full_ap"] else None
        )
    return result


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

    The action scores are shuffled among the RoIs of the whole set whose most probable
    actor is this one. The result is the mean of `actor_aps` over the shuffles.

    Raises:
      InputError: the detections carry joint scores or boxes, and so no action scores to
        shuffle.
    """
    if detections.joint_scores is not None or detections.joint_boxes is not None:
        raise InputError(
            f"{detections.source}: chance needs decoupled actor and action scores"
        )
    pairs = label_space.pairs[label_space.pairs[:, 0] == actor]
    movable = np.flatnonzero(detections.actor_scores.argmax(axis=1) == actor)
    rng = np.random.default_rng(seed)
    shuffled = copy.copy(detections)
    classes = detection.Classes(detections, truth)
    aps: list[float] = []
    for _ in range(shuffles):
        shuffled.action_scores = detections.action_scores.copy()
        shuffled.action_scores[movable] = detections.action_scores[
            rng.permutation(movable)
        ]
        aps += detection.pair_aps(classes, shuffled, label_space, pairs).values()
    return sum(aps) / len(aps)
