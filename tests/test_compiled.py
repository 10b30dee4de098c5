"""Parts that XLA compiles: the same losses and gradients, weights and checkpoints, or a refusal."""

import dataclasses
import inspect

import numpy as np
import pytest
import tensorflow as tf
import tiny_network

from a2d_tf.core.config import Config, LearningConfig, ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.training import run_start, targets
from a2d_tf.training.train_step import TrainState, make_train_step

pytestmark = pytest.mark.slow

VARIANT = dict(norm="frozen_bn", use_flow=False, temporal_layers=0, head_units=16)
LEARNING = dataclasses.replace(
    tiny_network.LEARNING, learning_rate=0.1, average_decay=0.9, deterministic=False
)


@pytest.mark.parametrize("determinism", [False], indirect=True)
def test_a_step_is_that_of_the_plain_network(determinism):
    """What it reports, and the weights after an update, here those moved by the plain gradients."""
    batch, made = tiny_network.labelled(2), []
    for jit in (False, True):
        network = tiny_network.make(jit=jit, **VARIANT)
        learning = dataclasses.replace(LEARNING, jit=jit)
        step = make_train_step(TrainState.create(network, learning), learning)
        values = {name: float(value) for name, value in step(batch, 0).items()}
        made.append((values, network.trainable_weights))
    (expected, wanted), (values, weights) = made
    assert values == pytest.approx(expected, rel=1e-4)
    for ours, exact in zip(weights, wanted):
        assert ours.name == exact.name
        np.testing.assert_allclose(ours, exact, rtol=0, atol=1e-5, err_msg=ours.name)
    # Outside of the clusters no layer is left, nor any loss.
    compiled = inspect.getclosurevars(step).nonlocals["compiled"]
    graph = compiled.get_concrete_function(batch, tf.constant(0, tf.int64)).graph
    operations = graph.get_operations()
    outside = {operation.type for operation in operations}
    assert "CombinedNonMaxSuppression" in outside
    assert not outside & {"Conv2D", "MatMul", "Conv2DBackpropInput", "Log1p", "LogSoftmax"}


def test_what_is_sampled_is_the_same():
    """XLA gets no draws and no choices, so that rows are equal, and their numbers nearly."""
    batch, learning = tiny_network.labelled(2), LEARNING
    network = tiny_network.make(**VARIANT)
    boxes = network.anchors[None].repeat(2, axis=0)[:, ::7] + tiny_network.normal(1, 1, 4)
    rng = targets.Rng([1, 2], batch["row"], 2)
    for function, first, options in (
        (targets.sample_rois, (boxes, np.ones(boxes.shape[:2], bool)), {}),
        (targets.anchor_targets, (network.anchors,), dict(coder=network.rpn_coder)),
    ):
        plain, compiled = (
            function(*first, batch, learning, **options, rng=rng, jit=jit) for jit in (False, True)
        )
        assert np.any(plain["positive"]) and set(plain) == set(compiled)
        for name, exact in plain.items():
            tolerance = 1e-6 if exact.dtype == tf.float32 else 0
            np.testing.assert_allclose(compiled[name], exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "model, learning, word",
    [
        ({}, {}, "--deterministic=false"),
        ({}, dict(deterministic=False, strategy="mirrored"), "one device"),
    ],
)
def test_what_it_does_not_do_is_refused(model, learning, word):
    config = Config(ModelConfig(**model), learning=LearningConfig(jit=True, **learning))
    with pytest.raises(InputError, match=word):
        run_start.resolve_config(config.checked(), ())
