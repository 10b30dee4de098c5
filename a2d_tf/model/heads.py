"""The heads on RoI features: actor and box, mask (paper, section 3.1), action (section 3.2).

All heads take [B, R, n, n, C] and fold B and R together inside.
"""

import tensorflow as tf

from a2d_tf.model.resnet import OUTPUT_STDDEV, ConvNorm


def _fold(x):
    return tf.reshape(x, [-1, *x.shape[2:]])


def _unfold(x, rois, *shape):
    x = tf.reshape(x, [-1, rois.shape[1] or tf.shape(rois)[1], *shape])
    return tf.cast(x, tf.float32)


def _hidden(x, units, norm, name, epsilon=1e-5):
    """The two fully connected layers of a Fast R-CNN head, as convolutions: n x n, then 1x1."""
    x = ConvNorm(
        units, x.shape[1], norm=norm, epsilon=epsilon, padding="valid", name=f"{name}_fc1"
    )(x)
    return ConvNorm(units, 1, norm=norm, epsilon=epsilon, name=f"{name}_fc2")(x)


def actor_head(cells, num_classes, units, norm, epsilon=1e-5, name="actor"):
    """Class logits and one box per class.

    Returns:
      (logits [B, R, num_classes + 1], background last; deltas [B, R, num_classes, 4]), float32.
    """
    # A fully connected unit has no extent for group statistics: groups of eight numbers would lose
    # what they say.
    norm = "none" if norm == "group_norm" else norm
    x = _hidden(_fold(cells), units, norm, name, epsilon)
    logits = ConvNorm(num_classes + 1, 1, relu=False, stddev=OUTPUT_STDDEV, name=f"{name}_logits")(
        x
    )
    deltas = ConvNorm(4 * num_classes, 1, relu=False, stddev=OUTPUT_STDDEV, name=f"{name}_deltas")(
        x
    )
    return (
        _unfold(logits, cells, num_classes + 1),
        _unfold(deltas, cells, num_classes, 4),
    )


def action_head(cells, num_outputs, units, name="action"):
    """Action logits float32 [B, R, num_outputs], without normalisation."""
    x = _hidden(_fold(cells), units, "none", name)
    return _unfold(
        ConvNorm(num_outputs, 1, relu=False, stddev=OUTPUT_STDDEV, name=f"{name}_logits")(x),
        cells,
        num_outputs,
    )


def mask_head(cells, num_classes, channels, layers, norm, epsilon=1e-5, name="mask"):
    """One mask per class: convolutions, a transposed one that doubles the size, 1x1.

    Returns:
      logits float32 [B, R, 2n, 2n, num_classes].
    """
    x = _fold(cells)
    size = 2 * x.shape[1]
    for layer in range(layers):
        x = ConvNorm(channels, 3, norm=norm, epsilon=epsilon, name=f"{name}_conv{layer + 1}")(x)
    x = tf.keras.layers.Conv2DTranspose(
        channels,
        2,
        strides=2,
        activation="relu",
        kernel_initializer="he_normal",
        name=f"{name}_deconv",
    )(x)
    logits = ConvNorm(num_classes, 1, relu=False, stddev=OUTPUT_STDDEV, name=f"{name}_logits")(x)
    return _unfold(logits, cells, size, size, num_classes)
