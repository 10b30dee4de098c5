"""Pack the network of a run into a small folder, for `a2d export --pack`.

The docstring of `run_folder` lists the files of such a packed model. `loading` loads
it, and `packed` finds it by its name or path.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core import files, folders
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.pretrained import notices, transfer
from a2d_tf.runs import (
    chosen_threshold,
    creation,
    held_out_file,
    loading,
    packed,
    run_folder,
    scores,
)


class PackedModel(NamedTuple):
    """The size of a packed model.

    Attributes:
      parameters: the number of its weights.
      bytes: the size of its folder in bytes.
    """

    parameters: int
    bytes: int


def pack(workdir: str, output: str, kind: str = "last", notes: str = "") -> PackedModel:
    """Write a run as a packed model, with its weights as float16.

    The scores of the test split (`metrics.json`) and of held-out videos
    (`held_out.json`) are copied if they are those of the newest weights, and these are
    packed.

    Args:
      workdir: the run folder.
      output: the folder to write, whole or not at all; an older packed model there is
        replaced.
      kind: which checkpoint to pack: "last", or "best" for that of the best validation.
      notes: the text of its `card.md`.

    Raises:
      InputError: there is no run; a weight is too large for float16; something else is
        at `output`; or it cannot be written.
    """
    folders.check_output_folder(
        output, [packed.WEIGHTS, run_folder.FLAGS, run_folder.LABELS], "a packed model"
    )
    run = loading.load(workdir, kind=kind)
    weights = {}
    for name, variable in transfer.variables(run.network).items():
        weights[name] = _halve(name, variable.numpy())
    config = _without_start(run_folder.read_config(workdir))
    with folders.whole_folder(output) as folder:
        config.write(run_folder.flags_path(folder))
        for name in (run_folder.LABELS, run_folder.RECORDS):
            shutil.copyfile(os.path.join(workdir, name), os.path.join(folder, name))
        files.write_json(
            os.path.join(folder, chosen_threshold.FILE),
            {"score_threshold": run.config.inference.score_threshold},
        )
        files.write_file(
            os.path.join(folder, packed.WEIGHTS),
            lambda file: np.savez_compressed(file, **weights),
        )
        if kind == "last":
            _copy_current_scores(workdir, folder)
        if run.held_out is not None:
            held_out_file.write(folder, run.held_out)
        files.write_text(os.path.join(folder, "card.md"), notes)
        notices.write(folder, config.model.action_backbone)
        size = sum(entry.stat().st_size for entry in os.scandir(folder))
    parameters = sum(values.size for values in weights.values())
    return PackedModel(parameters, size)


def _halve(name: str, values: np.ndarray) -> np.ndarray:
    """Return a variable's values as float16."""
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    if not np.isfinite(halves).all():
        raise InputError(
            f"{name}: {np.abs(values).max():g} exceeds float16; it cannot be packed"
        )
    return halves


def _without_start(config: Config) -> Config:
    """Return settings without the paths of the weights that the run started from.

    The phase becomes the joint one, because others need the path of their first run.
    """
    without_paths: dict[str, Any] = dict.fromkeys(creation.STARTS, "")
    training = dataclasses.replace(
        config.training, **without_paths, train_phase="joint", backbone_rate=1.0
    )
    return dataclasses.replace(config, training=training)


def _copy_current_scores(workdir: str, folder: str) -> None:
    """Copy the scores of a run's test split, if the run is still the same."""
    scores_folder = scores.folder_of(workdir)
    records = run_folder.record_facts(workdir)["source"]
    if scores.are_current(workdir, scores_folder, records):
        shutil.copy(os.path.join(scores_folder, scores.METRICS), folder)
