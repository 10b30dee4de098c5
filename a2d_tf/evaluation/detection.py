"""Detection metrics of Table 2: VOC2007 average precision of actors, actions and pairs.

Classes are scored separately: within a frame, a class's boxes pass NMS in the order of their
scores, each ground-truth box is matched by the first that overlaps it enough, and precision and
recall are computed over the detections of the whole set.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Callable

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import suppression
from a2d_tf.evaluation.box_data import Detections, Truth, check
from a2d_tf.evaluation.coco_results import Results

RECALL_LEVELS = np.linspace(0, 1, 11)  # not the exact tenths, see average_precision

_THREADS = min(8, os.cpu_count() or 1)


def metrics_of(
    detections: Detections, truth: Truth, label_space: LabelSpace, weights: np.ndarray | None = None
) -> dict:
    """Score detections by the protocol of Table 2.

    A pair is scored p(actor) * p(action) with the actor's box, unless the detections have joint
    scores or boxes. An actor's ground truth is the union over its actions. An action has the box of
    the RoI's most probable actor or, with joint scores, of the RoI's best valid pair with this
    action.

    Args:
      detections, truth, label_space: see `box_data.check`.
      weights: int [S, F], multiplicity of each ground-truth frame in each of S samples; every
        figure is then an array [S].

    Returns:
      {"detection": {"actor", "action", "joint"}, "per_pair_ap": {code: AP}, "per_actor_ap",
      "per_action_ap": {1-based digit: AP}}, in percent, keys strings. Joint mAP is the mean over
      all valid pairs, counting 0 for those without ground truth; action mAP excludes `none_action`.

    Raises:
      InputError: see `box_data.check`.
    """
    check(detections, truth, label_space)
    pair_ap, actor_ap = {}, {}
    for actor in range(len(label_space.actors)):
        ap, pair_aps = actor_aps(detections, truth, label_space, actor, weights=weights)
        actor_ap[str(actor + 1)] = ap
        pair_ap.update(pair_aps)
    action_aps = _action_aps(detections, truth, label_space, weights)
    real = [
        ap for name, ap in zip(label_space.actions, action_aps) if name != label_space.none_action
    ]
    return {
        "detection": {
            "actor": _mean(actor_ap.values()),
            "action": _mean(real),
            "joint": _mean(pair_ap.values()),
        },
        "per_pair_ap": pair_ap,
        "per_actor_ap": actor_ap,
        "per_action_ap": {str(i + 1): ap for i, ap in enumerate(action_aps)},
    }


def metrics_of_results(results: Results, truth: Truth, label_space: LabelSpace) -> dict:
    """Score COCO results on the frames of this ground truth, each of one pair, by this protocol.

    Returns:
      {"detection": {"joint"}, "per_pair_ap": {code: AP}} in percent, keys strings; actors and
      actions have no scores of their own.
    """
    pair_ap = {}
    for code in label_space.codes:
        of_pair = results.select(results.codes == code)
        (pair_ap[str(code)],) = average_precisions(
            of_pair,
            truth,
            of_pair.boxes.__getitem__,
            of_pair.scores[:, None].__getitem__,
            targets=truth.codes[:, None] == code,
        )
    return {"detection": {"joint": _mean(pair_ap.values())}, "per_pair_ap": pair_ap}


def actor_aps(
    detections: Detections,
    truth: Truth,
    label_space: LabelSpace,
    actor: int,
    *,
    weights: np.ndarray | None = None,
) -> tuple:
    """Compute the AP of an actor (0-based) and of its valid pairs, {code as a string: AP}."""
    actions = np.flatnonzero(label_space.valid[actor])
    codes = label_space.encode(actor, actions)
    of_actor = truth.codes // label_space.base == actor + 1
    of_pairs = truth.codes[:, None] == codes

    def boxes_of(rois):
        return detections.boxes[rois, actor]

    def actor_score(rois):
        return detections.actor_scores[rois, actor, None]

    if detections.joint_boxes is None:
        ap, *pair_aps = average_precisions(
            detections,
            truth,
            boxes_of,
            lambda rois: np.hstack([actor_score(rois), detections.joint(rois, actor, actions)]),
            targets=np.column_stack([of_actor, of_pairs]),
            weights=weights,
        )
    else:
        (ap,) = average_precisions(
            detections, truth, boxes_of, actor_score, targets=of_actor[:, None], weights=weights
        )
        pair_aps = []
        for i, action in enumerate(actions):
            pair_aps += average_precisions(
                detections,
                truth,
                functools.partial(_pair_boxes, detections, actor, action),
                functools.partial(detections.joint, actor=actor, actions=[action]),
                targets=of_pairs[:, i : i + 1],
                weights=weights,
            )
    return ap, dict(zip(map(str, codes), pair_aps))


def _pair_boxes(detections, actor, action, rois):
    return detections.joint_boxes[rois, actor, action]


def _action_aps(detections, truth, label_space, weights):
    """Compute the AP of each action, in percent."""
    _, gt_action = label_space.split(truth.codes)
    targets = gt_action[:, None] == np.arange(1, len(label_space.actions) + 1)
    if detections.joint_scores is None:
        best = detections.actor_scores.argmax(axis=1)
        return average_precisions(
            detections,
            truth,
            lambda rois: detections.boxes[rois, best[rois]],
            lambda rois: detections.action_scores[rois],
            targets=targets,
            weights=weights,
        )

    def box_of(rois, action):
        actors = np.flatnonzero(label_space.valid[:, action])
        best = actors[detections.joint_scores[rois[:, None], actors, action].argmax(axis=1)]
        if detections.joint_boxes is None:
            return detections.boxes[rois, best]
        return detections.joint_boxes[rois, best, action]

    aps = []
    for action in range(len(label_space.actions)):
        aps += average_precisions(
            detections,
            truth,
            lambda rois, action=action: box_of(rois, action),
            lambda rois, action=action: detections.action_scores[rois, action, None],
            targets=targets[:, action : action + 1],
            weights=weights,
        )
    return aps


def average_precisions(
    detections: Detections | Results,
    truth: Truth,
    boxes_of: Callable[[np.ndarray], np.ndarray],
    scores_of: Callable[[np.ndarray], np.ndarray],
    *,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
    curves: list | None = None,
) -> list:
    """Compute the average precisions of C classes that share their boxes, in percent.

    Args:
      detections, truth: see `box_data.check`; of the detections `frames` and `roi_frame` are used.
      boxes_of: RoI indices [n] -> float32 [n, 4].
      scores_of: RoI indices [n] -> float [n, C].
      targets: bool [G, C], the classes of each ground-truth box.
      weights: int [S, F], multiplicity of each ground-truth frame in each of S samples.
      curves: list to which the `precision_recall` of each class is appended; without `weights`.

    Returns:
      A list of C floats, or of arrays [S] with `weights`.
    """
    positives = targets.sum(axis=0)
    classes = np.flatnonzero(positives)
    aps = [0.0 if weights is None else np.zeros(len(weights)) for _ in positives]
    found = _matched(
        *(detections, truth, boxes_of, scores_of),
        targets=targets,
        classes=classes,
        whole=curves is not None,
    )
    frame_index = {name: i for i, name in enumerate(truth.frames.tolist())}
    gt_frame = np.array([frame_index.get(name, -1) for name in detections.frames.tolist()])
    for c, (scores, hits, rois) in zip(classes, found):
        if curves is not None:
            curves.append(precision_recall(scores, hits, positives[c]))
        if weights is None:
            aps[c] = 100 * average_precision(scores, hits, positives[c])
            continue
        order = np.argsort(-scores, kind="stable")
        frames = gt_frame[detections.roi_frame[rois[order]]]
        counts = weights[:, truth.box_frame[targets[:, c]]].sum(axis=1)
        hits = hits[order]
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            score = functools.partial(_of_sample, hits, frames)
            aps[c] = 100 * np.array(list(pool.map(score, counts, weights)))
    return aps


def _matched(detections, truth, boxes_of, scores_of, *, targets, classes, whole):
    """Suppress and match the boxes of classes: (scores, hits, RoI indices) of each.

    Unless the lists are to be `whole`, boxes that score less than a class's last true positive are
    left out: behind it precision only falls, so they change no average precision, whatever the
    frames weigh. Its frames with truth tell that score, and they are few.
    """
    chunks = list(suppression.chunks(detections, truth))

    def match(with_truth, least, chunk):
        rois = chunk[0][chunk[0] >= 0]
        boxes, scores = boxes_of(rois), np.asarray(scores_of(rois), float)
        return [
            suppression.match(
                *(chunk, boxes, scores[:, c], truth.boxes),
                targets=targets[:, c],
                with_truth=with_truth,
                least=bound,
            )
            for c, bound in zip(classes, least)
        ]

    def match_all(with_truth, least):
        of_chunks = pool.map(functools.partial(match, with_truth, least), chunks)
        return [list(map(np.concatenate, zip(*parts))) for parts in zip(*of_chunks)]

    everything = [-np.inf] * len(classes)
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        own = match_all(True, everything)
        last = [scores[hits].min(initial=np.inf) for scores, hits, _ in own]
        others = match_all(False, everything if whole else last)
    for parts in zip(own, others):
        scores, hits, rois = map(np.concatenate, zip(*parts))
        # Equal scores keep the order of their frames.
        order = np.argsort(detections.roi_frame[rois], kind="stable")
        yield scores[order], hits[order], rois[order]


def _of_sample(hits, frames, positives, weights):
    """Compute `_of_sorted` in a sample of frames."""
    return _of_sorted(hits, positives, weights[frames])


def average_precision(scores: np.ndarray, hits: np.ndarray, positives: int) -> float:
    """Compute the VOC2007 11-point average precision, in [0, 1].

    The recall levels are those of np.arange(0, 1.1, 0.1), as in the usual scripts, so that figures
    agree to the last digit: 0.3, 0.6 and 0.7 are slightly above the tenths, and a recall of exactly
    3/10 does not reach level 0.3.

    Args:
      scores: [N], in any order; equal scores keep theirs.
      hits: bool [N], true positives.
      positives: number of ground-truth boxes; 0 gives 0.
    """
    order = np.argsort(-scores, kind="stable")
    return _of_sorted(hits[order], positives, np.ones(len(order), np.int64))


def _of_sorted(hits, positives, weights):
    """`average_precision` by descending score."""
    if not positives or not len(hits):
        return 0.0
    true, all_ = np.cumsum(hits * weights), np.cumsum(weights)
    precision = true / np.maximum(all_, 1)
    best_from = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best_from[np.searchsorted(true / positives, RECALL_LEVELS)].mean())


def precision_recall(
    scores: np.ndarray, hits: np.ndarray, positives: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the curve of `average_precision`, by descending score: (recall [N], precision [N])."""
    true = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    return true / max(positives, 1), true / np.arange(1, len(true) + 1)


def _mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0
