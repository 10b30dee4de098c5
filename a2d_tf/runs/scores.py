"""Folders of scores of a run: what scores were computed from, and whether they hold.

The module does without TensorFlow: the commands that start trainings leave that to
their processes.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

from a2d_tf.core.checked_json import load_json
from a2d_tf.core.files import file_digest
from a2d_tf.core.settings.config import Config
from a2d_tf.runs import chosen_threshold, run_folder

METRICS = "metrics.json"
"""In a folder of scores: all figures."""
TRUTH = "truth.json"
"""In a folder of scores: the true instances, as COCO JSON."""
ORIGIN = "origin.json"
"""In a folder of scores: what the scores were computed from, see `origin`."""
TEST = "test"
"""The name of the split whose scores are a run's result."""


def folder_of(run: str | os.PathLike, split: str = TEST) -> pathlib.Path:
    """Return the folder of a run's scores on a split, `evaluation/<split>`.

    Args:
      run: the run folder.
      split: "train", "val" or "test".
    """
    return pathlib.Path(run, "evaluation", split)


def origin(checkpoint: str, config: Config, records: str) -> dict[str, Any]:
    """Return what scores are computed from, as the contents of `origin.json`.

    Args:
      checkpoint: the path of the weights without suffix.
      config: the settings of the run; `score_threshold` is the threshold in use, not a
        negative number.
      records: the digest of what the records were made of, `Manifest.source`.

    Returns:
      {"weights": the digest of the checkpoint's index, which holds the checksums of the
      weights, None without an index; "settings": {name: value} of network, inference
      and computing; "records": the argument}.
    """
    index = f"{checkpoint}.index"
    weights = None
    if os.path.isfile(index):
        weights = file_digest(index)
    sections = dataclasses.asdict(config)
    return {
        "weights": weights,
        "settings": {
            **sections["model"],
            **sections["inference"],
            **sections["compute"],
        },
        "records": records,
    }


def are_current(
    workdir: str | os.PathLike, folder: str | os.PathLike, records: str
) -> bool:
    """Return whether stored scores are those of a run as it is now.

    They are if they were computed with the run's newest weights and its own settings,
    on the same records. If the weights of a finished run were deleted, they need not be
    compared.

    Args:
      workdir: the run folder.
      folder: the folder of the scores.
      records: the digest of what the records are made of, `Manifest.source`.

    Raises:
      InputError: a file is damaged.
    """
    origin_path = os.path.join(folder, ORIGIN)
    if not os.path.isfile(origin_path):
        return False
    if not os.path.isfile(os.path.join(folder, METRICS)):
        return False
    stored_origin = load_json(
        origin_path, {"weights": (str, None)}, "delete it and run again"
    )
    config = run_folder.read_config(workdir)
    if config.inference.score_threshold < 0:
        config = config.with_settings(score_threshold=chosen_threshold.read(workdir))
    folder_of_weights = run_folder.checkpoint_folder(workdir)
    steps = run_folder.checkpoint_steps(folder_of_weights)
    newest = os.path.join(folder_of_weights, f"ckpt-{max(steps, default=0)}")
    run_origin = origin(newest, config, records)
    compared = ["settings", "records"]
    weights_were_deleted = not steps and os.path.isfile(
        os.path.join(workdir, run_folder.FINISHED)
    )
    if not weights_were_deleted:
        compared.append("weights")
    return all(stored_origin.get(name) == run_origin[name] for name in compared)
