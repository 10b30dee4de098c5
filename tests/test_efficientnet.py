"""EfficientNet-Lite: shapes, wiring against plain Keras layers, tensors of weights."""

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from tiny_network import normal

from a2d_tf.model.backbones import BACKBONES, CONVENTIONS
from a2d_tf.pretrained import cache, layouts, transfer

CONVENTION = CONVENTIONS["efficientnet_lite0"]


def build(variant="lite0", **options):
    tf.keras.utils.set_random_seed(0)
    image = tf.keras.Input([64, 96, 3])
    options.setdefault("convention", CONVENTION)
    backbone = BACKBONES[f"efficientnet_{variant}"]
    return tf.keras.Model(image, backbone.build(image, name="efficientnet", **options))


@pytest.mark.parametrize(
    "variant, multiplier, channels",
    [
        ("lite0", 0.3, (8, 16, 32, 96)),
        ("lite0", 1.0, (24, 40, 112, 320)),
        ("lite2", 1.0, (24, 48, 120, 352)),
        ("lite2", 0.25, (8, 16, 32, 88)),
    ],
)
def test_strides_and_channels(variant, multiplier, channels):
    maps = build(variant, width_multiplier=multiplier).outputs
    sizes = [(16, 24), (8, 12), (4, 6), (2, 3)]
    expected = [(*size, count) for size, count in zip(sizes, channels)]
    assert [tuple(level.shape[1:]) for level in maps] == expected


# Kernel side, stride, expansion, channels of each block, written out: those of Lite2 as
# in the published file.
BLOCKS = {
    "lite0": (
        [(3, 1, 1, 16), (3, 2, 6, 24), (3, 1, 6, 24), (5, 2, 6, 40), (5, 1, 6, 40)]
        + [(3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80)]
        + [(5, 1, 6, 112), (5, 1, 6, 112), (5, 1, 6, 112)]
        + [(5, 2, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192)]
        + [(3, 1, 6, 320)]
    ),
    "lite2": (
        [(3, 1, 1, 16), (3, 2, 6, 24), (3, 1, 6, 24), (3, 1, 6, 24)]
        + [(5, 2, 6, 48), (5, 1, 6, 48), (5, 1, 6, 48)]
        + [(3, 2, 6, 88), (3, 1, 6, 88), (3, 1, 6, 88), (3, 1, 6, 88)]
        + [(5, 1, 6, 120), (5, 1, 6, 120), (5, 1, 6, 120), (5, 1, 6, 120)]
        + [(5, 2, 6, 208), (5, 1, 6, 208), (5, 1, 6, 208), (5, 1, 6, 208)]
        + [(5, 1, 6, 208), (3, 1, 6, 352)]
    ),
}
LAST_BLOCKS = {"lite0": (2, 4, 10, 15), "lite2": (3, 6, 14, 20)}  # of C2..C5
VARIANTS = pytest.mark.parametrize("variant", ["lite0", "lite2"])


def plain(x, variant):
    """The same network of plain Keras layers; C2..C5."""

    def norm(x, rectify=True):
        x = tf.keras.layers.BatchNormalization(epsilon=1e-3)(x)
        return tf.keras.layers.ReLU(6.0)(x) if rectify else x

    def conv(x, channels, side=1, strides=1, rectify=True):
        layer = tf.keras.layers.Conv2D(channels, side, strides, "same", use_bias=False)
        return norm(layer(x), rectify)

    x, maps = conv(x, 32, 3, 2), []
    for side, strides, expansion, channels in BLOCKS[variant]:
        y = conv(x, expansion * x.shape[-1]) if expansion > 1 else x
        layer = tf.keras.layers.DepthwiseConv2D(side, strides, "same", use_bias=False)
        y = conv(norm(layer(y)), channels, rectify=False)
        x = x + y if strides == 1 and x.shape[-1] == channels else y
        maps.append(x)
    return [maps[number] for number in LAST_BLOCKS[variant]]


@VARIANTS
def test_wiring_against_plain_layers(variant):
    ours = build(variant)
    image = tf.keras.Input([64, 96, 3])
    reference = tf.keras.Model(image, plain(image, variant))
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


def state(variant="lite0"):
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
    for number, (side, _, expansion, filters) in enumerate(BLOCKS[variant]):
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
    conv("_conv_head", 1280, channels, 1, 1), norm("_bn1", 1280)
    conv("_fc", 1000, 1280)
    made["_fc.bias"] = normal(1000)
    return made


@VARIANTS
def test_every_tensor_is_used_or_named(variant):
    tensors = state(variant)
    source = f"efficientnet_{variant}"
    made, used, skipped = layouts.convert(source, tensors, "lite.pth")
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
    assert (made.backbone, made.source) == (source, source)
    # The second block of the third stage is the fifth of all, or the sixth of Lite2's.
    number = {"lite0": 4, "lite2": 5}[variant]
    np.testing.assert_array_equal(
        made.tensors["backbone/s3_b1_depthwise/kernel"][:, :, 0],
        tensors[f"_blocks.{number}._depthwise_conv.weight"][:, 0].transpose(1, 2, 0),
    )
    np.testing.assert_array_equal(
        made.tensors["backbone/s3_b1_project/variance"],
        tensors[f"_blocks.{number}._bn2.running_var"],
    )


@VARIANTS
def test_the_published_file_has_this_layout(variant):
    path = cache.installed(variant)
    if path is None:
        pytest.skip("it is not installed; see requirements-bench.txt")
    shapes = {name: np.shape(value) for name, value in state(variant).items()}
    tensors = cache.read_tensors(str(path))
    assert {name: tensor.shape for name, tensor in tensors.items()} == shapes


def test_a_network_of_lite2_starts_from_its_weights():
    """And a refiner on Lite0 takes nothing of them: none of its blocks fits."""
    made = layouts.convert("efficientnet_lite2", state("lite2"), "lite2.pth").weights
    fields = dict(made.model_fields(), norm="frozen_bn", flow_convention="own")
    refiner = dict(use_mask=False, use_refiner=True, refiner_size=32)
    network = tiny_network.make(
        **fields,
        **refiner,
        use_flow=False,
        temporal_layers=0,
        refiner_backbone="efficientnet_lite0",
    )
    report = transfer.load(network, made)
    name = "s6_b4_project/gamma"
    assert report.loaded[f"rgb_lite2_{name}"] == f"backbone/{name}"
    assert (
        report.initialised["refiner_efficientnet_s1_b0_project/gamma"]
        == "efficientnet_lite2 has no such layer"
    )
    assert not any(name.startswith("refiner_") for name in report.loaded)
    assert not report.skipped
