"""Put weights into a network: those of a file, or those of another network.

Rows of classes go to the classes of the same name. Layers that read the features of RGB
alone fit a network that also reads flow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.model import backbones
from a2d_tf.model.frozen_norms import FROZEN
from a2d_tf.model.heads.actor import BACKGROUND
from a2d_tf.model.network import Network
from a2d_tf.pretrained import anchor_deltas, coco
from a2d_tf.pretrained.load_report import LoadReport
from a2d_tf.pretrained.weights_file import Weights

_ONE_SIZE = ("size 1",)  # every published file has one anchor size per level
_SIZE_FLAGS = (
    "match it with --width_multiplier, --fpn_channels, --rpn_channels, "
    "--head_units, --mask_channels"
)


def variables(network: Network) -> dict[str, tf.Variable]:
    """Return a network's variables by `layer/weight`.

    The weights of a norm are gamma, beta, mean and variance.
    """
    named = {}
    for part in network.parts().values():
        for layer in part.layers:
            for variable in layer.weights:
                weight = variable.name.split(":")[0].split("/")[-1]
                named[f"{layer.name}/{weight}"] = variable
    return named


def load(network: Network, weights: Weights, stream: str = "rgb") -> LoadReport:
    """Fill a network from imported weights.

    The proposals' deltas are adapted to the network's anchors: each gives the box that
    it gives on the anchors that the weights were trained with.

    Args:
      network: of the weights' convention (see `run_start.resolve_config`).
      weights: of a file.
      stream: 'rgb' fills the appearance backbones, the refiner's trunk, every pyramid,
        the proposal network and the actor and mask heads; 'flow' fills the motion
        backbone, and its pyramid if the file has one.

    Raises:
      InputError: the weights are for another network, a tensor is missing or has
        another shape, nothing of the file fits, or its deltas cannot be adapted to the
        network's anchors.
    """
    model = network.model_config
    _check_settings(model, weights, stream)
    roles = _StreamRoles(model, weights, stream)
    origin = (
        f"{weights.path}: {weights.source}, {weights.backbone}, sha256"
        f" {weights.sha256}, for {stream}"
    )
    anchor_ratios = []
    if stream == "rgb" and "rpn" in roles.parts:
        anchor_ratios = anchor_deltas.checked_ratios(model, weights)
    if any(ratio != 1 for ratio in anchor_ratios):
        trained_anchors = weights.model_fields()["anchor_sizes"]
        origin += (
            f"\nRPN deltas adapted: anchors {trained_anchors} to {model.anchor_sizes}"
        )
    source = _Source(
        origin=origin,
        tensors=weights.tensors,
        classes={
            "rpn_logits": _ONE_SIZE,
            "rpn_deltas": _ONE_SIZE,
            "actor_logits": (*weights.classes, BACKGROUND),
            "actor_deltas": weights.classes,
            "mask_logits": weights.classes,
        },
        find_tensor=roles.find_tensor,
        is_strict=True,
    )
    report = _fill(network, source)
    if anchor_ratios:
        named = variables(network)
        anchor_deltas.adapt_deltas(
            kernel=named["rpn_deltas/kernel"],
            bias=named["rpn_deltas/bias"],
            ratios=anchor_ratios,
            coder_weights=network.proposals.coder.weights,
        )
    return report


def copy(network: Network, other: Network, origin: str) -> LoadReport:
    """Fill a network from another: variables by name and shape, classes by name.

    They may differ in labels, variant and sizes, but not in weight convention and norm.

    Args:
      origin: of the other network, for the report.

    Raises:
      InputError: nothing fits.
    """
    tensors = variables(other)
    other_classes = {}
    for layer, classes in _class_names(other).items():
        other_classes[layer] = [names[0] for names in classes]

    def find_tensor(name: str) -> _Match:
        if name in tensors:
            return _Match(tensor=name)
        return _Match(reason="missing there")

    source = _Source(
        origin=origin,
        tensors=tensors,
        classes=other_classes,
        find_tensor=find_tensor,
        is_strict=False,
    )
    return _fill(network, source)


def _check_settings(model, weights, stream):
    """Raise InputError if a network's settings contradict the weights."""
    if model.backbone != weights.backbone:
        raise InputError(
            f"{weights.path}: weights for --backbone={weights.backbone}, but the"
            f" network has {model.backbone}; set that flag"
        )
    norm_flag = "norm"
    if stream == "flow" and model.flow_norm != "same":
        norm_flag = "flow_norm"
    norm = getattr(model, norm_flag)
    if norm not in FROZEN:
        raise InputError(
            f"{weights.path}: weights for --{norm_flag}={' or '.join(FROZEN)}, but the"
            f" network has {norm}; set that flag"
        )


