"""The start of a run: complete its settings, load its weights.

A new run has random weights, those of imported files or those of another run; a run
that resumes has its own.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Collection
from typing import Any, NamedTuple

from a2d_tf.core import devices
from a2d_tf.core.config import Config, TrainingConfig
from a2d_tf.core.errors import InputError
from a2d_tf.data.manifest import Manifest
from a2d_tf.model import backbones
from a2d_tf.model.frozen_norms import FROZEN
from a2d_tf.model.network import Network
from a2d_tf.pretrained import (
    action_features,
    cache,
    load_report,
    transfer,
    weights_file,
)
from a2d_tf.pretrained.load_report import LoadReport
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.runs import run_checks, run_files, run_folder
from a2d_tf.runs.checkpoints import restore

logger = logging.getLogger(__name__)


def resolve_config(
    config: Config, given: Collection[str], workdir: str | None = None
) -> Config:
    """Complete the settings by the conventions of the weights that the run starts from.

    `readout`, and the motion maps that it would read, are turned off if the RGB
    backbone did not start from pretrained weights.

    Call this after `devices.prepare`: some settings are slow on a CPU. Weights given by
    name are fetched if they are not in the cache; a run that resumes does not need
    them.

    Args:
      given: names of the flags that were given.
      workdir: the run folder, which may hold a run already.

    Raises:
      InputError: an unusable file, or a given flag that contradicts it.
    """
    training = config.training
    resumes = workdir is not None and not run_folder.is_new(workdir)
    run = training.init_run or training.init_checkpoint
    if workdir is not None and resumes:
        run = workdir
    if workdir and not run:
        _warn_of_norms(config.model, training)
    _warn_of_slow_precision(config)

    settings: dict[str, Any] = {}
    for name, required in _required_settings(config, run, resumes).items():
        configured = getattr(config.model, name)
        if name in given and configured != required.value:
            raise InputError(
                f"--{name}={configured} contradicts {required.origin}, which needs"
                f" {required.value}; use that, or omit the flag"
            )
        settings[name] = required.value
    if config.model.readout and not _starts_pretrained(training, run):
        logger.warning(
            "--readout=false: no --init_rgb, nor a run with a readout, to start from"
        )
        # Nothing else reads motion maps.
        settings.update(readout=False, action_backbone="", flow_histograms=False)
    model = dataclasses.replace(config.model, **settings)
    return dataclasses.replace(config, model=model)


class _Required(NamedTuple):
    """The value of a setting that weights need.

    Attributes:
      value: of the setting.
      origin: what says so: a file, or the name of a convention.
    """

    value: Any
    origin: str


def _required_settings(config: Config, run: str, resumes: bool) -> dict[str, _Required]:
    """Return the settings that the weights need: {name in `ModelConfig`: its value}.

    Args:
      run: the run folder that the weights are from, or "".
      resumes: whether that run goes on, whatever files its first weights were from.
    """
    required = {}
    if not resumes:
        for stream in ("rgb", "flow"):
            path = cache.resolve(getattr(config.training, f"init_{stream}"))
            if path:
                convention = weights_file.read_source(path)
                if convention not in backbones.CONVENTIONS:
                    raise InputError(
                        f"--init_{stream}={path}: weights of an action backbone; they"
                        f" are loaded with --action_backbone={convention}"
                    )
                required[f"{stream}_convention"] = _Required(convention, path)
    if run:
        run_model = run_folder.settings(run).model
        flagfile = run_files.flags_path(run)
        for name in ("rgb_convention", "flow_convention"):
            required[name] = _Required(getattr(run_model, name), flagfile)
    own = config.model.rgb_convention
    of_rgb = required.get("rgb_convention", _Required(own, own))
    for name, value in backbones.implied_settings(of_rgb.value).items():
        required[name] = _Required(value, of_rgb.origin)
    return required


def _starts_pretrained(training: TrainingConfig, run: str) -> bool:
    """Return whether the RGB backbone begins, or began, with pretrained weights."""
    if training.init_rgb:
        return True
    return bool(run) and run_folder.settings(run).model.readout


def _warn_of_slow_precision(config):
    """Warn if 16 bits would slow a backbone that is trained on a CPU."""
    name, _, number = config.model.backbone.partition("_lite")
    slow = name == "efficientnet" and not devices.on_gpu()
    if slow and config.compute.precision != "float32":
        logger.warning(
            "16 bits slow EfficientNet-Lite%s on a CPU; use --precision=float32", number
        )


def without_masks(config: Config, manifest: Manifest) -> Config:
    """Turn the mask head off if no training instance has a mask, and warn of it.

    Raises:
      InputError: the network has a refiner, which learns from masks alone.
    """
    if manifest.trains_masks:
        return config
    if config.model.use_refiner:
        raise InputError(
            f"--use_refiner: no training instance of {manifest.directory} has a mask"
        )
    if config.model.use_mask:
        logger.warning(
            "no training instance has a mask: --use_mask=false, no mask head is trained"
        )
    model = dataclasses.replace(config.model, use_mask=False)
    return dataclasses.replace(config, model=model)


def _warn_of_norms(model, training):
    """Warn if norms are frozen but no weights bring their statistics."""
    if not training.init_rgb:
        _warn_of_norm("rgb", "norm", model.norm)
    if model.use_flow and not training.init_flow:
        _warn_of_norm("flow", "flow_norm", model.motion_norm)


def _warn_of_norm(stream, flag, norm):
    if norm in FROZEN:
        logger.warning(
            "the %s backbone has random weights, and %s freezes its initial norm"
            " statistics: load weights with --init_%s (docs/pretrained_weights.md),"
            " or use --%s=group_norm",
            stream,
            norm,
            stream,
            flag,
        )


def initialise(network: Network, config: Config) -> LoadReport | None:
    """Load the weights that the settings of a new run name.

    Returns:
      what was loaded; None if all weights are random.

    Raises:
      InputError: the weights are missing, or for another network, or none of them fits.
    """
    training = config.training
    if training.zero_shot_actor:
        _check_withheld(training)
    if training.init_run:
        run = training.init_run
        run_config = run_files.read_config(run)
        run_checks.check_network(run, run_config, config, network.labels)
        path = restore(network, run)
        loaded = {name: name for name in transfer.variables(network)}
        return LoadReport(path, loaded, {}, {})
    reports = {}
    if training.init_checkpoint:
        run = training.init_checkpoint
        reports["checkpoint"] = _warm_start(network, config, run)
    for stream in ("rgb", "flow"):
        path = cache.resolve(getattr(training, f"init_{stream}"))
        if path:
            reports[stream] = transfer.load(network, Weights.read(path), stream)
    if network.action_backbone is not None:
        weights = _action_weights(config)
        reports["actions"] = action_features.load(network.action_backbone, weights)
    if not reports:
        return None
    return load_report.join(reports)


def check_motion(config: Config, manifest: Manifest) -> None:
    """Check that records have the motion maps that a new run reads.

    Those of an action backbone must be by the weights that the run starts from.

    Raises:
      InputError: they have not; or the weights are missing.
    """
    model = config.model
    manifest.check_motion(model.action_backbone, model.flow_histograms)
    if not model.action_backbone:
        return
    assert manifest.motion is not None
    run = config.training.init_run
    if run and run_files.read_config(run).model.action_backbone:
        sha256 = run_folder.record_facts(run)["motion"]["sha256"]
        origin = run
    else:
        weights = _action_weights(config)
        sha256 = weights.sha256
        origin = weights.path
    if manifest.motion.sha256 != sha256:
        raise InputError(
            f"{manifest.directory}: motion maps by other weights of"
            f" {model.action_backbone} than those of {origin}; build the records again"
            " in another folder"
        )


def _action_weights(config):
    """Return the public weights of the action backbone, of the cache."""
    backbone = backbones.ACTION_BACKBONES[config.model.action_backbone]
    return Weights.read(str(cache.get(backbone.published.name)))


def _check_withheld(training: TrainingConfig) -> None:
    """Raise InputError if weights have learned the actions that zero-shot withholds.

    They have if a run before this one was trained on actions of that actor.
    """
    actor = training.zero_shot_actor
    run = training.init_run or training.init_checkpoint
    # A run before the last may be gone: its weights are not needed.
    while run and os.path.isfile(run_files.flags_path(run)):
        run_training = run_files.read_config(run).training
        run_labels = run_files.read_labels(run)
        trains_actions = run_training.train_phase in ("joint", "action")
        withholds = run_training.zero_shot_actor == actor
        if actor in run_labels.actors and trains_actions and not withholds:
            raise InputError(
                f"{run}: was trained on actions of '{actor}', which --zero_shot_actor"
                f" withholds; start from a run with --zero_shot_actor={actor}, or"
                " --train_phase=actor"
            )
        run = run_training.init_run or run_training.init_checkpoint


def _warm_start(network, config, run):
    """Copy what fits of another run, also of another network; return the report.

    If --flow_scale differs, the kernel that reads the flow is rescaled to make up for
    it (not for flow beyond --flow_bound).
    """
    path = run_files.flags_path(run)
    run_model = Config.read(path).model
    both_have_flow = config.model.use_flow and run_model.use_flow
    names = [
        "backbone",
        "norm",
        "rgb_convention",
        "stride_in_1x1",
        "pixel_scale",
        "roi_align",
    ]
    if both_have_flow:
        names += ["flow_norm", "flow_convention", "flow_bound"]
    run_checks.check_settings(path, run_model, config.model, names)
    labels = run_files.read_labels(run)
    run_network = Network(run_model, labels)
    origin = restore(run_network, run)
    if both_have_flow:
        factor = run_model.flow_scale / config.model.flow_scale
        for name, kernel in transfer.variables(run_network).items():
            if re.fullmatch(r"flow_\w+_stem/kernel", name):
                kernel.assign(kernel * factor)
    return transfer.copy(network, run_network, origin)
