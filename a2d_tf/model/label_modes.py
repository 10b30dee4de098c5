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
from a2d_tf.model.structures import RoiTable, Rows

# Where every valid pair's score underflows to 0, an invalid one must still lose.
_TINY = 1e-30


class Pairs(NamedTuple):
    """The pairs of instances.

    Attributes:
      actor, action: int32 [B, N], 0-based.
      score: float32 [B, N].
    """

    actor: tf.Tensor
    action: tf.Tensor
    score: tf.Tensor


class ActionTargets(NamedTuple):
    """What the action loss reads.

    Attributes:
      logits: [B, R, K].
      actions: int [B, R], the true outputs among the K.
      labelled: bool [B, R], the rows that have a true output.
      counted: bool [B, R], the rows that the sum over those is divided by.
    """

    logits: tf.Tensor
    actions: tf.Tensor
    labelled: tf.Tensor
    counted: tf.Tensor


class RoiScores(NamedTuple):
    """What actor and action head say of RoIs.

    Attributes:
      class_scores: of the actor head's classes, [B, R, C].
      class_boxes: of these, [B, R, C, 4].
      action_logits: [B, R, num_actions]; None if there is no action head.
      valid: bool [B, R].
    """

    class_scores: tf.Tensor
    class_boxes: tf.Tensor
    action_logits: tf.Tensor | None
    valid: tf.Tensor


