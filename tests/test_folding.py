"""Folded batch norms: the same function, by the formula and by comparison."""

import numpy as np
import pytest
import tensorflow as tf
import tiny_network

from a2d_tf.model.layers import ConvNorm
from a2d_tf.serving.folding import fold_norms

pytestmark = pytest.mark.slow

VARIANTS = [
    dict(
        norm="frozen_stats",
        use_flow=False,
        use_mask=False,
        use_refiner=True,
        refiner_size=32,
    ),
    dict(
        norm="frozen_bn",
        flow_norm="group_norm",
        rgb_convention="matterport",
        mask_image=True,
    ),
    dict(
        norm="frozen_bn",
        backbone="efficientnet_lite0",
        use_flow=False,
        temporal_layers=0,
    ),
]


def make(precision="float32", **variant):
    """A network whose statistics are like those of a trained one."""
    network = tiny_network.make(precision=precision, **variant)
    rng = np.random.default_rng(0)
    for variable in network.variables:
        if variable.name.split("/")[-1].startswith(("gamma", "variance")):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif variable.shape.rank == 1:
            variable.assign(rng.normal(0, 0.2, variable.shape))
    return network


def outputs(network):
    """Of every part, on one clip."""
    clip = {name: tf.constant(x) for name, x in tiny_network.clip(1, 3).items()}
    features = network.extract_features(clip)
    rois = tf.constant([[[4.0, 5, 40, 50], [10, 20, 60, 90]]])
    seen = network.run_roi_heads(features, rois, clip["rgb"])
    made = dict(seen.roi_outputs)
    masks = network.instance_heads["masks"]
    made["masks"] = masks.decode(seen, rois, tf.constant([[0, 1]]))
    # No motion maps are read.
    return tf.nest.flatten([features._replace(motion=()), made])


def test_the_fold_in_figures():
    layer = ConvNorm(1, 1, norm="frozen_stats", relu=False, epsilon=0.5)
    layer(tf.zeros([1, 1, 1, 1]))
    layer.kernel.assign(tf.fill([1, 1, 1, 1], 2.0))
    for name, value in (
        ("gamma", 3.0),
        ("beta", 1.0),
        ("mean", 5.0),
        ("variance", 3.5),
    ):
        getattr(layer, name).assign([value])
    kernel, bias = layer.folded()
    assert float(kernel[0, 0, 0, 0]) == 3.0 and float(bias[0]) == -6.5
    assert float(layer(tf.fill([1, 1, 1, 1], 4.0), training=False)[0, 0, 0, 0]) == 5.5


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_folded_network_computes_the_same(variant):
    network = make(**variant)
    made = fold_norms(network)
    layers = [layer for part in made.parts().values() for layer in part.layers]
    left = {layer.norm for layer in layers if isinstance(layer, ConvNorm)}
    assert left <= {"none", "group_norm"}
    assert ("group_norm" in left) == ("group_norm" in variant.values())
    assert len(made.variables) < len(network.variables)
    for ours, expected in zip(outputs(made), outputs(network)):
        assert ours.shape == expected.shape
        scale = np.abs(expected).max()
        np.testing.assert_allclose(ours / scale, expected / scale, atol=1e-5)


def test_16_bits_are_rounded_once():
    network = make("mixed_bfloat16", norm="frozen_bn", flow_norm="group_norm")
    made = fold_norms(network)
    kernels = {v.dtype for v in made.variables if v.shape.rank > 1}
    scales = {v.dtype for v in made.variables if "gamma" in v.name}
    assert kernels == {tf.bfloat16} and scales == {tf.float32}
    for ours, expected in zip(outputs(made), outputs(network)):
        np.testing.assert_array_equal(ours, expected)


def test_kernels_joined_for_a_gpu_are_those_of_each_layer():
    network = make(norm="frozen_bn", flow_norm="frozen_stats", use_mask=False)
    frames = {name: tf.constant(x[0]) for name, x in tiny_network.clip(1, 3).items()}
    model, results = network.backbones, []
    for on_gpu in (False, True):
        model.on_gpu = on_gpu
        with tf.GradientTape() as tape:
            maps = tf.nest.flatten(model(frames, training=True))
            total = sum(tf.reduce_sum(x**2) for x in maps)
        results.append([*maps, *tape.gradient(total, model.trainable_variables)])
    for one, other in zip(*results):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(one).max())
