"""Which tensors of imported weights fill which variables of a network.

Variables are named by their layers (`rgb_resnet_stem/kernel`), tensors by their roles
(`backbone/stem/kernel`, see `layouts`).
"""

from __future__ import annotations

from typing import NamedTuple

from a2d_tf.core.config import ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.model import backbones
from a2d_tf.pretrained.weights_file import Weights


class Match(NamedTuple):
    """The tensor that fills a variable, or the reason why there is none.

    Attributes:
      tensor: its key in the source; None if there is none.
      reason: set without a tensor.
    """

    tensor: str | None = None
    reason: str = ""


class StreamRoles:
    """Which tensors of imported weights fill a stream of a network.

    Attributes:
      parts: of the file: backbone, fpn, rpn, actor, mask.
    """

    def __init__(self, model: ModelConfig, weights: Weights, stream: str) -> None:
        self._model = model
        self._weights = weights
        self._stream = stream
        self.parts = {role.split("/")[0] for role in weights.tensors}

    def find_tensor(self, name: str) -> Match:
        """Find the tensor that fills a variable of the network.

        Raises:
          InputError: the file has the part of the network, but not the tensor.
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

    def _is_of_refiner(self, name):
        """Return whether a variable is part of a trunk with a backbone of its own."""
        return name.startswith("refiner_") and bool(self._model.refiner_backbone)

    def _is_of_other_family(self, name):
        """Return whether a variable's backbone is of another family than the file's."""
        if not self._is_of_refiner(name):
            return False
        trunk = backbones.BACKBONES[self._model.refiner_backbone]
        return trunk.family != backbones.BACKBONES[self._model.backbone].family


def role_of(name: str, stream: str) -> str | None:
    """Return the role of the tensor that fills a variable; None if none does.

    Args:
      name: of the variable, such as rgb_fpn_p2/kernel.
      stream: 'rgb' or 'flow', which the weights are loaded for.
    """
    for prefix, part in _PARTS_BY_PREFIX[stream].items():
        if name.startswith(prefix):
            return f"{part}/{name[len(prefix) :]}"
    return None


def _parts_by_prefix(stream):
    """Return {prefix of layers' names: the part of a file that fills them}."""
    parts: dict[str, str] = {}
    # All pyramids start from the file's only one (paper: both streams have the same
    # layers).
    if stream == "rgb":
        # SharpMask's trunk also starts from a classifier; a shallower one has its first
        # blocks.
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
