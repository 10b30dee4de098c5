"""Read the label of a track, its actor and action, from several of its detections.

A label that is read from several answered frames changes less often than the network's
labels of single frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking.bout_model import BoutModel, FrameActions
from a2d_tf.tracking.structures import Detection, Track

# A track keeps its label until another label has more than LEAD times the evidence.
LEAD = 1.5


class TrackLabel(NamedTuple):
    """The label of a track in a frame.

    Attributes:
      code: the code of actor and action; see `LabelSpace`.
      score: the score of that pair: the mean of p(actor) p(action) over the detections
        in the window around the frame.
      pair_scores: float64 [|X|, |Y|], this mean for each pair of actor and action; 0
        for an invalid pair.
    """

    code: int
    score: float
    pair_scores: np.ndarray


class LabelReader:
    """Reads the labels of tracks in one answered frame after another.

    Args:
      labels: the label space, which has actors, actions and their valid pairs.
      window: number of answered frames, around the label's frame, whose detections are
        read; 1 keeps the network's own labels.
      joint_scores: whether p(action) is a sum over actors, as with cartesian and
        hierarchical labels. It then contains p(actor), and each detection's p(action)
        is divided by its sum.
      bout_model: model that reads the actions; None to read them from the window. A
        window of 1 does not use the model.

    Attributes:
      ahead: number of answered frames after a frame that its labels depend on.
    """

    def __init__(
        self,
        labels: LabelSpace,
        window: int,
        joint_scores: bool,
        bout_model: BoutModel | None,
    ) -> None:
        self._labels = labels
        self._window = window
        self._joint_scores = joint_scores
        self._bout_model = bout_model if window > 1 else None
        self._last_codes: dict[int, int] = {}  # {id of a track: code}
        # {id of a track: last result of `BoutModel.forward`}
        self._last_actions: dict[int, FrameActions] = {}
        self.ahead = window // 2
        if self._bout_model is not None:
            self.ahead = max(self.ahead, self._bout_model.ahead)

    def read(self, track: Track, frame_index: int) -> TrackLabel:
        """Read the label of a track in a frame.

        Call this for the track's frames in order, since a label holds until another one
        has clearly more evidence.

        Args:
          track: the track, with its detections up to `ahead` frames after the frame.
          frame_index: index of the frame among the answered (predicted) ones, from 0;
            the track has a detection in it.
        """
        last = frame_index + self._window // 2
        first = last - self._window + 1
        window = [x for x in track.detections if first <= x.frame_index <= last]
        if self._bout_model is None:
            label = self._vote(track, window)
        else:
            label = self._read_bout(self._bout_model, track, frame_index, window)
        if self._window > 1:
            self._last_codes[track.id] = label.code
        return label

    def forget(self, track_ids: Iterable[int]) -> None:
        """Forget the previous labels of tracks that have ended.

        Args:
          track_ids: ids of these tracks.
        """
        for track_id in track_ids:
            self._last_codes.pop(track_id, None)
            self._last_actions.pop(track_id, None)

    def _vote(self, track: Track, window: Sequence[Detection]) -> TrackLabel:
        """Return the label that the detections of a window vote for.

        `vote_actor` decides the actor. The action is the valid action with the highest
        sum of p(action), but the previous action stays until another one has more than
        LEAD times its sum. In a track's first frame, a single detection keeps the
        network's answer.
        """
        previous_actor, previous_action = self._last_pair(track)
        if previous_actor is None and len(window) == 1:
            return TrackLabel(
                window[0].code, window[0].score, self._pair_scores(window)
            )
        actor = vote_actor(window, self._labels, previous_actor)
        if actor != previous_actor:
            previous_action = None
        action_scores = self._stack_actions(window)
        # Underflow may leave every action at 0; invalid actions must still lose.
        evidence = np.where(self._labels.valid[actor], action_scores.sum(axis=0), -1)
        action = _strongest(evidence, previous_action)
        return self._label(actor, action, window, action_scores)

    def _read_bout(
        self,
        bout_model: BoutModel,
        track: Track,
        frame_index: int,
        window: Sequence[Detection],
    ) -> TrackLabel:
        """Return the label that the bout model reads in a frame.

        `vote_actor` decides the actor. The model reads the action from the frame, all
        frames before it and the available frames after it.
        """
        previous_actor, _ = self._last_pair(track)
        actor = vote_actor(window, self._labels, previous_actor)
        valid = self._labels.valid[actor]
        observed = []  # p(action) in this frame and later ones
        for detection in track.detections:
            if detection.frame_index >= frame_index:
                actions = self._stack_actions([detection])[0]
                observed.append(FrameActions(detection.frame_index, actions))
        filtered = bout_model.forward(
            self._last_actions.get(track.id), observed[0], valid
        )
        self._last_actions[track.id] = filtered
        action = int(np.argmax(bout_model.smooth(filtered, observed[1:], valid)))
        return self._label(actor, action, window, self._stack_actions(window))

    def _last_pair(self, track: Track) -> tuple[int | None, int | None]:
        """Return actor and action of the track's last label; None if it has none."""
        if track.id in self._last_codes:
            return self._labels.indices(self._last_codes[track.id])
        return None, None

    def _stack_actions(self, detections: Sequence[Detection]) -> np.ndarray:
        """Return p(action) of detections, float64 [n, |Y|]."""
        scores = np.stack([detection.action_scores for detection in detections])
        scores = scores.astype(np.float64)
        return given_actor(scores) if self._joint_scores else scores

    def _label(
        self,
        actor: int,
        action: int,
        window: Sequence[Detection],
        action_scores: np.ndarray,
    ) -> TrackLabel:
        """Return the label of a pair, with its mean score in a window.

        Args:
          actor: index of the actor.
          action: index of the action.
          window: n detections.
          action_scores: p(action) of the detections, [n, |Y|].
        """
        actor_scores = np.array([detection.actor_scores[actor] for detection in window])
        score = float((actor_scores * action_scores[:, action]).mean())
        code = self._labels.encode(actor, action)
        return TrackLabel(code, score, self._pair_scores(window))

    def _pair_scores(self, window: Sequence[Detection]) -> np.ndarray:
        """Return the mean score of each pair in a window, float64 [|X|, |Y|]."""
        actor_scores = np.stack([detection.actor_scores for detection in window])
        sums = actor_scores.astype(np.float64).T @ self._stack_actions(window)
        return np.where(self._labels.valid, sums / len(window), 0.0)


