"""Fold the frozen batch norms of a network that is served into its kernels."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from a2d_tf.model.frozen_norms import FROZEN
from a2d_tf.model.layers import ConvNorm
from a2d_tf.model.network import Network


def fold_norms(network: Network) -> Network:
    """Fold frozen batch norms into the kernels of the convolutions before them.

    The result computes the same with fewer variables and operations: kernel * gamma /
    sqrt(variance + epsilon) is computed once, not at every call. In a mixed precision
    the weights are rounded once, too, and take half the memory. Group norms stay.

    Args:
      network: the trained network; it is not changed.

    Returns:
      a new network without batch norms (norm 'none'), not for training; `network`
      itself if there is nothing to fold or to round.
    """
    model = network.model_config
    folded_norms: dict[str, Any] = {}
    for field in ("norm", "flow_norm"):
        if getattr(model, field) in FROZEN:
            folded_norms[field] = "none"
    precision = network.compute.precision.replace("mixed_", "")
    if not folded_norms and precision == "float32":
        return network
    result = Network(
        dataclasses.replace(model, **folded_norms),
        network.labels,
        dataclasses.replace(network.compute, precision=precision),
        network.label_mode,
    )
    for part, folded_part in zip(network.parts().values(), result.parts().values()):
        for folded_layer in folded_part.layers:
            if folded_layer.weights:
                _assign_folded(folded_layer, part.get_layer(folded_layer.name))
    return result


def _assign_folded(
    folded_layer: tf.keras.layers.Layer, layer: tf.keras.layers.Layer
) -> None:
    """Assign a layer's weights, in which a frozen norm is folded into the kernel."""
    values = layer.weights
    if isinstance(layer, ConvNorm) and layer.norm in FROZEN:
        values = layer.folded()
    for variable, value in zip(folded_layer.weights, values):
        variable.assign(tf.cast(value, variable.dtype))
