"""The instances in a frame of a video, with their labels and scores."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace


class RunnerUp(NamedTuple):
    """The label that comes second for an instance, after its own label.

    Attributes:
      margin: difference of p(actor), or of p(action), between the instance's label and
        this one; from 0 for a draw to 1.
      code: code of the label, a pair of actor and action; see `LabelSpace`.
    """

    margin: float
    code: int


@dataclasses.dataclass(frozen=True)
class Instances:
    """The N instances that a network found in one frame, in pixels of the video.

    Attributes:
      boxes: float32 [N, 4], (y1, x1, y2, x2).
      codes: int32 [N], code of the pair of actor and action; see `LabelSpace`.
      scores: float32 [N], score of that pair, p(actor) p(action).
      masks: N masks in the whole frame, each a dict of COCO's compressed RLE (see
        `segmentations.encode_mask`); an instance without a mask has its filled box.
      label_map: the code of each pixel, [H, W] in the label space's dtype; 0 is
        background.
      actor_scores: float32 [N, |X|], probability of each actor.
      action_scores: float32 [N, |Y|], probability of each action.
      fields: further values of the instances, {name in `instance_fields.FIELDS`: [N,
        ...]}, such as key points; {} if the network finds none.
      has_mask: bool [N], False for an instance whose mask is its filled box; None if
        all have a true mask.
    """

    boxes: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    masks: list[dict]
    label_map: np.ndarray
    actor_scores: np.ndarray
    action_scores: np.ndarray
    fields: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    has_mask: np.ndarray | None = None

    def runner_up(self, index: int, labels: LabelSpace) -> RunnerUp:
        """Return the label that comes second for an instance.

        It is the label of least margin that has another action of the same actor, or
        another actor with the likeliest valid action of that actor. `a2d next` chooses
        frames by it. If the label space has no other label, it is the instance's own,
        with a margin of 1.

        Args:
          index: index of the instance, from 0.
          labels: the label space of the codes.
        """
        code = int(self.codes[index])
        actor, action = labels.indices(code)
        actor_scores = self.actor_scores[index]
        action_scores = self.action_scores[index]
        rivals = []
        for other_action in np.flatnonzero(labels.valid[actor]):
            if other_action != action:
                margin = float(action_scores[action] - action_scores[other_action])
                rivals.append(RunnerUp(margin, int(labels.encode(actor, other_action))))
        for other_actor in range(len(labels.actors)):
            if other_actor != actor:
                valid_scores = np.where(labels.valid[other_actor], action_scores, -1)
                likely_action = np.argmax(valid_scores)
                margin = float(actor_scores[actor] - actor_scores[other_actor])
                other_code = int(labels.encode(other_actor, likely_action))
                rivals.append(RunnerUp(margin, other_code))
        nearest = min(rivals, default=RunnerUp(1.0, code))
        return nearest._replace(margin=max(0.0, nearest.margin))

    def decoded_masks(self) -> np.ndarray:
        """Return the masks of the N instances as arrays, bool [N, H, W]."""
        masks = [rle_tools.decode(mask) for mask in self.masks]
        return np.array(masks, bool).reshape(-1, *self.label_map.shape)


@dataclasses.dataclass(frozen=True)
class LabelledBoxes(Instances):
    """The labelled instances of a frame whose boxes come from a user or a detector.

    Attributes:
      tracks: int64 [N], number of each instance's track in the user's file, from 1; 0
        for the boxes of a detector, which are not yet tracked.
    """

    tracks: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0, np.int64)
    )
