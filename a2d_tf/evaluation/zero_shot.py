"""Zero-shot actions (paper, section 4.4 and Fig. 4): an actor learned without its action labels.

The AP of an actor is the mean of the joint APs over its valid actions; the ratio r_zs (Eq. 3)
compares a model that saw no action label of that actor with the full model.
"""

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.evaluation import detection


def actor_aps(per_pair_ap, label_space):
    """Mean AP of each actor's valid pairs: {"1": percent, …} of {"11": percent, …}.

    An actor without valid pairs is left out.
    """
    aps = {}
    for actor in range(len(label_space.actors)):
        codes = label_space.encode(actor, np.flatnonzero(label_space.valid[actor]))
        if len(codes):
            aps[str(actor + 1)] = sum(per_pair_ap[str(code)] for code in codes) / len(codes)
    return aps


def figures(detections, truth, label_space, actor, per_pair_ap, seed, full=None):
    """The figures of Fig. 4 for the actor whose action labels were withheld.

    Args:
      detections, truth, label_space: as `chance` takes them.
      actor: 0-based index.
      per_pair_ap: of these detections, {code: percent}.
      seed: of the shuffles.
      full: optional `Detections` of the full model on the same truth.

    Returns:
      {"actor", "ap", "chance"} in percent, with `full` also {"full_ap", "ratio"}.

    Raises:
      InputError: see `chance` and `detection.check`.
    """
    result = {
        "actor": label_space.actors[actor],
        "chance": chance(detections, truth, label_space, actor, seed),
        "ap": actor_aps(per_pair_ap, label_space)[str(actor + 1)],
    }
    if full is not None:
        detection.check(full, truth, label_space)
        _, of_pairs = detection.actor_aps(full, truth, label_space, actor)
        result["full_ap"] = sum(of_pairs.values()) / len(of_pairs)
        result["ratio"] = ratio(result["ap"], result["full_ap"])
    return result


def ratio(zero_shot, full):
    """r_zs = AP of the zero-shot model / AP of the full one (Eq. 3); None where the latter is 0."""
    return zero_shot / full if full else None


def chance(detections, truth, label_space, actor, seed, shuffles=20):
    """AP of an actor, in percent, for actions drawn by chance: the floor of Fig. 4.

    The action scores are shuffled among the RoIs of the whole set whose most probable actor is
    this one; all else stays. The result is the mean of `actor_aps` over the shuffles.

    Args:
      actor: 0-based index.
      seed: the same seed gives the same shuffles.

    Raises:
      InputError: the detections carry joint scores or boxes, which leave no action scores to
        shuffle; or see `detection.check`.
    """
    if detections.joint_scores is not None or detections.joint_boxes is not None:
        raise InputError(f"{detections.source}: chance needs decoupled actor and action scores")
    detection.check(detections, truth, label_space)
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
        np.tile(targets, shuffles),
    )
    return sum(aps) / len(aps)