class _Match(NamedTuple):
    """The tensor that fills a variable, or the reason why there is none.

    Attributes:
      tensor: its key in the source; None if there is none.
      reason: set without a tensor.
    """

    tensor: str | None = None
    reason: str = ""


class _StreamRoles:
    """Which tensors of imported weights fill a stream of a network.

    Attributes:
      parts: of the file: backbone, fpn, rpn, actor, mask.
    """

    def __init__(self, model, weights, stream):
        self._model = model
        self._weights = weights
        self._stream = stream
        self.parts = {role.split("/")[0] for role in weights.tensors}

    def find_tensor(self, name: str) -> _Match:
        """Find the tensor that fills a variable of the network.

        Raises:
          InputError: the file has the part of the network, but not the tensor.
        """
        role = role_of(name, self._stream)
        if role is None:
            other_stream = "flow" if self._stream == "rgb" else "rgb"
            if role_of(name, other_stream) is None:
                return _Match(reason="no pretrained weights exist for it")
            return _Match(reason=f"not part of the {self._stream} stream")
        part = role.split("/")[0]
        if part not in self.parts:
            return _Match(reason=f"{self._weights.source} weights have no {part}")
        if role in self._weights.tensors and not self._is_of_other_family(name):
            return _Match(tensor=role)
        if self._is_of_refiner(name):
            return _Match(reason=f"{self._weights.backbone} has no such layer")
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


@dataclasses.dataclass(frozen=True)
class _Source:
    """Tensors that fill a network.

    Attributes:
      origin: for the report and for messages.
      tensors: {key: array or variable}.
      classes: {layer: names of the classes whose rows its tensors hold}.
      find_tensor: name of a variable -> its tensor, if there is one.
      is_strict: whether a tensor of another shape is an error.
    """

    origin: str
    tensors: Mapping[str, np.ndarray | tf.Variable]
    classes: Mapping[str, Sequence[str]]
    find_tensor: Callable[[str], _Match]
    is_strict: bool


def _fill(network, source):
    """Fill a network's variables; account for all of them and for all tensors.

    Raises:
      InputError: a tensor is of another shape and the source is strict, or none fits.
    """
    network_classes = _class_names(network)
    input_kernels = _input_kernels(network)
    loaded = {}
    initialised = {}
    skipped = dict.fromkeys(source.tensors, "not used by the network")
    for name, variable in variables(network).items():
        match = source.find_tensor(name)
        if match.tensor is None:
            initialised[name] = match.reason
            continue
        key = match.tensor
        tensor = source.tensors[key]
        layer = name.split("/")[0]
        rows = None
        if layer in source.classes:
            rows = _ClassRows.pair(network_classes[layer], source.classes[layer])

        reads_rgb_alone = name in input_kernels and _is_of_rgb_alone(tensor, variable)
        if not reads_rgb_alone and not _fits(variable, tensor, rows):
            problem = f"has shape {tuple(tensor.shape)}, not {tuple(variable.shape)}"
            if source.is_strict:
                raise InputError(
                    f"{source.origin}: {key} {problem} of the network's {name};"
                    f" {_SIZE_FLAGS}"
                )
            initialised[name] = f"{key} {problem}"
            skipped[key] = problem
        elif rows is not None and not rows.sources:
            initialised[name] = "no class names in common"
            skipped[key] = "no class names in common"
        else:
            assigned = _assign(variable, tensor, rows, reads_rgb_alone)
            loaded[name] = f"{key} ({assigned.part})" if assigned.part else key
            for part, reason in assigned.others.items():
                initialised[f"{name}[{part}]"] = reason
            skipped.pop(key, None)
    if not loaded:
        raise InputError(
            f"{source.origin}: nothing in it fits the network; use other weights"
        )
    return LoadReport(source.origin, loaded, initialised, skipped)


