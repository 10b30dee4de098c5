"""TensorBoard's view of a run: its flags, and the figures of validations and evaluations.

The flags are written to `RUN/tensorboard`, validations to its subfolder `validation`, the figures
of an evaluation to `evaluation/<split>`, those of the best weights to `evaluation/<split>_best`.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import tensorflow as tf

from a2d_tf.core.files import read_text
from a2d_tf.evaluation import metrics as registry
from a2d_tf.training.checkpoints import Events

if TYPE_CHECKING:
    from a2d_tf.evaluation.evaluator import Validation


def describe(workdir: str) -> None:
    """Write a new run's flags."""
    flags = read_text(os.path.join(workdir, "flags.txt"))
    writer = tf.summary.create_file_writer(os.path.join(workdir, "tensorboard"))
    with writer.as_default(0):
        tf.summary.text("flags", f"```\n{flags}```")
    writer.close()


def scalars(validation: Validation) -> dict[str, float]:
    """Return the scalars of a validation by tag."""
    return {**registry.scalars(validation.metrics), "segmentation/threshold": validation.threshold}


def show_evaluation(workdir: str, name: str, step: int, metrics: dict) -> None:
    """Write the figures of a split, as evaluated at a step; those of an earlier evaluation go.

    Args:
      workdir: the run's folder; name: of the folder of the split's scores.
      step: of the weights; metrics: as in `metrics.json`.

    Raises:
      InputError: they cannot be written.
    """
    place = os.path.join("evaluation", name)
    shutil.rmtree(os.path.join(workdir, "tensorboard", place), ignore_errors=True)
    Events(workdir).write(place, step, registry.scalars(metrics))
