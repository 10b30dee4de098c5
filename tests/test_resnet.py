"""ResNet: shapes, strides, wiring against a plain composition, normalisations."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_network import normal

from a2d_tf.model.backbones.entry import Convention
from a2d_tf.model.backbones.resnet import BACKBONES
from a2d_tf.model.group_norm import GroupNorm
from a2d_tf.model.layers import ConvNorm


def build(height=64, width=96, backbone="resnet14", multiplier=0.125, **options):
    tf.keras.utils.set_random_seed(0)
    image = tf.keras.Input([height, width, 3])
    names = [field for field in ("stride_in_1x1", "padding") if field in options]
    convention = Convention(**{name: options.pop(name) for name in names})
    build = BACKBONES[backbone].build
    maps = build(image, multiplier, convention=convention, name="resnet", **options)
    return tf.keras.Model(image, maps)


@pytest.mark.parametrize("norm, learn", [("frozen_bn", 1), ("frozen_stats", 3)])
def test_a_frozen_norm_learns_its_kernel_and_where_told_its_scale_and_offset(
    norm, learn
):
    """The gradients are those of the normalisation written out."""
    layer = ConvNorm(5, 3, norm=norm, epsilon=1e-3)
    x = normal(2, 6, 6, 4)
    layer(x)
    for seed, variable in enumerate(layer.variables):
        variable.assign(np.abs(normal(*variable.shape, seed=seed)) + 0.1)
    weights = [layer.kernel, layer.gamma, layer.beta]
    with tf.GradientTape(persistent=True) as tape:
        made = tf.reduce_sum(tf.square(layer(x)))
        y = tf.nn.conv2d(x, layer.kernel, 1, "SAME")
        y = tf.nn.batch_normalization(
            y, layer.mean, layer.variance, layer.beta, layer.gamma, 1e-3
        )
        expected = tf.reduce_sum(tf.square(tf.nn.relu(y)))
    assert all(v is w for v, w in zip(layer.trainable_variables, weights))
    assert len(layer.trainable_variables) == learn and len(layer.variables) == 5
    for mine, theirs in zip(
        tape.gradient(made, weights[:learn]), tape.gradient(expected, weights[:learn])
    ):
        np.testing.assert_allclose(
            mine, theirs, atol=1e-6 * np.abs(theirs).max(), rtol=1e-4
        )


def randomise(model):
    """Random weights; positive variances and scales."""
    for seed, v in enumerate(model.variables):
        value = normal(*v.shape, seed=seed) * (0.2 if v.shape.rank == 4 else 1)
        v.assign(
            np.abs(value) + 0.5 if "variance" in v.name or "gamma" in v.name else value
        )


def plain(model, x, stride_in_1x1, epsilon=1e-5):
    """Compute the same network written out: convolution, batch norm, ReLU, shortcut."""

    def conv(x, name, strides=1, relu=True, padding="SAME"):
        layer = model.get_layer(name)
        x = tf.nn.conv2d(x, layer.kernel, strides, padding)
        x = tf.nn.batch_normalization(
            x, layer.mean, layer.variance, layer.beta, layer.gamma, epsilon
        )
        return tf.nn.relu(x) if relu else x

    x = tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]])
    x = conv(x, "resnet_stem", 2, padding="VALID")
    x = tf.nn.max_pool2d(x, 3, 2, "SAME")
    maps = []
    for stage in range(2, 6):
        name, strides = f"resnet_c{stage}_b0", 1 if stage == 2 else 2
        y = conv(x, f"{name}_conv1", strides if stride_in_1x1 else 1)
        y = conv(y, f"{name}_conv2", 1 if stride_in_1x1 else strides)
        y = conv(y, f"{name}_conv3", relu=False)
        x = tf.nn.relu(y + conv(x, f"{name}_shortcut", strides, relu=False))
        maps.append(x)
    return maps


@pytest.mark.parametrize("stride_in_1x1", [True, False])
def test_wiring_against_a_plain_composition(stride_in_1x1):
    model = build(stride_in_1x1=stride_in_1x1, norm="frozen_bn")
    randomise(model)
    x = tf.constant(normal(2, 64, 96, 3))
    for made, expected in zip(model(x), plain(model, x, stride_in_1x1)):
        scale = float(tf.reduce_max(tf.abs(expected)))
        np.testing.assert_allclose(made / scale, expected / scale, atol=2e-5)


def normalised(layer, x, **options):
    """Return a norm's values, and gradients of x, gamma and beta.

    The gradients are those of the sum of the values' cubes.
    """
    channels = x.shape[-1]
    layer(x)
    layer.gamma.assign(normal(channels, seed=1))
    layer.beta.assign(normal(channels, seed=2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        made = layer(x, **options)
        total = tf.reduce_sum(tf.cast(made, tf.float32) ** 3)
    gradients = tape.gradient(total, [x, layer.gamma, layer.beta])
    return made.numpy(), [
        tf.cast(gradient, tf.float32).numpy() for gradient in gradients
    ]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("channels, groups", [(4, 1), (16, 2)])
def test_group_norm_against_keras(channels, groups, training):
    reference = tf.keras.layers.GroupNormalization(groups, epsilon=1e-5)
    x = 3 * normal(2, 5, 7, channels) + 1
    x[1, ..., :4] = 1  # a variance of 0, as far as eight channels are a group
    made, gradients = normalised(GroupNorm(), tf.constant(x), training=training)
    expected, exact = normalised(reference, tf.constant(x))
    np.testing.assert_allclose(made, expected, atol=2e-5)
    for ours, theirs in zip(gradients, exact):
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max())


def test_group_norm_has_the_same_gradients_in_16_bits():
    x = tf.cast(3 * normal(2, 5, 7, 16) + 1, tf.bfloat16)
    layer = GroupNorm(dtype="mixed_bfloat16")
    made, gradients = normalised(layer, x, training=True)
    _, exact = normalised(GroupNorm(), tf.cast(x, tf.float32), training=True)
    assert made.dtype == tf.bfloat16.as_numpy_dtype and layer.gamma.dtype == tf.float32
    for ours, theirs in zip(gradients, exact):
        np.testing.assert_allclose(ours, theirs, atol=0.02 * np.abs(theirs).max())
