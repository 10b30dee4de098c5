"""Weights from elsewhere, and the proof that they have arrived.

A file of imported weights (tools/import_weights.py) holds tensors named by their roles, in the
network's own order (see `layouts`), and the flavour that must travel with them (see `flavours`).
Loading accounts for every tensor of the file and every variable of the network, by name: loaded,
initialised, or skipped, and why. A run that is asked to start from weights starts from them or
stops.
"""

import dataclasses
import json
import os
import re

import h5py
import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE, read_dataset, write_file, write_text
from a2d_tf.model import efficientnet, flavours
from a2d_tf.model.resnet import BATCH_NORMS
from a2d_tf.pretrained import coco_classes

_FORMAT = 1
_FIELDS = ("source", "flavour", "backbone", "classes", "sha256")
# Of a stream's layers: the start of their names, and the part of the file that they are filled
# from. All pyramids start from the one that there is (paper: both streams have the same layers).
_PYRAMIDS = {"rgb_fpn_": "fpn/", "action_fpn_": "fpn/", "flow_fpn_": "fpn/"}
_ROLES = {
    "rgb": {
        "rgb_resnet_": "backbone/",
        "rgb_efficientnet_": "backbone/",
        # SharpMask's trunk starts from a classifier too.
        "refiner_resnet_": "backbone/",
        "refiner_efficientnet_": "backbone/",
        **_PYRAMIDS,
        "rpn_": "rpn/",
        "actor_": "actor/",
        "mask_": "mask/",
    },
    "flow": {"flow_resnet_": "backbone/", "flow_efficientnet_": "backbone/", "flow_fpn_": "fpn/"},
}
_SIZES = {
    "fpn_channels": "fpn/p2",
    "rpn_channels": "rpn/conv",
    "head_units": "actor/fc2",
    "mask_channels": "mask/deconv",
}
_STATISTICS = {"moving_mean": "mean", "moving_variance": "variance"}
_BACKGROUND = "background"
_ONE_SIZE = ("size 1",)  # of anchors at each level, in every published file
_SILENT = -1e4  # a logit whose probability is 0
_NEW = "no pretrained weights exist for it"


