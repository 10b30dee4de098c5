"""The flags of the trainings of a reproduction, and the settings that they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.paper import table_rows

_NO_SETTINGS = ("--pictures", "--device", "--debug", "--nodebug")
"""Flags of `a2d train` that are no settings."""
_COMPLETED = (
    "rgb_convention",
    "flow_convention",
    "stride_in_1x1",
    "roi_align",
    "pixel_scale",
    "readout",
    "use_mask",
)
"""Settings that a training completes when it starts, by its weights and its records."""
_READ_MAPS = ("action_backbone", "flow_histograms")
"""Settings of the motion maps that a readout reads."""


def flags_of_row(flags: Sequence[str], row: str) -> list[str]:
    """Select the flags of a row: flags for every training, then the row's own.

    Args:
      flags: flags for every training ('--steps=9') or one row ('no_joint:--steps=4').
      row: the name of the row.

    Raises:
      InputError: a flag is for a row that does not exist.
    """
    common = []
    specific = []
    for flag in flags:
        flag_row, colon, rest = flag.partition(":--")
        if flag.startswith("--"):
            common.append(flag)
        elif not colon or flag_row not in table_rows.names():
            raise InputError(
                f"--train={flag}: use a flag, e.g. --steps=900, or a run and its"
                " flag, e.g. no_joint:--steps=450, with one of"
                f" {', '.join(table_rows.order())}"
            )
        elif flag_row == row:
            specific.append(f"--{rest}")
    return common + specific


def config_of(words: Sequence[str]) -> Config:
    """Return the settings that flags of `a2d train` make."""
    return Config.parse([word for word in words if not word.startswith(_NO_SETTINGS)])


def are_those_of(written: Config, wanted: Config) -> bool:
    """Return whether a training with the wanted settings writes the written ones.

    Only settings of the training and the model count. Initial weights (`init_*`), and
    settings that a training completes by its weights and records, are not compared. A
    training that turns off the readout turns off its motion maps, too.

    Args:
      written: the settings in the run folder of a training.
      wanted: the settings that the flags of a training make.
    """
    completed = list(_COMPLETED)
    if wanted.model.readout and not written.model.readout:
        completed += _READ_MAPS
    return _settings(written, completed) == _settings(wanted, completed)


def _settings(config: Config, completed: Iterable[str]) -> dict[str, Any]:
    """Return the settings of a training, without those that it completes."""
    settings = {**vars(config.training), **vars(config.model)}
    for name in vars(config.training):
        if name.startswith("init_"):
            settings[name] = None
    settings.update(dict.fromkeys(completed))
    return settings
