"""The motion maps of blocks of a video, in the graphs of the served network.

`ops.motion_maps` says what motion maps are. `data.preparation.motion_stream` makes them
outside a graph, and `clip_motion` makes those of a whole clip.
"""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.core.limits import MAX_SERVED_FLOW
from a2d_tf.model.network import Network
from a2d_tf.model.structures import MotionFeatures
from a2d_tf.ops.graph_flow_histograms import flow_histograms_in_graph
from a2d_tf.ops.motion_maps import BACKBONE_MAPS, FLOW_HISTOGRAMS, MotionMap

MOTION_SIZE = "motion_size"
"""The input of `key_frame` with height and width of the motion frames."""


def backbone_maps(network: Network) -> tuple[MotionMap, ...]:
    """Return the kinds of motion maps that a network's action backbone computes.

    They are () if the network has no action backbone.
    """
    if network.action_backbone is None:
        return ()
    return BACKBONE_MAPS[network.model_config.action_backbone]


def input_specs(network: Network) -> dict[str, tf.TensorSpec]:
    """Return the specifications of the motion maps that a network takes as inputs.

    The signatures `key_frame` and `boxes` take these tensors, which are averages of
    maps around a key frame.

    Returns:
      {name: TensorSpec}: for each map of the action backbone float32 [B, h, w, 2 |Y|],
      action logits for the upper half of a box, then for its lower half; for flow
      histograms float32 [B, h, w, channels]; and MOTION_SIZE, int32 [B, 2]. {} if the
      network reads no motion maps.
    """
    if network.motion_readout is None:
        return {}
    shapes = {}
    for kind in backbone_maps(network):
        # Logits for the upper half of a box, and for the lower half.
        shapes[kind.name] = [None, None, None, 2 * len(network.labels.actions)]
    if network.model_config.flow_histograms:
        name = FLOW_HISTOGRAMS.name
        shapes[name] = [None, None, None, FLOW_HISTOGRAMS.channels]
    specs = {}
    for name, shape in shapes.items():
        specs[name] = tf.TensorSpec(shape, name=name)
    specs[MOTION_SIZE] = tf.TensorSpec([None, 2], tf.int32, MOTION_SIZE)
    return specs


def block_logits(network: Network, rgb: tf.Tensor) -> dict[str, tf.Tensor]:
    """Compute the action logits of a block of frames, the signature `block`.

    The action backbone computes features of the motion in the block, and the readout's
    weights turn them into logits, which are much smaller.

    Args:
      network: a network with an action backbone and a readout.
      rgb: uint8 [B, BLOCK, h, w, 3], motion frames; h and w are multiples of the
        largest stride.

    Returns:
      {name of a map: float32 [B, BLOCK / frames, h / stride, w / stride, 2 |Y|]}, the
      action logits at each cell, for the upper half of a box, then for its lower half;
      frames and stride are those of its `MotionMap`.
    """
    assert network.action_backbone is not None and network.motion_readout is not None
    stride = max(kind.stride for kind in backbone_maps(network))
    message = f"height and width of a block must be multiples of {stride}, not 0"
    sides = tf.shape(rgb)[2:4]
    is_right = tf.reduce_all((sides % stride == 0) & (sides > 0))
    with tf.control_dependencies([tf.debugging.Assert(is_right, [message])]):
        maps = network.action_backbone(rgb, training=False)
    return network.motion_readout(maps)


def histograms(flow: tf.Tensor) -> dict[str, tf.Tensor]:
    """Compute the histograms of optical flow, the signature `histograms`.

    Args:
      flow: the optical flow of B motion frames, finite float32 [B, h, w, 2], (u, v) in
        pixels of these frames.

    Returns:
      {'flow_histograms': float32 [B, h / 8, w / 8, channels]}, see
      `ops.flow_histograms`.
    """
    finite = tf.debugging.assert_all_finite(flow, "flow must be finite")
    with tf.control_dependencies([finite]):
        flow = tf.clip_by_value(flow, -MAX_SERVED_FLOW, MAX_SERVED_FLOW)
    return {FLOW_HISTOGRAMS.name: flow_histograms_in_graph(flow)}


def features(motion: dict[str, tf.Tensor]) -> MotionFeatures:
    """Arrange the motion inputs of `key_frame` as the network's readout takes them.

    Args:
      motion: {name: tensor} as `input_specs` has them.
    """
    logits = dict(motion)
    size = logits.pop(MOTION_SIZE)
    flow_histograms = logits.pop(FLOW_HISTOGRAMS.name, None)
    return MotionFeatures(logits, flow_histograms, size)
