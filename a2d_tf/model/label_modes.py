"""The three label spaces of Table 2: the classes, and the probability of a pair.

Decoupled: p(x, y) = p(x) p(y), the paper's.
Cartesian: one softmax over the valid pairs.
Hierarchical: p(x, y) = p(x) p(y | x).

Invalid pairs score 0, without renormalisation (paper, 4).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core.labels import LabelSpace
from a2d_tf.model.structures import RoiTable, SampledRois

# Where every valid pair's score underflows to 0, an invalid one must still lose.
_TINY = 1e-30


class Pairs(NamedTuple):
    """The actor and action of each instance, and the score of the pair.

    Attributes:
      actor, action: int32 [B, N], 0-based.
      score: float32 [B, N].
    """

    actor: tf.Tensor
    action: tf.Tensor
    score: tf.Tensor


class ActionTargets(NamedTuple):
    """The arguments of the action loss.

    Attributes:
      logits: [B, R, K].
      actions: int [B, R], the true class among the K.
      labelled: bool [B, R], the RoIs that have a true class; the loss sums over them.
      counted: bool [B, R], the RoIs by whose number the sum is divided.
    """

    logits: tf.Tensor
    actions: tf.Tensor
    labelled: tf.Tensor
    counted: tf.Tensor


class RoiPredictions(NamedTuple):
    """The predictions of actor head and action head for RoIs.

    Attributes:
      class_scores: [B, R, C], of the actor head's classes.
      class_boxes: [B, R, C, 4], of the actor head's classes.
      action_logits: [B, R, num_actions]; None if there is no action head.
      valid: bool [B, R], which rows are RoIs.
    """

    class_scores: tf.Tensor
    class_boxes: tf.Tensor
    action_logits: tf.Tensor | None
    valid: tf.Tensor


class LabelMode(ABC):
    """The classes of the heads, their targets, and the scores of pairs.

    Attributes:
      num_classes: outputs of the actor head, without background.
      num_actions: outputs of the action head; 0 if there is no action head.
      columns: names of the fields that a file of RoIs needs beside boxes, actor_scores
        and action_scores, because a pair's score is not the product of these, or its
        box is not the actor's.
    """

    num_classes: int
    num_actions: int
    columns: tuple[str, ...] = ()

    def __init__(self, labels: LabelSpace) -> None:
        self.labels = labels
        self.num_classes = len(self.classes())
        self._valid = np.float32(labels.valid)

    @property
    def is_joint(self) -> bool:
        """Whether a pair has a score of its own, and p(action) sums over actors."""
        return bool(self.columns)

    def classes(self) -> list[tuple[str, ...]]:
        """Return the classes of the actor head, each as its names, our own first."""
        return [(actor,) for actor in self.labels.actors]

    def actions(self) -> list[tuple[str, ...]]:
        """Return the outputs of the action head, each as its names, our own first."""
        return [(action,) for action in self.labels.actions]

    def classes_of(self, actors: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Return the classes of instances, int64 [B, N].

        Args:
          actors, actions: int [B, N], -1 for none.
        """
        lookup = np.zeros(self.labels.valid.shape, np.int64)
        lookup[self.labels.valid] = self._class_of_pairs()
        # Padding is -1; no loss reads its class, but it must be an index of the lookup.
        return tf.gather_nd(lookup, tf.maximum(tf.stack([actors, actions], axis=-1), 0))

    def action_targets(
        self,
        logits: tf.Tensor,
        actors: tf.Tensor,
        actions: tf.Tensor,
        rois: SampledRois,
    ) -> ActionTargets:
        """Return the arguments of the action loss for sampled RoIs.

        Args:
          logits: [B, R, num_actions].
          actors, actions: int [B, R], those of the RoIs' instances.
        """
        return ActionTargets(logits, actions, rois.positive, rois.positive)

    @abstractmethod
    def score_pairs(self, predictions: RoiPredictions) -> RoiTable:
        """Return the scores and boxes of actors, actions and pairs for RoIs."""

    def suppression_scores(self, scores: tf.Tensor) -> tf.Tensor:
        """Return the scores by which suppression ranks boxes, [B, R, C].

        Args:
          scores: p(class), [B, R, C].
        """
        return scores

    def without_background(self, action_logits: tf.Tensor) -> tf.Tensor:
        """Return action logits [B, R, num_actions] without those of background."""
        return action_logits

    def best_pairs(self, classes: tf.Tensor, table: RoiTable) -> Pairs:
        """Return the best pair of each instance: its actor, and the best valid action.

        Args:
          classes: int32 [B, N], classes of the actor head.
          table: scores of the instances, [B, N, ...].
        """
        joint = tf.gather(table.joint_scores, classes, batch_dims=2)
        valid = tf.gather(self._valid, classes)
        action = tf.argmax(joint + valid * _TINY, axis=2, output_type=tf.int32)
        return Pairs(actor=classes, action=action, score=tf.reduce_max(joint, axis=2))

    def _class_of_pairs(self) -> np.ndarray:
        """Return the class of each valid pair, in the order of `LabelSpace.pairs`."""
        return self.labels.pairs[:, 0]

    def _table_of_actors(
        self, predictions: RoiPredictions, actions: tf.Tensor, joint: tf.Tensor
    ) -> RoiTable:
        """Return the table of a label mode whose classes are the actors.

        Args:
          actions: p(action), [B, R, |Y|].
          joint: scores of pairs, [B, R, |X|, |Y|]; those of invalid pairs become 0.
        """
        return RoiTable(
            class_scores=predictions.class_scores,
            class_boxes=predictions.class_boxes,
            boxes=predictions.class_boxes,
            actor_scores=predictions.class_scores,
            action_scores=actions,
            joint_scores=joint * self._valid,
        )


