"""Two-stream temporal aggregation and fusion (paper, section 3.2).

The pyramids of 2L + 1 neighbouring frames pass L layers of 3x1x1 convolution without
temporal padding, which leaves the key frame t; its output depends on frames t-L..t+L
only. The network then concatenates the streams per level (mid-level fusion).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from a2d_tf.model.autograph import without_autograph


class TemporalConv(tf.keras.layers.Layer):
    """3x1x1 convolution over time without padding, with a bias (paper, 3.2).

    [B, T, H, W, C] -> [B, T - 2, H, W, C], computed as a 1x1 convolution over the
    concatenated channels of three frames: the same sums, with the faster
    two-dimensional kernels.

    Args:
      relu: whether a ReLU follows.
      init: 'random' (the paper's, without pretrained weights) or 'identity', which
        initially passes the middle frame unchanged.
    """

    def __init__(self, relu: bool = False, init: str = "random", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.relu = relu
        self.init = init

    def build(self, shape: tf.TensorShape) -> None:
        """Create the kernel [3, C, C] (time, in, out) and the bias [C].

        Args:
          shape: the input's shape, [B, T, H, W, C].
        """
        channels = shape[-1]

        def identity(
            size: Sequence[int], dtype: tf.DType | None = None, **_: Any
        ) -> tf.Tensor:
            centre = tf.cast(tf.range(3) == 1, dtype)[:, None, None]
            return centre * tf.eye(channels, dtype=dtype)

        initializer = identity if self.init == "identity" else "glorot_uniform"
        self.kernel = self.add_weight(
            "kernel", [3, channels, channels], initializer=initializer
        )
        self.bias = self.add_weight("bias", [channels], initializer="zeros")

    @without_autograph
    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolve features over time, and apply the ReLU if there is one.

        Args:
          x: [B, T, H, W, C] with static T, H, W and C; T is at least 3.

        Returns:
          [B, T - 2, H, W, C].
        """
        frames, height, width, channels = x.shape[1:]
        if frames == 3:
            windows = tf.transpose(x, [0, 2, 3, 1, 4])
        else:
            # Unstack: the gradient of a slice would fill a whole clip with zeros.
            unstacked = tf.unstack(x, axis=1)
            windows = []
            for first in range(frames - 2):
                windows.append(tf.concat(unstacked[first : first + 3], axis=-1))
            windows = tf.stack(windows, axis=1)
        windows = tf.reshape(windows, [-1, height, width, 3 * channels])
        kernel = tf.reshape(self.kernel, [1, 1, 3 * channels, channels])
        x = tf.nn.bias_add(tf.nn.conv2d(windows, kernel, 1, "VALID"), self.bias)
        if self.relu:
            x = tf.nn.relu(x)
        return tf.reshape(x, [-1, frames - 2, height, width, channels])


def aggregate(
    pyramid: list[tf.Tensor], layers: int, init: str, name: str
) -> list[tf.Tensor]:
    """Build the convolutions over time, which turn 2L + 1 frames into the key frame.

    Each level of the pyramid has layers of its own (paper, 3.2).

    Args:
      pyramid: the levels P2 to P5 of 2L + 1 neighbouring frames, a list of [B, 2 *
        layers + 1, H_l, W_l, C].
      layers: L, the number of 3x1x1 convolutions, with ReLUs between them; with 0 the
        pyramid is that of the key frame.
      init: initial weights, 'random' or 'identity', see `TemporalConv`.
      name: the stream, 'rgb' or 'flow', a prefix of the layers' names.

    Returns:
      the levels of the key frame's pyramid, a list of [B, H_l, W_l, C].
    """
    aggregated = []
    for level, x in enumerate(pyramid, 2):
        for layer in range(layers):
            is_last = layer + 1 == layers
            conv = TemporalConv(
                relu=not is_last, init=init, name=f"{name}_p{level}_t{layer}"
            )
            x = conv(x)
        aggregated.append(tf.squeeze(x, axis=1))
    return aggregated
