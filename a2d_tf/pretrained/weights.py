"""Imported weights: files, loading into a network, and a report that accounts for every
tensor.

A file of imported weights (a2d weights) holds tensors named by their roles, in
the network's layout (see `layouts`), and their source, which tells their convention.
The report of loading lists every tensor of the file and every variable of the network
as loaded, initialised or skipped, with the reason. A run that is to start from weights
starts from them or stops.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.model import backbones
from a2d_tf.model.heads.actor import BACKGROUND
from a2d_tf.model.layers import FROZEN
from a2d_tf.model.network import Network
from a2d_tf.pretrained import layouts
from a2d_tf.pretrained.layouts import Weights

# Prefixes of the names of a stream's layers -> the part of the file that fills them.
# All pyramids start from the file's only one (paper: both streams have the same
# layers).
_ROLES = {
    "rgb": {
        **{f"{x}_fpn_": "fpn/" for x in ("rgb", "action", "flow")},
        **{f"{head}_": f"{head}/" for head in ("rpn", "actor", "mask")},
    },
    "flow": {"flow_fpn_": "fpn/"},
}
for _name in sorted({backbone.family for backbone in backbones.BACKBONES.values()}):
    # SharpMask's trunk also starts from a classifier; a shallower one has its first
    # blocks.
    _ROLES["rgb"] |= {
        f"{x}_{_name}_": "backbone/" for x in ("rgb", "action", "refiner")
    }
    _ROLES["flow"][f"flow_{_name}_"] = "backbone/"
_ONE_SIZE = ("size 1",)  # every published file has one anchor size per level
# relative error of a size that was rounded, such as 22.63 for 16 * 2**.5
_ROUNDED = 1e-3
_NEW = "no pretrained weights exist for it"
_SIZE_FLAGS = (
    "match it with --width_multiplier, --fpn_channels, --rpn_channels, "
    "--head_units, --mask_channels"
)


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """Accounts for every variable of the network and every tensor of the weights.

    Attributes:
      origin: source of the weights, in one line.
      loaded: {variable: tensor}.
      initialised: {variable, variable[class] or variable[input channels]: reason}.
      skipped: {tensor: reason}.
    """

    origin: str
    loaded: dict
    initialised: dict
    skipped: dict

    def then(self, later: LoadReport) -> LoadReport:
        """Combine with the report of weights that were loaded after these."""
        names = [
            name
            for name in self.initialised
            if name in later.initialised or "[" in name
        ]
        return LoadReport(
            f"{self.origin}\n{later.origin}",
            {**self.loaded, **later.loaded},
            {name: self.initialised[name] for name in names},
            {**self.skipped, **later.skipped},
        )

    def summary(self) -> str:
        """Summarise in a few lines: origins, counts, and groups of initialised
        layers.
        """
        groups = sorted(
            {"_".join(re.split("[_/]", name)[:2]) for name in self.initialised}
        )
        return (
            f"{self.origin}\n{len(self.loaded)} variables loaded,"
            f" {len(self.initialised)} initialised ({', '.join(groups) or 'none'}),"
            f" {len(self.skipped)} tensors skipped"
        )

    def __str__(self) -> str:
        lines = [self.summary(), "", "loaded:"]
        lines += [f"  {name} <- {tensor}" for name, tensor in self.loaded.items()]
        for title in ("initialised", "skipped"):
            lines += [f"{title}:"]
            lines += [
                f"  {name}: {reason}" for name, reason in getattr(self, title).items()
            ]
        return "\n".join(lines) + "\n"


def variables(network: Network) -> dict[str, tf.Variable]:
    """Return a network's variables by `layer/weight`, with norms' gamma, beta, mean,
    variance.
    """
    named = {}
    for part in network.parts().values():
        for layer in part.layers:
            for variable in layer.weights:
                weight = variable.name.split(":")[0].split("/")[-1]
                named[f"{layer.name}/{weight}"] = variable
    return named


def _class_names(network):
    """The classes of each class layer, each as its possible names in other files,
    its own first.
    """
    found = {}
    for head in (network.proposals, *network.heads):
        for layer, classes in head.class_layers().items():
            aliases = [layouts.ALIASES.get(names[-1]) for names in classes]
            rows = zip(classes, aliases)
            found[layer] = [
                (*names, alias) if alias else names for names, alias in rows
            ]
    return found


def _assign_rows(variable, value, classes, source_classes):
    """Assign the rows of a class layer whose classes have the same name.

    Args:
      variable: [..., len(classes) * k], of classes with several possible names each.
      value: [..., len(source_classes) * k].

    Returns:
      (assigned classes, as 'name' or 'name <- name', and the names of the others).
    """
    rows = variable.numpy().reshape(*variable.shape[:-1], len(classes), -1)
    source = value.reshape(*value.shape[:-1], len(source_classes), -1)
    assigned, missing = [], []
    for row, names in enumerate(classes):
        match = next((name for name in names if name in source_classes), None)
        if match is None:
            missing.append(names[0])
            continue
        rows[..., row, :] = source[..., source_classes.index(match), :]
        assigned.append(names[0] if names[0] == match else f"{names[0]} <- {match}")
    variable.assign(rows.reshape(variable.shape))
    return assigned, missing


def _fill(network, tensors, find, *, rows, strict, origin):
    """Fill a network's variables, and account for all of them and all tensors.

    Args:
      find: name of a variable -> (key of its tensor, None), or (None, why there is
        none).
      rows: {layer: names of the classes in its tensors}.
      strict: whether a tensor of another shape is an error.
    """
    classes, loaded, initialised = _class_names(network), {}, {}
    skipped = dict.fromkeys(tensors, "not used by the network")
    for name, variable in variables(network).items():
        key, reason = find(name)
        if key is None:
            initialised[name] = reason
            continue
        tensor, layer = tensors[key], name.split("/")[0]
        here, there = classes.get(layer, [()]), rows.get(layer, [""])
        # A head's tensor may read RGB alone: zeros for flow, so that the head begins as
        # it was.
        if name.endswith("_fc1/kernel") and (
            tuple(variable.shape)
            == (*tensor.shape[:2], 2 * tensor.shape[2], tensor.shape[3])
        ):
            variable.assign(np.concatenate([tensor, np.zeros_like(tensor)], axis=2))
            loaded[name] = f"{key} (input channels of RGB)"
            initialised[f"{name}[input channels of flow]"] = (
                "zero: the tensor reads RGB only"
            )
        elif _extent(variable.shape, here) != _extent(tensor.shape, there):
            reason = f"has shape {tuple(tensor.shape)}, not {tuple(variable.shape)}"
            if strict:
                raise InputError(
                    f"{origin}: {key} {reason} of the network's {name}; {_SIZE_FLAGS}"
                )
            initialised[name] = f"{key} {reason}"
            skipped[key] = reason
            continue
        elif layer not in rows or (here == [_ONE_SIZE] and tuple(there) == _ONE_SIZE):
            variable.assign(tensor)
            loaded[name] = key
        else:
            assigned, missing = _assign_rows(variable, np.asarray(tensor), here, there)
            if not assigned:
                initialised[name] = skipped[key] = "no class names in common"
                continue
            loaded[name] = f"{key} ({', '.join(assigned)})"
            initialised.update(
                {f"{name}[{row}]": "no class of that name" for row in missing}
            )
        skipped.pop(key, None)
    if not loaded:
        raise InputError(f"{origin}: nothing in it fits the network; use other weights")
    return LoadReport(origin, loaded, initialised, skipped)


def _extent(shape, classes):
    """A shape with the size of one class in place of the last dimension."""
    return *shape[:-1], shape[-1] / len(classes)


def load(network: Network, weights: Weights, stream: str = "rgb") -> LoadReport:
    """Fill a network from imported weights.

    The proposals' deltas are adapted to the network's anchors: each gives the box that
    it gives on the anchors that the weights were trained with.

    Args:
      network: of the weights' convention (see `run_start.resolve_config`).
      stream: 'rgb' fills the appearance backbones, the refiner's trunk, every pyramid,
        the proposal network and the actor and mask heads; 'flow' fills the motion
        backbone, and its pyramid if the file has one.

    Raises:
      InputError: the weights are for another network, a tensor is missing or has
        another shape, nothing of the file fits, or its boxes cannot be had from the
        network's anchors.
    """
    model, path = network.model_config, weights.path
    _check(model, weights, stream)
    parts = {role.split("/")[0] for role in weights.tensors}
    ratios = _ratios(model, weights) if stream == "rgb" and "rpn" in parts else []

    def find(name: str) -> tuple[str | None, str | None]:
        role = _role(name, stream)
        if role is None:
            other = _role(name, "flow" if stream == "rgb" else "rgb")
            return None, f"not part of the {stream} stream" if other else _NEW
        if role.split("/")[0] not in parts:
            return None, f"{weights.source} weights have no {role.split('/')[0]}"
        other = model.refiner_backbone if name.startswith("refiner_") else ""
        if other and (
            role not in weights.tensors or _family(other) != _family(model.backbone)
        ):
            return None, f"{weights.backbone} has no such layer"
        if role not in weights.tensors:
            raise InputError(f"{path}: missing tensor {role} for {name} of the network")
        return role, None

    rows = dict.fromkeys(("actor_deltas", "mask_logits"), weights.classes)
    rows |= dict.fromkeys(("rpn_logits", "rpn_deltas"), _ONE_SIZE)
    rows["actor_logits"] = *weights.classes, BACKGROUND
    origin = (
        f"{path}: {weights.source}, {weights.backbone}, sha256 {weights.sha256}, for"
        f" {stream}"
    )
    if any(ratio != 1 for ratio in ratios):
        theirs = weights.model_fields()["anchor_sizes"]
        origin += f"\nRPN deltas adapted: anchors {theirs} to {model.anchor_sizes}"
    report = _fill(
        network, weights.tensors, find, rows=rows, strict=True, origin=origin
    )
    _adapt_deltas(network, ratios)
    return report


def anchor_ratios(
    theirs: Sequence[float], ours: Sequence[Sequence[float]]
) -> list[float]:
    """Return their anchor / ours for each size of the proposal head; [] where it
    differs by level.

    Args:
      theirs: a size for each level; ours: ascending sizes for each level, the last of
        which use the last outputs of the head.
    """
    ratios = []
    for place in range(-max(map(len, ours)), 0):
        of_levels = [a / b[place] for a, b in zip(theirs, ours) if len(b) >= -place]
        if max(of_levels) > (1 + _ROUNDED) * min(of_levels):
            return []
        ratios.append(of_levels[0])
    return ratios


def _ratios(model, weights):
    """Return the `anchor_ratios` of weights; InputError where their deltas cannot be
    adapted.
    """
    ratios, theirs = anchor_ratios(weights.anchors, model.anchors), weights.anchors
    if not ratios:
        some = [
            ",".join(f"{size * factor:g}" for size in theirs) for factor in (1, 0.5)
        ]
        raise InputError(
            f"{weights.path}: --anchor_sizes={model.anchor_sizes} cannot decode these"
            f" weights' boxes, whose anchors are {some[0]}; use these, all times one"
            f" factor, such as {some[1]}, or two sizes on the finest levels, such as"
            f" {theirs[0] / 2:g}+{some[0]}"
        )
    return ratios


def _adapt_deltas(network, ratios):
    """Make deltas of other anchors mean the same boxes on the network's.

    With an anchor that was r times as large, dy and dx are r times as large in units of
    ours, and dh and dw, logarithms, larger by ln r. `ratios` has r for each size of the
    head, or nothing.
    """
    weights = network.proposals.coder.weights
    for name in ("kernel", "bias") if ratios else ():
        variable = variables(network)[f"rpn_deltas/{name}"]
        rows = variable.numpy().reshape(*variable.shape[:-1], len(ratios), -1, 4)
        for size, ratio in enumerate(ratios):
            rows[..., size, :, :2] *= ratio
            if name == "bias":
                rows[..., size, :, 2:] += np.multiply(weights[2:], math.log(ratio))
        variable.assign(rows.reshape(variable.shape))


def _family(backbone):
    return backbones.BACKBONES[backbone].family


def _role(name, stream):
    """The tensor that fills a variable, or None."""
    roles = _ROLES[stream].items()
    return next(
        (part + name[len(x) :] for x, part in roles if name.startswith(x)), None
    )


def _check(model, weights, stream):
    """Raise InputError if a network's flags contradict the weights."""
    norm = "flow_norm" if stream == "flow" and model.flow_norm != "same" else "norm"
    for flag, right in (("backbone", (weights.backbone,)), (norm, FROZEN)):
        if getattr(model, flag) not in right:
            raise InputError(
                f"{weights.path}: weights for --{flag}={' or '.join(right)}, but the"
                f" network has {getattr(model, flag)}; set that flag"
            )


def copy(network: Network, other: Network, origin: str) -> LoadReport:
    """Fill a network from another: variables of the same name and shape, classes by
    name.

    They may differ in labels, variant and sizes, but not in weight convention and norm.

    Raises:
      InputError: nothing fits.
    """
    tensors = variables(other)
    named = _class_names(other).items()
    rows = {layer: [names[0] for names in classes] for layer, classes in named}

    def find(name: str) -> tuple[str | None, str | None]:
        return (name, None) if name in tensors else (None, "missing there")

    return _fill(network, tensors, find, rows=rows, strict=False, origin=origin)
