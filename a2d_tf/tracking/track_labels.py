"""Read the label of a track from several of its detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking.bout_model import BoutModel, FrameActions

# A label is replaced by another whose evidence is more than LEAD times its own.
LEAD = 1.5


class Detection(NamedTuple):
    """What the network says of an individual in one answered frame.

    Attributes:
      frame_index: 0-based index among the answered frames.
      code: the pair of actor and action; see `LabelSpace`.
      score: of the pair.
      actor_scores: [|X|], p(actor).
      action_scores: [|Y|], p(action).
    """

    frame_index: int
    code: int
    score: float
    actor_scores: np.ndarray
    action_scores: np.ndarray


class LabelledTrack(Protocol):
    """A track as far as labels are read for it.

    Attributes:
      label: the code that was last read; None before that.
      followed: what it did in the frame before, by `BoutModel.follow`; None without
        such a model, or before the first frame.
    """

    label: int | None
    followed: FrameActions | None


class Around(NamedTuple):
    """The detections of a track around one of them.

    Attributes:
      current: the one whose label is read.
      window: those in the frames from which the actor is read, in order.
      later: those after the current one, in order.
    """

    current: Detection
    window: Sequence[Detection]
    later: Sequence[Detection]


def given_actor(action_scores: np.ndarray) -> np.ndarray:
    """Return p(action) of each row without the p(actor) in it: rows that add up to 1.

    Args:
      action_scores: float64 [N, |Y|], sums over actors of p(actor) p(action).
    """
    return action_scores / np.maximum(action_scores.sum(axis=1, keepdims=True), 1e-30)


def read_label(
    detections: Sequence[Detection],
    labels: LabelSpace,
    previous: int | None = None,
    joint: bool = False,
) -> tuple[int, float]:
    """Read the label of an individual from several detections.

    The actor is the one with the most votes, see `vote_actor`. The action is the valid
    one with the highest sum of p(action). The previous label holds until another one
    has more than LEAD times its sum.

    Args:
      detections: at least one.
      previous: code of the individual in the previous frame. Without it, a single
        detection keeps the network's answer.
      joint: whether p(action) is a sum over actors, as with cartesian and hierarchical
        labels. It then contains p(actor), and each detection is normalised to 1.

    Returns:
      (code, score): the score is the mean over the detections of p(actor) p(action).
    """
    if previous is None and len(detections) == 1:
        return detections[0].code, detections[0].score
    previous_actor = None
    previous_action = None
    if previous is not None:
        previous_actor, previous_action = labels.indices(previous)

    actor = vote_actor(detections, labels, previous_actor)

    action_scores = _stack_actions(detections, joint)
    # Underflow may leave every action at 0: an invalid one must still lose.
    evidence = np.where(labels.valid[actor], action_scores.sum(axis=0), -1)
    if actor != previous_actor:
        previous_action = None
    action = _strongest(evidence, previous_action)

    score = _mean_score(detections, actor, action_scores[:, action])
    return labels.encode(actor, action), score


class BoutReader:
    """Reads the labels of an individual, frame by frame, as long as its bouts last.

    Args:
      model: how long bouts last.
      labels, joint: as for `read_label`.
    """

    def __init__(
        self, model: BoutModel, labels: LabelSpace, joint: bool = False
    ) -> None:
        self._model = model
        self._labels = labels
        self._joint = joint

    def read(self, track: LabelledTrack, around: Around) -> tuple[int, float]:
        """Read the label of a track in a frame; call it for its frames in order.

        The actor is voted for as in `read_label`.

        Returns:
          (code, score), as of `read_label`.
        """
        previous_actor = None
        if track.label is not None:
            previous_actor, _ = self._labels.indices(track.label)
        actor = vote_actor(around.window, self._labels, previous_actor)
        valid = self._labels.valid[actor]
        seen = self._seen(around.current)
        track.followed = self._model.follow(track.followed, seen, valid)
        later = list(map(self._seen, around.later))
        actions = self._model.read(track.followed, later, valid)
        action = int(np.argmax(actions))
        action_scores = _stack_actions(around.window, self._joint)
        score = _mean_score(around.window, actor, action_scores[:, action])
        return self._labels.encode(actor, action), score

    def _seen(self, detection):
        """Return what the network says of a detection's action."""
        actions = _stack_actions([detection], self._joint)[0]
        return FrameActions(detection.frame_index, actions)


def _stack_actions(detections, joint):
    """Return p(action) of detections, float64 [n, |Y|]."""
    scores = np.stack([detection.action_scores for detection in detections])
    scores = scores.astype(np.float64)
    return given_actor(scores) if joint else scores


def _mean_score(detections, actor, action_scores):
    """Return the mean of p(actor) p(action), of the p(action) [n] of detections."""
    actor_scores = np.array([detection.actor_scores[actor] for detection in detections])
    return float((actor_scores * action_scores).mean())


def vote_actor(
    detections: Sequence[Detection], labels: LabelSpace, previous: int | None = None
) -> int:
    """Return the actor that several detections vote for, a 0-based index.

    Each detection votes for the actor of its own code, with p(actor). The previous
    actor holds until another one has more than LEAD times its votes.
    """
    votes = np.zeros(len(labels.actors))
    for detection in detections:
        actor, _ = labels.indices(detection.code)
        votes[actor] += max(detection.actor_scores[actor], 1e-30)
    return _strongest(votes, previous)


def _strongest(evidence, previous):
    """Return the index of the most evidence, or the previous one if that holds."""
    strongest = int(np.argmax(evidence))
    if previous is not None and 0 < evidence[strongest] <= LEAD * evidence[previous]:
        return previous
    return strongest
