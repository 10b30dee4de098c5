"""The network as it is used, not trained: batch norms are constants, and go into the kernels."""

import dataclasses

import tensorflow as tf

from a2d_tf.model.network import Network
from a2d_tf.model.resnet import BATCH_NORMS, ConvNorm


def folded(network):
    """A network that computes the same with fewer variables and operations; not for training.

    kernel * gamma / sqrt(variance + epsilon) is computed here, once, and not at every call. In a
    mixed precision the weights are rounded here once, too, and take half the room. Group norms
    stay as they are.

    Args:
      network: a Network.

    Returns:
      a Network of norm 'none' where there were batch norms; the same one if nothing changes.
    """
    config = network.config
    norms = {name: "none" for name in ("norm", "flow_norm") if getattr(config, name) in BATCH_NORMS}
    precision = network.compute.precision.replace("mixed_", "")
    if not norms and precision == "float32":
        return network
    compute = dataclasses.replace(network.compute, precision=precision)
    made = Network(dataclasses.replace(config, **norms), network.labels, compute)
    for old_part, new_part in zip(network.parts().values(), made.parts().values()):
        for new in new_part.layers:
            if not new.weights:
                continue
            old = old_part.get_layer(new.name)
            batch_norm = isinstance(old, ConvNorm) and old.norm in BATCH_NORMS
            values = old.folded() if batch_norm else old.weights
            for variable, value in zip(new.weights, values):
                variable.assign(tf.cast(value, variable.dtype))
    return made
