"""The instances of a frame, and a frame of a video with its instances and their tracks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops import painting


@dataclasses.dataclass(frozen=True)
class Instances:
    """The instances of a frame, as the network found them, in pixels of the video.

    Attributes:
      boxes: float32 [N, 4], y1, x1, y2, x2.
      codes: int32 [N], the pair of actor and action; see `LabelSpace`.
      scores: float32 [N], of the pair.
      masks: N RLEs, see `coco_results.encode_mask`.
      label_map: codes [H, W], in the label space's dtype; 0 is background.
      actor_scores: float32 [N, |X|], p(actor).
      action_scores: float32 [N, |Y|], p(action).
      probabilities: float32 [N, 28, 28], the masks inside their boxes.
    """

    boxes: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    masks: list[dict]
    label_map: np.ndarray
    actor_scores: np.ndarray
    action_scores: np.ndarray
    probabilities: np.ndarray

    def at_least(self, threshold: float, labels: LabelSpace, facts: dict[str, Any]) -> Instances:
        """Keep the instances with p(actor) >= threshold, as a higher --score_threshold would.

        Args:
          facts: of the predictor, for its `label_mode` and `paint`.
        """
        if threshold <= 0:
            return self
        scores = self.scores
        if facts["label_mode"] != "cartesian":
            actors = labels.split(self.codes)[0] - 1
            scores = np.take_along_axis(self.actor_scores, actors[:, None], axis=1)[:, 0]
        indices = np.flatnonzero(scores >= threshold)
        if len(indices) == len(scores):
            return self
        names = ("boxes", "codes", "scores", "actor_scores", "action_scores", "probabilities")
        rows = {name: getattr(self, name)[indices] for name in names}
        height, width = self.label_map.shape
        canvas = painting.Canvas(height, width, facts["paint"] == "pixel", self.label_map.dtype)
        patches = painting.paste(rows["probabilities"], rows["boxes"], height, width)
        for patch, score, code in zip(patches, rows["scores"], rows["codes"]):
            canvas.add(patch, score, code)
        masks = [self.masks[i] for i in indices]
        return Instances(masks=masks, label_map=canvas.labels, **rows)

    def mask(self, index: int) -> np.ndarray:
        """The mask of an instance, uint8 [H, W]."""
        return rle_tools.decode(self.masks[index])

    def decoded_masks(self) -> np.ndarray:
        """The masks as bool [N, H, W]."""
        masks = [self.mask(i) for i in range(len(self.masks))]
        return np.array(masks, bool).reshape(-1, *self.label_map.shape)


@dataclasses.dataclass(frozen=True)
class VideoFrame:
    """A frame of a video, its instances, and what their tracks say of them.

    Attributes:
      number: 1 for the first frame of the video.
      seconds: time at which the frame begins, as a player shows it.
      image: RGB uint8 [H, W, 3].
      instances: the network's own answer; N instances.
      tracks: int64 [N], the track of each instance; an actor keeps its number.
      codes: int64 [N], the label of the track in this frame; steadier than `instances.codes`.
      scores: float64 [N], of `codes`.
      until: time at which the next frame of the video begins, or the last one ends.
    """

    number: int
    seconds: float
    image: np.ndarray
    instances: Instances
    tracks: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    until: float

    @property
    def label_map(self) -> np.ndarray:
        """The network's label map: codes [H, W]; 0 is background."""
        return self.instances.label_map