def _class_names(network):
    """Return the classes of each class layer.

    Each class is a tuple of its possible names in other files, its own first.
    """
    names_by_layer = {}
    for head in (network.proposals, *network.heads):
        for layer, classes in head.class_layers().items():
            layer_names = []
            for names in classes:
                alias = coco.A2D_ALIASES.get(names[-1])
                if alias:
                    names = (*names, alias)
                layer_names.append(names)
            names_by_layer[layer] = layer_names
    return names_by_layer


def _input_kernels(network):
    """Return names of the kernels that read the features of one stream or of both."""
    kernels = set()
    for head in network.heads:
        for layer in head.input_layers():
            kernels.add(f"{layer}/kernel")
    return kernels


def _is_of_rgb_alone(tensor, kernel):
    """Return whether a tensor has half the input channels of a kernel, those of RGB."""
    height, width, channels, filters = tensor.shape
    return tuple(kernel.shape) == (height, width, 2 * channels, filters)


class _Assigned(NamedTuple):
    """What a variable took of a tensor.

    Attributes:
      part: the part of the tensor, in words; empty for all of it.
      others: {part of the variable that it does not fill: reason}.
    """

    part: str
    others: dict[str, str]


def _assign(variable, tensor, rows, reads_rgb_alone):
    """Assign a tensor, or those of its rows whose classes the variable has."""
    if reads_rgb_alone:
        # Zeros for flow, so that the head begins as it was.
        variable.assign(np.concatenate([tensor, np.zeros_like(tensor)], axis=2))
        flow = {"input channels of flow": "zero: the tensor reads RGB only"}
        return _Assigned("input channels of RGB", flow)
    if rows is None or rows.are_of_one_size:
        variable.assign(tensor)
        return _Assigned("", {})
    rows.assign(variable, tensor)
    missing = dict.fromkeys(rows.missing, "no class of that name")
    return _Assigned(", ".join(rows.assigned), missing)


@dataclasses.dataclass(frozen=True)
class _ClassRows:
    """The classes of a layer, and which of them its source has too.

    Attributes:
      count, source_count: numbers of classes.
      sources: {row of a class: its row in the source}.
      assigned: these classes, as 'name' or 'name <- name in the source'.
      missing: names of the others.
      are_of_one_size: whether both are anchors of one size a level, which fit by any
        name.
    """

    count: int
    source_count: int
    sources: dict[int, int]
    assigned: list[str]
    missing: list[str]
    are_of_one_size: bool

    @classmethod
    def pair(
        cls, classes: list[tuple[str, ...]], source_classes: Sequence[str]
    ) -> _ClassRows:
        """Pair classes, each with its possible names, with those of a source."""
        sources = {}
        assigned = []
        missing = []
        for row, names in enumerate(classes):
            own_name = names[0]
            name = next((x for x in names if x in source_classes), None)
            if name is None:
                missing.append(own_name)
                continue
            sources[row] = source_classes.index(name)
            if name == own_name:
                assigned.append(own_name)
            else:
                assigned.append(f"{own_name} <- {name}")
        return cls(
            count=len(classes),
            source_count=len(source_classes),
            sources=sources,
            assigned=assigned,
            missing=missing,
            are_of_one_size=classes == [_ONE_SIZE]
            and tuple(source_classes) == _ONE_SIZE,
        )

    def assign(self, variable: tf.Variable, tensor: np.ndarray | tf.Variable) -> None:
        """Assign the rows that both have.

        Args:
          variable: [..., count * k].
          tensor: [..., source_count * k].
        """
        source = np.asarray(tensor)
        rows = variable.numpy().reshape(*variable.shape[:-1], self.count, -1)
        source_rows = source.reshape(*source.shape[:-1], self.source_count, -1)
        for row, source_row in self.sources.items():
            rows[..., row, :] = source_rows[..., source_row, :]
        variable.assign(rows.reshape(variable.shape))


def _fits(variable, tensor, rows):
    """Return whether shapes agree; the last dimension in the size of one class."""
    size = variable.shape[-1]
    source_size = tensor.shape[-1]
    if rows is not None:
        size /= rows.count
        source_size /= rows.source_count
    return (*variable.shape[:-1], size) == (*tensor.shape[:-1], source_size)
