"""An answered frame of a video, with its tracks and their labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from a2d_tf.video.frames.instances import Instances


@dataclasses.dataclass(frozen=True)
class VideoFrame:
    """An answered frame of a video: N instances, their tracks and the tracks' labels.

    Attributes:
      number: number of the frame; 1 for the first frame of the video.
      seconds: time at which the frame begins, in seconds from the first frame.
      image: the frame, RGB uint8 [H, W, 3].
      instances: the instances with the labels that the network gave in this frame
        alone.
      tracks: int64 [N], number of each instance's track, from 1; 0 for no track.
      codes: int64 [N], code of actor and action of each instance's track in this frame.
        It is read from several frames, so it changes less often than `instances.codes`.
      scores: float64 [N], scores of `codes`, from 0 to 1.
      until: time at which the next answered frame begins, or the span or the video
        ends, in seconds.
      resting: numbers of the tracks that are lost from this frame on, and continue if
        the individual appears again.
      ended: numbers of the tracks that are lost from this frame on, and never continue.
      extra: number of sure instances that have no track because `max_tracks` is
        reached.
      pair_scores: float64 [N, |X|, |Y|], mean score of each pair of actor and action
        over the window; None to use the scores of this frame alone.
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
        """Return the score of each pair of actor and action for an instance.

        It is the mean over the window if the frame has `pair_scores`, and otherwise
        p(actor) p(action) in this frame.

        Args:
          index: index of the instance in the frame, from 0.

        Returns:
          float64 [|X|, |Y|], indexed by actor and action.
        """
        if self.pair_scores is not None:
            return self.pair_scores[index].copy()
        actor_scores = self.instances.actor_scores[index].astype(np.float64)
        return np.outer(actor_scores, self.instances.action_scores[index])

    @property
    def label_map(self) -> np.ndarray:
        """The code of each pixel by the network's labels: [H, W]; 0 is background."""
        return self.instances.label_map
