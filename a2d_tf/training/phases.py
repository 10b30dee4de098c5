"""Which part of the network a phase trains (paper, 4.3, "Ours w/o Joint Learning")."""

from __future__ import annotations

from a2d_tf.model.network import Network, layers_computing


def trains(phase: str, branch: str) -> bool:
    """Return whether a phase, of --train_phase, trains a head of this branch."""
    return branch == phase or (phase == "joint" and branch != "refiner")


def set_phase(network: Network, phase: str, trains_backbones: bool = True) -> None:
    """Make trainable what a phase trains: both branches, "actor" or "action", or the
    refiner.

    The actor branch is all that actors, boxes and masks are computed from; the action
    branch is the rest: the flow backbone, the temporal layers, the action head, and an
    RGB top-down or backbone of its own. The refiner is trained separately. Without
    `trains_backbones`, all backbones except the refiner's keep their weights.
    """
    parts = network.parts()
    refine = getattr(parts.pop("refiner", None), "layers", [])
    heads = [head for head in network.heads if head.branch == "actor"]
    outputs = [
        network.roi_heads.output[name] for head in heads for name in head.outputs
    ]
    actor = [*network.rpn.layers, *(layer for head in heads for layer in head.layers())]
    actor += layers_computing(network.backbones, network.backbones.output["actor"])
    actor += layers_computing(network.roi_heads, outputs)
    for layer in refine:
        layer.trainable = trains(phase, "refiner")
    for layer in (layer for part in parts.values() for layer in part.layers):
        layer.trainable = trains(phase, "actor" if layer in actor else "action")
    frozen = [] if trains_backbones else network.backbone_layers
    if network.readout is not None:  # which reads what the features knew before
        frozen = [*frozen, *network.readout_maps.layers]
    for layer in frozen:
        layer.trainable = False
