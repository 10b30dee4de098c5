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


def backbone_maps(network: Network) -> tuple[MotionMap, ...]:
    """Return the maps of a network's action backbone; none without one."""
    if network.action_backbone is None:
        return ()
    return BACKBONE_MAPS[network.model_config.action_backbone]


def input_specs(network: Network) -> dict[str, tf.TensorSpec]:
    """Return the motion inputs of `key_frame`, {name: TensorSpec}; {} without maps."""
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
    """Compute the signature `block`.

    Args:
      rgb: uint8 [B, BLOCK, h, w, 3], motion frames.

    Returns:
      {name: logit maps [B, BLOCK / frames, h / stride, w / stride, 2 |Y|]}.
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
    """Compute the signature `histograms`.

    Args:
      flow: float32 [B, h, w, 2], of motion frames.
    """
    finite = tf.debugging.assert_all_finite(flow, "flow must be finite")
    with tf.control_dependencies([finite]):
        flow = tf.clip_by_value(flow, -MAX_SERVED_FLOW, MAX_SERVED_FLOW)
    return {FLOW_HISTOGRAMS.name: flow_histograms_in_graph(flow)}


def features(motion: dict[str, tf.Tensor]) -> MotionFeatures:
    """Return the features of key frames that `key_frame` takes as its motion inputs."""
    logits = dict(motion)
    size = logits.pop(MOTION_SIZE)
    flow_histograms = logits.pop(FLOW_HISTOGRAMS.name, None)
    return MotionFeatures(logits, flow_histograms, size)
