"""Zero-shot actions (paper, section 4.4 and Fig. 4): an actor without action labels.

The action labels of one actor are withheld from training. The AP of this actor is the
mean of the APs of its valid pairs. The ratio r_zs (Eq. 3) divides it by the AP of the
full model, which was trained with all labels.
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
    """The AP of each actor's pairs, and the paper's Fig. 4 for one actor.

    That is the actor whose action labels were withheld from training, if any was.
    """

    section = "zero_shot"
    needs = (ROIS, RESULTS)
    reads = ("per_pair_ap",)

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Return the AP of each actor, and the zero-shot figures if one was withheld.

        Returns:
          {"zero_shot_actor_ap": {number of an actor: mean AP of its pairs, percent},
          "zero_shot": the figures of Fig. 4, see `figures`}; "zero_shot" only if the
          action labels of an actor were withheld from training.
        """
        aps = actor_aps(earlier["per_pair_ap"], self.labels)
        if not split.zero_shot_actor:
            return {"zero_shot_actor_ap": aps}
        of_actor = figures(split, aps, self.labels)
        return {"zero_shot_actor_ap": aps, "zero_shot": of_actor}

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return the paper's Fig. 4 as a table: AP, chance, the full model's AP, ratio.

        There is no table if no action labels were withheld from training.
        """
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
    """Average the APs of the valid pairs of each actor.

    Args:
      per_pair_ap: {code of a pair as a string: AP in percent}.
      label_space: the label space of the codes.

    Returns:
      {number of an actor, from 1, as a string: mean in percent}; without actors that
      have no valid pair.
    """
    aps: dict[str, list[float]] = {}
    for code in label_space.codes:
        aps.setdefault(str(code // label_space.base), []).append(per_pair_ap[str(code)])
    return {actor: sum(values) / len(values) for actor, values in aps.items()}


def figures(split: SplitData, aps: dict[str, float], labels: LabelSpace) -> dict:
    """Compute the figures of Fig. 4 for the actor whose action labels were withheld.

    Args:
      split: the data of the split: `zero_shot_actor`, `truth`, `rois`, and perhaps
        `full`, the RoIs of the model that was trained with all labels.
      aps: the AP of each actor by `rois`, see `actor_aps`.
      labels: the label space of the split.

    Returns:
      {"actor": its name, "ap": its AP, "chance": its AP with actions at chance}, and
      with `full` also {"full_ap": the full model's AP, "ratio": r_zs of Eq. 3, "ap" /
      "full_ap", None if that is 0}. APs are in percent.

    Raises:
      InputError: RoIs have joint scores or boxes, see `chance`, or those of `full` are
        of other labels or frames.
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
    """Compute an actor's AP with actions at chance, in percent: the floor of Fig. 4.

    The action scores are shuffled among all RoIs whose most probable actor is this one.
    The result is the mean AP of the actor's pairs over the shuffles.

    Args:
      rois: every RoI of the split.
      truth: the true boxes.
      label_space: the label space of both.
      actor: the index of the actor, from 0.
      seed: the seed of the shuffles.
      shuffles: how many times to shuffle.

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