class Decoupled(LabelMode):
    """p(actor) p(action).

    Args:
      background: whether background is a class of the action head, trained on every RoI
        that counts; else the head is trained on positives alone.
    """

    def __init__(self, labels: LabelSpace, background: bool) -> None:
        super().__init__(labels)
        self._background = background
        self.num_actions = len(self.actions())

    def actions(self) -> list[tuple[str, ...]]:
        """Return the actions, then background if it is a class; see `LabelMode`."""
        names = super().actions()
        if self._background:
            names.append(("background",))
        return names

    def action_targets(
        self,
        logits: tf.Tensor,
        actors: tf.Tensor,
        actions: tf.Tensor,
        rois: SampledRois,
    ) -> ActionTargets:
        """Return the arguments of the action loss; background may be a true class."""
        if not self._background:
            return super().action_targets(logits, actors, actions, rois)
        background = len(self.labels.actions)
        return ActionTargets(
            logits,
            actions=tf.where(rois.positive, actions, background),
            labelled=rois.counted,
            counted=rois.counted,
        )

    def without_background(self, action_logits: tf.Tensor) -> tf.Tensor:
        """Return the logits of the actions alone, [B, R, |Y|]."""
        return action_logits[..., : len(self.labels.actions)]

    def score_pairs(self, predictions: RoiPredictions) -> RoiTable:
        """Return the table in which a pair scores p(actor) p(action)."""
        row = tf.cast(predictions.valid, tf.float32)[..., None]
        # Background keeps its share of the probability. Otherwise RoIs on background,
        # on which the actions were never trained, would lead the ranking by p(action).
        probabilities = tf.nn.softmax(predictions.action_logits)
        actions = self.without_background(probabilities) * row
        joint = predictions.class_scores[..., None] * actions[:, :, None, :]
        return self._table_of_actors(predictions, actions, joint)


class Hierarchical(LabelMode):
    """p(actor) p(action | actor): the action head has a softmax for each actor."""

    columns = ("joint_scores",)

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__(labels)
        self.num_actions = len(labels.actors) * len(labels.actions)

    def actions(self) -> list[tuple[str, ...]]:
        """Return an output for each actor and action, actor by actor."""
        names: list[tuple[str, ...]] = []
        for actor in self.labels.actors:
            for action in self.labels.actions:
                names.append((f"{actor}-{action}", action))
        return names

    def action_targets(
        self,
        logits: tf.Tensor,
        actors: tf.Tensor,
        actions: tf.Tensor,
        rois: SampledRois,
    ) -> ActionTargets:
        """Return the arguments of the action loss, with the logits of the true actor.

        Only positives have a true actor, so only they have a true class. The sum is
        still divided by all RoIs that count, so that a positive weighs as much as in
        the other label modes.
        """
        shape = [-1, logits.shape[1], *self.labels.valid.shape]
        logits = tf.gather(tf.reshape(logits, shape), actors, batch_dims=2)
        return ActionTargets(logits, actions, rois.positive, rois.counted)

    def score_pairs(self, predictions: RoiPredictions) -> RoiTable:
        """Return the table in which a pair scores p(actor) p(action | actor)."""
        classes = predictions.class_scores
        count = classes.shape[1] or tf.shape(classes)[1]
        shape = [-1, count, *self.labels.valid.shape]
        logits = tf.reshape(predictions.action_logits, shape)
        joint = classes[..., None] * tf.nn.softmax(logits)
        # Over valid pairs only: an actor adds nothing to an action that it cannot do.
        actions = tf.reduce_sum(joint * self._valid, axis=2)
        return self._table_of_actors(predictions, actions, joint)


