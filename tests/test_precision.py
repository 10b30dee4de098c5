"""Mixed precision: what computes in 16 bits, how near it comes, exchange of weights."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tiny_network

from a2d_tf.core.settings.config import ComputeConfig, Config, ModelConfig
from a2d_tf.model.layers import ConvNorm
from a2d_tf.runs import loading
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.training import run_settings
from a2d_tf.training.step.phases import set_phase

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]

LEARNING = dataclasses.replace(tiny_network.LEARNING, learning_rate=0.1)


def make(precision, **override):
    network = tiny_network.make(precision=precision, **override)
    set_phase(network, "joint")
    return network


def test_losses_and_gradients_are_near_those_of_float32():
    variant = dict(norm="frozen_bn", flow_norm="group_norm")
    loss, exact = tiny_network.gradients(make("float32", **variant), LEARNING)
    network = make("mixed_bfloat16", **variant)
    assert {v.dtype for v in network.variables} == {tf.float32}
    near, rounded = tiny_network.gradients(network, LEARNING)
    assert near == pytest.approx(loss, rel=0.02) and near != loss
    assert rounded @ exact / np.linalg.norm(rounded) / np.linalg.norm(exact) > 0.99


def test_a_warning_where_16_bits_are_slow(caplog):
    lite0, half = (
        ModelConfig(backbone="efficientnet_lite0"),
        ComputeConfig("mixed_bfloat16"),
    )
    for config in (Config(lite0), Config(compute=half), Config(lite0, compute=half)):
        assert not caplog.messages
        run_settings.resolve_config(config, [])
    assert [text.split("; ")[1] for text in caplog.messages] == [
        "use --precision=float32"
    ]


def test_16_bits_inside_and_float32_outside():
    network = make("mixed_bfloat16", use_mask=False, use_refiner=True, refiner_size=32)
    features = network.features.output
    pyramids = [
        *network.backbones.output["flow"],
        *features["actor"],
        *features["action"],
    ]
    assert {x.dtype.name for x in pyramids} == {"bfloat16"}
    parts = network.parts().values()
    convolutions = [x for part in parts for x in part.layers if hasattr(x, "kernel")]
    assert {layer.compute_dtype for layer in convolutions} == {"bfloat16"}
    aligned = [
        x for part in parts for x in part.layers if x.name.startswith("roi_align")
    ]
    outputs = [features["rpn_logits"], features["rpn_deltas"], network.refiner.output]
    outputs += [*network.roi_heads.output.values(), *(x.output for x in aligned)]
    assert len(aligned) == 2 and {x.dtype.name for x in outputs} == {"float32"}
    assert tf.keras.mixed_precision.global_policy().name == "float32"


def test_frozen_statistics_are_not_rounded():
    """A mean and a variance that bfloat16 cannot hold: 1000 + 1 and 1 / 1000."""
    tf.keras.utils.set_random_seed(0)
    layer = ConvNorm(1, 1, norm="frozen_bn", relu=False, dtype="mixed_bfloat16")
    layer(tf.zeros([1, 1, 1, 1]))
    layer.kernel.assign([[[[1.0]]]])
    layer.mean.assign([1001.0])
    layer.beta.assign([1001.0])
    layer.gamma.assign([1.0])
    layer.variance.assign([1.0 - 1e-5])
    made = layer(tf.fill([1, 1, 1, 1], 0.5))
    assert made.dtype == tf.bfloat16 and float(made[0, 0, 0, 0]) == 0.5


@pytest.fixture(scope="module")
def in_16_bits(tiny_run):
    """`tiny_run`, which was trained in float32, loaded to compute in 16 bits."""
    changes = {"precision": "mixed_bfloat16", "max_detections": 3}
    return loading.load(str(tiny_run), changes)


def test_a_run_in_float32_is_loaded_in_16_bits_with_its_weights(in_16_bits, loaded_run):
    assert in_16_bits.config.compute.precision == "mixed_bfloat16"
    assert in_16_bits.config.inference.max_detections == 3
    exact = loaded_run.network.variables
    for variable, exact_variable in zip(in_16_bits.network.variables, exact):
        assert (variable.numpy() == exact_variable.numpy()).all()


def test_its_answers_are_near_those_in_float32(in_16_bits, loaded_run):
    clip = {name: tf.constant(x) for name, x in tiny_network.clip(1, 3).items()}
    exact = loaded_run.network.features(clip)["rpn_deltas"].numpy()
    rounded = in_16_bits.network.features(clip)["rpn_deltas"].numpy()
    assert 0 < np.abs(exact - rounded).max() < 0.03 * np.abs(exact).max()


def test_it_serves_features_in_16_bits_and_answers_in_float32(in_16_bits):
    clip = {name: tf.constant(x) for name, x in tiny_network.clip(1, 3).items()}
    served = ServedNetwork(in_16_bits.network, in_16_bits.config.inference)
    features = served.frame(clip["rgb"][0], clip["flow"][0])
    for name, feature in features.items():
        assert name == "inside" or feature.dtype == tf.bfloat16
    window = {name: feature[None] for name, feature in features.items()}
    answer = served.key_frame(window, tf.constant(tiny_network.CANVAS))
    dtypes = {value.dtype.name for value in answer.values()}
    assert dtypes == {"float32", "int32", "uint8"}
    assert answer["num_detections"] == 3 and np.isfinite(answer["score"]).all()
