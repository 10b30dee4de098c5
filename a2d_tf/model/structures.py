"""The named tensors of a batch that pass between the parts of the network.

B is the batch, A the anchors of a frame, R its RoIs, N its instances, C the classes of
the actor head, P the pyramid levels P2 to P5, |X| the actors, |Y| the actions. Boxes
are y1, x1, y2, x2 in pixels of the canvas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf


class Term(NamedTuple):
    """A loss or a figure before division: replicas add up both before they divide.

    Attributes:
      total: sum over the rows that count.
      divisor: usually their number.
    """

    total: tf.Tensor
    divisor: tf.Tensor


Terms = dict[str, list[Term]]
"""{name of `heads.LOSS_TERMS`: terms whose quotients add up}."""


class MotionFeatures(NamedTuple):
    """The motion maps around a batch's key frames, as the readout uses them.

    Maps of frames of several sizes are padded at the right and at the bottom.

    Attributes:
      logits: {name of a map of the action backbone: action logits [B, h, w, 2 |Y|]},
        see `readout.motion_readout`.
      flow_histograms: [B, h, w, C]; None if they are not read.
      size: int32 [B, 2], height and width of the motion frames.
    """

    logits: Mapping[str, tf.Tensor]
    flow_histograms: tf.Tensor | None
    size: tf.Tensor


class Features(NamedTuple):
    """The features of a batch's key frames, and the outputs of the proposal network.

    Attributes:
      actor: pyramid of the actor branch, a list of P tensors [B, h, w, C].
      action: pyramid of the action branch, a list of P tensors [B, h, w, C].
      rpn_logits: [B, A].
      rpn_deltas: [B, A, 4].
      readout_logits: maps of logits, see `readout.readout`; empty without a readout.
      motion: the motion maps; None if the readout reads none.
    """

    actor: list[tf.Tensor]
    action: list[tf.Tensor]
    rpn_logits: tf.Tensor
    rpn_deltas: tf.Tensor
    readout_logits: Sequence[tf.Tensor] = ()
    motion: MotionFeatures | None = None


class BatchTruth(NamedTuple):
    """The instances of a batch's key frames, which come first among N rows.

    Attributes:
      size: int32 [B, 2], height and width of the frames inside the canvas.
      annotated: bool [B]; frames without annotation add nothing to a loss.
      present: bool [B, N], which rows hold an instance.
      boxes: [B, N, 4].
      actors, actions: int32 [B, N], 0-based, -1 in other rows.
      masks: uint8 [B, N, H, W].
      has_mask: bool [B, N].
      fields: the whole batch, for a new head with labels of its own (CONTRIBUTING).
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
        """Return the truth of an element of `pipeline.training`."""
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
    """Sampled RoIs: positives, then background, then rows that do not count.

    Attributes:
      boxes: [B, R, 4].
      match: int64 [B, R], the index of the instance with the highest IoU.
      positive, counted: bool [B, R].
    """

    boxes: tf.Tensor
    match: tf.Tensor
    positive: tf.Tensor
    counted: tf.Tensor

    def gather_matches(self, values: tf.Tensor) -> tf.Tensor:
        """Gather the value of each RoI's match from those of instances.

        Args:
          values: [B, N, ...].

        Returns:
          [B, R, ...].
        """
        return tf.gather(values, self.match, batch_dims=1)

    def first(self, number: int) -> SampledRois:
        """Return the first `number` rows."""
        return SampledRois(
            boxes=self.boxes[:, :number],
            match=self.match[:, :number],
            positive=self.positive[:, :number],
            counted=self.counted[:, :number],
        )

    def padded(self, number: int) -> SampledRois:
        """Return these rows and `number` more, which do not count."""
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
      features: features of the key frames.
      roi_outputs: {name: [B, R, ...]}, the outputs of the submodel `roi_heads`.
      image: uint8 [B, H, W, 3], the key frames; None if no head reads them.
      training: whether the network is being trained.
    """

    features: Features
    roi_outputs: Mapping[str, tf.Tensor]
    image: tf.Tensor | None
    training: bool = False


class LossSettings(NamedTuple):
    """Settings of sampling and losses, named as in `TrainingConfig`.

    Two are computed from settings there:

    Attributes:
      most_positives: the most positives among the RoIs of a frame.
      zero_shot_actor: index of the actor whose action labels are withheld, or -1.
    """

    rpn_samples: int
    rpn_beta: float
    rpn_box_normaliser: str
    box_normaliser: str
    most_positives: int
    zero_shot_actor: int


class RoiTable(NamedTuple):
    """Scores and boxes of every RoI; invalid RoIs score 0.

    Attributes:
      class_scores: [B, R, C], of the actor head's classes.
      class_boxes: [B, R, C, 4].
      boxes: [B, R, |X|, 4], of the actors.
      actor_scores: [B, R, |X|].
      action_scores: [B, R, |Y|]. With background among the actions, they add up to
        1 - p(background).
      joint_scores: [B, R, |X|, |Y|], of pairs; invalid pairs score 0.
      joint_boxes: [B, R, |X|, |Y|, 4] if pairs have boxes of their own, else None.
    """

    class_scores: tf.Tensor
    class_boxes: tf.Tensor
    boxes: tf.Tensor
    actor_scores: tf.Tensor
    action_scores: tf.Tensor
    joint_scores: tf.Tensor
    joint_boxes: tf.Tensor | None = None

    def gather(self, index: tf.Tensor) -> RoiTable:
        """Gather rows by index, int [B, N]: a table of [B, N, ...]."""
        columns = {}
        for name, values in self._asdict().items():
            if values is not None:
                columns[name] = tf.gather(values, index, batch_dims=1)
        return RoiTable(**columns)


class BatchInstances(NamedTuple):
    """Instances, best p(class) first; N rows, of which the first `number` are used.

    Other rows are 0, except in `head_results`.

    Attributes:
      number: int32 [B].
      boxes: [B, N, 4].
      classes: int32 [B, N], 0-based classes of the actor head.
      class_scores: [B, N].
      actor, action: int32 [B, N], 1-based; 0 in other rows.
      code: int32 [B, N], the number of the pair of both, see `LabelSpace.encode`.
      score: [B, N], of the pair.
      actor_scores: [B, N, |X|].
      action_scores: [B, N, |Y|].
      head_results: {name: [B, N, ...]}, the results of the heads that run on instances,
        such as masks, probabilities [B, N, 28, 28] inside the box.
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
        """Apply a function to the rows of each field, those of `head_results` too."""
        fields = self._asdict()
        del fields["number"], fields["head_results"]
        mapped = {name: function(values) for name, values in fields.items()}
        results = {name: function(values) for name, values in self.head_results.items()}
        return self._replace(**mapped, head_results=results)
