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
from typing import Any

from a2d_tf.core import devices
from a2d_tf.core.config import Config, TrainingConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.manifest import Manifest
from a2d_tf.model import backbones
from a2d_tf.model.layers import FROZEN
from a2d_tf.model.network import Network
from a2d_tf.pretrained import cache, transfer
from a2d_tf.pretrained.load_report import LoadReport
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.runs import run_folder
from a2d_tf.runs.checkpoints import restore

logger = logging.getLogger(__name__)


def resolve_config(
    config: Config, given: Collection[str], workdir: str | None = None
) -> Config:
    """Complete the settings by the conventions of the weights that the run starts from.

    Call this after `devices.prepare`: some settings are slow on a CPU.

    A readout is switched off where the RGB backbone has none that are as they were
    loaded.

    Weights given by name are fetched if they are not in the cache; a run that resumes
    does not need them.

    Args:
      given: names of the flags that were given.
      workdir: the run folder, which may hold a run already.

    Raises:
      InputError: an unusable file, or a given flag that contradicts it.
    """
    resumes = workdir and not run_folder.is_new(workdir)
    run = (
        workdir
        if resumes
        else config.training.init_run or config.training.init_checkpoint
    )
    if workdir and not run:
        _warn_of_norms(config.model, config.training)
    slow = config.model.backbone == "efficientnet_lite0" and not devices.on_gpu()
    if slow and config.compute.precision != "float32":
        logger.warning(
            "16 bits slow EfficientNet-Lite0 on a CPU; use --precision=float32"
        )
    loaded = bool(config.training.init_rgb)
    model: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for stream in ("rgb", "flow"):
        path = (
            "" if resumes else cache.resolve(getattr(config.training, f"init_{stream}"))
        )
        if path:
            model[f"{stream}_convention"] = Weights.read(path).source
            origins[f"{stream}_convention"] = path
    if run:
        there, path = run_folder.settings(run).model, os.path.join(run, "flags.txt")
        loaded = loaded or there.readout
        origins = dict.fromkeys(("rgb_convention", "flow_convention"), path)
        model.update(
            rgb_convention=there.rgb_convention, flow_convention=there.flow_convention
        )
    convention = model.get("rgb_convention", config.model.rgb_convention)
    model.update(backbones.implied_settings(convention))
    for name, value in model.items():
        mine = getattr(config.model, name)
        if name in given and mine != value:
            origin = origins.get(name) or origins.get("rgb_convention", convention)
            raise InputError(
                f"--{name}={mine} contradicts {origin}, which needs {value}; use "
                "that, or omit the flag"
            )
    if config.model.readout and not loaded:
        logger.warning(
            "--readout=false: no --init_rgb, nor a run with a readout, to start from"
        )
        model["readout"] = False
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **model))


def without_masks(config: Config, manifest: Manifest) -> Config:
    """Switch the mask head off where no training instance has a mask, and say so.

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
    return dataclasses.replace(
        config, model=dataclasses.replace(config.model, use_mask=False)
    )


def _warn_of_norms(model, training):
    """Warn where norms are frozen but no weights bring their statistics."""
    motion_norm = model.motion_norm if model.use_flow else None
    for stream, flag, norm in (
        ("rgb", "norm", model.norm),
        ("flow", "flow_norm", motion_norm),
    ):
        if norm in FROZEN and not getattr(training, f"init_{stream}"):
            logger.warning(
                "the %s backbone has random weights, and %s freezes its initial norm"
                " statistics: load weights with --init_%s (docs/pretrained_weights.md),"
                " or use --%s=group_norm",
                *(stream, norm, stream, flag),
            )


def initialise(network: Network, config: Config) -> LoadReport | None:
    """Load the weights that the settings of a new run name; None where they are random.

    Raises:
      InputError: the weights are missing, or for another network, or none of them fits.
    """
    training, report = config.training, None
    if training.zero_shot_actor:
        _check_withheld(training)
    if training.init_run:
        run_folder.check_network(training.init_run, config, network.labels)
        path, names = restore(network, training.init_run), transfer.variables(network)
        report = LoadReport(path, {name: name for name in names}, {}, {})
    elif training.init_checkpoint:
        report = _warm_start(network, config, training.init_checkpoint)
    for stream in ("rgb", "flow"):
        path = cache.resolve(getattr(training, f"init_{stream}"))
        if path:
            loaded = transfer.load(network, Weights.read(path), stream)
            report = report.then(loaded) if report else loaded
    return report


def _check_withheld(training: TrainingConfig) -> None:
    """Raise InputError where a run starts from one that has learned what it
    withholds.
    """
    actor, run = training.zero_shot_actor, training.init_run or training.init_checkpoint
    # A run before the last may be gone: its weights are not needed.
    while run and os.path.isfile(os.path.join(run, "flags.txt")):
        there = Config.read(os.path.join(run, "flags.txt")).training
        known = LabelSpace.from_json(os.path.join(run, "labels.json")).actors
        trained = actor in known and there.train_phase in ("joint", "action")
        if trained and there.zero_shot_actor != actor:
            raise InputError(
                f"{run}: was trained on actions of '{actor}', which --zero_shot_actor"
                f" withholds; start from a run with --zero_shot_actor={actor}, or"
                " --train_phase=actor"
            )
        run = there.init_run or there.init_checkpoint


def _warm_start(network, config, run):
    """Copy what fits of another run, also of another network; return the report.

    If --flow_scale differs, the kernel that reads the flow is rescaled to make up for
    it (not for flow beyond --flow_bound).
    """
    path = os.path.join(run, "flags.txt")
    there = Config.read(path)
    fields = [
        "backbone",
        "norm",
        "rgb_convention",
        "stride_in_1x1",
        "pixel_scale",
        "roi_align",
    ]
    both_flow = config.model.use_flow and there.model.use_flow
    fields += ["flow_norm", "flow_convention", "flow_bound"] if both_flow else []
    run_folder.check_same(path, config, fields, "model")
    other = Network(there.model, LabelSpace.from_json(os.path.join(run, "labels.json")))
    origin = restore(other, run)
    for name, kernel in transfer.variables(other).items() if both_flow else ():
        if re.fullmatch(r"flow_\w+_stem/kernel", name):
            kernel.assign(kernel * (there.model.flow_scale / config.model.flow_scale))
    return transfer.copy(network, other, origin)
