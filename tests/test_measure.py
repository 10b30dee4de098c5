"""The work that the benchmark divides by a time is what TensorFlow's profiler counts."""

import dataclasses

import pytest
import tensorflow as tf

from a2d_tf.core.labels import A2D
from a2d_tf.model.network import Network
from tools.benchmarks import measure, setups


def profiled(model):
    """GFLOP of a model for one row, by TensorFlow's profiler."""
    signature = tf.nest.map_structure(
        lambda x: tf.TensorSpec([1, *x.shape[1:]], x.dtype), model.input
    )
    graph = tf.function(lambda x: model(x)).get_concrete_function(signature).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder
    wanted = options(options.float_operation()).with_empty_output().build()
    return tf.compat.v1.profiler.profile(graph, options=wanted).total_float_ops / 1e9


@pytest.mark.parametrize("part", ["towers", "context", "rpn"])
def test_gflop(part):
    model = dataclasses.replace(setups.read("mini").model, norm="frozen_bn")
    counted = measure.gflop(Network(model, A2D).parts()[part])
    # The profiler counts biases and norms, too.
    assert counted == pytest.approx(profiled(Network(model, A2D).parts()[part]), rel=0.03)
    assert counted > 0
