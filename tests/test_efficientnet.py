"""EfficientNet-Lite0: shapes, wiring against plain Keras layers, tensors of weights."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_network import normal

from a2d_tf.model.backbones import CONVENTIONS
from a2d_tf.model.backbones.efficientnet import efficientnet_lite0
from a2d_tf.pretrained import layouts

CONVENTION = CONVENTIONS["efficientnet_lite0"]


def build(height=64, width=96, **options):
    tf.keras.utils.set_random_seed(0)
    image = tf.keras.Input([height, width, 3])
    options.setdefault("convention", CONVENTION)
    return tf.keras.Model(image, efficientnet_lite0(image, **options))


def test_strides_and_channels():
    expected = [(16, 24, 8), (8, 12, 16), (4, 6, 32), (2, 3, 96)]
    assert [tuple(m.shape[1:]) for m in build(width_multiplier=0.3).outputs] == expected


# Kernel side, stride, expansion, channels of each block, written out.
BLOCKS = (
    [(3, 1, 1, 16), (3, 2, 6, 24), (3, 1, 6, 24), (5, 2, 6, 40), (5, 1, 6, 40)]
    + [
        (3, 2, 6, 80),
        (3, 1, 6, 80),
        (3, 1, 6, 80),
        (5, 1, 6, 112),
        (5, 1, 6, 112),
        (5, 1, 6, 112),
    ]
    + [(5, 2, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192), (3, 1, 6, 320)]
)


def plain(x):
    """The same network of plain Keras layers; C2..C5."""

    def norm(x, rectify=True):
        x = tf.keras.layers.BatchNormalization(epsilon=1e-3)(x)
        return tf.keras.layers.ReLU(6.0)(x) if rectify else x

    def conv(x, channels, side=1, strides=1, rectify=True):
        layer = tf.keras.layers.Conv2D(channels, side, strides, "same", use_bias=False)
        return norm(layer(x), rectify)

    x, maps = conv(x, 32, 3, 2), []
    for side, strides, expansion, channels in BLOCKS:
        y = conv(x, expansion * x.shape[-1]) if expansion > 1 else x
        layer = tf.keras.layers.DepthwiseConv2D(side, strides, "same", use_bias=False)
        y = conv(norm(layer(y)), channels, rectify=False)
        x = x + y if strides == 1 and x.shape[-1] == channels else y
        maps.append(x)
    return [maps[2], maps[4], maps[10], maps[15]]


def test_wiring_against_plain_layers():
    ours = build()
    image = tf.keras.Input([64, 96, 3])
    reference = tf.keras.Model(image, plain(image))
    pairs = zip(
        [layer for layer in ours.layers if layer.weights],
        zip(*[iter([layer for layer in reference.layers if layer.weights])] * 2),
    )
    for seed, (mine, (conv, norm)) in enumerate(pairs):
        kernel = mine.kernel.numpy() * (1 + normal(*mine.kernel.shape, seed=seed))
        gamma, beta, mean, variance = normal(4, mine.filters, seed=seed)
        gamma, variance = 1 + 0.2 * gamma, np.abs(variance) + 0.5
        for variable, value in zip(
            (mine.kernel, mine.gamma, mine.beta, mine.mean, mine.variance),
            (kernel, gamma, beta, mean, variance),
        ):
            variable.assign(value)
        conv.set_weights([kernel.reshape(conv.weights[0].shape)])
        norm.set_weights([gamma, beta, mean, variance])
    x = tf.constant(3 * normal(2, 64, 96, 3))
    for made, expected in zip(ours(x), reference(x)):
        scale = float(tf.reduce_max(tf.abs(expected)))
        np.testing.assert_allclose(made / scale, expected / scale, atol=1e-4)


@pytest.mark.parametrize("norm", ["frozen_bn", "none"])
def test_from_scratch_activations_begin_near_one(norm):
    deviation = 64.0 if norm == "frozen_bn" else 1.0
    maps = build(norm=norm, deviation=deviation)(deviation * normal(2, 64, 96, 3))
    for level in maps:
        assert 0.3 < np.std(level) < 3


# The published weights


def state():
    """A synthetic file of the published layout: {name: tensor}."""
    made = {}

    def norm(name, channels):
        for tail in ("weight", "bias", "running_mean", "running_var"):
            made[f"{name}.{tail}"] = normal(channels, seed=len(made))
        made[f"{name}.running_var"] = np.abs(made[f"{name}.running_var"])
        made[f"{name}.num_batches_tracked"] = np.int64(7)

    def conv(name, *shape):
        made[f"{name}.weight"] = normal(*shape, seed=len(made))

    conv("_conv_stem", 32, 3, 3, 3), norm("_bn0", 32)
    channels = 32
    for number, (side, _, expansion, filters) in enumerate(BLOCKS):
        name, wide = f"_blocks.{number}", expansion * channels
        if expansion > 1:
            (
                conv(f"{name}._expand_conv", wide, channels, 1, 1),
                norm(f"{name}._bn0", wide),
            )
        conv(f"{name}._depthwise_conv", wide, 1, side, side), norm(f"{name}._bn1", wide)
        (
            conv(f"{name}._project_conv", filters, wide, 1, 1),
            norm(f"{name}._bn2", filters),
        )
        channels = filters
    conv("_conv_head", 1280, 320, 1, 1), norm("_bn1", 1280)
    conv("_fc", 1000, 1280)
    made["_fc.bias"] = normal(1000)
    return made


def test_every_tensor_is_used_or_named():
    tensors = state()
    made, used, skipped = layouts.convert("efficientnet_lite0", tensors, "lite0.pth")
    assert set(used) | set(skipped) == set(tensors) and not set(used) & set(skipped)
    assert {name for name in skipped if "num_batches_tracked" not in name} == {
        "_conv_head.weight",
        "_bn1.weight",
        "_bn1.bias",
        "_bn1.running_mean",
        "_bn1.running_var",
        "_fc.weight",
        "_fc.bias",
    }
    assert (made.backbone, made.source) == ("efficientnet_lite0",) * 2
    # The second block of the third stage is the fifth of all.
    np.testing.assert_array_equal(
        made.tensors["backbone/s3_b1_depthwise/kernel"][:, :, 0],
        tensors["_blocks.4._depthwise_conv.weight"][:, 0].transpose(1, 2, 0),
    )
    np.testing.assert_array_equal(
        made.tensors["backbone/s3_b1_project/variance"],
        tensors["_blocks.4._bn2.running_var"],
    )
