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
      actor: int32 [B, N], 0-based indices of the actors of N instances per frame.
      action: int32 [B, N], 0-based indices of their actions.
      score: float32 [B, N], the score of the pair.
    """

    actor: tf.Tensor
    action: tf.Tensor
    score: tf.Tensor


class ActionTargets(NamedTuple):
    """The arguments of the action loss for R RoIs of each of B frames.

    Attributes:
      logits: float32 [B, R, K], the logits of one softmax over K outputs.
      actions: int [B, R], the true output among the K, from 0.
      labelled: bool [B, R], the RoIs that have a true action; the loss sums over them.
      counted: bool [B, R], the RoIs by whose number the sum is divided.
    """

    logits: tf.Tensor
    actions: tf.Tensor
    labelled: tf.Tensor
    counted: tf.Tensor


class RoiPredictions(NamedTuple):
    """The predictions of actor head and action head for R RoIs of each of B frames.

    Attributes:
      class_scores: float32 [B, R, C], p(class) of the actor head's C classes, without
        background.
      class_boxes: float32 [B, R, C, 4], the box of each class, (y1, x1, y2, x2) in
        pixels of the padded canvas.
      action_logits: float32 [B, R, num_actions], the outputs of the action head; None
        if there is no action head.
      valid: bool [B, R], which rows are RoIs; the others are padding.
    """

    class_scores: tf.Tensor
    class_boxes: tf.Tensor
    action_logits: tf.Tensor | None
    valid: tf.Tensor


class LabelMode(ABC):
    """What the heads classify, and how their outputs become scores of pairs.

    A label mode is one of the three label spaces of Table 2, see the module. A network
    has one, and asks it for the classes of its heads, for their targets in training,
    and for the scores of actors, actions and pairs.

    Args:
      labels: the actors, actions and valid pairs.

    Attributes:
      labels: the actors, actions and valid pairs.
      num_classes: number of classes of the actor head, without background.
      num_actions: number of outputs of the action head; 0 if there is no action head.
      columns: names of the fields of `RoiTable` that a file of RoIs needs beside boxes,
        actor_scores and action_scores, because a pair's score is not the product of
        these, or its box is not the actor's.
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
        """Whether a pair's score is not the product of p(actor) and p(action).

        It is so with cartesian and hierarchical labels: a pair has a score of its own,
        and p(action) is a sum over the actors.
        """
        return bool(self.columns)

    def classes(self) -> list[tuple[str, ...]]:
        """Return the classes of the actor head, without background, in its order.

        Returns:
          a tuple of names for each class: its name in this network, then names that the
          class may have in weights of other networks. By default the classes are the
          actors.
        """
        return [(actor,) for actor in self.labels.actors]

    def actions(self) -> list[tuple[str, ...]]:
        """Return the outputs of the action head, in its order.

        Returns:
          a tuple of names for each output: its name in this network, then names that it
          may have in weights of other networks. By default the outputs are the actions.
        """
        return [(action,) for action in self.labels.actions]

    def classes_of(self, actors: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Return the actor head's true classes of instances, for its loss.

        Args:
          actors: int [B, N], 0-based indices of actors; -1 in rows without an instance.
          actions: int [B, N], 0-based indices of actions; -1 in rows without an
            instance.

        Returns:
          int64 [B, N], from 0; a row without an instance has any class.
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

        By default only positive RoIs have an action and count.

        Args:
          logits: float32 [B, R, num_actions], the outputs of the action head.
          actors: int [B, R], 0-based actors of the instances that the RoIs are matched
            to; any for background.
          actions: int [B, R], 0-based actions of these instances.
          rois: the sampled RoIs.

        Returns:
          the logits, the true action of each RoI, and which RoIs the loss sums over and
          counts.
        """
        return ActionTargets(logits, actions, rois.positive, rois.positive)

    @abstractmethod
    def score_pairs(self, predictions: RoiPredictions) -> RoiTable:
        """Return the scores and boxes of actors, actions and pairs for RoIs.

        Args:
          predictions: the outputs of the heads for R RoIs of each frame.

        Returns:
          the table; invalid pairs, and rows that are no RoIs, score 0.
        """

    def suppression_scores(self, scores: tf.Tensor) -> tf.Tensor:
        """Return the scores by which non-maximum suppression ranks boxes of each class.

        By default they are p(class); a mode that joins classes overrides this.

        Args:
          scores: float32 [B, R, C], p(class) of each RoI, without background.

        Returns:
          float32 [B, R, C].
        """
        return scores

    def without_background(self, action_logits: tf.Tensor) -> tf.Tensor:
        """Return the action head's logits without the output of background.

        By default the head has no such output, and all logits are returned.

        Args:
          action_logits: float32 [B, R, num_actions].

        Returns:
          float32 [B, R, number of other outputs].
        """
        return action_logits

    def best_pairs(self, classes: tf.Tensor, table: RoiTable) -> Pairs:
        """Return the best pair of each instance: its actor, and the best valid action.

        Args:
          classes: int32 [B, N], classes of the actor head, from 0.
          table: scores of the instances, one row for each, [B, N, ...].

        Returns:
          0-based actors and actions, int32 [B, N], and the scores of these pairs,
          float32 [B, N].
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
    """The paper's label mode: a pair scores p(actor) p(action), from two heads.

    Args:
      labels: the actors, actions and valid pairs.
      background: whether background is a class of the action head, trained on every RoI
        that counts; else the head is trained on positives alone.
    """

    def __init__(self, labels: LabelSpace, background: bool) -> None:
        super().__init__(labels)
        self._background = background
        self.num_actions = len(self.actions())

    def actions(self) -> list[tuple[str, ...]]:
        """Return the outputs of the action head: the actions, then background.

        Background is left out if the head has no such output (--action_background).

        Returns:
          a tuple with the one name of each output.
        """
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
        """Return the arguments of the action loss for sampled RoIs.

        If the action head has an output for background, it is the true one of RoIs on
        background, and all RoIs count; else only positives do.

        Args:
          logits: float32 [B, R, num_actions], the outputs of the action head.
          actors: int [B, R], 0-based actors of the RoIs' instances; not read.
          actions: int [B, R], 0-based actions of the RoIs' instances; any for
            background.
          rois: the sampled RoIs.

        Returns:
          the logits, the true action of each RoI, and which RoIs the loss sums over and
          counts.
        """
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
        """Return the logits of the actions, without that of background.

        Args:
          action_logits: float32 [B, R, num_actions], background last if it is an
            output.

        Returns:
          float32 [B, R, |Y|].
        """
        return action_logits[..., : len(self.labels.actions)]

    def score_pairs(self, predictions: RoiPredictions) -> RoiTable:
        """Return scores and boxes of RoIs; a pair scores p(actor) p(action).

        p(action) is a softmax over all outputs of the action head; background, if it is
        one of them, keeps its share. A pair has the box of its actor. Invalid pairs
        score 0, without renormalisation (paper, 4).

        Args:
          predictions: the outputs of both heads for R RoIs of each frame.

        Returns:
          the table: p(actor) [B, R, |X|], p(action) [B, R, |Y|], scores of pairs [B, R,
          |X|, |Y|], and boxes; rows that are no RoIs score 0.
        """
        row = tf.cast(predictions.valid, tf.float32)[..., None]
        # Background keeps its share of the probability. Otherwise RoIs on background,
        # on which the actions were never trained, would lead the ranking by p(action).
        probabilities = tf.nn.softmax(predictions.action_logits)
        actions = self.without_background(probabilities) * row
        joint = predictions.class_scores[..., None] * actions[:, :, None, :]
        return self._table_of_actors(predictions, actions, joint)


class Hierarchical(LabelMode):
    """The label mode p(actor) p(action | actor): a softmax over actions per actor.

    The action head has |X| |Y| outputs, those of one actor after those of another.

    Args:
      labels: the actors, actions and valid pairs.
    """

    columns = ("joint_scores",)

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__(labels)
        self.num_actions = len(labels.actors) * len(labels.actions)

    def actions(self) -> list[tuple[str, ...]]:
        """Return the outputs of the action head: one per actor and action, by actor.

        Returns:
          a tuple of names for each output, ('dog-running', 'running') for example. The
          second lets it start from weights of a network whose action head has an output
          per action.
        """
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

        Only positives have a true actor, so only they have a true action. The sum is
        still divided by all RoIs that count, so that a positive weighs as much as in
        the other label modes.

        Args:
          logits: float32 [B, R, |X| |Y|], the outputs of the action head.
          actors: int [B, R], 0-based actors of the RoIs' instances, whose |Y| logits
            are taken.
          actions: int [B, R], 0-based actions of the RoIs' instances.
          rois: the sampled RoIs.

        Returns:
          the |Y| logits of the true actor, the true action of each RoI, and which RoIs
          the loss sums over and counts.
        """
        shape = [-1, logits.shape[1], *self.labels.valid.shape]
        logits = tf.gather(tf.reshape(logits, shape), actors, batch_dims=2)
        return ActionTargets(logits, actions, rois.positive, rois.counted)

    def score_pairs(self, predictions: RoiPredictions) -> RoiTable:
        """Return scores and boxes of RoIs; a pair scores p(actor) p(action | actor).

        p(action) is the sum of this over the actors with which the action is a valid
        pair. A pair has the box of its actor.

        Args:
          predictions: the outputs of both heads for R RoIs of each frame.

        Returns:
          the table: p(actor) [B, R, |X|], p(action) [B, R, |Y|], scores of pairs [B, R,
          |X|, |Y|], and boxes; rows that are no RoIs score 0.
        """
        classes = predictions.class_scores
        count = classes.shape[1] or tf.shape(classes)[1]
        shape = [-1, count, *self.labels.valid.shape]
        logits = tf.reshape(predictions.action_logits, shape)
        joint = classes[..., None] * tf.nn.softmax(logits)
        # Over valid pairs only: an actor adds nothing to an action that it cannot do.
        actions = tf.reduce_sum(joint * self._valid, axis=2)
        return self._table_of_actors(predictions, actions, joint)


class Cartesian(LabelMode):
    """The label mode of one softmax over the valid pairs, without an action head.

    The classes of the actor head are the pairs, each with a box of its own. With one
    frame and no flow it is the paper's Mask R-CNN baseline (4.3).

    Args:
      labels: the actors, actions and valid pairs.
    """

    columns = ("joint_scores", "joint_boxes")
    num_actions = 0

    def classes(self) -> list[tuple[str, ...]]:
        """Return the classes of the actor head: the valid pairs, in the order of codes.

        Returns:
          (name of the pair, name of its actor) for each, ('dog-running', 'dog') for
          example. By the second, a class can start from weights for the actor.
        """
        names: list[tuple[str, ...]] = []
        for code, actor in zip(self.labels.codes, self.labels.pairs[:, 0]):
            names.append((self.labels.name(code), self.labels.actors[actor]))
        return names

    def score_pairs(self, predictions: RoiPredictions) -> RoiTable:
        """Return the scores and boxes of RoIs, in which each pair is a class.

        p(actor) and p(action) are sums over the pairs; an actor has the box of its best
        pair.

        Args:
          predictions: the outputs of the actor head for R RoIs of each frame.

        Returns:
          the table: p(actor) [B, R, |X|], p(action) [B, R, |Y|], scores [B, R, |X|,
          |Y|] and boxes [B, R, |X|, |Y|, 4] of pairs, and boxes of actors; invalid
          pairs score 0.
        """
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
        """Return the pair that the class of each instance is, with the class's score.

        Args:
          classes: int32 [B, N], classes of the actor head, from 0: pairs in the order
            of codes.
          table: scores of the instances, one row for each, [B, N, ...].

        Returns:
          0-based actors and actions, int32 [B, N], and p(class), float32 [B, N].
        """
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

    It makes a Mask R-CNN on COCO predict a user's actors. p(actor) is the sum over the
    classes of the actor; its box and its mask are those of the likeliest of them.
    Classes of no actor keep their share of the softmax, as background does. There is
    one action and no action head. This mode is for prediction alone: it has no targets.

    Args:
      labels: the actors, the one action, and their pairs.
      classes: {name of a class: the 0-based index of its actor, or -1}, in the
        detector's order.
    """

    num_actions = 0

    def __init__(self, labels: LabelSpace, classes: Mapping[str, int]) -> None:
        self._names = list(classes)
        super().__init__(labels)
        self._actor_of = np.array([*classes.values()], np.int32)
        is_class_of = self._actor_of[:, None] == range(len(labels.actors))
        self._members = np.float32(is_class_of)

    def classes(self) -> list[tuple[str, ...]]:
        """Return the detector's classes, as tuples of their one name, in its order."""
        return [(name,) for name in self._names]

    def suppression_scores(self, scores: tf.Tensor) -> tf.Tensor:
        """Return p(actor) for the likeliest class of each actor, 0 for other classes.

        So a RoI has one box for each actor, even if several classes belong to it, such
        as cat and dog to pet.

        Args:
          scores: float32 [B, R, C], p(class) of each RoI, without background.

        Returns:
          float32 [B, R, C].
        """
        member_scores = scores[..., None] * self._members
        likeliest = tf.one_hot(
            tf.argmax(member_scores, axis=2), self.num_classes, axis=2
        )
        actor_scores = tf.reduce_sum(member_scores, axis=2, keepdims=True)
        return tf.reduce_sum(likeliest * actor_scores, axis=3)

    def score_pairs(self, predictions: RoiPredictions) -> RoiTable:
        """Return the scores and boxes of RoIs; an actor scores the sum of its classes.

        The one action has probability 1, so a pair scores p(actor). The box of an actor
        is that of its likeliest class.

        Args:
          predictions: the outputs of the actor head for R RoIs of each frame.

        Returns:
          the table: p(actor) [B, R, |X|], p(action) [B, R, 1], scores of pairs [B, R,
          |X|, 1], and boxes.
        """
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
        """Return the actor that each instance's class belongs to, and the one action.

        Args:
          classes: int32 [B, N], the detector's classes, from 0.
          table: scores of the instances, one row for each, [B, N, ...].

        Returns:
          0-based actors and actions, int32 [B, N], the latter 0, and p(actor), float32
          [B, N].
        """
        # Rows that are not used have class 0, which may be no actor.
        actors = tf.maximum(tf.gather(self._actor_of, classes), 0)
        return super().best_pairs(actors, table)


def make(name: str, labels: LabelSpace, action_background: bool = False) -> LabelMode:
    """Return the label mode that --label_mode names.

    Args:
      name: 'decoupled', 'hierarchical' or 'cartesian'.
      labels: the actors, actions and valid pairs.
      action_background: whether the action head of decoupled labels has an output for
        background (--action_background); other label modes ignore it.
    """
    if name == "decoupled":
        return Decoupled(labels, action_background)
    return {"hierarchical": Hierarchical, "cartesian": Cartesian}[name](labels)
