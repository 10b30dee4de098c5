"""An oracle: the benchmark's detection metrics in plain loops; random cases."""

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.box_data import Truth
from a2d_tf.evaluation.scored_rois import ScoredRois

SMALL = LabelSpace(
    ("man", "dog"), ("run", "eat", "none"), (11, 13, 21, 22), none_action="none"
)
MANY = LabelSpace(("man",), tuple(f"y{i}" for i in range(12)), (14, 25))


def slow_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (
        (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    )


def slow_ap(frames, detections, truth):
    """detections: {frame: [(score, box)]}, truth: {frame: [box]} -> percent."""
    everything = []
    for frame in frames:
        kept = []
        for score, box in sorted(detections.get(frame, []), key=lambda item: -item[0]):
            if all(slow_iou(box, other) <= 0.3 for _, other in kept):
                kept.append((score, box))
        true = set()
        for target in truth.get(frame, []):
            for i, (_, box) in enumerate(kept):
                if slow_iou(box, target) >= 0.5:
                    true.add(i)
                    break
        everything += [(score, i in true) for i, (score, _) in enumerate(kept)]
    everything.sort(key=lambda item: -item[0])
    positives = sum(map(len, truth.values()))
    if not positives:
        return 0.0
    curve, found = [], 0
    for rank, (_, true) in enumerate(everything, 1):
        found += true
        curve.append((found / positives, found / rank))
    total = 0.0
    for level in np.arange(0, 1.1, 0.1):
        total += max([p for recall, p in curve if recall >= level], default=0.0)
    return 100 * total / 11


def slow_metrics_of(d, t, space):
    joint, boxes = d.joint_scores, d.joint_boxes
    if joint is None:
        joint = d.actor_scores[:, :, None].astype(float) * d.action_scores[:, None]
    if boxes is None:
        boxes = np.repeat(d.boxes[:, :, None], len(space.actions), axis=2)

    def ap(wanted, scores, boxes):
        truth, found = {}, {}
        for g in np.flatnonzero(wanted):
            truth.setdefault(t.frames[t.box_frame[g]], []).append(t.boxes[g].tolist())
        for frame, score, box in zip(d.roi_frame, scores.tolist(), boxes.tolist()):
            found.setdefault(d.frames[frame], []).append((score, box))
        return slow_ap(d.frames, found, truth)

    pairs = {
        code: (code // space.base - 1, code % space.base - 1) for code in space.codes
    }
    of_pairs = {
        str(code): ap(t.codes == code, joint[:, x, y], boxes[:, x, y])
        for code, (x, y) in pairs.items()
    }
    of_actors = {
        str(x + 1): ap(
            t.codes // space.base == x + 1, d.actor_scores[:, x], d.boxes[:, x]
        )
        for x in range(len(space.actors))
    }
    of_actions, real = {}, []
    for y, name in enumerate(space.actions):
        able = [x for x, action in pairs.values() if action == y]
        actors, table = (
            (able, joint[:, :, y])
            if d.joint_scores is not None
            else (..., d.actor_scores)
        )
        value = 0.0
        if able:
            best = np.arange(len(space.actors))[actors][table[:, actors].argmax(axis=1)]
            rois = np.arange(len(best))
            box = (
                d.boxes[rois, best] if d.joint_scores is None else boxes[rois, best, y]
            )
            value = ap(t.codes % space.base == y + 1, d.action_scores[:, y], box)
        of_actions[str(y + 1)] = value
        real += [value] * (name != space.none_action)
    kinds = {"actor": of_actors.values(), "action": real, "joint": of_pairs.values()}
    return {
        "detection": {kind: sum(aps) / len(aps) for kind, aps in kinds.items()},
        "per_pair_ap": of_pairs,
        "per_actor_ap": of_actors,
        "per_action_ap": of_actions,
    }


def random_case(space, seed, overrides=(), rois=60, digits=None):
    """Draw boxes on a coarse grid around the truth: some IoUs are at a threshold.

    With `digits`, scores are rounded to so many: many ties.
    """
    rng = np.random.default_rng(seed)
    frames = [f"-v{i}/{i + 1:05d}" for i in range(6)]
    size = (len(space.actors), len(space.actions))

    def draw(*shape):
        corner = rng.integers(0, 12, (*shape, 2))
        return np.concatenate([corner, corner + rng.integers(0, 11, (*shape, 2))], -1)

    truth = Truth(frames, rng.integers(0, 6, 12), draw(12), rng.choice(space.codes, 12))
    # another order than the truth's, and one frame without RoIs
    order = rng.permutation(5)
    boxes = draw(rois, size[0])
    joint_boxes = draw(rois, *size) if "joint_boxes" in overrides else None
    near = rng.random(rois) < 0.5
    boxes[near] = truth.boxes[rng.integers(0, 12, near.sum()), None]
    if joint_boxes is not None:
        joint_boxes[near] = boxes[near, 0][:, None, None]
    roi_frame = rng.integers(0, 5, rois)
    scores = (
        rng.dirichlet(np.ones(size[0]), rois).astype(np.float32),
        rng.dirichlet(np.ones(size[1]), rois).astype(np.float32),
        rng.random((rois, *size)) if "joint_scores" in overrides else None,
    )
    if digits:
        scores = tuple(
            None if score is None else score.round(digits) for score in scores
        )
    return (
        ScoredRois([frames[i] for i in order], roi_frame, boxes, *scores, joint_boxes),
        truth,
    )


def flatten(metrics):
    return {
        (part, key): value for part, d in metrics.items() for key, value in d.items()
    }
