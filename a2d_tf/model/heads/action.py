"""The action head over fused appearance and motion (paper, 3.2)."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from a2d_tf.model import losses
from a2d_tf.model.heads.base import Head
from a2d_tf.model.label_modes import LabelMode
from a2d_tf.model.layers import (
    merge_roi_axis,
    output_layer,
    split_roi_axis,
    two_fc_layers,
)
from a2d_tf.model.structures import (
    BatchTruth,
    HeadInputs,
    LossSettings,
    SampledRois,
    Terms,
)


class ActionHead(Head):
    """The head that classifies the action of a RoI, from fused features (paper, 3.2).

    It has one softmax over the actions or, with hierarchical labels, one per actor.

    Args:
      mode: the label mode, which decides what the outputs are.
      late: whether each stream has layers of its own, whose logits are averaged (late
        fusion, 3.2).
    """

    branch: ClassVar[str] = "action"
    loss_terms: ClassVar[tuple[str, ...]] = ("action_cls",)
    outputs: ClassVar[tuple[str, ...]] = ("action_logits",)

    def __init__(self, mode: LabelMode, late: bool) -> None:
        self._mode = mode
        self._late = late

    def build_layers(self, features: tf.Tensor, units: int) -> dict[str, tf.Tensor]:
        """Build the layers: two fully connected ones without norm, then the logits.

        With late fusion, RGB and flow have such layers each, and their logits are
        averaged.

        Args:
          features: [B, R, n, n, D], fused features of R RoIs per frame on n x n cells;
            with flow, the first D / 2 channels are those of RGB.
          units: number of units of the two fully connected layers.

        Returns:
          {action_logits: float32 [B, R, outputs]}, the outputs of `LabelMode.actions`.
        """
        if not self._late:
            return {"action_logits": self._build_stream(features, units, "action")}
        rgb, flow = tf.split(features, 2, axis=-1)
        rgb_logits = self._build_stream(rgb, units, "action_rgb")
        flow_logits = self._build_stream(flow, units, "action_flow")
        return {"action_logits": 0.5 * (rgb_logits + flow_logits)}

    def class_layers(self) -> dict[str, list[tuple[str, ...]]]:
        """Return the layers with weights for each output, those of the logits.

        When pretrained weights are loaded, they are filled output by output, by name.

        Returns:
          {name of the layer: a tuple of names for each output, that in this network
          first}; two layers with late fusion.
        """
        return {f"{name}_logits": self._mode.actions() for name in self._stream_names()}

    def input_layers(self) -> list[str]:
        """Return the names of the first layers, which read the features of RoIs.

        There is one, or one for RGB and one for flow with late fusion. Its input
        channels are those of RGB, then those of flow; it can start from the weights of
        a network without flow.
        """
        return [f"{name}_fc1" for name in self._stream_names()]

    def terms(
        self,
        head_inputs: HeadInputs,
        rois: SampledRois,
        truth: BatchTruth,
        settings: LossSettings,
    ) -> Terms:
        """Compute the action loss (Eq. 2), without labels of a zero-shot actor (4.4).

        Args:
          head_inputs: outputs of the RoI heads for these RoIs.
          rois: the sampled RoIs, with the instances they are matched to.
          truth: the true instances.
          settings: its `zero_shot_actor` is the actor whose action labels are not
            learned.

        Returns:
          {action_cls: [-log p(action)]}, as a sum and its divisor.
        """
        # RoIs of a frame without instances match padding, whose -1 is not an index.
        actors = tf.maximum(rois.gather_matches(truth.actors), 0)
        actions = tf.maximum(rois.gather_matches(truth.actions), 0)
        targets = self._mode.action_targets(
            head_inputs.roi_outputs["action_logits"], actors, actions, rois
        )
        withheld = rois.positive & (actors == settings.zero_shot_actor)
        term = losses.action_class(
            targets.logits,
            targets.actions,
            counted=targets.counted,
            withheld=withheld | ~targets.labelled,
        )
        return {"action_cls": [term]}

    def _build_stream(self, features: tf.Tensor, units: int, name: str) -> tf.Tensor:
        x = two_fc_layers(merge_roi_axis(features), units, "none", name)
        count = self._mode.num_actions
        return split_roi_axis(output_layer(x, count, f"{name}_logits"), features, count)

    def _stream_names(self) -> tuple[str, ...]:
        """Return the prefixes of layers' names; each stream of late fusion has one."""
        if self._late:
            return ("action_rgb", "action_flow")
        return ("action",)
