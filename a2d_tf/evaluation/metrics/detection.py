"""Detection metrics of the paper's Table 2: AP of actors, actions and pairs.

It is the average precision of VOC2007 at an IoU of .5.
`evaluation/boxes/average_precision.py` computes that of one class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.boxes.average_precision import ClassScorer
from a2d_tf.evaluation.boxes.instance_tables import Results, Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.metrics.metric import KINDS, RESULTS, ROIS, Metric, SplitData
from a2d_tf.evaluation.metrics.tables import Table


class Detection(Metric):
    """The mAP of actors, actions and pairs (paper, Table 2), and each class's AP."""

    section = "detection"
    needs = (ROIS, RESULTS)
    validates = True
    is_benchmark = True
    columns = {f"{kind}_map": kind for kind in KINDS}

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Score the boxes of the split by VOC2007's AP.

        Returns:
          {"detection": {"actor", "action", "joint": mAP}, "per_pair_ap",
          "per_actor_ap", "per_action_ap": {number or code: AP}}, in percent, see
          `voc_aps`. If the split has instances without RoIs, only pairs are scored, see
          `voc_aps_of_results`.
        """
        if split.rois is not None:
            return voc_aps(split.rois, split.truth, self.labels)
        assert split.results is not None
        return voc_aps_of_results(split.results, split.truth, self.labels)

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return the table of the mAP of actors, actions and pairs, or no table.

        Args:
          metrics: the content of `metrics.json`; any part may be missing.
        """
        row = cls.row(metrics)
        if row is None:
            return []
        return [Table("detection, mAP at IoU 0.5, percent", cls.columns, {"": row})]

    @classmethod
    def row(cls, metrics: dict) -> dict[str, float | None] | None:
        """Return the mAPs of a `metrics.json`.

        Args:
          metrics: the content of `metrics.json`; any part may be missing.

        Returns:
          {"actor_map", "action_map", "joint_map": percent, None if missing}; None if
          detection was not scored.
        """
        maps = metrics.get("detection")
        if not maps:
            return None
        return {f"{kind}_map": maps.get(kind) for kind in KINDS}


def voc_aps(
    rois: ScoredRois,
    truth: Truth,
    labels: LabelSpace = A2D,
    *,
    weights: np.ndarray | None = None,
) -> dict:
    """Score RoIs by the protocol of Table 2.

    A pair has the score p(actor) * p(action) and the actor's box, unless the RoIs have
    joint scores or boxes. True boxes of an actor are those with any action. An action
    has the box of the RoI's most probable actor or, with joint scores, of the RoI's
    best valid pair with this action.

    Args:
      rois: every RoI, as `ScoredRois.load` reads them from detections.npz.
      truth: the true boxes, as `Truth.load` reads them from COCO JSON.
      labels: the label space of both.
      weights: int [S, F], how often each frame of the truth is in each of S samples;
        every figure is then an array [S].

    Returns:
      {"detection": {"actor", "action", "joint": mAP}, "per_pair_ap": {code: AP},
      "per_actor_ap": {number of the actor: AP}, "per_action_ap": {number of the action:
      AP}}, in percent; codes and numbers are strings, the latter from 1. The joint mAP
      is the mean over all valid pairs, counting 0 for those without true boxes; the
      action mAP leaves out the label space's `none_action`.

    Raises:
      InputError: the RoIs have other numbers of actors or actions than the label space,
        or are in frames that the truth lacks.
    """
    rois.check(truth, labels)
    scorer = ClassScorer.of(
        truth, frames=rois.frames, roi_frame=rois.roi_frame, weights=weights
    )
    true_actors, true_actions = labels.split(truth.codes)
    actor_ap = {}
    for number, scores in enumerate(rois.actor_scores.T, 1):
        boxes = rois.boxes[:, number - 1]
        actor_ap[str(number)] = scorer.ap(boxes, scores, true_actors == number)
    action_ap = {}
    for number, scores in enumerate(rois.action_scores.T, 1):
        boxes = _action_boxes(rois, labels, number - 1)
        action_ap[str(number)] = scorer.ap(boxes, scores, true_actions == number)
    pair_ap = pair_aps(scorer, rois, labels, labels.pairs)
    return {
        "detection": mean_aps(actor_ap, action_ap, pair_ap, labels),
        "per_pair_ap": pair_ap,
        "per_actor_ap": actor_ap,
        "per_action_ap": action_ap,
    }


