"""TensorBoard's view of a run: flags, hyperparameters and layout, figures of each validation.

The former are written to `RUN/tensorboard`, validations to its subfolder `validation`, the figures
of an evaluation to `evaluation/<split>`, those of the best weights to `evaluation/<split>_best`.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from typing import TYPE_CHECKING

import cv2
import numpy as np
import tensorflow as tf
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalar
from tensorboard.plugins.hparams import api as hparams

from a2d_tf.core.config import Config
from a2d_tf.core.files import read_text
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import metrics as registry
from a2d_tf.evaluation.reports import charts
from a2d_tf.training.checkpoints import Events
from a2d_tf.training.losses import TERMS

if TYPE_CHECKING:
    from a2d_tf.evaluation.evaluator import Validation

MAIN = "segmentation/joint_miou"
# They tell the runs of a folder apart: the rows of the paper's tables, and how they were trained.
_HYPERPARAMETERS = (
    *("backbone", "use_flow", "temporal_layers", "use_mask", "label_mode", "fusion"),
    *("train_phase", "zero_shot_actor", "seed", "steps", "batch_size", "learning_rate"),
    *("optimizer", "precision"),
)
_LAYOUT = {
    "How good": {
        # A chart each, since all lines of a run have one colour.
        **{f"mIoU, {kind}": f"segmentation/{kind}_miou" for kind in ("joint", "actor", "action")},
        **{f"mAP, {kind}": f"detection/{kind}_map" for kind in ("joint", "actor", "action")},
        "proposals that find an instance": "run/proposal_recall",
    },
    "Losses, training and validation": {
        "sum": "loss/total",
        **{name: f"loss/{name}" for name in TERMS},
    },
    "The run": {
        "learning rate": "run/learning_rate",
        "gradient norm, before clipping": "run/gradient_norm",
        "clips a second": "run/clips_per_second",
        "milliseconds of a step, and of waiting for its data": "run/(step|wait)_ms",
    },
}


def describe(workdir: str, config: Config) -> None:
    """Write a new run's flags, hyperparameters and layout of custom scalars."""
    flags = read_text(os.path.join(workdir, "flags.txt"))
    layout = layout_pb2.Layout()
    for title, panels in _LAYOUT.items():
        chart = [{"title": name, "multiline": {"tag": [f"^{t}$"]}} for name, t in panels.items()]
        layout.category.add(title=title, chart=chart)
    settings = dataclasses.asdict(config).values()
    values = {k: v for part in settings for k, v in part.items() if k in _HYPERPARAMETERS}
    writer = tf.summary.create_file_writer(os.path.join(workdir, "tensorboard"))
    with writer.as_default(0):
        tf.summary.text("flags", f"```\n{flags}```")
        tf.summary.experimental.write_raw_pb(custom_scalar.pb(layout).SerializeToString())
        hparams.hparams_config(
            [hparams.HParam(name) for name in values],
            [
                hparams.Metric(tag, "validation", display_name=tag.split("/")[1])
                for tag in (MAIN, "detection/joint_map")
            ],
        )
        hparams.hparams(values, trial_id=os.path.basename(os.path.abspath(workdir)))
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


def images(validation: Validation, space: LabelSpace) -> dict[str, np.ndarray]:
    """Return a validation's pictures and charts of classes by tag, each uint8 [1, H, W, 3]."""
    found = {}
    if validation.confusion.pixels:
        found["confusion"] = charts.confusion(validation.confusion, space)
    pairs = [space.name(code) for code in space.codes]
    for kind, names in {"actor": space.actors, "action": space.actions, "pair": pairs}.items():
        aps = [*validation.metrics[f"per_{kind}_ap"].values()]  # in code order
        found[f"{kind}_ap"] = charts.bars({"": aps}, list(names), f"AP of {kind}s")
    return {
        **{tag: picture[None] for tag, picture in validation.pictures.items()},
        **{f"classes/{tag}": _decoded(png) for tag, png in found.items()},
    }


def _decoded(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[None, ..., ::-1]
