"""Detection metrics of Table 2: VOC2007 average precision of actors, actions and pairs.

Classes are scored separately: within a frame, a class's boxes pass NMS in the order of their
scores, each ground-truth box is matched by the first that overlaps it enough, and precision and
recall are computed over the detections of the whole set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.box_data import Detections, Results, Truth
from a2d_tf.evaluation.metrics import INSTANCES, KINDS, RESULTS, ROIS, Metric, Split, Table

RECALL_LEVELS = np.linspace(0, 1, 11)  # not the exact tenths, see average_precision
NMS_IOU = 3, 10  # the fraction 3/10, see suppress
MATCH_IOU = 0.5

_FRAMES = 64  # suppressed at once


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
    """F1 of boxes and pairs at the threshold, where there are no metrics of segmentation.

    An instance is right if its box has an IoU of 0.5 or more with a true one of its pair, which no
    better instance has taken.
    """

    section, place = "box_f1", 3
    needs, validates = (INSTANCES,), True

    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self._truths, self._found = 0, [np.zeros((2, 0))]

    def update(self, frame: Any) -> None:
        """Match the instances of a frame, which come best first."""
        truth, found = frame.truth, frame.instances
        near = iou(found.boxes[:, None], truth.boxes) * (found.code[:, None] == truth.codes)
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
        return [] if found is None else [Table(title, {"joint": "F1"}, {"": {"joint": found}})]


def voc_aps(
    detections: Detections,
    truth: Truth,
    labels: LabelSpace = A2D,
    *,
    weights: np.ndarray | None = None,
) -> dict:
    """Score detections by the protocol of Table 2.

    A pair is scored p(actor) * p(action) with the actor's box, unless the detections have joint
    scores or boxes. An actor's ground truth is the union over its actions. An action has the box of
    the RoI's most probable actor or, with joint scores, of the RoI's best valid pair with this
    action.

    Args:
      detections: as `Detections.load` reads them from detections.npz.
      truth: the true boxes, as `Truth.load` reads them from COCO JSON; labels: of both.
      weights: int [S, F], multiplicity of each ground-truth frame in each of S samples; every
        figure is then an array [S].

    Returns:
      {"detection": {"actor", "action", "joint"}, "per_pair_ap": {code: AP}, "per_actor_ap",
      "per_action_ap": {1-based digit: AP}}, in percent, keys strings. Joint mAP is the mean over
      all valid pairs, counting 0 for those without ground truth; action mAP excludes `none_action`.

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
    return {**figures, "per_pair_ap": pair_ap, "per_actor_ap": actor_ap, "per_action_ap": action_ap}


