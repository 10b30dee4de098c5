"""The variables of a model by names that files of weights can hold."""

from __future__ import annotations

import tensorflow as tf


def variables_of(model: tf.keras.Model) -> dict[str, tf.Variable]:
    """Return a model's variables by `layer/weight`, such as rgb_fpn_p2/kernel."""
    named = {}
    for layer in model.layers:
        for variable in layer.weights:
            weight = variable.name.split(":")[0].split("/")[-1]
            named[f"{layer.name}/{weight}"] = variable
    return named
