"""Names of a model's variables for files of weights."""

from __future__ import annotations

import tensorflow as tf


def variables_of(model: tf.keras.Model) -> dict[str, tf.Variable]:
    """Return the variables of a Keras model by the names that files of weights use.

    Args:
      model: a model, whose layers have names of their own.

    Returns:
      {`layer/weight`: variable}, such as rgb_fpn_p2/kernel.
    """
    named = {}
    for layer in model.layers:
        for variable in layer.weights:
            weight = variable.name.split(":")[0].split("/")[-1]
            named[f"{layer.name}/{weight}"] = variable
    return named
