"""The instances in a frame of a video, with their labels and scores."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace


class RunnerUp(NamedTuple):
    """A label that the network nearly gave an instance.

    Attributes:
      margin: by how much p(actor), or p(action), is below that of the given label.
      code: of the label.
    """

    margin: float
    code: int


@dataclasses.dataclass(frozen=True)
class Instances:
    """The instances of a frame, as the network found them, in pixels of the video.

    Attributes:
      boxes: float32 [N, 4], y1, x1, y2, x2.
      codes: int32 [N], the pair of actor and action; see `LabelSpace`.
      scores: float32 [N], of the pair.
      masks: N RLEs, see `segmentations.encode_mask`; they fill the boxes of instances
        that have none.
      label_map: codes [H, W], in the label space's dtype; 0 is background.
      actor_scores: float32 [N, |X|], p(actor).
      action_scores: float32 [N, |Y|], p(action).
      fields: those of `instance_fields.FIELDS` that the network finds, [N, ...].
      has_mask: bool [N]; None if all have one.
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
        """Return the label that the network nearly gave an instance.

        It differs from the instance's label in the actor or in the action. If there is
        no other label, it is the instance's own, with a margin of 1.
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
        """Return the masks as bool [N, H, W]."""
        masks = [rle_tools.decode(mask) for mask in self.masks]
        return np.array(masks, bool).reshape(-1, *self.label_map.shape)


@dataclasses.dataclass(frozen=True)
class LabelledBoxes(Instances):
    """The labelled instances of a frame whose boxes a user or a detector gave.

    Attributes:
      tracks: int64 [N], the numbers of their tracks; 0 for boxes of a detector.
    """

    tracks: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0, np.int64)
    )
