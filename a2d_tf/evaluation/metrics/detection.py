"""Detection metrics of Table 2: VOC2007 average precision of actors, actions and pairs.

Classes are scored separately: within a frame, a class's boxes pass NMS in the order of
their scores, each ground-truth box is matched by the first that overlaps it enough, and
precision and recall are computed over the detections of the whole set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.box_data import Detections, Results, Truth
from a2d_tf.evaluation.metrics import (
    INSTANCES,
    KINDS,
    RESULTS,
    ROIS,
    Metric,
    Split,
    Table,
)

RECALL_LEVELS = np.linspace(0, 1, 11)  # not the exact tenths, see average_precision
NMS_IOU = 3, 10  # the fraction 3/10, see suppress
MATCH_IOU = 0.5

_BOXES = 1 << 16  # suppressed at once
_STEPS = 32  # of suppression, until those that are left move together


class Detection(Metric):
    """Table 2, and the AP of each class."""

    section, place = "detection", 2
    needs, validates = (ROIS, RESULTS), True
    columns = {f"{kind}_map": kind for kind in KINDS}

    def result(self) -> dict:
        """Return `voc_aps`, or `voc_aps_of_results` where there are only instances."""
        split = self.split
        if split.detections is None:
            return voc_aps_of_results(split.results, split.truth, split.labels)
        return voc_aps(split.detections, split.truth, split.labels)

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return a table of one row."""
        found = metrics.get("detection")
        if not found:
            return []
        ours = {f"{kind}_map": found.get(kind) for kind in KINDS}
        return [Table("detection, mAP at IoU 0.5, percent", cls.columns, {"": ours})]


