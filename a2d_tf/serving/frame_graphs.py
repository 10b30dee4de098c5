"""The graphs of the signatures `frame`, `key_frame`, `boxes` and `block`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from a2d_tf.core.limits import MAX_PIXELS, MAX_SERVED_FLOW
from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.data.instance_fields import scale_fields
from a2d_tf.model.inference import infer_boxes, infer_key_frames
from a2d_tf.model.network import Network
from a2d_tf.model.readout.readout import LEVELS
from a2d_tf.model.structures import BatchInstances, Features
from a2d_tf.ops import canvas as canvas_ops
from a2d_tf.ops import masks as mask_ops
from a2d_tf.serving import clip_motion, motion_graphs
from a2d_tf.serving.descriptions import OUTPUTS

NO_MOTION: dict[str, tf.Tensor] = {}
"""The motion inputs of a network that reads no motion maps."""


class FrameGraphs:
    """The graphs of the signatures that answer a video frame by frame.

    A video's frames go through `frame` one by one. `key_frame` or `boxes` then answers
    a frame by the features of the 2L + 1 frames around it, where L is the number of
    temporal layers. `descriptions` says what each signature takes and returns.

    `ServedNetwork` makes the methods `tf.function`s. This is no `tf.Module`, of which a
    SavedModel would save the Keras models of the network, too.

    Args:
      network: the network, with its norms folded (`fold_norms`).
      settings: settings of inference; its `score_threshold` is a number from 0 to 1,
        not the -1 that stands for the run's own.
    """

    def __init__(self, network: Network, settings: InferenceConfig) -> None:
        self._network = network
        self._settings = settings

    def frame(self, rgb: tf.Tensor, flow: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute the features of frames, the signature `frame`.

        Args:
          rgb: frames of B videos, of any size, uint8 [B, H, W, 3].
          flow: their optical flow, float32 [B, H, W, 2], (u, v) in pixels of these
            frames.

        Returns:
          {name: tensor [B, ...]}, the features of each frame that `key_frame` takes:
          the levels of the backbones' pyramids, such as `actor_p2` and `flow_p5`;
          `inside`, int32 [B, 2], the frame's height and width on the canvas; and
          `image`, the frame on the canvas, if a head needs it.
        """
        network = self._network
        backbones = network.backbones
        finite = tf.debugging.assert_all_finite(flow, "flow must be finite")
        with tf.control_dependencies([finite, *shape_checks(rgb, flow)]):
            flow = tf.clip_by_value(flow, -MAX_SERVED_FLOW, MAX_SERVED_FLOW)
            placed = canvas_ops.place(rgb, flow, network.image_size)
        inputs = {"rgb": placed.rgb, "flow": placed.flow}
        pyramids = backbones(
            {name: inputs[name] for name in backbones.input}, training=False
        )
        outputs = {}
        for name, levels in self._pyramid_levels().items():
            for level, features in zip(levels, pyramids[name]):
                outputs[f"{name}_p{level}"] = features
        outputs["inside"] = tf.tile(placed.size[None], [tf.shape(rgb)[0], 1])
        if network.needs_image:
            outputs["image"] = placed.rgb
        return outputs

    def key_frame(
        self,
        frames: dict[str, tf.Tensor],
        size: tf.Tensor,
        motion: dict[str, tf.Tensor] = NO_MOTION,
    ) -> dict[str, tf.Tensor]:
        """Find the instances of key frames, the signature `key_frame`.

        Args:
          frames: for B clips, the features that `frame` returns of each of their 2L + 1
            frames, {name: [B, 2L + 1, ...]}, where L is the number of temporal layers;
            the key frame is the middle one.
          size: int32 [2], height and width in whose pixels to answer, usually the
            video's.
          motion: the motion maps around the key frames, {name: tensor} as
            `motion_graphs.input_specs` has them; NO_MOTION if the network reads none.

        Returns:
          {name: tensor [B, ...]} as in `descriptions.OUTPUTS`: boxes, labels, scores
          and masks of the instances, and the label map.
        """
        key = self._key_features(frames, motion)
        instances = infer_key_frames(
            self._network,
            key.features,
            key.inside,
            self._settings,
            frames.get("image"),
        ).detections
        return self._outputs(instances, key.ratio(size), size)

    def boxes(
        self,
        frames: dict[str, tf.Tensor],
        size: tf.Tensor,
        boxes: tf.Tensor,
        num_boxes: tf.Tensor,
        motion: dict[str, tf.Tensor] = NO_MOTION,
    ) -> dict[str, tf.Tensor]:
        """Label given boxes of key frames, the signature `boxes`.

        Args:
          frames: features of each clip's 2L + 1 frames, as in `key_frame`.
          size: int32 [2], height and width in whose pixels boxes are given and answers
            returned.
          boxes: float32 [B, N, 4] (y1, x1, y2, x2), pixels of `size`.
          num_boxes: int32 [B], how many of the N boxes count in each frame, the first
            ones.
          motion: the motion maps around the key frames, as in `key_frame`.

        Returns:
          {name: tensor [B, ...]} as in `descriptions.OUTPUTS`, a row for each box in
          the order of the boxes.
        """
        key = self._key_features(frames, motion)
        ratio = key.ratio(size)
        instances = infer_boxes(
            self._network,
            key.features,
            boxes / tf.tile(ratio, [1, 2])[:, None],
            num_boxes,
            key.inside,
            frames.get("image"),
        ).detections
        return self._outputs(instances, ratio, size)

    def block(self, rgb: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute the motion maps of blocks by the action backbone, signature `block`.

        Args:
          rgb: uint8 [B, BLOCK, h, w, 3], motion frames.

        Returns:
          {name of a map: action logits [B, maps of the block, h / stride, w / stride, 2
          |Y|]}, see `motion_graphs.block_logits`.
        """
        return motion_graphs.block_logits(self._network, rgb)

    def motion_of_clips(self, rgb: tf.Tensor, flow: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute the motion maps that the middle frames of clips need.

        Args:
          rgb: the frames of B clips, uint8 [B, T, H, W, 3].
          flow: their optical flow, float32 [B, T, H, W, 2], (u, v) in pixels of the
            frames.

        Returns:
          the argument `motion` of `key_frame`, {name: tensor}.
        """
        return clip_motion.maps_of_clips(self._network, rgb, flow)

    def _pyramid_levels(self) -> dict[str, Sequence[int]]:
        """Return {pyramid of a frame: its levels}."""
        network = self._network
        names = set(network.backbones.output)
        if network.model_config.action_topdown == "shared":
            names.discard("rgb")  # the action branch's appearance is the actor's
        levels: dict[str, Sequence[int]] = {}
        for name in sorted(names):
            levels[name] = range(2, 6)
            if name == "labels":
                levels[name] = LEVELS
        return levels

    def _key_features(
        self, frames: Mapping[str, tf.Tensor], motion: dict[str, tf.Tensor]
    ) -> _KeyFeatures:
        """Fuse the features of frames; the arguments are those of `key_frame`."""
        network = self._network
        pyramids = {}
        for name, levels in self._pyramid_levels().items():
            pyramids[name] = [frames[f"{name}_p{level}"] for level in levels]
        inside = frames["inside"][:, network.model_config.frames // 2]
        features = network.features_from_pyramids(pyramids)
        if motion:
            features = features._replace(motion=motion_graphs.features(motion))
        return _KeyFeatures(features, inside)

    def _outputs(
        self, instances: BatchInstances, ratio: tf.Tensor, size: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return OUTPUTS in pixels of `size`, of instances in pixels of the canvas."""
        answers = instances._asdict()
        answers.update(scale_fields(instances.head_results, ratio[:, None]))
        answers["num_detections"] = instances.number
        outputs = {name: answers[name] for name in OUTPUTS if name in answers}
        outputs["boxes"] = instances.boxes * tf.tile(ratio, [1, 2])[:, None]
        label_map = mask_ops.paint_label_map(
            outputs["masks"],
            outputs["boxes"],
            outputs["score"],
            outputs["code"],
            height=size[0],
            width=size[1],
        )
        code_dtype = tf.as_dtype(self._network.labels.code_dtype)
        outputs["label_map"] = tf.cast(label_map, code_dtype)
        return outputs


class _KeyFeatures(NamedTuple):
    """The features of the key frames of clips.

    Attributes:
      features: the features, as the heads take them.
      inside: int32 [B, 2], height and width of the frames inside the canvas, pixels.
    """

    features: Features
    inside: tf.Tensor

    def ratio(self, size: tf.Tensor) -> tf.Tensor:
        """Return pixels of an answer by pixels of the canvas, [B, 2]; check `size`."""
        with tf.control_dependencies([_size_check(size[0], size[1])]):
            return tf.cast(size, tf.float32) / tf.cast(self.inside, tf.float32)


def shape_checks(rgb: tf.Tensor, flow: tf.Tensor) -> list[tf.Operation]:
    """Return assertions that frames have an allowed size, and flow has the same.

    They fail when the graph runs; make the operations that follow depend on them.

    Args:
      rgb: frames [..., H, W, 3].
      flow: optical flow, which should be [..., H, W, 2].
    """
    message = (
        "rgb [..., H, W, 3] and flow [..., H, W, 2] must agree in all but the last axis"
    )
    agree = tf.debugging.assert_equal(tf.shape(rgb)[:-1], tf.shape(flow)[:-1], message)
    height, width = tf.unstack(tf.shape(rgb)[-3:-1])
    return [agree, _size_check(height, width)]


def _size_check(height: tf.Tensor, width: tf.Tensor) -> tf.Operation:
    """Return an assertion on the size of a frame, int32 scalars."""
    message = "a frame needs at least one pixel, and at most: "
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    allowed = (height > 0) & (width > 0) & (pixels <= MAX_PIXELS)
    return tf.debugging.Assert(allowed, [message, tf.constant(MAX_PIXELS)])
