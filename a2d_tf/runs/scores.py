"""What the scores of a run were computed from, and whether the run is still the same.

Without TensorFlow: the commands that start trainings leave that to their processes.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
from typing import Any

from a2d_tf.core.checked_json import load_json, number
from a2d_tf.core.config import Config
from a2d_tf.core.files import file_digest

ORIGIN = "origin.json"
"""In a folder of scores: the `origin` of its `metrics.json`."""
DEFAULT_THRESHOLD = 0.7
"""The authors' choice of p(actor), for a run without a validation split."""
CHOSEN = {"score_threshold": number(0, 1)}
"""Kind of a JSON file with the threshold that a validation has chosen."""

CHECKPOINTS = {"last": "checkpoints", "best": "best"}
"""Which checkpoints of a run, and their folders."""

TEST = "test"
"""The split whose scores are a run's result."""

logger = logging.getLogger(__name__)


def steps_in(folder: str | os.PathLike) -> list[int]:
    """Return the steps of the checkpoints in a folder, whole or not, in order.

    A user's copy under a name of its own, such as ckpt-best, is none of them.
    """
    steps = []
    for path in pathlib.Path(folder).glob("ckpt-*.index"):
        step = path.stem.removeprefix("ckpt-")
        if step.isdecimal():
            steps.append(int(step))
    return sorted(steps)


def folder_of(run: str | os.PathLike, split: str = TEST) -> pathlib.Path:
    """Return the folder of a run's scores of a split."""
    return pathlib.Path(run, "evaluation", split)


def origin(checkpoint: str, config: Config, records: str) -> dict[str, Any]:
    """Return what scores are computed from: weights, settings and records.

    Args:
      checkpoint: path of the weights; its index holds their checksums.
      config: with the resolved score_threshold.
      records: `source` of their manifest.
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
    """Return whether scores are those of a run as it is now, and of these records.

    The scores are of the run's newest weights and its own settings then. A finished run
    whose weights were deleted is still the same.

    Args:
      workdir: the run folder.
      folder: of the scores.
      records: `source` of the manifest.

    Raises:
      InputError: a damaged file.
    """
    origin_path = os.path.join(folder, ORIGIN)
    if not os.path.isfile(origin_path):
        return False
    if not os.path.isfile(os.path.join(folder, "metrics.json")):
        return False
    stored_origin = load_json(
        origin_path, {"weights": (str, None)}, "delete it and run again"
    )
    config = Config.read(os.path.join(workdir, "flags.txt"))
    if config.inference.score_threshold < 0:
        config = config.with_inference(score_threshold=threshold(workdir))
    checkpoints = os.path.join(workdir, CHECKPOINTS["last"])
    steps = steps_in(checkpoints)
    newest = os.path.join(checkpoints, f"ckpt-{max(steps, default=0)}")
    run_origin = origin(newest, config, records)
    if not steps and os.path.isfile(os.path.join(workdir, "finished.json")):
        run_origin["weights"] = stored_origin["weights"]
    return stored_origin == run_origin


def threshold(workdir: str | os.PathLike) -> float:
    """Read the threshold that a run's last validation chose; without one, the default.

    Raises:
      InputError: the file is damaged.
    """
    path = os.path.join(workdir, "score_threshold.json")
    if not os.path.isfile(path):
        logger.warning(
            "%s: no validation chose a threshold; using %s", path, DEFAULT_THRESHOLD
        )
        return DEFAULT_THRESHOLD
    chosen = load_json(path, CHOSEN, "delete it or set --score_threshold")
    return chosen["score_threshold"]
