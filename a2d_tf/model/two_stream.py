"""Two-stream temporal aggregation and fusion (paper, section 3.2).

Each stream's pyramid of 2L + 1 neighbouring frames passes L layers of 3x1x1 convolution without
padding in time, which leaves the key frame alone: its output depends on frames t-L..t+L and on
nothing else. Both streams then meet, per level, by concatenation (mid-level fusion).
"""

import tensorflow as tf


class TemporalConv(tf.keras.layers.Layer):
    """3x1x1 convolution over time without padding: [B, T, H, W, C] -> [B, T - 2, H, W, C].

    Computed as a 1x1 convolution on the three frames' joined channels: the same sums, by the
    fast two-dimensional kernels.

    Args:
      init: 'random' (the paper: no pretrained weights exist for it) or 'identity' (the middle
        frame passes unchanged at the start).
    """

    def __init__(self, relu=False, init="random", **kwargs):
        super().__init__(**kwargs)
        if init not in ("random", "identity"):
            raise ValueError(f"temporal init is 'random' or 'identity', got {init}")
        self.relu, self.init = relu, init

    def build(self, shape):
        channels = shape[-1]

        def identity(size, dtype=None, **_):
            centre = tf.cast(tf.range(3) == 1, dtype)[:, None, None]
            return centre * tf.eye(channels, dtype=dtype)

        initializer = identity if self.init == "identity" else "glorot_uniform"
        self.kernel = self.add_weight("kernel", [3, channels, channels], initializer=initializer)
        self.bias = self.add_weight("bias", [channels], initializer="zeros")

    def call(self, x):
        height, width, channels = x.shape[2:]
        # Unstacked, not sliced: the gradient of a slice fills a whole clip with zeros.
        frames = tf.unstack(x, axis=1)
        windows = [tf.concat(frames[t : t + 3], axis=-1) for t in range(len(frames) - 2)]
        windows = tf.reshape(tf.stack(windows, axis=1), [-1, height, width, 3 * channels])
        kernel = tf.reshape(self.kernel, [1, 1, 3 * channels, channels])
        x = tf.nn.bias_add(tf.nn.conv2d(windows, kernel, 1, "VALID"), self.bias)
        x = tf.nn.relu(x) if self.relu else x
        return tf.reshape(x, [-1, len(frames) - 2, height, width, channels])


def aggregate(pyramid, layers, init, name):
    """The key frame's pyramid, informed by its neighbours.

    Args:
      pyramid: list of [B, 2 * layers + 1, H_l, W_l, C].
      layers: how many 3x1x1 convolutions; between two of them a ReLU, after the last none.

    Returns:
      list of [B, H_l, W_l, C].
    """
    out = []
    for level, x in enumerate(pyramid):
        for layer in range(layers):
            x = TemporalConv(layer + 1 < layers, init, name=f"{name}_p{level + 2}_t{layer}")(x)
        out.append(tf.squeeze(x, axis=1))
    return out


def fuse(rgb, flow):
    """Mid-level fusion: lists of [B, H_l, W_l, C] joined along the channels, level by level."""
    return [tf.concat(pair, axis=-1) for pair in zip(rgb, flow)]
