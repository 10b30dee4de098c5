"""TensorBoard's view of a run: flags, hyperparameters and layout, figures of each validation.

The former are written to `RUN/tensorboard`, validations to its subfolder `validation`, the figures
of an evaluation to `evaluation/<split>`, those of the best weights to `evaluation/<split>_best`.
"""

from __future__ import annotations

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
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import detection
from a2d_tf.evaluation.reports import charts
from a2d_tf.training.events import Events
from a2d_tf.training.losses import TERMS

if TYPE_CHECKING:
    from a2d_tf.evaluation.runner import Validation

MAIN = "segmentation/joint_miou"
# They tell the runs of a folder apart: the rows of the paper's tables, and how they were trained.
_HYPERPARAMETERS = {
    "model": ("backbone", "use_flow", "temporal_layers", "use_mask", "label_mode", "fusion"),
    "learning": (
        "train_phase",
        "zero_shot_actor",
        "seed",
        "steps",
        "batch_size",
        "learning_rate",
        "optimizer",
    ),
    "compute": ("precision",),
}
_PROBABILITIES = ("actor", "action")
_LAYOUT = {
    "How good": {
        # A chart each, since all lines of a run have one colour.
        **{f"mIoU, {kind}": f"segmentation/{kind}_miou" for kind in ("joint", "actor", "action")},
        **{f"mAP, {kind}": f"detection/{kind}_map" for kind in ("joint", "actor", "action")},
        "proposals that find an instance": "run/proposal_recall",
        **{f"calibration error, p({kind})": f"calibration/{kind}_ece" for kind in _PROBABILITIES},
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
    writer = tf.summary.create_file_writer(os.path.join(workdir, "tensorboard"))
    with open(os.path.join(workdir, "flags.txt"), encoding="utf-8") as file:
        flags = file.read()
    lines = layout_pb2.MultilineChartContent
    layout = layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title=category,
                chart=[
                    layout_pb2.Chart(title=title, multiline=lines(tag=[f"^{tag}$"]))
                    for title, tag in panels.items()
                ],
            )
            for category, panels in _LAYOUT.items()
        ]
    )
    values = {
        name: getattr(getattr(config, section), name)
        for section, names in _HYPERPARAMETERS.items()
        for name in names
    }
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
    return {**figures(validation.metrics), "segmentation/threshold": validation.threshold}


def figures(metrics: dict) -> dict[str, float]:
    """Return the means in `metrics.json` by tag: no figures of single classes, and no tables."""
    found = {f"detection/{kind}_map": value for kind, value in metrics["detection"].items()}
    found.update({f"best_masks/{x}": value for x, value in metrics.get("best_masks", {}).items()})
    for section in ("segmentation", "coco", "calibration", "over_time"):
        for kind, values in metrics.get(section, {}).items():
            named = values.items() if isinstance(values, dict) else ()
            found.update({f"{section}/{kind}_{name}": value for name, value in named})
    return {tag: value for tag, value in found.items() if isinstance(value, float)}


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
    Events(workdir).write(place, step, figures(metrics))


def images(validation: Validation, space: LabelSpace) -> dict[str, np.ndarray]:
    """Return a validation's pictures and charts of classes by tag, each uint8 [1, H, W, 3]."""
    metrics = validation.metrics
    pairs = [metrics["per_pair_ap"][str(code)] for code in space.codes]
    return {
        **{tag: picture[None] for tag, picture in validation.pictures.items()},
        "classes/actor_ap": _bars(metrics["per_actor_ap"], space.actors, "AP of actors"),
        "classes/action_ap": _bars(metrics["per_action_ap"], space.actions, "AP of actions"),
        "classes/pair_ap": _image(
            charts.bars({"": pairs}, [space.name(code) for code in space.codes], "AP of pairs", "%")
        ),
        "classes/confusion": _image(
            charts.confusion(validation.confusion, ("actor", "action"), space)
        ),
        "classes/calibration": _image(charts.reliability(metrics["calibration"])),
        "classes/precision_recall": _image(
            charts.curves(
                {"precision against recall, actors": _curves(validation, space)},
                "recall",
                "precision",
                1,
            )
        ),
    }


def _bars(aps, names, title):
    values = [aps[str(i + 1)] for i in range(len(names))]
    return _image(charts.bars({"": values}, list(names), title, "%"))


def _curves(validation, space):
    """{actor: (recall, precision)} of the actors in the split."""
    detections, truth = validation.detections, validation.truth
    gt_actor, _ = space.split(truth.codes)
    lines = {}
    for actor, name in enumerate(space.actors):
        curves: list = []
        detection.average_precisions(
            detections,
            truth,
            lambda rois, actor=actor: detections.boxes[rois, actor],
            lambda rois, actor=actor: detections.actor_scores[rois, actor, None],
            targets=gt_actor[:, None] == actor + 1,
            curves=curves,
        )
        if curves:
            lines[name] = curves[0]
    return lines


def _image(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[None, ..., ::-1]
