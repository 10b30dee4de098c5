"""Feature pyramid network (Lin et al. 2017; paper, 3.1)."""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.model.layers import ConvNorm


def upsample(x: tf.Tensor) -> tf.Tensor:
    """Double the height and width of maps by nearest neighbour.

    It broadcasts, which is deterministic and compiles: first along the width, then
    along the height, since the gradient of both at once takes seven times as long.

    Args:
      x: [N, H, W, C] with static H, W and C.

    Returns:
      [N, 2H, 2W, C].
    """
    height, width, channels = x.shape[1:]
    for group in (channels, 2 * width * channels):
        x = tf.reshape(x, [-1, 1, group])
        x = tf.broadcast_to(x, tf.stack([tf.shape(x)[0], 2, group]))
    return tf.reshape(x, [-1, 2 * height, 2 * width, channels])


def fpn(maps: list[tf.Tensor], channels: int, name: str = "fpn") -> list[tf.Tensor]:
    """Build P2..P5 from C2..C5: lateral 1x1, top-down sum, 3x3 at each level.

    Args:
      maps: the backbone's maps, a list of [N, H_l, W_l, C_l], finest first, each half
        the size of the one before.
      channels: number of channels of each level of the pyramid.
      name: prefix of the layers' names.

    Returns:
      list of [N, H_l, W_l, channels], finest first.
    """
    laterals = []
    for level, features in enumerate(maps, 2):
        lateral = ConvNorm(channels, 1, relu=False, name=f"{name}_c{level}p{level}")
        laterals.append(lateral(features))
    merged = [laterals[-1]]
    for lateral in reversed(laterals[:-1]):
        merged.insert(0, lateral + upsample(merged[0]))
    pyramid = []
    for level, features in enumerate(merged, 2):
        smooth = ConvNorm(channels, 3, relu=False, name=f"{name}_p{level}")
        pyramid.append(smooth(features))
    return pyramid
