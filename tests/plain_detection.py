"""An oracle: the benchmark's detection metrics in plain loops; random cases."""

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois

SMALL = LabelSpace(
    ("man", "dog"), ("run", "eat", "none"), (11, 13, 21, 22), none_action="none"
)
MANY = LabelSpace(("man",), tuple(f"y{i}" for i in range(12)), (14, 25))


def area(box):
    """Return the area of a box (y1, x1, y2, x2)."""
    return (box[2] - box[0]) * (box[3] - box[1])


def slow_iou(box, other):
    """Return the intersection over union of two boxes (y1, x1, y2, x2)."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (area(box) + area(other) - shared)


def slow_suppression(scored_boxes):
    """Keep the best ones of scored boxes that overlap by an IoU of more than 0.3.

    Args:
      scored_boxes: [(score, box)].

    Returns:
      the kept ones, best first.
    """
    kept = []
    for score, box in sorted(scored_boxes, key=lambda item: -item[0]):
        if all(slow_iou(box, other) <= 0.3 for _, other in kept):
            kept.append((score, box))
    return kept


def slow_matches(kept, targets):
    """Return the indices of the boxes that find a target: for each target the best one.

    Args:
      kept: [(score, box)], best first.
      targets: boxes of the truth; an IoU of 0.5 is enough.
    """
    matches = set()
    for target in targets:
        for i, (_, box) in enumerate(kept):
            if slow_iou(box, target) >= 0.5:
                matches.add(i)
                break
    return matches


def slow_ap(frames, detections, truth):
    """Return the average precision in percent, over eleven levels of recall.

    Args:
      frames: names of all frames.
      detections: {frame: [(score, box)]}.
      truth: {frame: [box]}.
    """
    outcomes = []  # (score, whether it finds a target) of each kept box
    for frame in frames:
        kept = slow_suppression(detections.get(frame, []))
        matches = slow_matches(kept, truth.get(frame, []))
        for i, (score, _) in enumerate(kept):
            outcomes.append((score, i in matches))
    outcomes.sort(key=lambda item: -item[0])
    positives = sum(map(len, truth.values()))
    if not positives:
        return 0.0
    curve = []  # (recall, precision)
    hits = 0
    for rank, (_, is_hit) in enumerate(outcomes, 1):
        hits += is_hit
        curve.append((hits / positives, hits / rank))
    total = 0.0
    for level in (0, 0.1, 0.2, 3 * 0.1, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1):
        precisions = [precision for recall, precision in curve if recall >= level]
        total += max(precisions, default=0.0)
    return 100 * total / 11


class _Case:
    """Detections and a truth, and the AP of a choice of both."""

    def __init__(self, detections, truth):
        self.detections = detections
        self.truth = truth

    def ap(self, is_wanted, scores, boxes):
        """AP of boxes [R, 4] with scores [R], for the wanted instances, bool [N]."""
        truth = self.truth
        true_boxes = {}
        for i in np.flatnonzero(is_wanted):
            frame = truth.frames[truth.box_frame[i]]
            true_boxes.setdefault(frame, []).append(truth.boxes[i].tolist())
        frames = self.detections.frames
        found_boxes = {}
        rois = zip(self.detections.roi_frame, scores.tolist(), boxes.tolist())
        for frame, score, box in rois:
            found_boxes.setdefault(frames[frame], []).append((score, box))
        return slow_ap(frames, found_boxes, true_boxes)


def slow_metrics_of(detections, truth, space):
    """Return the detection metrics of a case in the form of `metrics.json`.

    Args:
      detections: `ScoredRois`.
      truth: the true instances, a `Truth`.
      space: the label space.
    """
    case = _Case(detections, truth)
    has_joint_scores = detections.joint_scores is not None
    joint = detections.joint_scores
    if not has_joint_scores:
        actor_scores = detections.actor_scores[:, :, None].astype(float)
        joint = actor_scores * detections.action_scores[:, None]
    boxes = detections.joint_boxes
    if boxes is None:
        boxes = np.repeat(detections.boxes[:, :, None], len(space.actions), axis=2)

    of_pairs = {}
    actors_of = {action: [] for action in range(len(space.actions))}
    for code in space.codes:
        actor = code // space.base - 1
        action = code % space.base - 1
        actors_of[action].append(actor)
        of_pairs[str(code)] = case.ap(
            truth.codes == code, joint[:, actor, action], boxes[:, actor, action]
        )
    of_actors = {}
    for actor in range(len(space.actors)):
        of_actors[str(actor + 1)] = case.ap(
            truth.codes // space.base == actor + 1,
            detections.actor_scores[:, actor],
            detections.boxes[:, actor],
        )
    of_actions = {}
    aps_of_real_actions = []
    rois = np.arange(len(joint))
    for action, name in enumerate(space.actions):
        ap = 0.0
        actors = np.array(actors_of[action])
        if len(actors):
            if has_joint_scores:
                best = actors[joint[:, actors, action].argmax(axis=1)]
                best_boxes = boxes[rois, best, action]
            else:
                best = detections.actor_scores.argmax(axis=1)
                best_boxes = detections.boxes[rois, best]
            ap = case.ap(
                truth.codes % space.base == action + 1,
                detections.action_scores[:, action],
                best_boxes,
            )
        of_actions[str(action + 1)] = ap
        if name != space.none_action:
            aps_of_real_actions.append(ap)

    def mean(aps):
        return sum(aps) / len(aps)

    return {
        "detection": {
            "actor": mean(of_actors.values()),
            "action": mean(aps_of_real_actions),
            "joint": mean(of_pairs.values()),
        },
        "per_pair_ap": of_pairs,
        "per_actor_ap": of_actors,
        "per_action_ap": of_actions,
    }


def random_case(space, seed, overrides=(), rois=60, digits=None):
    """Draw detections and a truth on a coarse grid: some IoUs are at a threshold.

    Args:
      space: the label space.
      seed: seed of the case.
      overrides: optional fields of the detections that are not None: "joint_boxes",
        "joint_scores".
      rois: number of the detections' boxes.
      digits: number of digits to which scores are rounded, for many ties; None for all.

    Returns:
      `ScoredRois` and `Truth`.
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
    """Return {(part, key): value} of metrics of the form {part: {key: value}}."""
    flat = {}
    for part, values in metrics.items():
        for key, value in values.items():
            flat[part, key] = value
    return flat
