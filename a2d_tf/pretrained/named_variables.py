"""Names of a model's variables for files of weights."""

from __future__ import annotations

import tensorflow as tf


def variables_of(model: tf.keras.Model) -> dict[str, tf.Variable]:
    """Return {`layer/weight`: variable}, such as rgb_fpn_p2/kernel, of a model."""
    named = {}
    for layer in model.layers:
        for variable in layer.weights:
            weight = variable.name.split(":")[0].split("/")[-1]
            named[f"{layer.name}/{weight}"] = variable
    return named
