"""The threshold of p(actor) that a validation chose for a run, kept in a file."""

from __future__ import annotations

import logging
import os

from a2d_tf.core.checked_json import load_json, number
from a2d_tf.core.files import write_json

DEFAULT = 0.7
"""The authors' choice, for a run without a validation split."""
KIND = {"score_threshold": number(0, 1)}
"""What a JSON file with a chosen threshold holds."""
FILE = "score_threshold.json"
"""Its name in a run folder, or in a packed model."""

logger = logging.getLogger(__name__)


def read(workdir: str | os.PathLike) -> float:
    """Read the threshold that a run's last validation chose; without one, the default.

    Raises:
      InputError: the file is damaged.
    """
    path = os.path.join(workdir, FILE)
    if not os.path.isfile(path):
        logger.warning("%s: no validation chose a threshold; using %s", path, DEFAULT)
        return DEFAULT
    chosen = load_json(path, KIND, "delete it or set --score_threshold")
    return chosen["score_threshold"]


def save(workdir: str | os.PathLike, threshold: float, metrics: dict) -> None:
    """Write the threshold that a validation chose, with that split's metrics."""
    fields = {"score_threshold": threshold, "validation": metrics}
    write_json(os.path.join(workdir, FILE), fields)
