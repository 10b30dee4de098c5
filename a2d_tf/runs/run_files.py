"""The files of a run folder or of a packed model that hold no weights.

`run_folder` says what is in them. Without TensorFlow, for the commands that leave that
to their processes.
"""

from __future__ import annotations

import os
import pathlib

from a2d_tf.core.config import Config
from a2d_tf.core.files import Path
from a2d_tf.core.labels import LabelSpace

FLAGS = "flags.txt"
LABELS = "labels.json"
RECORDS = "records.json"
SHEETS = "annotations"
"""A folder with sheets of annotated frames, 1.png and so on, which a2d start makes."""
FINISHED = "finished.json"


def sheets(run: Path) -> list[pathlib.Path]:
    """Return the sheets of the frames that a run learns from, in their order."""
    paths = pathlib.Path(run, SHEETS).glob("*.png")
    return sorted(paths, key=lambda path: int(path.stem))


def flags_path(run: Path) -> str:
    """Return the path of a run's settings."""
    return os.path.join(run, FLAGS)


def labels_path(run: Path) -> str:
    """Return the path of a run's label space."""
    return os.path.join(run, LABELS)


def read_config(run: Path) -> Config:
    """Read the settings of a run; errors as of `Config.read`."""
    return Config.read(flags_path(run))


def read_labels(run: Path) -> LabelSpace:
    """Read the label space of a run; errors as of `LabelSpace.from_json`."""
    return LabelSpace.from_json(labels_path(run))
