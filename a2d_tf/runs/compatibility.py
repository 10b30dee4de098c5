"""Checks that settings, labels and records are those of a run, with one clear error."""

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
    """Check that values are those of a run.

    Args:
      path: of what holds the differing value, for the message.
      run_values: {field: its value in the run}.
      values: {field: value}, with at least the run's fields.
      remedy: end of the message.

    Raises:
      InputError: the first field that differs.
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
    """Check that settings are those of a run.

    Args:
      path: of the run's flags.txt, for the message.
      run_section, section: the run's settings, and those to check: dataclasses such as
        `Config.training`.
      names: of the settings that are compared.

    Raises:
      InputError: the first setting that differs.
    """
    run_values = {}
    values = {}
    for name in names:
        run_values[f"--{name}"] = getattr(run_section, name)
        values[f"--{name}"] = getattr(section, name)
    compare(path, run_values, values, "use that, or another run folder")


def check_model(workdir: str, run_config: Config, config: Config) -> None:
    """Raise InputError unless a run's network has these settings.

    Args:
      run_config: the settings of the run.
    """
    names = [field.name for field in dataclasses.fields(config.model)]
    path = run_folder.flags_path(workdir)
    check_settings(path, run_config.model, config.model, names)


def check_network(
    workdir: str, run_config: Config, config: Config, labels: LabelSpace
) -> None:
    """Raise InputError unless a run's network has these settings and labels.

    Args:
      run_config: the settings of the run.
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
    """Check that labels are those of a run, or more.

    Args:
      path: of what has the labels, for the message.
      remedy: end of the message.

    Raises:
      InputError: a label of the run is missing.
    """
    missing = labels.unknown_in(run_labels)
    if missing:
        raise InputError(f"{path}: lacks the run's {join_names(missing)}; {remedy}")


def check_made_alike(facts: Mapping[str, Any], manifest: Manifest) -> None:
    """Raise InputError unless records are made as those that a network learned from."""
    compare(
        manifest.directory,
        {name: facts[name] for name in INPUT_SETTINGS},
        vars(manifest),
        "rebuild the records with that",
    )


def check_motion_weights(
    manifest: Manifest, sha256: str, origin: str, remedy: str
) -> None:
    """Raise InputError unless motion maps are by the weights that a network has.

    Args:
      manifest: of records with maps of an action backbone.
      sha256: of the weights of the network's action backbone.
      origin: what has these weights, for the message.
      remedy: end of the message.
    """
    motion = manifest.motion
    assert motion is not None
    if motion.sha256 != sha256:
        raise InputError(
            f"{manifest.directory}: motion maps by other weights of"
            f" {motion.action_backbone} than those of {origin}; {remedy}"
        )
