"""Checks that settings, labels and records fit a run; else they raise InputError."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

from a2d_tf.core.errors import InputError, join_names, quoted
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.settings.config import Config
from a2d_tf.data.record_folder.manifest import INPUT_SETTINGS, Manifest
from a2d_tf.runs import run_folder


def compare(
    path: str | os.PathLike,
    run_values: Mapping[str, Any],
    values: Mapping[str, Any],
    remedy: str,
) -> None:
    """Check that fields have the same values as in a run.

    Args:
      path: the file or folder that an error names: the one with the other values.
      run_values: {name of a field: its value in the run}.
      values: {name of a field: value to check}, with at least the run's fields.
      remedy: the end of the error's message, which says what to do.

    Raises:
      InputError: a field differs; the message names the first one.
    """
    for name, run_value in run_values.items():
        if values[name] != run_value:
            raise InputError(
                f"{path}: {name}={quoted(values[name])} differs from the run's"
                f" {quoted(run_value)}; {remedy}"
            )


def check_settings(
    path: str, run_section: Any, section: Any, names: Iterable[str]
) -> None:
    """Check that settings have the same values as in a run.

    Args:
      path: the path of the run's flags.txt, which an error names.
      run_section: the run's settings, a dataclass such as `Config.training`.
      section: the settings to check, of the same dataclass.
      names: the names of the settings to compare.

    Raises:
      InputError: a setting differs; the message names the first one.
    """
    run_values = {}
    values = {}
    for name in names:
        run_values[f"--{name}"] = getattr(run_section, name)
        values[f"--{name}"] = getattr(section, name)
    compare(path, run_values, values, "use that, or another run folder")


def check_model(workdir: str, run_config: Config, config: Config) -> None:
    """Check that the settings of the network are those of a run.

    Args:
      workdir: the run folder.
      run_config: the settings of the run.
      config: the settings to check.

    Raises:
      InputError: a setting of `Config.model` differs.
    """
    names = [field.name for field in dataclasses.fields(config.model)]
    path = run_folder.flags_path(workdir)
    check_settings(path, run_config.model, config.model, names)


def check_network(
    workdir: str, run_config: Config, config: Config, labels: LabelSpace
) -> None:
    """Check that the settings of the network and its labels are those of a run.

    Args:
      workdir: the run folder.
      run_config: the settings of the run.
      config: the settings to check.
      labels: the label space to check.

    Raises:
      InputError: a setting of `Config.model` or the label space differs.
    """
    check_model(workdir, run_config, config)
    path = run_folder.labels_path(workdir)
    run_labels = LabelSpace.from_json(path)
    compare(
        path,
        dataclasses.asdict(run_labels),
        dataclasses.asdict(labels),
        "use another run folder",
    )


def check_known(
    path: str | os.PathLike, labels: LabelSpace, run_labels: LabelSpace, remedy: str
) -> None:
    """Check that a label space has all labels of a run; it may have more.

    Args:
      path: the file or folder with the labels, which an error names.
      labels: the label space to check.
      run_labels: the label space of the run.
      remedy: the end of the error's message, which says what to do.

    Raises:
      InputError: a label of the run is missing.
    """
    missing = labels.unknown_in(run_labels)
    if missing:
        raise InputError(f"{path}: lacks the run's {join_names(missing)}; {remedy}")


def check_made_alike(facts: Mapping[str, Any], manifest: Manifest) -> None:
    """Check that records were made in the same way as those of a network's training.

    Args:
      facts: {"flow_method", "image_height", "image_width", "clip_stride": value in the
        records that the network learned from}; further fields do not matter.
      manifest: the manifest of the records to check.

    Raises:
      InputError: one of these values differs.
    """
    compare(
        manifest.directory,
        {name: facts[name] for name in INPUT_SETTINGS},
        vars(manifest),
        "rebuild the records with that",
    )


def check_motion_weights(
    manifest: Manifest, sha256: str, origin: str, remedy: str
) -> None:
    """Check that the motion maps of records come from a network's own weights.

    Motion maps are features of the motion around key frames, which an action backbone
    such as I3D computes; records store them.

    Args:
      manifest: the manifest of records with such maps.
      sha256: the digest of the weights of the network's action backbone.
      origin: the run or file with these weights, which an error names.
      remedy: the end of the error's message, which says what to do.

    Raises:
      InputError: the maps were computed with other weights.
    """
    motion = manifest.motion
    assert motion is not None
    if motion.sha256 != sha256:
        raise InputError(
            f"{manifest.directory}: motion maps by other weights of"
            f" {motion.action_backbone} than those of {origin}; {remedy}"
        )
