"""The action head over fused appearance and motion (paper, 3.2)."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from a2d_tf.model import losses
from a2d_tf.model.heads import Head
from a2d_tf.model.label_modes import LabelMode
from a2d_tf.model.layers import fold, hidden, output, unfold
from a2d_tf.model.structures import BatchTruth, Options, Rows, Seen, Terms


class ActionHead(Head):
    """Actions of a RoI, in one softmax or, with hierarchical labels, one for each
    actor.

    Args:
      mode: the label space.
      late: whether each stream has a head of its own, of which the logits are averaged
        (late fusion, 3.2).
    """

    branch: ClassVar[str] = "action"
    outputs: ClassVar[tuple[str, ...]] = ("action_logits",)

    def __init__(self, mode: LabelMode, late: bool) -> None:
        self._mode = mode
        self._streams = ("action_rgb", "action_flow") if late else ("action",)

    def build(self, features: tf.Tensor, units: int) -> dict[str, tf.Tensor]:
        """Return {action_logits float32 [B, R, num_actions]}, without normalisation
        layers.
        """
        if len(self._streams) == 1:
            return {"action_logits": self._build(features, units, *self._streams)}
        streams = zip(self._streams, tf.split(features, 2, axis=-1))
        logits = [self._build(own, units, name) for name, own in streams]
        return {"action_logits": 0.5 * (logits[0] + logits[1])}

    def _build(self, features, units, name):
        x = hidden(fold(features), units, "none", name)
        count = self._mode.num_actions
        return unfold(output(x, count, f"{name}_logits"), features, count)

    def class_layers(self) -> dict[str, list[tuple[str, ...]]]:
        """Return that of each stream; see `Head`."""
        return {f"{stream}_logits": self._mode.actions() for stream in self._streams}

    def terms(
        self, seen: Seen, rows: Rows, truth: BatchTruth, options: Options
    ) -> Terms:
        """Return the action term (Eq. 2), without the labels of a held-out actor
        (4.4).
        """
        # RoIs of a frame without instances match padding, whose -1 is not an index.
        actors, actions = (
            tf.maximum(rows.matched(x), 0) for x in (truth.actors, truth.actions)
        )
        logits = seen.outputs["action_logits"]
        logits, actions, counted = self._mode.action_targets(
            logits, actors, actions, rows
        )
        withheld = rows.positive & (actors == options.held_out)
        return {"action_cls": [losses.action_class(logits, actions, counted, withheld)]}