class BoxF1(Metric):
    """F1 of boxes and pairs at the threshold, where there are no metrics of
    segmentation.

    An instance is right if its box has an IoU of 0.5 or more with a true one of its
    pair, which no better instance has taken.
    """

    section, place = "box_f1", 3
    needs, validates = (INSTANCES,), True

    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self._truths, self._found = 0, [np.zeros((2, 0))]

    def update(self, frame: Any) -> None:
        """Match the instances of a frame, which come best first."""
        truth, found = frame.truth, frame.instances
        near = iou(found.boxes[:, None], truth.boxes) * (
            found.code[:, None] == truth.codes
        )
        self._truths += len(truth.codes)
        self._found.append(np.stack([found.class_scores, match(near) >= 0]))

    def at(self, threshold: float) -> float:
        """Return the F1, in percent, of the instances of at least this p(actor)."""
        scores, hits = np.concatenate(self._found, axis=1)
        chosen = scores >= np.float32(threshold)
        return float(200 * hits[chosen].sum() / max(chosen.sum() + self._truths, 1))

    def result(self) -> dict:
        """Return {"box_f1": percent}; empty where there are figures of label maps."""
        if self.split.metrics.get("segmentation"):
            return {}
        return {"box_f1": self.at(self.split.threshold)}

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return a table of one figure."""
        found = metrics.get("box_f1")
        title = "Boxes at IoU 0.5 and the score threshold, percent"
        return (
            []
            if found is None
            else [Table(title, {"joint": "F1"}, {"": {"joint": found}})]
        )


def voc_aps(
    detections: Detections,
    truth: Truth,
    labels: LabelSpace = A2D,
    *,
    weights: np.ndarray | None = None,
) -> dict:
    """Score detections by the protocol of Table 2.

    A pair is scored p(actor) * p(action) with the actor's box, unless the detections
    have joint scores or boxes. An actor's ground truth is the union over its actions.
    An action has the box of the RoI's most probable actor or, with joint scores, of the
    RoI's best valid pair with this action.

    Args:
      detections: as `Detections.load` reads them from detections.npz.
      truth: the true boxes, as `Truth.load` reads them from COCO JSON; labels: of both.
      weights: int [S, F], multiplicity of each ground-truth frame in each of S samples;
        every figure is then an array [S].

    Returns:
      {"detection": {"actor", "action", "joint"}, "per_pair_ap": {code: AP},
      "per_actor_ap", "per_action_ap": {1-based digit: AP}}, in percent, keys strings.
      Joint mAP is the mean over all valid pairs, counting 0 for those without ground
      truth; action mAP excludes `none_action`.

    Raises:
      InputError: see `Detections.check`.
    """
    detections.check(truth, labels)
    classes = Classes(detections, truth, weights)
    true_actors, true_actions = labels.split(truth.codes)
    actor_ap, action_ap = {}, {}
    for number, scores in enumerate(detections.actor_scores.T, 1):
        boxes = detections.boxes[:, number - 1]
        actor_ap[str(number)] = classes.ap(boxes, scores, true_actors == number)
    for number, scores in enumerate(detections.action_scores.T, 1):
        boxes = _action_boxes(detections, labels, number - 1)
        action_ap[str(number)] = classes.ap(boxes, scores, true_actions == number)
    pair_ap = pair_aps(classes, detections, labels, labels.pairs)
    named = zip(labels.actions, action_ap.values())
    real = [ap for name, ap in named if name != labels.none_action]
    means = {"actor": actor_ap.values(), "action": real, "joint": pair_ap.values()}
    figures = {"detection": {kind: _mean(aps) for kind, aps in means.items()}}
    return {
        **figures,
        "per_pair_ap": pair_ap,
        "per_actor_ap": actor_ap,
        "per_action_ap": action_ap,
    }


def voc_aps_of_results(results: Results, truth: Truth, label_space: LabelSpace) -> dict:
    """Score COCO results on the frames of this ground truth, each of one pair, by this
    protocol.

    Returns:
      {"detection": {"joint"}, "per_pair_ap": {code: AP}} in percent, keys strings;
      actors and actions have no scores of their own.
    """
    classes, pair_ap = Classes(results, truth), {}
    for code in label_space.codes:
        scores = np.where(results.codes == code, results.scores, -np.inf)
        pair_ap[str(code)] = classes.ap(results.boxes, scores, truth.codes == code)
    return {"detection": {"joint": _mean(pair_ap.values())}, "per_pair_ap": pair_ap}


def pair_aps(
    classes: Classes, detections: Detections, label_space: LabelSpace, pairs: Iterable
) -> dict:
    """Compute the AP of pairs, 0-based (actor, action), by code as a string."""
    aps = {}
    for actor, action in pairs:
        boxes = detections.boxes[:, actor]
        if detections.joint_boxes is not None:
            boxes = detections.joint_boxes[:, actor, action]
        if detections.joint_scores is None:
            p_action = detections.action_scores[:, action].astype(np.float64)
            scores = detections.actor_scores[:, actor] * p_action
        else:
            scores = detections.joint_scores[:, actor, action].astype(np.float64)
        code = int(label_space.encode(actor, action))
        aps[str(code)] = classes.ap(boxes, scores, classes.truth.codes == code)
    return aps


def _action_boxes(detections, label_space, action):
    """Return the box of each RoI for an action, [R, 4]."""
    rois, scores = np.arange(len(detections.roi_frame)), detections.actor_scores
    if detections.joint_scores is not None:
        valid = label_space.valid[:, action]
        scores = np.where(valid, detections.joint_scores[:, :, action], -np.inf)
    best = scores.argmax(axis=1)
    if detections.joint_scores is None or detections.joint_boxes is None:
        return detections.boxes[rois, best]
    return detections.joint_boxes[rois, best, action]


class Classes:
    """Computes average precisions of classes, one after the other, of boxes in frames.

    Args:
      found: whose frames the boxes are in.
      weights: see `voc_aps`.
      measure: function of the arguments of `average_precision`, by default that.
    """

    def __init__(
        self,
        found: Detections | Results,
        truth: Truth,
        weights: np.ndarray | None = None,
        measure: Callable[..., np.ndarray] | None = None,
    ) -> None:
        self.truth, self._measure = truth, measure or average_precision
        # As floats, whose products of matrices are fast and here exact.
        self._weights = None if weights is None else weights.astype(float)
        self._frame = (
            found.roi_frame if isinstance(found, Detections) else found.box_frame
        )
        self._order = np.argsort(self._frame, kind="stable")
        self._box_frame = _places(truth.frames, found.frames)[truth.box_frame]
        self._true_frame = _places(found.frames, truth.frames)

    def ap(self, boxes: np.ndarray, scores: np.ndarray, targets: np.ndarray) -> Any:
        """Compute the AP of a class in percent, an array [S] with `weights`.

        The first box kept that overlaps a true one enough is a true positive. RoIs
        below the last of them change neither the AP nor what is kept above them: they
        are not suppressed.

        Args:
          boxes, scores: of the RoIs, float32 [R, 4] and float [R]; -inf for RoIs to
            leave out.
          targets: bool [G], whether a ground-truth box is of the class.
        """
        kept, hits = np.zeros((2, len(scores)), bool)
        shown = np.isin(self._frame, self._box_frame[targets])
        self._keep(kept, shown & (scores > -np.inf), boxes, scores)
        rois = self._order[kept[self._order]]
        places = self._frame[rois]
        for frame, box in zip(self._box_frame[targets], self.truth.boxes[targets]):
            own = rois[slice(*np.searchsorted(places, (frame, frame + 1)))]
            near = own[iou(boxes[own], box) >= MATCH_IOU]
            if len(near):
                hits[near[scores[near].argmax()]] = True
        counted = scores >= scores[hits].min(initial=np.inf)
        self._keep(kept, counted & ~shown, boxes, scores)
        rois = self._order[(kept & counted)[self._order]]
        rois = rois[np.argsort(-scores[rois], kind="stable")]
        hits, weights = hits[rois], self._weights
        if weights is None:
            counts = np.arange(1, hits.sum() + 1), np.flatnonzero(hits) + 1
            return 100 * self._measure(*counts, targets.sum())
        frames = self._true_frame[self._frame[rois]]
        # The detections of each frame from one true positive to the next, and behind
        # the last.
        between = np.zeros((weights.shape[1], hits.sum() + 1))
        np.add.at(between, (frames, np.cumsum(hits) - hits), 1)
        true = np.cumsum(weights[:, frames[hits]], axis=1)
        found = np.cumsum(weights @ between[:, :-1], axis=1)
        positives = weights[:, self.truth.box_frame[targets]].sum(axis=1)
        return 100 * self._measure(true, np.maximum(found, 1), positives)

    def _keep(self, kept, chosen, boxes, scores):
        """Mark in `kept` [R] which of the chosen RoIs [R] suppression keeps."""
        rois = self._order[chosen[self._order]]
        _, starts, counts = np.unique(
            self._frame[rois], return_index=True, return_counts=True
        )
        frames = np.argsort(-counts, kind="stable")  # those of like size together
        while len(frames):
            size = counts[frames[0]]
            part, frames = np.split(frames, [max(1, _BOXES // size)])
            places = np.arange(size)
            table = rois[np.minimum(starts[part, None] + places, len(rois) - 1)]
            ranks = np.where(places < counts[part, None], scores[table], -np.inf)
            kept[table[suppress(boxes[table], ranks)]] = True


def _places(names, among):
    """The index of each name among others; -1 where it is not there."""
    index = {name: i for i, name in enumerate(among.tolist())}
    return np.array([index.get(name, -1) for name in names.tolist()], int)


def suppress(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Suppress the boxes of each frame that overlap a better one which is kept.

    IoU > p/q is tested as (p + q) * overlap > p * (sum of both areas), which is exact
    for whole pixels and holds for empty boxes.

    Args:
      boxes: float32 [F, N, 4].
      scores: [F, N], -inf where a frame has fewer than N; of equal ones the first is
        better.

    Returns:
      bool [F, N], which boxes are kept.
    """
    rows, kept, (p, q) = np.arange(len(scores)), np.zeros(scores.shape, bool), NMS_IOU
    order = np.argsort(-scores, axis=1, kind="stable")
    left = np.take_along_axis(scores, order, axis=1) > -np.inf
    edges = np.moveaxis(boxes[rows[:, None], order], 2, 0)
    height, width = edges[2:] - edges[:2]
    edges = np.stack([*edges, p * width * height])
    while left.any():
        places = np.argsort(~left, axis=1, kind="stable")[:, : left.sum(axis=1).max()]
        order, left = (
            np.take_along_axis(order, places, 1),
            np.take_along_axis(left, places, 1),
        )
        edges = np.take_along_axis(edges, places[None], axis=2)
        for _ in range(_STEPS):
            best = left.argmax(axis=1)
            kept[rows, order[rows, best]] |= left[rows, best]
            left[rows, best] = False
            chosen = edges[:, rows, best, None]
            low, high = (
                np.maximum(edges[:2], chosen[:2]),
                np.minimum(edges[2:4], chosen[2:4]),
            )
            # Clipping one factor suffices: a negative overlap never exceeds a sum of
            # areas.
            np.maximum(high[0], low[0], out=high[0])
            high -= low
            left &= high[0] * high[1] * (p + q) <= edges[4] + chosen[4]
    return kept


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the intersection over union of pairs of boxes [..., 4]; 0 where both
    are empty.
    """
    boxes, others = np.asarray(boxes, float), np.asarray(others, float)
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=-1)
    area, other = ((b[..., 2:] - b[..., :2]).prod(axis=-1) for b in (boxes, others))
    union = area + other - overlap
    return np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)


def match(near: np.ndarray) -> np.ndarray:
    """Match each row, the best first, to the column that is nearest of those not yet
    taken.

    Args:
      near: float [N, T], IoUs of found and true instances; 0 where they must not be
        matched.

    Returns:
      int [N], the column with an IoU of MATCH_IOU or more, or -1.
    """
    near, matched = np.where(near < MATCH_IOU, 0, near), np.full(len(near), -1)
    for i, row in enumerate(near):
        if row.any():
            matched[i] = row.argmax()
            near[:, matched[i]] = 0
    return matched


def average_precision(true: np.ndarray, found: np.ndarray, positives: Any) -> Any:
    """Compute the VOC2007 11-point average precision, in [0, 1], perhaps of S samples.

    The recall levels are those of np.arange(0, 1.1, 0.1), as in the usual scripts, so
    that figures agree to the last digit: 0.3, 0.6 and 0.7 are slightly above the
    tenths, and a recall of exactly 3/10 does not reach level 0.3.

    Args:
      true, found: [H] or [S, H], by descending score, how many true positives and
        detections there are up to each true positive; behind it precision only falls.
      positives: one or [S], the number of ground-truth boxes; 0 gives 0.
    """
    best = np.concatenate(
        [best_precision(true, found), np.zeros((*true.shape[:-1], 1))], axis=-1
    )
    recall = true / np.maximum(positives, 1)[..., None]
    reached = (recall[..., None, :] < RECALL_LEVELS[:, None]).sum(axis=-1)
    return np.take_along_axis(best, reached, axis=-1).mean(axis=-1)


def best_precision(true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the best precision at each recall or a higher one; see
    `average_precision`.
    """
    return np.maximum.accumulate((true / found)[..., ::-1], axis=-1)[..., ::-1]


def _mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0
