"""The settings of a run, completed by its initial weights and its records."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection
from typing import Any, NamedTuple

from a2d_tf.core.errors import InputError
from a2d_tf.core.machine import devices
from a2d_tf.core.settings.config import Config, ModelConfig, TrainingConfig
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.model import backbones
from a2d_tf.model.frozen_norms import FROZEN
from a2d_tf.pretrained import cache, weights_file
from a2d_tf.runs import run_folder

_LITE = "efficientnet_lite"  # begins names of backbones
logger = logging.getLogger(__name__)


def resolve_config(
    config: Config, given_flags: Collection[str], workdir: str | None = None
) -> Config:
    """Complete the settings by the conventions of the weights that the run starts from.

    A convention is how weights expect to be used, for example the normalisation of
    pixels and the variant of RoIAlign. If the RGB backbone does not start from
    pretrained weights, the readout is turned off, with a warning, and so are its motion
    maps.

    Call this after `devices.prepare`: it warns of settings that are slow on a CPU.
    Weights given by name are fetched if they are not in the cache; a run that resumes
    does not need them.

    Args:
      config: the settings of flags and flagfiles.
      given_flags: names of the flags that a user gave; only these can contradict the
        weights.
      workdir: the run folder, which may hold a run already, to be resumed; None if no
        run is made.

    Returns:
      new settings.

    Raises:
      InputError: a file of weights is unusable, or contradicts a given flag.
    """
    training = config.training
    source_run = training.init_run or training.init_checkpoint
    resumes = False
    if workdir is not None and not run_folder.is_new(workdir):
        source_run = workdir
        resumes = True
    if workdir and not source_run:
        _warn_of_norms(config.model, training)
    _warn_of_slow_precision(config)

    settings: dict[str, Any] = {}
    for name, required in _required_settings(config, source_run, resumes).items():
        configured = getattr(config.model, name)
        if name in given_flags and configured != required.value:
            raise InputError(
                f"--{name}={configured} contradicts {required.origin}, which needs"
                f" {required.value}; use that, or omit the flag"
            )
        settings[name] = required.value
    if config.model.readout and not _starts_pretrained(training, source_run):
        logger.warning(
            "--readout=false: no --init_rgb, nor a run with a readout, to start from"
        )
        # Nothing else reads motion maps.
        settings.update(readout=False, action_backbone="", flow_histograms=False)
    model = dataclasses.replace(config.model, **settings)
    return dataclasses.replace(config, model=model)


class _RequiredValue(NamedTuple):
    """The value of a setting that weights need.

    Attributes:
      value: the required value of the setting.
      origin: the file, or the name of the convention, that requires the value.
    """

    value: Any
    origin: str


def without_untrained_masks(config: Config, manifest: Manifest) -> Config:
    """Turn the mask head off, with a warning, if no training instance has a mask.

    Args:
      config: the settings of a new run.
      manifest: the manifest of its records.

    Returns:
      new settings, with `use_mask` False; `config` itself if instances have masks.

    Raises:
      InputError: no instance has a mask, but the network has a refiner, which learns
        from masks alone.
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


def _required_settings(
    config: Config, run: str, resumes: bool
) -> dict[str, _RequiredValue]:
    """Return the settings that the weights need: {name in `ModelConfig`: its value}.

    Args:
      config: the settings of flags and flagfiles.
      run: path of the run folder that the weights come from; "" for none.
      resumes: whether that run is resumed; the files of its first weights are then not
        needed.
    """
    required = {}
    if not resumes:
        for stream in ("rgb", "flow"):
            path = cache.resolve(getattr(config.training, f"init_{stream}"))
            if path:
                source = weights_file.read_source(path)
                if source not in backbones.CONVENTIONS:
                    raise InputError(
                        f"--init_{stream}={path}: weights of an action backbone; they"
                        f" are loaded with --action_backbone={source}"
                    )
                required[f"{stream}_convention"] = _RequiredValue(source, path)
    if run:
        run_model = run_folder.read_loadable_config(run).model
        flagfile = run_folder.flags_path(run)
        for name in ("rgb_convention", "flow_convention"):
            required[name] = _RequiredValue(getattr(run_model, name), flagfile)
    convention = required.get("rgb_convention")
    if convention is None:
        own_convention = config.model.rgb_convention
        convention = _RequiredValue(own_convention, own_convention)
    for name, value in backbones.implied_settings(convention.value).items():
        required[name] = _RequiredValue(value, convention.origin)
    return required


def _starts_pretrained(training: TrainingConfig, run: str) -> bool:
    """Return whether the RGB backbone begins, or began, with pretrained weights."""
    if training.init_rgb:
        return True
    return bool(run) and run_folder.read_loadable_config(run).model.readout


def _warn_of_slow_precision(config: Config) -> None:
    """Warn if 16 bits would slow a backbone that is trained on a CPU."""
    backbone = config.model.backbone
    if config.compute.precision == "float32" or devices.on_gpu():
        return
    if backbone.startswith(_LITE):
        logger.warning(
            "16 bits slow EfficientNet-Lite%s on a CPU; use --precision=float32",
            backbone[len(_LITE) :],
        )


def _warn_of_norms(model: ModelConfig, training: TrainingConfig) -> None:
    """Warn if norms are frozen but no weights bring their statistics."""
    if not training.init_rgb:
        _warn_of_norm("rgb", "norm", model.norm)
    if model.use_flow and not training.init_flow:
        _warn_of_norm("flow", "flow_norm", model.motion_norm)


def _warn_of_norm(stream: str, flag: str, norm: str) -> None:
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
