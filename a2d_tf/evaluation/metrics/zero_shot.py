"""Zero-shot actions (paper, section 4.4 and Fig. 4): an actor without action labels.

The AP of an actor is the mean of the joint APs of its valid pairs; the ratio r_zs (Eq.
3) compares a model trained without any action label of that actor with the full model.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes.average_precision import ClassScorer
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.metrics.detection import pair_aps
from a2d_tf.evaluation.metrics.metric import RESULTS, ROIS, Metric, SplitData
from a2d_tf.evaluation.metrics.tables import Table

_COLUMNS = {
    "ap": "AP",
    "chance": "chance",
    "full_ap": "full model",
    "r_zs": "r_zs",
}


class ZeroShot(Metric):
    """The AP of every actor's actions, and Fig. 4 for the actor held out."""

    section = "zero_shot"
    needs = (ROIS, RESULTS)
    reads = ("per_pair_ap",)

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Return the AP of each actor, and the zero-shot figures if one was withheld.

        Returns:
          {"zero_shot_actor_ap": what `actor_aps` returns, "zero_shot": what `figures`
          returns}; "zero_shot" only if the action labels of an actor were withheld.
        """
        aps = actor_aps(earlier["per_pair_ap"], self.labels)
        if not split.zero_shot_actor:
            return {"zero_shot_actor_ap": aps}
        of_actor = figures(split, aps, self.labels)
        return {"zero_shot_actor_ap": aps, "zero_shot": of_actor}

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return Fig. 4 as a table."""
        values = metrics.get("zero_shot")
        if not values:
            return []
        row = {name: values.get(name) for name in _COLUMNS}
        ratio = values.get("ratio")
        row["r_zs"] = None if ratio is None else 100 * ratio
        actor = values["actor"]
        title = f"Figure 4: zero-shot actions of '{actor}', AP and r_zs in percent"
        return [Table(title, _COLUMNS, {"": row})]


def actor_aps(
    per_pair_ap: dict[str, float], label_space: LabelSpace
) -> dict[str, float]:
    """Average the APs of each actor's valid pairs, in percent.

    Args:
      per_pair_ap: {code as a string: AP}.

    Returns:
      {1-based number of an actor as a string: mean}; without actors that have no valid
      pair.
    """
    aps: dict[str, list[float]] = {}
    for code in label_space.codes:
        aps.setdefault(str(code // label_space.base), []).append(per_pair_ap[str(code)])
    return {actor: sum(values) / len(values) for actor, values in aps.items()}


def figures(split: SplitData, aps: dict[str, float], labels: LabelSpace) -> dict:
    """Compute the figures of Fig. 4 for the actor whose action labels were withheld.

    Args:
      split: with `zero_shot_actor`, rois, truth, and perhaps the `full` model's
        rois.
      aps: `actor_aps` of these rois.
      labels: of the split.

    Returns:
      {"actor", "ap", "chance"} in percent, with `full` also {"full_ap", "ratio"}.
    """
    assert split.rois is not None
    actor = labels.actor_index(split.zero_shot_actor)
    ap = aps[str(actor + 1)]
    result: dict = {
        "actor": split.zero_shot_actor,
        "chance": chance(split.rois, split.truth, labels, actor, seed=split.seed),
        "ap": ap,
    }
    if split.full is not None:
        split.full.check(split.truth, labels)
        pairs = labels.pairs[labels.pairs[:, 0] == actor]
        scorer = ClassScorer.of(
            split.truth, frames=split.full.frames, roi_frame=split.full.roi_frame
        )
        full_aps = pair_aps(scorer, split.full, labels, pairs).values()
        full_ap = sum(full_aps) / len(full_aps)
        result["full_ap"] = full_ap
        result["ratio"] = ap / full_ap if full_ap else None
    return result


def chance(
    rois: ScoredRois,
    truth: Truth,
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
      InputError: the rois carry joint scores or boxes, and so no action scores to
        shuffle.
    """
    if rois.joint_scores is not None or rois.joint_boxes is not None:
        raise InputError(
            f"{rois.source}: chance needs decoupled actor and action scores"
        )
    pairs = label_space.pairs[label_space.pairs[:, 0] == actor]
    movable = np.flatnonzero(rois.actor_scores.argmax(axis=1) == actor)
    rng = np.random.default_rng(seed)
    scorer = ClassScorer.of(truth, frames=rois.frames, roi_frame=rois.roi_frame)
    aps: list[float] = []
    for _ in range(shuffles):
        action_scores = rois.action_scores.copy()
        action_scores[movable] = rois.action_scores[rng.permutation(movable)]
        shuffled = dataclasses.replace(rois, action_scores=action_scores)
        aps += pair_aps(scorer, shuffled, label_space, pairs).values()
    return sum(aps) / len(aps)
