"""The named tensors of a batch that pass between the parts of the network.

B is the number of clips in the batch, each with one key frame; A the anchors of a
frame, R its RoIs, N its instances, C the classes of the actor head, P the pyramid
levels P2 to P5 (strides 4, 8, 16, 32), |X| the actors, |Y| the actions. The canvas is
the network's input, --image_height x --image_width pixels; a frame lies in its top left
corner, and the rest is padding. Boxes are float32 (y1, x1, y2, x2) in pixels of the
canvas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf


class Term(NamedTuple):
    """A loss or a health figure as a sum and its divisor, before they are divided.

    Each replica computes both for its part of the batch. They are added up over all
    replicas, and only then divided, so the value is that of the whole batch.

    Attributes:
      total: float32 scalar, the sum over the rows that count.
      divisor: float32 scalar, usually the number of these rows.
    """

    total: tf.Tensor
    divisor: tf.Tensor


Terms = dict[str, list[Term]]
"""{name of `heads.LOSS_TERMS`: terms whose quotients add up}."""


class MotionFeatures(NamedTuple):
    """The motion maps around the B key frames of a batch, as the readout reads them.

    A motion map holds features of the motion in the frames around a key frame, averaged
    over time (`ops.motion_maps`). Maps of frames of several sizes are padded at the
    right and at the bottom.

    Attributes:
      logits: {name of a map of the action backbone: action logits float32 [B, h, w, 2
        |Y|] at each cell}; the first |Y| are for the upper half of a box, the others
        for its lower half, see `readout.motion_readout`.
      flow_histograms: float32 [B, h, w, C], the histograms of optical flow in C bins;
        None if the readout reads none.
      size: int32 [B, 2], height and width of the motion frames in pixels; a motion
        frame is the video's frame, resized as the maps need it.
    """

    logits: Mapping[str, tf.Tensor]
    flow_histograms: tf.Tensor | None
    size: tf.Tensor


class Features(NamedTuple):
    """The features of a batch's B key frames, and the outputs of the proposal network.

    Attributes:
      actor: appearance pyramid of the actor branch (paper, 3.1), the tensors [B, h, w,
        channels] of P2 to P5.
      action: pyramid of the action branch, after temporal aggregation and fusion with
        flow (3.2), the tensors [B, h, w, channels] of P2 to P5.
      rpn_logits: float32 [B, A], the objectness logit of each of A anchors.
      rpn_deltas: float32 [B, A, 4], the deltas (dy, dx, dh, dw) from each anchor to its
        proposal.
      readout_logits: float32 [B, h, w, 2 (|X| + |Y|)] for each of C4 and C5, the
        readout's logits at each cell, see `readout.readout`; empty without a readout.
      motion: the motion maps; None if the readout reads none, and in training.
    """

    actor: list[tf.Tensor]
    action: list[tf.Tensor]
    rpn_logits: tf.Tensor
    rpn_deltas: tf.Tensor
    readout_logits: Sequence[tf.Tensor] = ()
    motion: MotionFeatures | None = None


class BatchTruth(NamedTuple):
    """The true instances of a batch's B key frames, padded to N rows per frame.

    The instances of a frame come first among its rows.

    Attributes:
      size: int32 [B, 2], height and width in pixels of each frame inside the padded
        canvas.
      annotated: bool [B], whether a key frame has annotations; frames without add
        nothing to a loss.
      present: bool [B, N], which rows hold an instance.
      boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
      actors: int32 [B, N], 0-based indices of actors; -1 in rows without an instance.
      actions: int32 [B, N], 0-based indices of actions; -1 in rows without an instance.
      masks: uint8 [B, N, H, W], 0 or 1, over the whole canvas.
      has_mask: bool [B, N], whether an instance is annotated with a mask, not with a
        box alone.
      fields: the whole batch by name, for a new head with labels of its own
        (CONTRIBUTING).
    """

    size: tf.Tensor
    annotated: tf.Tensor
    present: tf.Tensor
    boxes: tf.Tensor
    actors: tf.Tensor
    actions: tf.Tensor
    masks: tf.Tensor
    has_mask: tf.Tensor
    fields: Mapping[str, tf.Tensor]

    @classmethod
    def of(cls, batch: Mapping[str, tf.Tensor]) -> BatchTruth:
        """Take the true instances from a batch of clips.

        Args:
          batch: {name of a field: tensor [B, ...]}, an element of the dataset that
            `pipeline.training` returns. It has the fields of this class and may have
            more.
        """
        return cls(
            size=batch["size"],
            annotated=batch["annotated"],
            present=batch["present"],
            boxes=batch["boxes"],
            actors=batch["actors"],
            actions=batch["actions"],
            masks=batch["masks"],
            has_mask=batch["has_mask"],
            fields=batch,
        )


class SampledRois(NamedTuple):
    """R RoIs of each frame that are sampled for training, with their true instances.

    The rows of a frame are positives, then background, then rows that do not count.

    Attributes:
      boxes: float32 [B, R, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
      match: int64 [B, R], index of the instance of the frame that has the highest IoU
        with the RoI; it means nothing unless the RoI is positive.
      positive: bool [B, R], whether the RoI stands for its instance: the IoU is at
        least 0.5.
      counted: bool [B, R], whether the row is a RoI, positive or background; the loss
        is computed over these rows.
    """

    boxes: tf.Tensor
    match: tf.Tensor
    positive: tf.Tensor
    counted: tf.Tensor

    def gather_matches(self, values: tf.Tensor) -> tf.Tensor:
        """Return for each RoI the value of the instance that it is matched to.

        Args:
          values: [B, N, ...], a value for each of N instances of B frames, such as true
            boxes.

        Returns:
          [B, R, ...], a value for each of R RoIs.
        """
        return tf.gather(values, self.match, batch_dims=1)

    def first(self, number: int) -> SampledRois:
        """Return the first rows of each frame; positives come before the others.

        Args:
          number: number of rows to keep, at most R.

        Returns:
          [B, number, ...] of each tensor.
        """
        return SampledRois(
            boxes=self.boxes[:, :number],
            match=self.match[:, :number],
            positive=self.positive[:, :number],
            counted=self.counted[:, :number],
        )

    def padded(self, number: int) -> SampledRois:
        """Return these RoIs and, after them, empty rows that do not count in a loss.

        Args:
          number: number of rows to add to each frame.

        Returns:
          [B, R + number, ...] of each tensor.
        """
        padding = [[0, 0], [0, number]]
        return SampledRois(
            boxes=tf.pad(self.boxes, [*padding, [0, 0]]),
            match=tf.pad(self.match, padding),
            positive=tf.pad(self.positive, padding),
            counted=tf.pad(self.counted, padding),
        )


class HeadInputs(NamedTuple):
    """The tensors from which a head computes its loss terms and its results.

    Attributes:
      features: pyramids of the key frames, and outputs of the proposal network.
      roi_outputs: {name: float32 [B, R, ...]}, the outputs of actor head and action
        head for R RoIs: class_logits [B, R, C + 1], background last; deltas [B, R, C,
        4]; action_logits [B, R, outputs of the action head], absent without such a
        head.
      image: uint8 [B, H, W, 3], the key frames in RGB on the padded canvas; None if no
        head reads them.
      training: whether the network is being trained, as in the argument `training` of
        Keras.
    """

    features: Features
    roi_outputs: Mapping[str, tf.Tensor]
    image: tf.Tensor | None
    training: bool = False


class LossSettings(NamedTuple):
    """Settings of sampling and losses, named as in `TrainingConfig`, for the heads.

    Attributes:
      rpn_samples: number of anchors per frame in the proposal loss.
      rpn_beta: where the proposals' smooth L1 turns linear; 0 for the beta that fits
        the scale of the network's deltas (`Proposals.beta`).
      rpn_box_normaliser: 'positives' or 'samples', what the proposals' box loss is
        divided by, see `losses.box_regression`.
      box_normaliser: likewise of the actor head's box loss.
      most_positives: the largest number of positives among a frame's sampled RoIs;
        computed from --roi_samples and --positive_fraction.
      zero_shot_actor: 0-based index of the actor whose action labels are withheld from
        training (paper, 4.4); -1 for none.
    """

    rpn_samples: int
    rpn_beta: float
    rpn_box_normaliser: str
    box_normaliser: str
    most_positives: int
    zero_shot_actor: int


class RoiTable(NamedTuple):
    """Scores and boxes of R RoIs in each of B frames; invalid RoIs score 0.

    A label mode computes it from the outputs of the heads (`LabelMode.score_pairs`).
    Boxes are (y1, x1, y2, x2) in pixels of the padded canvas, inside the frame unless
    they were given (`infer_boxes`); scores are float32 probabilities.

    Attributes:
      class_scores: [B, R, C], p(class) of each class of the actor head; these are the
        actors or, with cartesian labels, the valid pairs.
      class_boxes: [B, R, C, 4], the box of each class.
      boxes: [B, R, |X|, 4], the box of each actor.
      actor_scores: [B, R, |X|], p(actor).
      action_scores: [B, R, |Y|], p(action). With background among the actions, they add
        up to 1 - p(background).
      joint_scores: [B, R, |X|, |Y|], the scores of pairs; invalid pairs score 0.
      joint_boxes: [B, R, |X|, |Y|, 4], the box of each pair, with cartesian labels;
        else None: the box of a pair is that of its actor.
    """

    class_scores: tf.Tensor
    class_boxes: tf.Tensor
    boxes: tf.Tensor
    actor_scores: tf.Tensor
    action_scores: tf.Tensor
    joint_scores: tf.Tensor
    joint_boxes: tf.Tensor | None = None

    def gather(self, index: tf.Tensor) -> RoiTable:
        """Return the table of some of its rows, such as those that suppression keeps.

        Args:
          index: int [B, N], for each of B frames the rows to take, in this order.

        Returns:
          a table whose tensors are [B, N, ...].
        """
        columns = {}
        for name, values in self._asdict().items():
            if values is not None:
                columns[name] = tf.gather(values, index, batch_dims=1)
        return RoiTable(**columns)


class BatchInstances(NamedTuple):
    """The instances that the network finds in B frames, best p(class) first.

    Boxes that are given to the network keep their order (`infer_boxes`). Each frame has
    N rows, of which the first `number` are used. Other rows are 0, except in
    `head_results`, where they may hold any values.

    Attributes:
      number: int32 [B], number of instances in each frame.
      boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
      classes: int32 [B, N], 0-based classes of the actor head: actors, or valid pairs
        with cartesian labels.
      class_scores: float32 [B, N], p(class).
      actor: int32 [B, N], numbers of actors from 1; 0 in other rows.
      action: int32 [B, N], numbers of actions from 1; 0 in other rows.
      code: int32 [B, N], the number of the pair as in A2D's label maps, 10 * actor +
        action; the factor is larger for ten actions or more (`LabelSpace.encode`).
      score: float32 [B, N], the score of the pair.
      actor_scores: float32 [B, N, |X|], p(actor) of every actor.
      action_scores: float32 [B, N, |Y|], p(action) of every action.
      head_results: {name: [B, N, ...]}, the results of the heads that run on instances,
        such as masks: probabilities float32 [B, N, 28, 28] on a grid inside the box.
    """

    number: tf.Tensor
    boxes: tf.Tensor
    classes: tf.Tensor
    class_scores: tf.Tensor
    actor: tf.Tensor
    action: tf.Tensor
    code: tf.Tensor
    score: tf.Tensor
    actor_scores: tf.Tensor
    action_scores: tf.Tensor
    head_results: dict[str, Any]

    def map_rows(self, function: Callable[[Any], Any]) -> BatchInstances:
        """Apply a function to each tensor that has a row for each instance.

        Args:
          function: takes a tensor [B, N, ...] and returns one; used to reorder or slice
            rows.

        Returns:
          the instances with the changed tensors, those of `head_results` too; `number`
          stays as it is.
        """
        fields = self._asdict()
        del fields["number"], fields["head_results"]
        mapped = {name: function(values) for name, values in fields.items()}
        results = {name: function(values) for name, values in self.head_results.items()}
        return self._replace(**mapped, head_results=results)
