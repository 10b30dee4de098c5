"""Which part of the network a phase trains (paper, 4.3, "Ours w/o Joint Learning")."""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.model.network import Network, layers_computing


def trains(phase: str, branch: str) -> bool:
    """Return whether a phase of training trains the heads of a branch.

    Args:
      phase: value of --train_phase: 'joint', 'actor', 'action' or 'refiner'.
      branch: 'actor' or 'action'.
    """
    return phase in (branch, "joint")


def set_phase(network: Network, phase: str, trains_backbones: bool = True) -> None:
    """Make the layers trainable that a phase trains, and freeze all others.

    A phase trains one branch, both, or the refiner. The actor branch is all that
    actors, boxes and masks are computed from; the action branch is the rest: the flow
    backbone, the temporal layers, the action head, and an RGB top-down or backbone of
    its own. The refiner, which segments actors in place of the mask head ("Ours w/o
    Mask + SM" in the paper's 4.3), is trained separately.

    Args:
      network: the network; `trainable` of its layers is set.
      phase: value of --train_phase: 'joint', 'actor', 'action' or 'refiner'.
      trains_backbones: whether the backbones are trained, too; if False, they keep
        their weights, except the refiner's backbone.
    """
    actor_layers = _actor_layers(network)
    own_phases = {}
    for head in network.instance_heads.values():
        if head.phase:
            own_phases[head.part] = head.phase
    for name, part in network.parts().items():
        for layer in part.layers:
            if name in own_phases:
                layer.trainable = phase == own_phases[name]
            elif layer in actor_layers:
                layer.trainable = trains(phase, "actor")
            else:
                layer.trainable = trains(phase, "action")
    for layer in _frozen_layers(network, trains_backbones):
        layer.trainable = False


def _actor_layers(network: Network) -> list[tf.keras.layers.Layer]:
    """Return the layers of the actor branch."""
    layers = [*network.rpn.layers]
    outputs = []
    for head in network.heads:
        if head.branch == "actor":
            layers += head.layers()
            outputs += [network.roi_heads.output[name] for name in head.outputs]
    layers += layers_computing(network.backbones, network.backbones.output["actor"])
    layers += layers_computing(network.roi_heads, outputs)
    return layers


def _frozen_layers(
    network: Network, trains_backbones: bool
) -> list[tf.keras.layers.Layer]:
    """Return the layers that are not trained in any phase."""
    layers = []
    if not trains_backbones:
        layers += network.backbone_layers
    if network.readout_maps is not None:
        # The readout reads what the backbone knew before the training.
        layers += network.readout_maps.layers
    if network.action_backbone is not None:
        layers += network.action_backbone.layers
    return layers
