"""Fold constant batch norms into the kernels of their convolutions, for inference."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from a2d_tf.model.layers import BATCH_NORMS, ConvNorm
from a2d_tf.model.network import Network


def folded(network: Network) -> Network:
    """Return a network that computes the same with fewer variables and operations.

    kernel * gamma / sqrt(variance + epsilon) is computed once, not at every call. In a mixed
    precision the weights are rounded once, too, and take half the memory. Group norms stay.

    Returns:
      a Network of norm 'none' in place of batch norms, not for training; `network` itself if
      nothing changes.
    """
    model = network.model_config
    norms: dict[str, Any] = {
        name: "none" for name in ("norm", "flow_norm") if getattr(model, name) in BATCH_NORMS
    }
    precision = network.compute.precision.replace("mixed_", "")
    if not norms and precision == "float32":
        return network
    compute = dataclasses.replace(network.compute, precision=precision)
    result = Network(dataclasses.replace(model, **norms), network.labels, compute)
    for old_part, new_part in zip(network.parts().values(), result.parts().values()):
        for new in new_part.layers:
            if not new.weights:
                continue
            old = old_part.get_layer(new.name)
            batch_norm = isinstance(old, ConvNorm) and old.norm in BATCH_NORMS
            values = old.folded() if batch_norm else old.weights
            for variable, value in zip(new.weights, values):
                variable.assign(tf.cast(value, variable.dtype))
    return result
