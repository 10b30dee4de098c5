"""The weights that a new run starts from: public ones, or those of another run."""

from __future__ import annotations

import os
import re

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config, TrainingConfig
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.model import backbones
from a2d_tf.model.network import Network
from a2d_tf.pretrained import action_features, cache, load_report, transfer
from a2d_tf.pretrained.load_report import LoadReport
from a2d_tf.pretrained.weights_file import Weights
from a2d_tf.runs import compatibility, run_folder
from a2d_tf.runs.checkpoints import restore


def initialise(network: Network, config: Config) -> LoadReport | None:
    """Load the initial weights of a new run into its network.

    `config.training` names them: all weights of another run (`init_run`), or what fits
    of a run (`init_checkpoint`) and public weights of each stream (`init_rgb`,
    `init_flow`; paper, section 4). An action backbone gets its public weights.

    Args:
      network: the new network; its weights are assigned.
      config: the settings of the run.

    Returns:
      a report of the weights that were loaded; None if all weights are random.

    Raises:
      InputError: the weights are missing, or for another network, or none of them fits;
        or they were trained on actions that `zero_shot_actor` withholds from training.
    """
    training = config.training
    if training.zero_shot_actor:
        _check_withheld(training)
    if training.init_run:
        return _copy_all(network, config, training.init_run)
    reports = {}
    if training.init_checkpoint:
        run = training.init_checkpoint
        reports["checkpoint"] = _copy_what_fits(network, config, run)
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


def check_motion_maps(config: Config, manifest: Manifest) -> None:
    """Check that records have the motion maps that a new run's network reads.

    Maps of an action backbone must have been computed with the same weights of the
    action backbone that the run starts from.

    Args:
      config: the settings of the run.
      manifest: the manifest of the training records.

    Raises:
      InputError: the records lack the maps or have maps by other weights; or the
        weights are missing.
    """
    model = config.model
    manifest.check_motion(model.action_backbone, model.flow_histograms)
    if not model.action_backbone:
        return
    run = config.training.init_run
    if run and run_folder.read_config(run).model.action_backbone:
        sha256 = run_folder.record_facts(run)["motion"]["sha256"]
        origin = run
    else:
        weights = _action_weights(config)
        sha256 = weights.sha256
        origin = weights.path
    compatibility.check_motion_weights(
        manifest, sha256, origin, remedy="build the records again in another folder"
    )


def _action_weights(config: Config) -> Weights:
    """Return the public weights of the action backbone, from the cache."""
    backbone = backbones.ACTION_BACKBONES[config.model.action_backbone]
    return Weights.read(str(cache.get(backbone.published.name)))


def _check_withheld(training: TrainingConfig) -> None:
    """Raise InputError if weights have learned actions withheld from this training.

    These are the actions of `zero_shot_actor`. The weights have learned them if any run
    that the weights come from was trained on them.
    """
    actor = training.zero_shot_actor
    run = training.init_run or training.init_checkpoint
    # A run before the last may be gone: its weights are not needed.
    while run and os.path.isfile(run_folder.flags_path(run)):
        run_training = run_folder.read_config(run).training
        run_labels = run_folder.read_labels(run)
        trains_actions = run_training.train_phase in ("joint", "action")
        withholds = run_training.zero_shot_actor == actor
        if actor in run_labels.actors and trains_actions and not withholds:
            raise InputError(
                f"{run}: was trained on actions of '{actor}', which --zero_shot_actor"
                f" withholds; start from a run with --zero_shot_actor={actor}, or"
                " --train_phase=actor"
            )
        run = run_training.init_run or run_training.init_checkpoint


def _copy_all(network: Network, config: Config, run: str) -> LoadReport:
    """Copy all weights of a run of the same network; return the report.

    Labels that only the new network has keep the weights that it was made with.

    Raises:
      InputError: the run's network has other settings, or labels that this one lacks.
    """
    run_config = run_folder.read_config(run)
    compatibility.check_model(run, run_config, config)
    labels = run_folder.read_labels(run)
    if labels == network.labels:
        path = restore(network, run)
        loaded = {name: name for name in transfer.variables(network)}
        return LoadReport(path, loaded, {}, {})
    compatibility.check_known(
        run,
        network.labels,
        labels,
        remedy=(
            "add this to the labels of the records (a2d records --labels_of), or start"
            f" with --init_checkpoint={run}, which takes what fits"
        ),
    )
    run_network = Network(run_config.model, labels)
    origin = restore(run_network, run)
    return transfer.copy(network, run_network, origin)


def _copy_what_fits(network: Network, config: Config, run: str) -> LoadReport:
    """Copy the weights of a run that fit this network; return the report.

    If --flow_scale differs, the kernel that reads the flow is rescaled, so that the
    features stay (but for flow beyond --flow_bound).
    """
    path = run_folder.flags_path(run)
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
    compatibility.check_settings(path, run_model, config.model, names)
    labels = run_folder.read_labels(run)
    run_network = Network(run_model, labels)
    origin = restore(run_network, run)
    if both_have_flow:
        factor = run_model.flow_scale / config.model.flow_scale
        for name, kernel in transfer.variables(run_network).items():
            if re.fullmatch(r"flow_\w+_stem/kernel", name):
                kernel.assign(kernel * factor)
    return transfer.copy(network, run_network, origin)