def voc_aps_of_results(results: Results, truth: Truth, label_space: LabelSpace) -> dict:
    """Score COCO results on the frames of this ground truth, each of one pair, by this protocol.

    Returns:
      {"detection": {"joint"}, "per_pair_ap": {code: AP}} in percent, keys strings; actors and
      actions have no scores of their own.
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
        measure: Callable[..., float] | None = None,
    ) -> None:
        self.truth, self._weights = truth, weights
        self._measure = measure or average_precision
        self._frame = found.roi_frame if isinstance(found, Detections) else found.box_frame
        self._order = np.argsort(self._frame, kind="stable")
        self._box_frame = _places(truth.frames, found.frames)[truth.box_frame]
        self._true_frame = _places(found.frames, truth.frames)

    def ap(self, boxes: np.ndarray, scores: np.ndarray, targets: np.ndarray) -> float | np.ndarray:
        """Compute the AP of a class in percent, an array [S] with `weights`.

        Args:
          boxes, scores: of the RoIs, float32 [R, 4] and float [R]; -inf for RoIs to leave out.
          targets: bool [G], whether a ground-truth box is of the class.
        """
        rois, hits = self._match(boxes, scores, targets)
        order = np.argsort(-scores[rois], kind="stable")
        rois, hits = rois[order], hits[order]
        if self._weights is None:
            return 100 * self._measure(hits, int(targets.sum()))
        frames = self._true_frame[self._frame[rois]]
        counts = self._weights[:, self.truth.box_frame[targets]].sum(axis=1)
        each = [self._measure(hits, n, w[frames]) for n, w in zip(counts, self._weights)]
        return 100 * np.array(each)

    def _match(self, boxes, scores, targets):
        """Return the RoIs that suppression keeps, frame after frame, and which are true positives.

        The first box kept that overlaps a true one enough is one.
        """
        kept, hits = np.zeros((2, len(scores)), bool)
        rois = self._order[scores[self._order] > -np.inf]
        frames, starts = np.unique(self._frame[rois], return_index=True)
        groups = np.split(rois, starts[1:])
        true: dict[int, list] = {}
        for frame, box in zip(self._box_frame[targets].tolist(), self.truth.boxes[targets]):
            true.setdefault(frame, []).append(box)

        for first in range(0, len(frames), _FRAMES):
            part = groups[first : first + _FRAMES]
            table = np.full((len(part), max(map(len, part))), -1)
            for row, group in zip(table, part):
                row[: len(group)] = group
            ranks = np.where(table >= 0, scores[table], -np.inf)
            found = suppress(boxes[table], ranks)
            kept[table[found]] = True
            for i, frame in enumerate(frames[first : first + _FRAMES].tolist()):
                for box in true.get(frame, ()):
                    near = found[i] & (iou(boxes[table[i]], box) >= MATCH_IOU)
                    if near.any():
                        hits[table[i, np.where(near, ranks[i], -np.inf).argmax()]] = True
        rois = self._order[kept[self._order]]
        return rois, hits[rois]


def _places(names, among):
    """The index of each name among others; -1 where it is not there."""
    index = {name: i for i, name in enumerate(among.tolist())}
    return np.array([index.get(name, -1) for name in names.tolist()], int)


def suppress(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Suppress the boxes of each frame that overlap a better one which is kept.

    IoU > p/q is tested as (p + q) * overlap > p * (sum of both areas), which is exact for whole
    pixels and holds for empty boxes.

    Args:
      boxes: float32 [F, N, 4].
      scores: [F, N], -inf where a frame has fewer than N; of equal ones the first is better.

    Returns:
      bool [F, N], which boxes are kept.
    """
    left, kept = scores.copy(), np.zeros(scores.shape, bool)
    rows, (p, q) = np.arange(len(scores)), NMS_IOU
    edges = np.ascontiguousarray(np.moveaxis(boxes, 2, 0))
    y1, x1, y2, x2 = edges
    areas = p * (x2 - x1) * (y2 - y1)
    while True:
        best = left.argmax(axis=1)
        found = left[rows, best] > -np.inf
        if not found.any():
            return kept
        kept[rows, best] |= found
        v1, u1, v2, u2 = edges[:, rows, best, None]
        # Clipping one factor suffices: a negative overlap never exceeds a sum of areas.
        overlap = np.maximum(np.minimum(x2, u2) - np.maximum(x1, u1), 0)
        overlap *= np.minimum(y2, v2) - np.maximum(y1, v1)
        overlap *= p + q
        left[overlap > areas + areas[rows, best, None]] = -np.inf
        left[rows, best] = -np.inf


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the intersection over union of pairs of boxes [..., 4]; 0 where both are empty."""
    boxes, others = np.asarray(boxes, float), np.asarray(others, float)
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=-1)
    area, other = ((b[..., 2:] - b[..., :2]).prod(axis=-1) for b in (boxes, others))
    union = area + other - overlap
    return np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)


def match(near: np.ndarray) -> np.ndarray:
    """Match each row, the best first, to the column that is nearest of those not yet taken.

    Args:
      near: float [N, T], IoUs of found and true instances; 0 where they must not be matched.

    Returns:
      int [N], the column with an IoU of MATCH_IOU or more, or -1.
    """
    near, matched = np.where(near < MATCH_IOU, 0, near), np.full(len(near), -1)
    for i, row in enumerate(near):
        if row.any():
            matched[i] = row.argmax()
            near[:, matched[i]] = 0
    return matched


def average_precision(hits: np.ndarray, positives: int, weights: np.ndarray | int = 1) -> float:
    """Compute the VOC2007 11-point average precision, in [0, 1].

    The recall levels are those of np.arange(0, 1.1, 0.1), as in the usual scripts, so that figures
    agree to the last digit: 0.3, 0.6 and 0.7 are slightly above the tenths, and a recall of exactly
    3/10 does not reach level 0.3.

    Args:
      hits: bool [N], the true positives among the detections, by descending score.
      positives: number of ground-truth boxes; 0 gives 0.
      weights: int [N], how often each detection counts.
    """
    if not positives or not len(hits):
        return 0.0
    true, all_ = np.cumsum(hits * weights), np.cumsum(np.broadcast_to(weights, hits.shape))
    precision = true / np.maximum(all_, 1)
    best_from = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best_from[np.searchsorted(true / positives, RECALL_LEVELS)].mean())


def _mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0
