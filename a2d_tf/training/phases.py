"""Which part of the network a phase trains (paper, 4.3, "Ours w/o Joint Learning")."""

from __future__ import annotations

from a2d_tf.model.network import Network, layers_computing


def trains(phase: str, branch: str) -> bool:
    """Return whether a phase, of --train_phase, trains a head of this branch."""
    return branch == phase or (phase == "joint" and branch != "refiner")


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

    for name, part in network.parts().items():
        for layer in part.layers:
            if name == "refiner":
                branch = "refiner"
            elif layer in actor_layers:
                branch = "actor"
            else:
                branch = "action"
            layer.trainable = trains(phase, branch)

    frozen_layers = []
    if not trains_backbones:
        frozen_layers += network.backbone_layers
    if network.readout is not None:
        # It reads what the backbone knew before the training.
        frozen_layers += network.readout_maps.layers
    for layer in frozen_layers:
        layer.trainable = False