@dataclasses.dataclass(frozen=True)
class Weights:
    """Imported weights.

    Attributes:
      tensors: {role: array}.
      source: a name of `layouts.SOURCES`.
      flavour: a key of `flavours.FLAVOURS`.
      backbone: of `resnet.BLOCKS`, or `efficientnet.NAME`.
      classes: names of the classes, background not among them; empty without such layers.
      sha256: of the file that they were imported from.
      path: where they are, for messages.
    """

    tensors: dict
    source: str
    flavour: str
    backbone: str
    classes: tuple
    sha256: str
    path: str

    def model_fields(self, stream="rgb"):
        """{field of ModelConfig: value} of the network that a stream's weights fit into."""
        stem = efficientnet.STEM if self.backbone == efficientnet.NAME else 64
        fields = {
            f"{stream}_flavour": self.flavour,
            "backbone": self.backbone,
            "width_multiplier": self.tensors["backbone/stem/kernel"].shape[-1] / stem,
        }
        if stream == "rgb":
            fields.update(flavours.own_flags(self.flavour))
        for field, role in _SIZES.items():
            if f"{role}/kernel" in self.tensors:
                fields[field] = self.tensors[f"{role}/kernel"].shape[-1]
        if "mask_channels" in fields:
            layers = {role.split("/")[1] for role in self.tensors if role.startswith("mask/conv")}
            fields["mask_layers"] = len(layers)
        return fields

    def write(self, path):
        """Write the file, whole or not at all."""
        facts = {name: getattr(self, name) for name in _FIELDS}
        facts.update(format=_FORMAT, fields=dataclasses.asdict(flavours.FLAVOURS[self.flavour]))

        def fill(file):
            with h5py.File(file.name, "w") as made:
                made.attrs.update({name: json.dumps(value) for name, value in facts.items()})
                for role, tensor in self.tensors.items():
                    made.create_dataset(role, data=tensor)

        write_file(path, fill)

    @classmethod
    def read(cls, path):
        """Read the weights of a file.

        Raises:
          InputError: no such file, no file of imported weights, or one that is damaged or made by
            another version.
        """
        if not os.path.isfile(path):
            raise InputError(
                f"{path}: no such file; give coco or imagenet, or a file of tools/import_weights.py"
            )
        tensors = {}

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                tensors[name] = read_dataset(item)

        try:
            with h5py.File(path, "r") as file:
                facts = {name: json.loads(value) for name, value in file.attrs.items()}
                file.visititems(visit)
            format_version, fields = facts.pop("format"), dict(facts.pop("fields"))
            facts["classes"] = tuple(facts["classes"])
            texts = [*facts["classes"], *(facts[name] for name in facts if name != "classes")]
            if not all(isinstance(text, str) for text in texts):
                raise ValueError("a fact that is no text")
            if not all(tensor.shape for tensor in tensors.values()):
                raise ValueError("a tensor that is one number")
            if "backbone/stem/kernel" not in tensors:
                raise ValueError("no tensor backbone/stem/kernel")
            weights = cls(tensors=tensors, path=path, **facts)
        except UNREADABLE as error:
            raise InputError(
                f"{path}: no file of imported weights, or a damaged one ({error}); make one with "
                "tools/import_weights.py"
            ) from error
        if format_version != _FORMAT:
            raise InputError(f"{path}: of another version; import it again")
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        flavours.check(weights.flavour, fields, path)
        return weights


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of every variable of the network and of every tensor of the weights.

    Attributes:
      origin: where the weights are from, one line.
      loaded: {variable: tensor}.
      initialised: {variable, or variable[class], or variable[input channels]: reason}.
      skipped: {tensor: reason}.
    """

    origin: str
    loaded: dict
    initialised: dict
    skipped: dict

    def then(self, later):
        """The report of both, where `later` was loaded after this one."""
        names = [name for name in self.initialised if name in later.initialised]
        names += [name for name in self.initialised if "[" in name and name not in names]
        return Report(
            f"{self.origin}\n{later.origin}",
            {**self.loaded, **later.loaded},
            {name: self.initialised[name] for name in names},
            {**self.skipped, **later.skipped},
        )

    def summary(self):
        """A few lines: origins, counts, and the groups of layers that start anew."""
        groups = sorted({"_".join(re.split("[_/]", name)[:2]) for name in self.initialised})
        return (
            f"{self.origin}\n{len(self.loaded)} variables loaded, {len(self.initialised)} "
            f"initialised ({', '.join(groups) or 'none'}), {len(self.skipped)} tensors skipped"
        )

    def __str__(self):
        lines = [self.summary(), "", "loaded:"]
        lines += [f"  {name} <- {tensor}" for name, tensor in self.loaded.items()]
        for title in ("initialised", "skipped"):
            lines += [f"{title}:"]
            lines += [f"  {name}: {reason}" for name, reason in getattr(self, title).items()]
        return "\n".join(lines) + "\n"

    def publish(self, workdir):
        """Print the summary; write it all to `weights.txt` and to TensorBoard in the run folder."""
        print(self.summary(), flush=True)
        write_text(os.path.join(workdir, "weights.txt"), str(self))
        writer = tf.summary.create_file_writer(os.path.join(workdir, "tensorboard", "train"))
        with writer.as_default(0):
            tf.summary.text("weights", f"```\n{self}```")
        writer.close()


def variables(network):
    """{`layer/weight`: variable} of a network; gamma, beta, mean, variance go by these names."""
    named = {}
    for part in network.parts().values():
        for layer in part.layers:
            for variable in layer.weights:
                weight = variable.name.split(":")[0].split("/")[-1]
                named[f"{layer.name}/{_STATISTICS.get(weight, weight)}"] = variable
    return named


def _class_names(network):
    """{layer: its classes}, each as the names that it may go by elsewhere, its own first.

    Of the proposal head they are the sizes of its anchors, "size 1" the largest of a level.
    """
    labels, mode = network.labels, network.config.label_mode
    actors = [(actor, coco_classes.ALIASES.get(actor, actor)) for actor in labels.actors]
    classes, actions = actors, [(action,) for action in labels.actions]
    if network.config.has_action_background:
        actions.append((_BACKGROUND,))
    if mode == "cartesian":
        classes = [
            (labels.name(code), *actors[i]) for code, i in zip(labels.codes, labels.pairs[:, 0])
        ]
    if mode == "hierarchical":
        actions = [(f"{x}-{y}", y) for x in labels.actors for y in labels.actions]
    # A level's largest anchors come last; smaller ones start from the next size that is there.
    most = max(map(len, network.config.anchors))
    sizes = [tuple(f"size {i}" for i in range(rank, 0, -1)) for rank in range(most, 0, -1)]
    return {
        "rpn_logits": sizes,
        "rpn_deltas": sizes,
        "actor_logits": [*classes, (_BACKGROUND,)],
        "actor_deltas": classes,
        "mask_logits": classes,
        "action_logits": actions,
        "action_rgb_logits": actions,
        "action_flow_logits": actions,
    }


def _assign_rows(variable, value, wanted, there):
    """Fill a class layer's variable with the rows of the classes that go by the same name.

    Args:
      variable: [..., len(wanted) * k].
      value: [..., len(there) * k].
      wanted: for each class here, the names it may go by.
      there: for each class there, its name.

    Returns:
      (what was filled, as 'name' or 'name <- name', and the names of the classes that were not).
    """
    old = variable.numpy().reshape(*variable.shape[:-1], len(wanted), -1)
    new = value.reshape(*value.shape[:-1], len(there), -1)
    filled, missing = [], []
    for row, names in enumerate(wanted):
        found = next((name for name in names if name in there), None)
        if found is None:
            missing.append(names[0])
            continue
        old[..., row, :] = new[..., there.index(found), :]
        filled.append(names[0] if names[0] == found else f"{names[0]} <- {found}")
    variable.assign(old.reshape(variable.shape))
    return filled, missing


def _two_stream_kernels(config):
    """Kernels whose input channels are the RGB stream's, then as many of the flow stream."""
    if not config.use_flow or config.fusion == "late":
        return ()
    return ("actor_fc1/kernel" if config.label_mode == "cartesian" else "action_fc1/kernel",)