def mean_aps(
    actor_ap: dict, action_ap: dict, pair_ap: dict, labels: LabelSpace
) -> dict:
    """Average the APs of classes.

    Args:
      actor_ap: {number of an actor: AP}.
      action_ap: {number of an action: AP}, in the order of the label space.
      pair_ap: {code of a pair: AP}.
      labels: the label space; its `none_action` is left out.

    Returns:
      {"actor", "action", "joint": mean}, in the unit of the APs.
    """
    real_actions = []
    for name, ap in zip(labels.actions, action_ap.values()):
        if name != labels.none_action:
            real_actions.append(ap)
    return {
        "actor": _mean(list(actor_ap.values())),
        "action": _mean(real_actions),
        "joint": _mean(list(pair_ap.values())),
    }


def voc_aps_of_results(results: Results, truth: Truth, label_space: LabelSpace) -> dict:
    """Compute the VOC2007 AP of each pair, at IoU .5, from COCO results.

    A result has one pair and one score, so actors and actions have no scores of their
    own.

    Args:
      results: the instances that were found.
      truth: the true boxes, on the same frames.
      label_space: the label space of both.

    Returns:
      {"detection": {"joint": mAP}, "per_pair_ap": {code as a string: AP}}, in percent.
      The mAP is the mean over all pairs, where a pair without true boxes counts 0.
    """
    scorer = ClassScorer.of(truth, frames=results.frames, roi_frame=results.box_frame)
    pair_ap = {}
    for code in label_space.codes:
        scores = np.where(results.codes == code, results.scores, -np.inf)
        pair_ap[str(code)] = scorer.ap(results.boxes, scores, truth.codes == code)
    joint = _mean(list(pair_ap.values()))
    return {"detection": {"joint": joint}, "per_pair_ap": pair_ap}


def pair_aps(
    scorer: ClassScorer,
    rois: ScoredRois,
    label_space: LabelSpace,
    pairs: Iterable,
) -> dict:
    """Compute the AP of some pairs.

    Args:
      scorer: the scorer for these RoIs, with the true boxes.
      rois: every RoI with its scores.
      label_space: the label space of both.
      pairs: (index of the actor, index of the action) of each pair, from 0.

    Returns:
      {code of the pair as a string: AP in percent}; an AP is an array [S] if the scorer
      has samples.
    """
    aps = {}
    for actor, action in pairs:
        boxes = rois.boxes[:, actor]
        if rois.joint_boxes is not None:
            boxes = rois.joint_boxes[:, actor, action]
        if rois.joint_scores is None:
            p_action = rois.action_scores[:, action].astype(np.float64)
            scores = rois.actor_scores[:, actor] * p_action
        else:
            scores = rois.joint_scores[:, actor, action].astype(np.float64)
        code = int(label_space.encode(actor, action))
        aps[str(code)] = scorer.ap(boxes, scores, scorer.truth.codes == code)
    return aps


def _action_boxes(rois: ScoredRois, label_space: LabelSpace, action: int) -> np.ndarray:
    """Return the box of each RoI for an action, [R, 4]."""
    rows = np.arange(len(rois.roi_frame))
    if rois.joint_scores is None:
        scores = rois.actor_scores
    else:
        valid = label_space.valid[:, action]
        scores = np.where(valid, rois.joint_scores[:, :, action], -np.inf)
    actor = scores.argmax(axis=1)
    if rois.joint_scores is None or rois.joint_boxes is None:
        return rois.boxes[rows, actor]
    return rois.joint_boxes[rows, actor, action]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
