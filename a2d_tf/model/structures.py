"""What passes between the parts of the network: named tensors of a batch.

B is the batch, A the anchors of a frame, R its RoIs, N its instances, C the classes of
the actor head, P the pyramid levels P2 to P5. Boxes are y1, x1, y2, x2 in pixels of the
canvas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

Term = tuple[tf.Tensor, tf.Tensor]
"""A loss or a figure as (sum, count), so that replicas can add up both before they
divide.
"""
Terms = dict[str, list[Term]]
"""{name of `losses.TERMS`: terms whose quotients add up}."""


class Features(NamedTuple):
    """What the backbones and the proposal network make of a batch's key frames.

    Attributes:
      actor, action: pyramids of the two branches, lists of P tensors [B, h, w, C].
      rpn_logits, rpn_deltas: [B, A], [B, A, 4].
      labels: maps of a readout, see `heads.readout`; none without one.
    """

    actor: list[tf.Tensor]
    action: list[tf.Tensor]
    rpn_logits: tf.Tensor
    rpn_deltas: tf.Tensor
    labels: Sequence[tf.Tensor] = ()


class BatchTruth(NamedTuple):
    """The instances of a batch's key frames, which come first among N rows.

    Attributes:
      size: int32 [B, 2], height and width of the frames inside the canvas.
      annotated: bool [B]; frames without annotation add nothing to a loss.
      present: bool [B, N], which rows hold an instance.
      boxes: [B, N, 4]; actors, actions: int32 [B, N], 0-based, -1 in other rows.
      masks: uint8 [B, N, H, W]; has_mask: bool [B, N].
      fields: the whole batch, for heads with labels of their own.
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
        return cls._make([*(batch[name] for name in cls._fields[:-1]), batch])


class Rows(NamedTuple):
    """Sampled RoIs; positives come first, then background, then rows that do not count.

    Attributes:
      rois: [B, R, 4].
      match: int64 [B, R], the instance with the highest IoU.
      positive, counted: bool [B, R].
    """

    rois: tf.Tensor
    match: tf.Tensor
    positive: tf.Tensor
    counted: tf.Tensor

    def matched(self, values: tf.Tensor) -> tf.Tensor:
        """Return values [B, N, ...] of instances for each row's match, [B, R, ...]."""
        return tf.gather(values, self.match, batch_dims=1)

    def first(self, number: int) -> Rows:
        """Return the first rows alone."""
        return Rows._make(values[:, :number] for values in self)


class Seen(NamedTuple):
    """What a head can see.

    Attributes:
      features: of the key frames.
      outputs: those of `roi_heads`, by name, [B, R, ...].
      image: uint8 [B, H, W, 3], the key frames; None where no head needs it.
      training: whether gradients are wanted.
    """

    features: Features
    outputs: Mapping[str, tf.Tensor]
    image: tf.Tensor | None
    training: bool = False


class Options(NamedTuple):
    """How losses are sampled and normalised: settings of the same names, and two of
    them resolved.

    Attributes:
      most_positives: see `targets.most_positives`.
      held_out: index of the actor whose action labels are withheld, or -1.
    """

    rpn_samples: int
    rpn_beta: float
    rpn_box_normaliser: str
    box_normaliser: str
    most_positives: int
    held_out: int


class RoiTable(NamedTuple):
    """Scores and boxes of every RoI; invalid RoIs score 0.

    Attributes:
      class_scores, class_boxes: [B, R, C], [B, R, C, 4], of the actor head's classes.
      boxes: [B, R, |X|, 4].
      actor_scores, action_scores: [B, R, |X|], [B, R, |Y|]. With background among the
        actions, action_scores add up to 1 - p(background).
      joint_scores: [B, R, |X|, |Y|]; invalid pairs score 0.
      joint_boxes: [B, R, |X|, |Y|, 4] where pairs have boxes of their own, else None.
    """

    class_scores: tf.Tensor
    class_boxes: tf.Tensor
    boxes: tf.Tensor
    actor_scores: tf.Tensor
    action_scores: tf.Tensor
    joint_scores: tf.Tensor
    joint_boxes: tf.Tensor | None = None


class BatchDetections(NamedTuple):
    """Instances, best p(class) first; N rows, of which the first `number` are used.

    Other rows are 0, except in `more`.

    Attributes:
      number: int32 [B].
      boxes: [B, N, 4].
      classes: int32 [B, N], 0-based classes of the actor head; class_scores: [B, N].
      actor, action, code: int32 [B, N]; actor and action are the code's 1-based digits.
      score: [B, N], of the pair; actor_scores, action_scores: [B, N, |X|], [B, N, |Y|].
      more: {name: [B, N, ...]} of the heads that run on instances: masks, probabilities
        [B, N, 28, 28] inside the box.
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
    more: dict[str, Any]

    def map_rows(self, function: Callable[[Any], Any]) -> BatchDetections:
        """Return all rows, those of `more` too, after a function of each field."""
        fields = {
            k: v for k, v in self._asdict().items() if k not in ("number", "more")
        }
        more = {name: function(values) for name, values in self.more.items()}
        return self._replace(**{k: function(v) for k, v in fields.items()}, more=more)