class LabelMode(ABC):
    """The classes of the heads, their targets, and the scores of pairs.

    Attributes:
      num_classes: outputs of the actor head, without background.
      num_actions: outputs of the action head; 0 where there is none.
      columns: what a table of RoIs has beside boxes, actor_scores and action_scores,
        because a pair's score is no product, or its box not the actor's.
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
        self, logits: tf.Tensor, actors: tf.Tensor, actions: tf.Tensor, rows: Rows
    ) -> ActionTargets:
        """Return what the action loss reads of rows.

        Args:
          logits: [B, R, num_actions].
          actors, actions: of the rows' instances, int [B, R].
        """
        return ActionTargets(logits, actions, rows.positive, rows.positive)

    @abstractmethod
    def table(self, scores: RoiScores) -> RoiTable:
        """Return the scores and boxes of RoIs, by what the heads say of them."""

    def pooled(self, scores: tf.Tensor) -> tf.Tensor:
        """Return what suppression ranks classes by, from p(class); both [B, R, C]."""
        return scores

    def without_background(self, action_logits: tf.Tensor) -> tf.Tensor:
        """Return action logits [B, R, num_actions] without those of background."""
        return action_logits

    def pairs_of(self, classes: tf.Tensor, table: RoiTable) -> Pairs:
        """Return the pairs of instances: the best valid action of each class's actor.

        Args:
          classes: int32 [B, N].
          table: of the instances' RoIs, [B, N, ...].
        """
        joint = tf.gather(table.joint_scores, classes, batch_dims=2)
        valid = tf.gather(self._valid, classes)
        action = tf.argmax(joint + valid * _TINY, axis=2, output_type=tf.int32)
        return Pairs(actor=classes, action=action, score=tf.reduce_max(joint, axis=2))

    def _class_of_pairs(self) -> np.ndarray:
        """Return the class of each valid pair, in the order of `LabelSpace.pairs`."""
        return self.labels.pairs[:, 0]

    def _table_of_actors(
        self, scores: RoiScores, actions: tf.Tensor, joint: tf.Tensor
    ) -> RoiTable:
        """Return the table of a mode whose classes are the actors.

        Args:
          actions: p(action), [B, R, |Y|].
          joint: scores of pairs, [B, R, |X|, |Y|]; those of invalid pairs become 0.
        """
        return RoiTable(
            class_scores=scores.class_scores,
            class_boxes=scores.class_boxes,
            boxes=scores.class_boxes,
            actor_scores=scores.class_scores,
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
        self, logits: tf.Tensor, actors: tf.Tensor, actions: tf.Tensor, rows: Rows
    ) -> ActionTargets:
        """Return the targets, of all RoIs that count if background is a class."""
        if not self._background:
            return super().action_targets(logits, actors, actions, rows)
        background = len(self.labels.actions)
        return ActionTargets(
            logits,
            actions=tf.where(rows.positive, actions, background),
            labelled=rows.counted,
            counted=rows.counted,
        )

    def without_background(self, action_logits: tf.Tensor) -> tf.Tensor:
        """Return the logits of the actions alone, [B, R, |Y|]."""
        return action_logits[..., : len(self.labels.actions)]

    def table(self, scores: RoiScores) -> RoiTable:
        """Return the table in which a pair scores p(actor) p(action)."""
        row = tf.cast(scores.valid, tf.float32)[..., None]
        # Background keeps its share of the probability. Otherwise RoIs on background,
        # on which the actions were never trained, would lead the ranking by p(action).
        probabilities = tf.nn.softmax(scores.action_logits)
        actions = self.without_background(probabilities) * row
        joint = scores.class_scores[..., None] * actions[:, :, None, :]
        return self._table_of_actors(scores, actions, joint)


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
        self, logits: tf.Tensor, actors: tf.Tensor, actions: tf.Tensor, rows: Rows
    ) -> ActionTargets:
        """As of `LabelMode`; the logits are those of the true actor.

        Background has no actor whose actions it could be none of. Still all RoIs that
        count divide the sum: a positive weighs as much as with the other label spaces.
        """
        shape = [-1, logits.shape[1], *self.labels.valid.shape]
        logits = tf.gather(tf.reshape(logits, shape), actors, batch_dims=2)
        return ActionTargets(logits, actions, rows.positive, rows.counted)

    def table(self, scores: RoiScores) -> RoiTable:
        """Return the table in which a pair scores p(actor) p(action | actor)."""
        classes = scores.class_scores
        count = classes.shape[1] or tf.shape(classes)[1]
        shape = [-1, count, *self.labels.valid.shape]
        logits = tf.reshape(scores.action_logits, shape)
        joint = classes[..., None] * tf.nn.softmax(logits)
        # Over valid pairs only: an actor adds nothing to an action that it cannot do.
        actions = tf.reduce_sum(joint * self._valid, axis=2)
        return self._table_of_actors(scores, actions, joint)


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

    def table(self, scores: RoiScores) -> RoiTable:
        """Return the table in which a pair has the score and box of its class."""
        # Invalid pairs read the row of zeros that is padded behind the last class.
        source = np.full(self.labels.valid.shape, self.num_classes)
        source[self.labels.valid] = self._class_of_pairs()
        padded_scores = tf.pad(scores.class_scores, [[0, 0], [0, 0], [0, 1]])
        joint_scores = tf.gather(padded_scores, source, axis=2)
        padded_boxes = tf.pad(scores.class_boxes, [[0, 0], [0, 0], [0, 1], [0, 0]])
        joint_boxes = tf.gather(padded_boxes, source, axis=2)
        # An actor's box is that of its best pair, a valid one even where all of them
        # score 0.
        best = tf.argmax(joint_scores + self._valid * _TINY, axis=3)
        return RoiTable(
            class_scores=scores.class_scores,
            class_boxes=scores.class_boxes,
            boxes=tf.gather(joint_boxes, best, batch_dims=3),
            actor_scores=tf.reduce_sum(joint_scores, axis=3),
            action_scores=tf.reduce_sum(joint_scores, axis=2),
            joint_scores=joint_scores,
            joint_boxes=joint_boxes,
        )

    def pairs_of(self, classes: tf.Tensor, table: RoiTable) -> Pairs:
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


class Detected(LabelMode):
    """The classes of a detector that knows no actions; each is some actor, or none.

    p(actor) is the sum over its classes; its box and its mask are those of the
    likeliest. The others keep their share of the softmax, as background does. There is
    one action and no action head. For prediction: there are no targets.

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

    def pooled(self, scores: tf.Tensor) -> tf.Tensor:
        """Return p(actor) for the likeliest class of each actor, 0 for all others."""
        member_scores = scores[..., None] * self._members
        likeliest = tf.one_hot(
            tf.argmax(member_scores, axis=2), self.num_classes, axis=2
        )
        actor_scores = tf.reduce_sum(member_scores, axis=2, keepdims=True)
        return tf.reduce_sum(likeliest * actor_scores, axis=3)

    def table(self, scores: RoiScores) -> RoiTable:
        """Return the table in which an actor has the sum of its classes."""
        member_scores = scores.class_scores[..., None] * self._members
        actor_scores = tf.reduce_sum(member_scores, axis=2)
        likeliest = tf.argmax(member_scores, axis=2)
        return RoiTable(
            class_scores=scores.class_scores,
            class_boxes=scores.class_boxes,
            boxes=tf.gather(scores.class_boxes, likeliest, batch_dims=2),
            actor_scores=actor_scores,
            action_scores=tf.cast(scores.valid, tf.float32)[..., None],
            joint_scores=actor_scores[..., None],
        )

    def pairs_of(self, classes: tf.Tensor, table: RoiTable) -> Pairs:
        """Return the actors of the classes, with the only action."""
        # Rows that are not used have class 0, which may be no actor.
        actors = tf.maximum(tf.gather(self._actor_of, classes), 0)
        return super().pairs_of(actors, table)


def make(name: str, labels: LabelSpace, action_background: bool = False) -> LabelMode:
    """Return the label mode of --label_mode.

    Args:
      action_background: of --action_background, for decoupled labels.
    """
    if name == "decoupled":
        return Decoupled(labels, action_background)
    return {"hierarchical": Hierarchical, "cartesian": Cartesian}[name](labels)
