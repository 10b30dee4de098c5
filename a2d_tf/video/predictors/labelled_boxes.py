"""Label the boxes that a user or a detector gave in a frame: p(actor) and p(action)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops.label_painter import mask_patches
from a2d_tf.video.frames.instances import LabelledBoxes

_MASK_SIDE = 28  # pixels of a mask that fills its box


def no_instances(labels: LabelSpace, size: tuple[int, int]) -> LabelledBoxes:
    """Return the labelled boxes of a frame in which there are none.

    Args:
      labels: the label space, which gives the lengths of the empty arrays.
      size: (height, width) of the frame, whose label map is background.
    """
    return LabelledBoxes(
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
    instances: GivenInstances, probabilities: np.ndarray, size: tuple[int, int]
) -> list[dict]:
    """Return a mask for each instance; draw the masks that the instances lack.

    Args:
      instances: the N instances, of which some may have no mask.
      probabilities: float32 [N, m, m], probability that a pixel inside the box is of
        the instance, from a mask head; a drawn mask has the likely pixels.
      size: (height, width) of the frame.

    Returns:
      N masks in the whole frame, dicts of COCO's compressed RLE.
    """
    masks = []
    patches = mask_patches(probabilities, instances.boxes, *size)
    for mask, patch in zip(instances.masks, patches):
        masks.append(mask or patch.rle(*size))
    return masks


def fill_boxes(instances: GivenInstances, size: tuple[int, int]) -> list[dict]:
    """Return a mask for each instance: its own, or its whole box if it has none.

    Args:
      instances: the N instances, of which some may have no mask.
      size: (height, width) of the frame.

    Returns:
      N masks in the whole frame, dicts of COCO's compressed RLE.
    """
    filled = np.ones((len(instances.boxes), _MASK_SIDE, _MASK_SIDE), np.float32)
    return complete_masks(instances, filled, size)


def label_boxes(
    instances: GivenInstances,
    masks: Sequence[dict],
    labels: LabelSpace,
    *,
    actor_scores: np.ndarray,
    action_scores: np.ndarray,
    draws_masks: bool,
    fields: dict[str, np.ndarray] | None = None,
) -> LabelledBoxes:
    """Label the instances in a frame by p(actor) and p(action).

    The actor is the one that the export or the class of the box names, else the
    likeliest; the action is the likeliest that is valid for the actor. The score is
    p(actor) p(action) of this pair, also for an actor that is named. If a detector gave
    scores of the boxes, p(actor) is first multiplied by their square root
    (docs/real_video.md).

    Args:
      instances: N instances, at least one, which need no masks.
      masks: N masks in the whole frame, dicts of COCO's compressed RLE.
      labels: the label space of the result.
      actor_scores: [N, |X|], p(actor).
      action_scores: [N, |Y|], p(action).
      draws_masks: whether a network drew the masks of instances that have none of their
        own; otherwise these are filled boxes, and `has_mask` of the result says so.
      fields: further values of the instances, {name in `instance_fields.FIELDS`: [N,
        ...]}; None for none.

    Returns:
      the labelled instances; in the label map those with higher scores are on top.
    """
    rows = np.arange(len(instances.boxes))
    has_mask = None
    if not draws_masks:
        has_mask = np.array([mask is not None for mask in instances.masks])
    if instances.scores is not None:
        actor_scores = actor_scores * np.sqrt(instances.scores)[:, None]
    likeliest = actor_scores.argmax(axis=1)
    actors = np.where(instances.actors >= 0, instances.actors, likeliest)
    actions = np.where(labels.valid[actors], action_scores, -1.0).argmax(axis=1)
    codes = labels.encode(actors, actions).astype(np.int32)
    scores = actor_scores[rows, actors] * action_scores[rows, actions]
    label_map: np.ndarray = np.zeros(masks[0]["size"], labels.code_dtype)
    for i in np.argsort(scores, kind="stable"):  # the best one is on top
        label_map[rle_tools.decode(masks[i]).astype(bool)] = codes[i]
    return LabelledBoxes(
        boxes=instances.boxes,
        codes=codes,
        scores=scores,
        masks=list(masks),
        label_map=label_map,
        actor_scores=actor_scores,
        action_scores=action_scores,
        fields=fields or {},
        has_mask=has_mask,
        tracks=instances.tracks,
    )
