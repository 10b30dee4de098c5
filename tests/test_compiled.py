"""Parts that XLA compiles: the same losses and gradients, weights and checkpoints, or a refusal."""

import pytest
import test_recompute
import tiny_network

from a2d_tf.core.config import Config, LearningConfig, ModelConfig
from a2d_tf.core.errors import InputError

pytestmark = pytest.mark.slow

VARIANT = dict(norm="frozen_bn", use_flow=False, temporal_layers=0)


@pytest.mark.parametrize("determinism", [False], indirect=True)
def test_losses_and_gradients_are_those_of_the_plain_network(determinism):
    plain, compiled = (tiny_network.make(jit=jit, **VARIANT) for jit in (False, True))
    names = [v.name for v in plain.trainable_weights]
    assert [v.name for v in compiled.trainable_weights] == names
    for ours, exact in zip(compiled.variables, plain.variables):
        ours.assign(exact)
    expected, wanted, _ = test_recompute.step(plain)
    values, gradients, graph = test_recompute.step(compiled)
    test_recompute.assert_near(
        names, (values, gradients), (expected, wanted), losses=1e-4, gradients=1e-3
    )
    # No convolution is left outside but those of the mask head.
    left = [op.name for op in test_recompute.convolutions(graph)]
    assert left and all("mask_head" in name for name in left)


@pytest.mark.parametrize(
    "model, learning, word",
    [
        ({}, {}, "--deterministic=false, or --backbone=efficientnet_lite0"),
        ({}, dict(deterministic=False, recompute=True), "give one of them"),
        ({}, dict(deterministic=False, strategy="mirrored"), "one device"),
    ],
)
def test_what_it_does_not_do_is_refused(model, learning, word):
    config = Config(ModelConfig(**model), learning=LearningConfig(jit=True, **learning))
    with pytest.raises(InputError, match=word):
        config.checked()
    fine = LearningConfig(jit=True, deterministic=False)
    assert Config(ModelConfig(), learning=fine).checked().learning.jit
