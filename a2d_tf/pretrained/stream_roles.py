"""The tensors of imported weights that fill the variables of a network.

Variables are named by their layers (`rgb_resnet_stem/kernel`), tensors by their roles
(`backbone/stem/kernel`, see `layouts`).
"""

from __future__ import annotations

from typing import NamedTuple

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.model import backbones
from a2d_tf.pretrained.weights_file import Weights


class Match(NamedTuple):
    """The tensor that fills a variable, or the reason why there is none.

    Attributes:
      tensor: name of the tensor; None if no tensor fills the variable.
      reason: why no tensor fills the variable; empty if one does.
    """

    tensor: str | None = None
    reason: str = ""


class StreamRoles:
    """The tensors of imported weights that fill one stream of a network.

    Attributes:
      parts: the parts of a network that the weights have, of backbone, fpn, rpn, actor
        and mask.
    """

    def __init__(self, model: ModelConfig, weights: Weights, stream: str) -> None:
        self._model = model
        self._weights = weights
        self._stream = stream
        self.parts = {role.split("/")[0] for role in weights.tensors}

    def find_tensor(self, name: str) -> Match:
        """Find the tensor that fills a variable of the network.

        Args:
          name: the variable's name, such as rgb_fpn_p2/kernel.

        Raises:
          InputError: the weights have the variable's part of the network, but no such
            tensor.
        """
        role = role_of(name, self._stream)
        if role is None:
            other_stream = "flow" if self._stream == "rgb" else "rgb"
            if role_of(name, other_stream) is None:
                return Match(reason="no pretrained weights exist for it")
            return Match(reason=f"not part of the {self._stream} stream")
        part = role.split("/")[0]
        if part not in self.parts:
            return Match(reason=f"{self._weights.source} weights have no {part}")
        if role in self._weights.tensors and not self._is_of_other_family(name):
            return Match(tensor=role)
        if self._is_of_refiner(name):
            return Match(reason=f"{self._weights.backbone} has no such layer")
        raise InputError(
            f"{self._weights.path}: missing tensor {role} for {name} of the network"
        )

    def _is_of_refiner(self, name: str) -> bool:
        """Return whether a variable belongs to a refiner with a backbone of its own."""
        return name.startswith("refiner_") and bool(self._model.refiner_backbone)

    def _is_of_other_family(self, name: str) -> bool:
        """Return whether a variable is of another backbone family than the weights."""
        if not self._is_of_refiner(name):
            return False
        trunk = backbones.BACKBONES[self._model.refiner_backbone]
        return trunk.family != backbones.BACKBONES[self._model.backbone].family


def role_of(name: str, stream: str) -> str | None:
    """Return the role of the tensor that fills a variable; None if none does.

    Args:
      name: the variable's name, such as rgb_fpn_p2/kernel.
      stream: the stream that the weights are loaded for, 'rgb' or 'flow'.
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
