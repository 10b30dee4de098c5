"""Which part of the network a phase trains (paper, 4.3, "Ours w/o Joint Learning")."""

from __future__ import annotations

from a2d_tf.model.network import Network, layers_computing


def trains(phase: str, branch: str) -> bool:
    """Return whether a phase, of --train_phase, trains a head of this branch."""
    return phase in (branch, "joint")


def set_phase(network: Network, phase: str, trains_backbones: bool = True) -> None:
    """Make trainable what a phase trains: one branch, both, or the refiner.

    The actor branch is all that actors, boxes and masks are computed from; the action
    branch is the rest: the flow backbone, the temporal layers, the action head, and an
    RGB top-down or backbone of its own. The refiner is trained separately.

    Args:
      phase: of --train_phase.
      trains_backbones: False for backbones, except the refiner's, that keep their
        weights.
    """
    actor_layers = [*network.rpn.layers]
    actor_outputs = []
    for head in network.heads:
        if head.branch == "actor":
            actor_layers += head.layers()
            actor_outputs += [network.roi_heads.output[name] for name in head.outputs]
    actor_layers += layers_computing(
        network.backbones, network.backbones.output["actor"]
    )
    actor_layers += layers_computing(network.roi_heads, actor_outputs)

    phases_of_parts = {}
    for instance_head in network.instance_heads.values():
        if instance_head.phase:
            phases_of_parts[instance_head.part] = instance_head.phase
    for name, part in network.parts().items():
        for layer in part.layers:
            if name in phases_of_parts:
                layer.trainable = phase == phases_of_parts[name]
            elif layer in actor_layers:
                layer.trainable = trains(phase, "actor")
            else:
                layer.trainable = trains(phase, "action")

    frozen_layers = []
    if not trains_backbones:
        frozen_layers += network.backbone_layers
    if network.readout is not None:
        # It reads what the backbone knew before the training.
        frozen_layers += network.readout_maps.layers
    if network.action_backbone is not None:
        frozen_layers += network.action_backbone.layers
    for layer in frozen_layers:
        layer.trainable = False