def _is_rgb_half(tensor, variable):
    """Whether a kernel [h, w, C, D] has the first half of a variable's [h, w, 2C, D]."""
    height, width, channels, filters = variable.shape
    return tuple(tensor.shape) == (height, width, channels // 2, filters)


def _fill(network, tensors, find, rows, strict, origin, halves=()):
    """Fill a network's variables, and account for all of them and for all tensors.

    Args:
      tensors: {key: tensor}.
      find: callable, a variable's name -> (key, None) or (None, the reason why there is none).
      rows: {layer: names of the classes in its tensors}.
      strict: whether a tensor of another shape is an error.
      origin: of the tensors, for the report.
      halves: names of kernels that read both streams, of which a tensor may be the RGB half.
    """
    wanted, loaded, initialised = _class_names(network), {}, {}
    skipped = dict.fromkeys(tensors, "the network has no use for it")
    for name, variable in variables(network).items():
        key, reason = find(name)
        if key is None:
            initialised[name] = reason
            continue
        tensor, layer = tensors[key], name.split("/")[0]
        if name in halves and _is_rgb_half(tensor, variable):
            variable.assign(np.concatenate([tensor, variable[:, :, tensor.shape[2] :]], axis=2))
            loaded[name] = f"{key} (input channels of RGB)"
            initialised[f"{name}[input channels of flow]"] = "the tensor reads RGB alone"
            skipped.pop(key, None)
            continue
        here, there = wanted.get(layer, [()]), rows.get(layer, [""])
        extents = [
            (*shape[:-1], shape[-1] / len(names))
            for shape, names in ((variable.shape, here), (tensor.shape, there))
        ]
        if extents[0] != extents[1]:
            reason = f"has shape {tuple(tensor.shape)}, not {tuple(variable.shape)}"
            if strict:
                raise InputError(
                    f"{origin}: {key} {reason} as {name} of the network; its sizes are those of "
                    "other flags: --width_multiplier, --fpn_channels, --rpn_channels, "
                    "--head_units, --mask_channels"
                )
            initialised[name] = f"{key} {reason}"
            skipped[key] = reason
            continue
        if layer not in rows or (here == [_ONE_SIZE] and tuple(there) == _ONE_SIZE):
            variable.assign(tensor)
            loaded[name] = key
        else:
            filled, missing = _assign_rows(variable, np.asarray(tensor), here, there)
            if not filled:
                initialised[name] = skipped[key] = "no class has a name that is known there"
                continue
            loaded[name] = f"{key} ({', '.join(filled)})"
            initialised.update({f"{name}[{row}]": "no class of that name" for row in missing})
        skipped.pop(key, None)
    if not loaded:
        raise InputError(f"{origin}: nothing in it fits the network; it would start without it")
    return Report(origin, loaded, initialised, skipped)


def load(network, weights, stream="rgb"):
    """Fill a network from imported weights.

    Args:
      network: a Network; its ModelConfig names the weights' flavour (see `runs.settle`).
      weights: a Weights.
      stream: 'rgb' fills the appearance backbone, the refiner's trunk, every pyramid, the proposal
        network and the heads of actors and masks; 'flow' fills the motion backbone, and its pyramid
        where the file has one.

    Returns:
      a Report.

    Raises:
      InputError: the weights are for another network, a tensor is missing or has another shape, or
        nothing of the file fits.
    """
    config, path = network.config, weights.path
    _check(config, weights, stream)
    parts = {role.split("/")[0] for role in weights.tensors}

    def find(name):
        role = _role(name, stream)
        if role is None:
            other = _role(name, "flow" if stream == "rgb" else "rgb")
            return None, f"not of the {stream} stream" if other else _NEW
        if role.split("/")[0] not in parts:
            return None, f"{weights.source} weights have no {role.split('/')[0]}"
        if role not in weights.tensors:
            raise InputError(f"{path}: no tensor {role}, which fills {name} of the network")
        return role, None

    rows = {
        "actor_logits": (*weights.classes, _BACKGROUND),
        "actor_deltas": weights.classes,
        "mask_logits": weights.classes,
        "rpn_logits": _ONE_SIZE,
        "rpn_deltas": _ONE_SIZE,
    }
    origin = f"{path}: {weights.source}, {weights.backbone}, sha256 {weights.sha256}, for {stream}"
    halves = _two_stream_kernels(config)
    return _fill(network, weights.tensors, find, rows, True, origin, halves)


def _role(name, stream):
    """The tensor that fills a variable, or None."""
    for start, part in _ROLES[stream].items():
        if name.startswith(start):
            return part + name[len(start) :]
    return None


def _check(config, weights, stream):
    """InputError where a network's flags make something else of the weights than they are."""
    for name, value in ((f"{stream}_flavour", weights.flavour), ("backbone", weights.backbone)):
        if getattr(config, name) != value:
            raise InputError(
                f"{weights.path}: weights of --{name}={value}, but the network has "
                f"{getattr(config, name)}; give that flag"
            )
    flag = "flow_norm" if stream == "flow" and config.flow_norm != "same" else "norm"
    if getattr(config, flag) not in BATCH_NORMS:
        raise InputError(
            f"{weights.path}: weights with batch norms, but the network has "
            f"--{flag}={getattr(config, flag)}; give --{flag}=frozen_bn"
        )


def copy(network, other, origin):
    """Fill a network from another of ours: what has the same name and shape, classes by name.

    The two may differ in labels, in variant and in sizes, but not in flavour and norm.

    Returns:
      a Report.

    Raises:
      InputError: nothing fits.
    """
    tensors = variables(other)
    rows = {
        layer: [names[0] for names in classes] for layer, classes in _class_names(other).items()
    }

    def find(name):
        return (name, None) if name in tensors else (None, "not there")

    # A kernel of both streams is no half of a wider one, though its shape may be that.
    halves = set(_two_stream_kernels(network.config)) - set(_two_stream_kernels(other.config))
    return _fill(network, tensors, find, rows, False, origin, halves)


def silence_twins(network):
    """Let the first of several actors that COCO calls the same speak for all of them.

    Their rows are equal: until training tells them apart, each would have half of the class's
    probability, and be found twice.
    """
    bias, seen = variables(network)["actor_logits/bias"], set()
    values = bias.numpy()
    for row, actor in enumerate(network.labels.actors):
        name = coco_classes.ALIASES.get(actor, actor)
        if name in seen:
            values[row] = _SILENT
        seen.add(name)
    bias.assign(values)
