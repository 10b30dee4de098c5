"""Features of instances, pooled in their boxes, that a readout is fitted to.

A readout is a linear layer that labels actors and actions, fitted in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from a2d_tf.model.network import Network
from a2d_tf.model.readout.box_halves import average_map, average_motion_map
from a2d_tf.model.readout.group_weights import APPEARANCE


def make_pooling(network: Network) -> Callable[..., dict[str, tf.Tensor]]:
    """Compile the function that pools a network's features in boxes.

    Args:
      network: a network with a readout.

    Returns:
      a function (batch, boxes) -> {group of features: float32 [B, N, 2 D]}. The batch
      has the fields rgb (uint8 [B, T, H, W, 3]), size, and those of the motion maps;
      boxes are float32 [B, N, 4] (y1, x1, y2, x2), pixels of the canvas. A group is
      `APPEARANCE`, features of the RGB backbone, or a kind of motion maps. Features are
      means over the upper half of a box, then over its lower half, D of each.
    """
    readout = network.readout
    readout_maps = network.readout_maps
    assert readout is not None and readout_maps is not None

    @tf.function(reduce_retracing=True, autograph=False)
    def pool(batch: Mapping[str, tf.Tensor], boxes: tf.Tensor) -> dict[str, tf.Tensor]:
        clips = network.middle_frames(batch["rgb"])
        frames = tf.reshape(clips, [-1, *clips.shape[2:]])
        pooled = []
        for level in readout_maps(frames, training=False):
            level = tf.reshape(level, [-1, clips.shape[1], *level.shape[1:]])
            # `Network` averages the logits over the clip's frames in the same way.
            mean = tf.reduce_mean(tf.cast(level, tf.float32), axis=1)
            pooled.append(average_map(mean, boxes, network.image_size))
        groups = {APPEARANCE: _joined(pooled)}
        for name, group in readout.motion_groups.items():
            pooled = []
            for motion_map in group:
                halves = average_motion_map(
                    motion_map,
                    batch[motion_map.name],
                    boxes,
                    inside=batch["size"],
                    size=batch["motion_size"],
                )
                pooled.append(halves)
            groups[name] = _joined(pooled)
        return groups

    return pool


def _joined(pooled: Sequence[tf.Tensor]) -> tf.Tensor:
    """Join the features of several maps to [B, N, 2 D], the upper half of boxes first.

    Args:
      pooled: for each map the features of both halves, [B, N, 2, C].
    """
    halves = tf.concat(pooled, axis=-1)
    return tf.concat(tf.unstack(halves, axis=2), axis=-1)
