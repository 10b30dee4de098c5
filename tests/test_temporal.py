"""Temporal layers against the three-dimensional convolution; aggregation and fusion."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_network import normal

from a2d_tf.model import temporal


def conv3d(x, kernel, bias):
    return tf.nn.conv3d(x, kernel[:, None, None], [1] * 5, "VALID") + bias


def aggregated(pyramid, layers, init="random"):
    tf.keras.utils.set_random_seed(0)
    inputs = [tf.keras.Input(x.shape[1:]) for x in pyramid]
    model = tf.keras.Model(inputs, temporal.aggregate(inputs, layers, init, "s"))
    return model, model(pyramid)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_aggregation_leaves_the_key_frame(layers):
    pyramid = [
        normal(2, 2 * layers + 1, 4, 6, 5),
        normal(2, 2 * layers + 1, 2, 3, 5, seed=1),
    ]
    model, made = aggregated(pyramid, layers)
    assert len(model.trainable_variables) == 2 * 2 * layers
    for level, x in enumerate(pyramid):
        for layer in range(layers):
            part = model.get_layer(f"s_p{level + 2}_t{layer}")
            x = conv3d(x, part.kernel, part.bias)
            if layer + 1 < layers:  # between two layers, not after the last
                x = tf.nn.relu(x)
        assert made[level].shape == x[:, 0].shape
        np.testing.assert_allclose(made[level], x[:, 0], atol=1e-5)


def test_identity_aggregation_is_the_key_frame_where_it_is_positive():
    x = normal(1, 5, 4, 6, 5)
    _, made = aggregated([x], 2, "identity")
    np.testing.assert_allclose(made, np.maximum(x[:, 2], 0), atol=1e-6)
