"""A hidden Markov model of the actions of a track, from the mean lengths of bouts.

The hidden state is the track's action in an answered frame. The longer the bouts of an
action are on average, the more probably it continues in the next answered frame; all
other actions follow with equal probability. The observation is the network's p(action)
in each frame (Rabiner, "A Tutorial on Hidden Markov Models", Proceedings of the IEEE
1989): `forward` filters p(action) by the frames so far, and `smooth` adds later frames.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace

# Consecutive frames look alike, so they are not independent evidence. All frames of a
# typical bout together count as so many independent ones. The number was measured on
# JHMDB, see docs/real_video.md.
EVIDENCE = 9.0
# An action is read with at most so many answered frames after its frame, which are held
# in memory.
MOST_AHEAD = 32


class FrameActions(NamedTuple):
    """The probabilities of a track's actions in one answered frame.

    Attributes:
      frame_index: 0-based index of the frame among the answered (predicted) frames.
      actions: float64 [|Y|], p(action) of each action of the label space.
    """

    frame_index: int
    actions: np.ndarray


@dataclasses.dataclass(frozen=True)
class BoutModel:
    """The hidden Markov model: how long the bouts of each action last on average.

    All lengths are in answered frames.

    Attributes:
      lengths: float64 [|Y|], the mean length of each action's bouts; `typical` for an
        action whose length is not known.
      typical: geometric mean of the known lengths, on which one long action has little
        effect.
    """

    lengths: np.ndarray
    typical: float

    @classmethod
    def of_seconds(
        cls,
        bout_seconds: Mapping[str, float],
        labels: LabelSpace,
        frames_per_second: float,
    ) -> BoutModel | None:
        """Make the model of a label space from mean lengths of bouts in seconds.

        Args:
          bout_seconds: {name of an action: mean length of its bouts in seconds}; an
            action that is missing gets the typical length.
          labels: the label space, whose actions the model has in their order.
          frames_per_second: number of answered (predicted) frames in a second of the
            video.

        Returns:
          the model; None if the lengths of no action are known.
        """
        lengths = np.full(len(labels.actions), np.nan)
        for i, action in enumerate(labels.actions):
            if action in bout_seconds:
                lengths[i] = bout_seconds[action] * frames_per_second
        is_known = np.isfinite(lengths)
        if not is_known.any():
            return None
        typical = float(np.exp(np.log(lengths[is_known]).mean()))
        return cls(np.where(is_known, lengths, typical), typical)

    @property
    def ahead(self) -> int:
        """The number of later answered (predicted) frames that a frame's action needs.

        It is the typical length of a bout, but at most MOST_AHEAD.
        """
        return min(math.ceil(self.typical), MOST_AHEAD)

    def forward(
        self, before: FrameActions | None, observed: FrameActions, valid: np.ndarray
    ) -> FrameActions:
        """Return p(action) of a track, given this frame and all frames before it.

        This is the forward (filtering) step of the hidden Markov model. Call it for the
        track's frames in order.

        Args:
          before: the result of `forward` for the track's previous frame; None for the
            first frame.
          observed: the network's p(action) in this frame; it need not add up to 1.
          valid: bool [|Y|], whether each action is valid for the track's actor.

        Returns:
          p(action) in this frame; it adds up to 1 and is 0 for invalid actions.
        """
        expected = valid / valid.sum()
        if before is not None:
            actions = before.actions * valid
            if actions.sum() > 0:  # else the track now has another actor
                gap = observed.frame_index - before.frame_index
                expected = self._after(_normalized(actions), gap, valid)
        actions = _normalized(expected * self._likelihoods(observed, valid))
        return FrameActions(observed.frame_index, actions)

    def smooth(
        self, filtered: FrameActions, later: Sequence[FrameActions], valid: np.ndarray
    ) -> np.ndarray:
        """Return p(action) of a track in a frame, given the frames before and after it.

        Args:
          filtered: the result of `forward` for this frame.
          later: the network's p(action) in later frames with the track, in order.
          valid: bool [|Y|], whether each action is valid for the track's actor.

        Returns:
          float64 [|Y|]; it adds up to 1 and is 0 for invalid actions.
        """
        likelihoods = valid.astype(np.float64)  # of all later frames
        next_index = None
        for observed in reversed(later):
            if next_index is not None:
                gap = next_index - observed.frame_index
                likelihoods = self._before(likelihoods, gap, valid)
            likelihoods = _normalized(likelihoods * self._likelihoods(observed, valid))
            next_index = observed.frame_index
        if next_index is not None:
            gap = next_index - filtered.frame_index
            likelihoods = self._before(likelihoods, gap, valid)
        return _normalized(filtered.actions * likelihoods)

    def smooth_track(
        self, frames: Sequence[FrameActions], valid: np.ndarray
    ) -> list[np.ndarray]:
        """Return p(action) of a whole track in each of its frames.

        A frame's actions are read from the frame, all frames before it, and the next
        `ahead` answered (predicted) frames.

        Args:
          frames: the network's p(action) in the frames with the track, in order.
          valid: bool [|Y|], whether each action is valid for the track's actor.

        Returns:
          for each frame p(action), float64 [|Y|], which adds up to 1.
        """
        answers = []
        filtered = None
        for index, frame in enumerate(frames):
            filtered = self.forward(filtered, frame, valid)
            later = []
            for other in frames[index + 1 :]:
                if other.frame_index > frame.frame_index + self.ahead:
                    break
                later.append(other)
            answers.append(self.smooth(filtered, later, valid))
        return answers

    def _likelihoods(self, observed: FrameActions, valid: np.ndarray) -> np.ndarray:
        """Return the likelihood of the network's answer for each action, unscaled."""
        share = min(1.0, EVIDENCE / self.typical)
        actions = np.where(valid, np.maximum(observed.actions, 1e-30), 0)
        return (actions / actions.max()) ** share

    def _after(self, actions: np.ndarray, gap: int, valid: np.ndarray) -> np.ndarray:
        """Return p(action) `gap` answered frames later."""
        goes_on, changes = self._transitions(gap, valid)
        changed = actions * changes
        return (actions * goes_on + changed.sum() - changed) * valid

    def _before(
        self, likelihoods: np.ndarray, gap: int, valid: np.ndarray
    ) -> np.ndarray:
        """Return the likelihood of later frames for each action `gap` frames before."""
        goes_on, changes = self._transitions(gap, valid)
        others = likelihoods.sum() - likelihoods
        return (likelihoods * goes_on + others * changes) * valid

    def _transitions(
        self, gap: int, valid: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities that an action continues, and that another begins.

        After a long gap, all actions are equally likely.

        Returns:
          for each action [|Y|], the probability that it continues, and the probability
          that a particular other action follows.
        """
        count = valid.sum()
        others = max(count - 1, 1)
        goes_on = np.exp(-gap * count / (others * self.lengths))
        goes_on = 1 / count + (1 - 1 / count) * goes_on
        return goes_on, (1 - goes_on) / others


def _normalized(values: np.ndarray) -> np.ndarray:
    return values / values.sum()
