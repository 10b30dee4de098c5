"""The answer to a frame whose boxes are given, whatever says what they are and do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops.label_painter import mask_patches
from a2d_tf.video.frames.instances import GivenAnswer

_MASK_SIDE = 28  # of a mask that fills its box


def no_instances(labels: LabelSpace, size: tuple[int, int]) -> GivenAnswer:
    """Return the answer to a frame (height, width) without instances."""
    return GivenAnswer(
        boxes=np.zeros((0, 4), np.float32),
        codes=np.zeros(0, np.int32),
        scores=np.zeros(0, np.float32),
        masks=[],
        label_map=np.zeros(size, labels.code_dtype),
        actor_scores=np.zeros((0, len(labels.actors)), np.float32),
        action_scores=np.zeros((0, len(labels.actions)), np.float32),
        tracks=np.zeros(0, np.int64),
    )


def complete_masks(
    given: GivenInstances, probabilities: np.ndarray, size: tuple[int, int]
) -> list[dict]:
    """Return the given masks, and where there is none what lies in the box: N RLEs.

    Args:
      probabilities: float32 [N, m, m], of the pixels inside the boxes.
      size: (height, width) of the frame.
    """
    masks = []
    patches = mask_patches(probabilities, given.boxes, *size)
    for given_mask, patch in zip(given.masks, patches):
        masks.append(given_mask or patch.rle(*size))
    return masks


def fill_boxes(given: GivenInstances, size: tuple[int, int]) -> list[dict]:
    """Return the given masks, and where there is none the whole box: N RLEs.

    Args:
      size: (height, width) of the frame.
    """
    filled = np.ones((len(given.boxes), _MASK_SIDE, _MASK_SIDE), np.float32)
    return complete_masks(given, filled, size)


def labelled(
    given: GivenInstances,
    masks: Sequence[dict],
    labels: LabelSpace,
    *,
    actor_scores: np.ndarray,
    action_scores: np.ndarray,
    draws_masks: bool,
    fields: dict[str, np.ndarray] | None = None,
) -> GivenAnswer:
    """Label the given instances of a frame by p(actor) and p(action).

    The actor is the given one, else the likeliest; the action is the likeliest that is
    valid for it. The score is p(actor) p(action) of this pair, also for a given actor.
    A detector's score of a box multiplies p(actor) by its square root
    (docs/real_video.md).

    Args:
      given: N instances, at least one.
      masks: N RLEs.
      actor_scores: [N, |X|], p(actor).
      action_scores: [N, |Y|], p(action).
      draws_masks: whether the network has drawn the masks that are not given; else they
        fill boxes.
      fields: as of `Instances`.
    """
    rows = np.arange(len(given.boxes))
    has_mask = None
    if not draws_masks:
        has_mask = np.array([mask is not None for mask in given.masks])
    if given.scores is not None:
        actor_scores = actor_scores * np.sqrt(given.scores)[:, None]
    likeliest = actor_scores.argmax(axis=1)
    actors = np.where(given.actors >= 0, given.actors, likeliest)
    actions = np.where(labels.valid[actors], action_scores, -1.0).argmax(axis=1)
    codes = labels.encode(actors, actions).astype(np.int32)
    scores = actor_scores[rows, actors] * action_scores[rows, actions]
    label_map: np.ndarray = np.zeros(masks[0]["size"], labels.code_dtype)
    for i in np.argsort(scores, kind="stable"):  # the best one is on top
        label_map[rle_tools.decode(masks[i]).astype(bool)] = codes[i]
    return GivenAnswer(
        boxes=given.boxes,
        codes=codes,
        scores=scores,
        masks=list(masks),
        label_map=label_map,
        actor_scores=actor_scores,
        action_scores=action_scores,
        fields=fields or {},
        has_mask=has_mask,
        tracks=given.tracks,
    )
