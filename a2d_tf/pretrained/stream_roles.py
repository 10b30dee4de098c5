"""The tensors of imported weights that fill the variables of a network.

Variables are named by their layers (`rgb_resnet_stem/kernel`), tensors by their roles
(`backbone/stem/kernel`, see `layouts`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.model import backbones
from a2d_tf.pretrained.weights_file import Weights


class Match(NamedTuple):
    """The tensor that fills a variable of the network, or the reason why there is none.

    Attributes:
      tensor: name of the tensor, its role; None if no tensor fills the variable.
      reason: why no tensor fills the variable; empty if one does.
    """

    tensor: str | None = None
    reason: str = ""


def match_variables(
    names: Iterable[str], model: ModelConfig, weights: Weights, stream: str
) -> dict[str, Match]:
    """Find the tensor of imported weights for each variable of a network.

    Weights are loaded for one stream: 'rgb' is the appearance branch, 'flow' the motion
    backbone. Variables outside the stream have no tensor.

    Args:
      names: names of all variables of the network, such as rgb_fpn_p2/kernel.
      model: settings of the network.
      weights: the imported weights.
      stream: the stream that the weights are loaded for, 'rgb' or 'flow'.

    Returns:
      {name of a variable: its tensor, or why it has none}.

    Raises:
      InputError: the weights have a variable's part of the network, such as the mask
        head, but no tensor for the variable.
    """
    return {name: _match(name, model, weights, stream) for name in names}


def _match(name: str, model: ModelConfig, weights: Weights, stream: str) -> Match:
    role = role_of(name, stream)
    if role is None:
        other_stream = "flow" if stream == "rgb" else "rgb"
        if role_of(name, other_stream) is None:
            return Match(reason="no pretrained weights exist for it")
        return Match(reason=f"not part of the {stream} stream")
    part = role.split("/")[0]
    if part not in weights.parts:
        return Match(reason=f"{weights.source} weights have no {part}")
    has_own_backbone = name.startswith("refiner_") and bool(model.refiner_backbone)
    fits = not has_own_backbone or _has_family_of_refiner(model)
    if fits and role in weights.tensors:
        return Match(tensor=role)
    if has_own_backbone:
        return Match(reason=f"{weights.backbone} has no such layer")
    raise InputError(f"{weights.path}: missing tensor {role} for {name} of the network")


def _has_family_of_refiner(model: ModelConfig) -> bool:
    """Return whether a network's backbone and its refiner's are of one family."""
    refiner_backbone = backbones.BACKBONES[model.refiner_backbone]
    return refiner_backbone.family == backbones.BACKBONES[model.backbone].family


def role_of(name: str, stream: str) -> str | None:
    """Return the role of the tensor that fills a variable.

    A role is a tensor's name in files of imported weights.

    Args:
      name: the variable's name, such as rgb_fpn_p2/kernel.
      stream: the stream that the weights are loaded for, 'rgb' or 'flow'.

    Returns:
      the role, such as fpn/p2/kernel; None if no tensor for this stream fills the
      variable.
    """
    for prefix, part in _PARTS_BY_PREFIX[stream].items():
        if name.startswith(prefix):
            return f"{part}/{name[len(prefix) :]}"
    return None


def _parts_by_prefix(stream: str) -> dict[str, str]:
    """Return {prefix of layers' names: the part of the weights that fills them}."""
    parts: dict[str, str] = {}
    # Each pyramid of the network starts from the one pyramid of the weights: the paper
    # says that both streams have the same layers.
    if stream == "rgb":
        # The refiner's backbone starts from the same weights. A shallower one takes the
        # first blocks of each stage.
        backbone_prefixes = ["rgb", "action", "refiner"]
        parts.update(rgb_fpn_="fpn", action_fpn_="fpn", flow_fpn_="fpn")
        parts.update(rpn_="rpn", actor_="actor", mask_="mask")
    else:
        backbone_prefixes = ["flow"]
        parts.update(flow_fpn_="fpn")
    families = {backbone.family for backbone in backbones.BACKBONES.values()}
    for family in sorted(families):
        for prefix in backbone_prefixes:
            parts[f"{prefix}_{family}_"] = "backbone"
    return parts


_PARTS_BY_PREFIX = {
    "rgb": _parts_by_prefix("rgb"),
    "flow": _parts_by_prefix("flow"),
}