def given_actor(action_scores: np.ndarray) -> np.ndarray:
    """Return p(action | there is an actor): each row divided by its sum.

    Args:
      action_scores: float64 [N, |Y|], joint scores of N instances: the sum over actors
        of p(actor) p(action), as cartesian and hierarchical labels have it.

    Returns:
      float64 [N, |Y|]; a row adds up to 1.
    """
    return action_scores / np.maximum(action_scores.sum(axis=1, keepdims=True), 1e-30)


def vote_actor(
    detections: Sequence[Detection], labels: LabelSpace, previous: int | None = None
) -> int:
    """Return the 0-based index of the actor that detections of a track vote for.

    Each detection votes for the actor of its code, weighted by p(actor). The previous
    actor stays until another one has more than LEAD times its votes.

    Args:
      detections: the detections that vote.
      labels: the label space of their codes.
      previous: index of the track's actor so far; None if it has none.
    """
    votes = np.zeros(len(labels.actors))
    for detection in detections:
        actor, _ = labels.indices(detection.code)
        votes[actor] += max(detection.actor_scores[actor], 1e-30)
    return _strongest(votes, previous)


def _strongest(evidence: np.ndarray, previous: int | None) -> int:
    """Return the index of the most evidence, or the previous one if that holds."""
    strongest = int(np.argmax(evidence))
    if previous is not None and 0 < evidence[strongest] <= LEAD * evidence[previous]:
        return previous
    return strongest
