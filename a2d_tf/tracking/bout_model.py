"""How long actions last: a hidden Markov model of what a track does.

A track goes on with its action from an answered frame to the next one with a
probability that follows from the mean length of the bouts of this action, or begins any
other one. What it does is hidden; the network's p(action) in each frame is what there
is to see of it (Rabiner, "A Tutorial on Hidden Markov Models", Proceedings of the IEEE
1989).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace

# Frames that follow one another show much the same, so they are no independent
# evidence: those of a typical bout count as so many together. Measured on JHMDB, see
# docs/real_video.md.
EVIDENCE = 9.0
# Answered frames after a frame from which its action may be read. They wait in memory.
MOST_AHEAD = 32


class FrameActions(NamedTuple):
    """p(action) of a track in a frame.

    Attributes:
      frame_index: 0-based index among the answered frames.
      actions: float64 [|Y|].
    """

    frame_index: int
    actions: np.ndarray


@dataclasses.dataclass(frozen=True)
class BoutModel:
    """How long bouts last, in answered frames.

    Attributes:
      lengths: float64 [|Y|], the mean length of each action's bouts.
      typical: the geometric mean of the known ones: one long action does not decide.
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
        """Return the model of mean lengths in seconds; None if they are of no action.

        Args:
          bout_seconds: {action: mean length}; an action that it lacks has the typical
            one.
          frames_per_second: answered frames.
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
        """How many answered frames after a frame its action is read from."""
        return min(math.ceil(self.typical), MOST_AHEAD)

    def follow(
        self, before: FrameActions | None, seen: FrameActions, valid: np.ndarray
    ) -> FrameActions:
        """Return what a track does in a frame, as it and all frames before it say.

        Args:
          before: what `follow` returned for the track's last frame; None in the first
            one.
          seen: what the network says of the frame; any sum.
          valid: bool [|Y|], the actions that the track's actor may have.
        """
        expected = valid / valid.sum()
        if before is not None:
            actions = before.actions * valid
            if actions.sum() > 0:  # else its actor is another one by now
                gap = seen.frame_index - before.frame_index
                expected = self._after(_normalized(actions), gap, valid)
        actions = _normalized(expected * self._likelihoods(seen, valid))
        return FrameActions(seen.frame_index, actions)

    def read(
        self, followed: FrameActions, later: Sequence[FrameActions], valid: np.ndarray
    ) -> np.ndarray:
        """Return p(action) of a track in a frame, as the frames around it say: [|Y|].

        Args:
          followed: of this frame, as `follow` returned it.
          later: what the network says of later frames with the track, in order.
          valid: as for `follow`.
        """
        likelihoods = valid.astype(np.float64)  # of all that is seen later
        next_index = None
        for seen in reversed(later):
            if next_index is not None:
                gap = next_index - seen.frame_index
                likelihoods = self._before(likelihoods, gap, valid)
            likelihoods = _normalized(likelihoods * self._likelihoods(seen, valid))
            next_index = seen.frame_index
        if next_index is not None:
            gap = next_index - followed.frame_index
            likelihoods = self._before(likelihoods, gap, valid)
        return _normalized(followed.actions * likelihoods)

    def read_track(
        self, frames: Sequence[FrameActions], valid: np.ndarray
    ) -> list[np.ndarray]:
        """Return p(action) of a track in each of its frames, in order: [|Y|] each.

        Args:
          valid: as for `follow`.
        """
        answers = []
        followed = None
        for index, frame in enumerate(frames):
            followed = self.follow(followed, frame, valid)
            later = []
            for other in frames[index + 1 :]:
                if other.frame_index > frame.frame_index + self.ahead:
                    break
                later.append(other)
            answers.append(self.read(followed, later, valid))
        return answers

    def _likelihoods(self, seen: FrameActions, valid: np.ndarray) -> np.ndarray:
        """Return how likely each action shows what the network sees, up to a factor."""
        share = min(1.0, EVIDENCE / self.typical)
        actions = np.where(valid, np.maximum(seen.actions, 1e-30), 0)
        return (actions / actions.max()) ** share

    def _after(self, actions: np.ndarray, gap: int, valid: np.ndarray) -> np.ndarray:
        """Return p(action) `gap` answered frames later."""
        goes_on, changes = self._transitions(gap, valid)
        changed = actions * changes
        return (actions * goes_on + changed.sum() - changed) * valid

    def _before(
        self, likelihoods: np.ndarray, gap: int, valid: np.ndarray
    ) -> np.ndarray:
        """Return how likely each action `gap` frames earlier makes what is seen."""
        goes_on, changes = self._transitions(gap, valid)
        others = likelihoods.sum() - likelihoods
        return (likelihoods * goes_on + others * changes) * valid

    def _transitions(
        self, gap: int, valid: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how likely a track goes on or changes to each other action, [|Y|].

        After a long gap all actions are as likely.
        """
        count = valid.sum()
        others = max(count - 1, 1)
        goes_on = np.exp(-gap * count / (others * self.lengths))
        goes_on = 1 / count + (1 - 1 / count) * goes_on
        return goes_on, (1 - goes_on) / others


def _normalized(values: np.ndarray) -> np.ndarray:
    return values / values.sum()
