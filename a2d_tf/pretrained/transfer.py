"""Load weights into a network, from a file or from another network.

Layers with a row for each class are filled class by class: classes of the same name
match. Layers that read features of RGB alone also fit a network that reads flow, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.model.frozen_norms import FROZEN
from a2d_tf.model.heads.actor import BACKGROUND
from a2d_tf.model.network import Network
from a2d_tf.pretrained import anchor_deltas
from a2d_tf.pretrained.class_rows import ONE_SIZE, ClassRows, class_names
from a2d_tf.pretrained.load_report import LoadReport
from a2d_tf.pretrained.named_variables import variables_of
from a2d_tf.pretrained.stream_roles import Match, match_variables
from a2d_tf.pretrained.weights_file import Weights

_SIZE_FLAGS = (
    "match it with --width_multiplier, --fpn_channels, --rpn_channels, "
    "--head_units, --mask_channels"
)


def variables(network: Network) -> dict[str, tf.Variable]:
    """Return all variables of a network by the names that files of weights use.

    A norm has the weights gamma, beta, mean and variance.

    Args:
      network: the network.

    Returns:
      {`layer/weight`: variable}, such as rgb_fpn_p2/kernel.
    """
    named = {}
    for part in network.parts().values():
        named.update(variables_of(part))
    return named


def load(network: Network, weights: Weights, stream: str = "rgb") -> LoadReport:
    """Load imported weights into a stream of a network, and report on all of them.

    Layers with a row of weights for each class are filled class by class, by name. If
    the weights were trained with other anchors, the layer that predicts the proposals'
    deltas is adapted to the network's anchors.

    Args:
      network: a network with the weights' convention; `run_settings.resolve_config`
        takes it over. Its variables are assigned.
      weights: the imported weights.
      stream: 'rgb' fills the appearance backbones, the refiner's backbone, every
        pyramid, the proposal network, the actor head and the mask head; 'flow' fills
        the motion backbone, and its pyramid if the weights have one.

    Returns:
      the report, which names every variable of the network and every tensor.

    Raises:
      InputError: the weights are for another backbone or norm, a tensor is missing or
        has another shape than its variable, no tensor fits, or the deltas cannot be
        adapted to the network's anchors.
    """
    model = network.model_config
    _check_settings(model, weights, stream)
    origin = (
        f"{weights.path}: {weights.source}, {weights.backbone}, sha256"
        f" {weights.sha256}, for {stream}"
    )
    anchor_ratios = []
    if stream == "rgb" and "rpn" in weights.parts:
        anchor_ratios = anchor_deltas.checked_ratios(model, weights)
    if any(ratio != 1 for ratio in anchor_ratios):
        trained_anchors = weights.model_fields()["anchor_sizes"]
        origin += (
            f"\nRPN deltas adapted: anchors {trained_anchors} to {model.anchor_sizes}"
        )
    source = _TensorSource(
        origin=origin,
        tensors=weights.tensors,
        classes={
            "rpn_logits": ONE_SIZE,  # as every published file has
            "rpn_deltas": ONE_SIZE,
            "actor_logits": (*weights.classes, BACKGROUND),
            "actor_deltas": weights.classes,
            "mask_logits": weights.classes,
        },
        matches=match_variables(variables(network), model, weights, stream),
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
    """Copy the variables of another network that have the same name and shape.

    Layers with a row for each class are copied class by class. The networks may differ
    in labels, variant and sizes, but not in weight convention and norm.

    Args:
      network: the network that is filled.
      other: the network whose variables are copied.
      origin: where the other network comes from, such as its run folder, for the
        report.

    Returns:
      the report, which names every variable of both networks.

    Raises:
      InputError: no variable fits.
    """
    tensors = variables(other)
    other_classes = {}
    for layer, classes in class_names(other).items():
        other_classes[layer] = [names[0] for names in classes]

    matches = {}
    for name in variables(network):
        if name in tensors:
            matches[name] = Match(tensor=name)
        else:
            matches[name] = Match(reason="missing there")
    source = _TensorSource(
        origin=origin,
        tensors=tensors,
        classes=other_classes,
        matches=matches,
        is_strict=False,
    )
    return _fill(network, source)


def _check_settings(model: ModelConfig, weights: Weights, stream: str) -> None:
    """Raise InputError if a network has another backbone or norm than the weights."""
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


@dataclasses.dataclass(frozen=True)
class _TensorSource:
    """Tensors that fill a network.

    Attributes:
      origin: where the tensors come from, for the report and for messages.
      tensors: {name of the tensor: array or variable}.
      classes: {layer with a row for each class: names of the classes in its tensors}.
      matches: {name of a variable: the tensor that fills it}.
      is_strict: whether a tensor of another shape than its variable is an error.
    """

    origin: str
    tensors: Mapping[str, np.ndarray | tf.Variable]
    classes: Mapping[str, Sequence[str]]
    matches: Mapping[str, Match]
    is_strict: bool


def _fill(network: Network, source: _TensorSource) -> LoadReport:
    """Fill a network's variables and report on all of them and on all tensors.

    Raises:
      InputError: no tensor fits, or a tensor of a strict source has another shape than
        its variable.
    """
    filler = _VariableFiller(network, source)
    for name, variable in variables(network).items():
        match = source.matches[name]
        if match.tensor is None:
            filler.report.initialised[name] = match.reason
        else:
            filler.fill(name, variable, match.tensor)
    if not filler.report.loaded:
        raise InputError(
            f"{source.origin}: nothing in it fits the network; use other weights"
        )
    return filler.report


class _VariableFiller:
    """Fills the variables of a network, one after the other, and keeps the report.

    Attributes:
      report: the report on the variables so far. Tensors that were not yet used count
        as skipped.
    """

    def __init__(self, network: Network, source: _TensorSource) -> None:
        self._source = source
        self._classes = class_names(network)
        self._input_kernels = _input_kernels(network)
        skipped = dict.fromkeys(source.tensors, "not used by the network")
        self.report = LoadReport(source.origin, {}, {}, skipped)

    def fill(self, name: str, variable: tf.Variable, key: str) -> None:
        """Fill a variable with a tensor, or with the part of it that fits.

        Args:
          name: the variable's name.
          variable: the variable.
          key: name of the tensor in the source.
        """
        tensor = self._source.tensors[key]
        layer = name.split("/")[0]
        if name in self._input_kernels and _reads_rgb_alone(tensor, variable):
            # With zeros for flow, the head computes at first what it did before.
            variable.assign(np.concatenate([tensor, np.zeros_like(tensor)], axis=2))
            self._report_loaded(name, key, part="input channels of RGB")
            self.report.initialised[f"{name}[input channels of flow]"] = (
                "zero: the tensor reads RGB only"
            )
        elif layer in self._source.classes:
            rows = ClassRows.pair(self._classes[layer], self._source.classes[layer])
            self._fill_rows(name, variable, key, rows)
        elif tuple(variable.shape) == tuple(tensor.shape):
            variable.assign(tensor)
            self._report_loaded(name, key)
        else:
            self._report_misfit(name, variable, key)

    def _fill_rows(
        self, name: str, variable: tf.Variable, key: str, rows: ClassRows
    ) -> None:
        """Fill the rows of those classes that the tensor also has."""
        tensor = self._source.tensors[key]
        if not rows.fit(variable, tensor):
            self._report_misfit(name, variable, key)
            return
        if not rows.sources:
            self.report.initialised[name] = "no class names in common"
            self.report.skipped[key] = "no class names in common"
            return
        rows.assign(variable, tensor)
        self._report_loaded(name, key, part=rows.summary())
        for class_name in rows.missing:
            self.report.initialised[f"{name}[{class_name}]"] = "no class of that name"

    def _report_loaded(self, name: str, key: str, part: str = "") -> None:
        """Report that a tensor, or a part of it, fills a variable."""
        self.report.loaded[name] = f"{key} ({part})" if part else key
        # The default: a tensor may fill several variables.
        self.report.skipped.pop(key, None)

    def _report_misfit(self, name: str, variable: tf.Variable, key: str) -> None:
        """Report that a tensor has another shape than its variable.

        Raises:
          InputError: the source is strict.
        """
        shape = tuple(self._source.tensors[key].shape)
        problem = f"has shape {shape}, not {tuple(variable.shape)}"
        if self._source.is_strict:
            raise InputError(
                f"{self._source.origin}: {key} {problem} of the network's {name};"
                f" {_SIZE_FLAGS}"
            )
        self.report.initialised[name] = f"{key} {problem}"
        self.report.skipped[key] = problem


def _input_kernels(network: Network) -> set[str]:
    """Return the names of the kernels that read features of RGB, or of RGB and flow."""
    kernels = set()
    for head in network.heads:
        for layer in head.input_layers():
            kernels.add(f"{layer}/kernel")
    return kernels


def _reads_rgb_alone(tensor: np.ndarray | tf.Variable, kernel: tf.Variable) -> bool:
    """Return whether a tensor has half the input channels of a kernel: those of RGB."""
    height, width, channels, filters = tensor.shape
    return tuple(kernel.shape) == (height, width, 2 * channels, filters)
