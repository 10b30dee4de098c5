"""An answered frame of a video, with its tracks and their labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from a2d_tf.video.frames.instances import Instances


@dataclasses.dataclass(frozen=True)
class VideoFrame:
    """A frame of a video, its N instances, their tracks and the labels of these.

    Attributes:
      number: 1 for the first frame of the video.
      seconds: time at which the frame begins, as a player shows it.
      image: RGB uint8 [H, W, 3].
      instances: the network's own answer.
      tracks: int64 [N], the number of each instance's track; 0 for no track.
      codes: int64 [N], the label of the track in this frame. It changes less often than
        `instances.codes`.
      scores: float64 [N], scores of `codes`.
      until: time at which the next answered frame begins, or the span or the video
        ends.
      resting, ended, extra: see `tracking.structures.LinkedInstances`.
      pair_scores: see `tracked_frames.TrackedFrame`; None for the scores of this frame
        alone.
    """

    number: int
    seconds: float
    image: np.ndarray
    instances: Instances
    tracks: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    until: float
    resting: Sequence[int] = ()
    ended: Sequence[int] = ()
    extra: int = 0
    pair_scores: np.ndarray | None = None

    def scores_of_pairs(self, index: int) -> np.ndarray:
        """Return p(actor) p(action) of all pairs of an instance: float64 [|X|, |Y|]."""
        if self.pair_scores is not None:
            return self.pair_scores[index].copy()
        actor_scores = self.instances.actor_scores[index].astype(np.float64)
        return np.outer(actor_scores, self.instances.action_scores[index])

    @property
    def label_map(self) -> np.ndarray:
        """The network's label map: codes [H, W]; 0 is background."""
        return self.instances.label_map
