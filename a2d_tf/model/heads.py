"""Heads on features of RoIs: actor and box, mask (paper, section 3.1), action (section 3.2).

All heads take [B, R, n, n, C] and merge B and R internally.
"""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.model.layers import OUTPUT_STDDEV, ConvNorm

_SKIP = 16  # channels of the image in the mask head


def _fold(x):
    return tf.reshape(x, [-1, *x.shape[2:]])


def _unfold(x, rois, *shape):
    x = tf.reshape(x, [-1, rois.shape[1] or tf.shape(rois)[1], *shape])
    return tf.cast(x, tf.float32)


def _hidden(x, units, norm, name, epsilon=1e-5):
    """Apply the two fully connected layers of Fast R-CNN, as convolutions: n x n, then 1x1."""
    x = ConvNorm(
        units, x.shape[1], norm=norm, epsilon=epsilon, padding="valid", name=f"{name}_fc1"
    )(x)
    return ConvNorm(units, 1, norm=norm, epsilon=epsilon, name=f"{name}_fc2")(x)


def _output(x, channels, name):
    return ConvNorm(channels, 1, relu=False, stddev=OUTPUT_STDDEV, name=name)(x)


def actor_head(
    roi_features: tf.Tensor, num_classes: int, units: int, norm: str, *, epsilon: float = 1e-5
) -> tuple[tf.Tensor, tf.Tensor]:
    """Predict class logits and one box per class.

    Returns:
      (logits [B, R, num_classes + 1], background last; deltas [B, R, num_classes, 4]), float32.
    """
    # Fully connected units have no spatial extent: statistics of groups of eight would erase them.
    norm = "none" if norm == "group_norm" else norm
    x = _hidden(_fold(roi_features), units, norm, "actor", epsilon)
    logits = _output(x, num_classes + 1, "actor_logits")
    deltas = _output(x, 4 * num_classes, "actor_deltas")
    return _unfold(logits, roi_features, num_classes + 1), _unfold(
        deltas, roi_features, num_classes, 4
    )


def action_head(
    roi_features: tf.Tensor, num_outputs: int, units: int, name: str = "action"
) -> tf.Tensor:
    """Predict action logits float32 [B, R, num_outputs], without normalisation layers."""
    x = _hidden(_fold(roi_features), units, "none", name)
    return _unfold(_output(x, num_outputs, f"{name}_logits"), roi_features, num_outputs)


def mask_head(
    roi_features: tf.Tensor,
    num_classes: int,
    channels: int,
    layers: int,
    *,
    norm: str,
    epsilon: float = 1e-5,
    patches: tf.Tensor | None = None,
) -> tf.Tensor:
    """Predict one mask per class: 3x3 convolutions, a transposed one that doubles the size, 1x1.

    With `patches` [B * R, 2n, 2n, 3], the image in the boxes, a 3x3 convolution reads these, and
    another merges them with the features before the 1x1, as in a refinement module of SharpMask
    (Pinheiro et al., ECCV 2016).

    Returns:
      logits float32 [B, R, 2n, 2n, num_classes].
    """
    x = _fold(roi_features)
    size = 2 * x.shape[1]
    for layer in range(layers):
        x = ConvNorm(channels, 3, norm=norm, epsilon=epsilon, name=f"mask_conv{layer + 1}")(x)
    x = tf.keras.layers.Conv2DTranspose(
        channels,
        2,
        strides=2,
        activation="relu",
        kernel_initializer="he_normal",
        name="mask_deconv",
    )(x)
    if patches is not None:
        skip = ConvNorm(_SKIP, 3, name="patch_skip")(patches)
        merged = tf.concat([x, skip], axis=-1)
        x = ConvNorm(channels, 3, norm=norm, epsilon=epsilon, name="patch_merge")(merged)
    return _unfold(_output(x, num_classes, "mask_logits"), roi_features, size, size, num_classes)