class Cartesian(LabelMode):
    """One softmax over the valid pairs, and a box of each; no action head."""

    columns = ("joint_scores", "joint_boxes")
    num_actions = 0

    def classes(self) -> list[tuple[str, ...]]:
        """Return the valid pairs, each by its name, then its actor."""
        names: list[tuple[str, ...]] = []
        for code, actor in zip(self.labels.codes, self.labels.pairs[:, 0]):
            names.append((self.labels.name(code), self.labels.actors[actor]))
        return names

    def score_pairs(self, predictions: RoiPredictions) -> RoiTable:
        """Return the table in which a pair has the score and box of its class."""
        # Invalid pairs read the row of zeros that is padded behind the last class.
        source = np.full(self.labels.valid.shape, self.num_classes)
        source[self.labels.valid] = self._class_of_pairs()
        padded_scores = tf.pad(predictions.class_scores, [[0, 0], [0, 0], [0, 1]])
        joint_scores = tf.gather(padded_scores, source, axis=2)
        padded_boxes = tf.pad(predictions.class_boxes, [[0, 0], [0, 0], [0, 1], [0, 0]])
        joint_boxes = tf.gather(padded_boxes, source, axis=2)
        # An actor's box is that of its best pair, a valid one even where all of them
        # score 0.
        best = tf.argmax(joint_scores + self._valid * _TINY, axis=3)
        return RoiTable(
            class_scores=predictions.class_scores,
            class_boxes=predictions.class_boxes,
            boxes=tf.gather(joint_boxes, best, batch_dims=3),
            actor_scores=tf.reduce_sum(joint_scores, axis=3),
            action_scores=tf.reduce_sum(joint_scores, axis=2),
            joint_scores=joint_scores,
            joint_boxes=joint_boxes,
        )

    def best_pairs(self, classes: tf.Tensor, table: RoiTable) -> Pairs:
        """Return the pairs that the classes are."""
        actors = tf.constant(self.labels.pairs[:, 0], tf.int32)
        actions = tf.constant(self.labels.pairs[:, 1], tf.int32)
        return Pairs(
            actor=tf.gather(actors, classes),
            action=tf.gather(actions, classes),
            # Of the instance's own class, which is the pair.
            score=tf.gather(table.class_scores, classes, batch_dims=2),
        )

    def _class_of_pairs(self) -> np.ndarray:
        return np.arange(len(self.labels.codes))


class DetectorLabels(LabelMode):
    """The classes of a detector without actions; each belongs to one actor or to none.

    p(actor) is the sum over the classes of the actor; its box and its mask are those of
    the likeliest of them. Classes of no actor keep their share of the softmax, as
    background does. There is one action and no action head. This mode is for prediction
    alone: it has no targets.

    Args:
      classes: {name of a class: its 0-based actor, or -1}, in the detector's order.
    """

    num_actions = 0

    def __init__(self, labels: LabelSpace, classes: Mapping[str, int]) -> None:
        self._names = list(classes)
        super().__init__(labels)
        self._actor_of = np.array([*classes.values()], np.int32)
        is_class_of = self._actor_of[:, None] == range(len(labels.actors))
        self._members = np.float32(is_class_of)

    def classes(self) -> list[tuple[str, ...]]:
        """Return the detector's classes."""
        return [(name,) for name in self._names]

    def suppression_scores(self, scores: tf.Tensor) -> tf.Tensor:
        """Return p(actor) for the likeliest class of each actor, 0 for all others."""
        member_scores = scores[..., None] * self._members
        likeliest = tf.one_hot(
            tf.argmax(member_scores, axis=2), self.num_classes, axis=2
        )
        actor_scores = tf.reduce_sum(member_scores, axis=2, keepdims=True)
        return tf.reduce_sum(likeliest * actor_scores, axis=3)

    def score_pairs(self, predictions: RoiPredictions) -> RoiTable:
        """Return the table in which an actor scores the sum of its classes."""
        member_scores = predictions.class_scores[..., None] * self._members
        actor_scores = tf.reduce_sum(member_scores, axis=2)
        likeliest = tf.argmax(member_scores, axis=2)
        return RoiTable(
            class_scores=predictions.class_scores,
            class_boxes=predictions.class_boxes,
            boxes=tf.gather(predictions.class_boxes, likeliest, batch_dims=2),
            actor_scores=actor_scores,
            action_scores=tf.cast(predictions.valid, tf.float32)[..., None],
            joint_scores=actor_scores[..., None],
        )

    def best_pairs(self, classes: tf.Tensor, table: RoiTable) -> Pairs:
        """Return the actors of the classes, each with the only action."""
        # Rows that are not used have class 0, which may be no actor.
        actors = tf.maximum(tf.gather(self._actor_of, classes), 0)
        return super().best_pairs(actors, table)


def make(name: str, labels: LabelSpace, action_background: bool = False) -> LabelMode:
    """Return the label mode of --label_mode.

    Args:
      action_background: of --action_background, for decoupled labels.
    """
    if name == "decoupled":
        return Decoupled(labels, action_background)
    return {"hierarchical": Hierarchical, "cartesian": Cartesian}[name](labels)
