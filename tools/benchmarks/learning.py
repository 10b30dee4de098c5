"""Suite `learning`: what our detector and torchvision's Mask R-CNN learn from the same frames.

Boxes and masks of the actors from one RGB frame, both from random weights: the same records, order,
flips, widths, anchors, counts, preprocessing and optimizer. pycocotools computes COCO's AP of both.
A step's time is without its batch's.
"""

from __future__ import annotations

import dataclasses
import pathlib
import statistics
import tempfile
import time
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from a2d_tf.core import devices
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation import box_data
from a2d_tf.evaluation.metrics import coco
from a2d_tf.model.inference import infer
from a2d_tf.model.network import Network
from a2d_tf.ops import masks as mask_ops
from a2d_tf.training.replicas import for_device
from tools.benchmarks import measure, peers, setups
from tools.benchmarks.setups import DETECTIONS, NMS, SCORE, Instances

_EVALUATED = 8  # frames together
_UNITS = {"training": "steps/s"}


class Ours:
    """One RGB frame, one softmax over the actors: our network without actions."""

    def __init__(self, config: Config) -> None:
        tf.keras.utils.set_random_seed(config.training.seed)
        labels = LabelSpace.from_fields({"actors": [*A2D.actors], "actions": ["one"]})
        self._network = Network(config.model, labels, config.compute)
        self._step = setups.make_step(self._network, config.training)
        settings = dataclasses.replace(
            config.inference, score_threshold=SCORE, nms_threshold=NMS, max_detections=DETECTIONS
        )
        self._detect = tf.function(
            lambda clip: infer(self._network, clip, settings).detections, autograph=False
        )

    def step(self, batch: dict[str, tf.Tensor], number: int) -> float:
        """Train on a batch of `setups.batches`; return the loss."""
        batch = for_device(batch)
        batch["actions"] = tf.minimum(batch["actions"], 0)
        return float(self._step(batch, number)["total"])

    def detect(self, batch: dict[str, tf.Tensor]) -> list[Instances]:
        """Detect on the frames of a batch of `pipeline.evaluation`."""
        found = self._detect({"rgb": batch["rgb"], "size": batch["size"]})
        frames = []
        for row, count in enumerate(found.number.numpy()):
            boxes, masks = found.boxes[row, :count], found.more["masks"][row, :count]
            pasted = mask_ops.paste(masks, boxes, *self._network.image_size) >= 0.5
            scores = found.class_scores.numpy()[row, :count]
            actors = found.actor.numpy()[row, :count] - 1
            frames.append(Instances(boxes.numpy(), actors, scores, pasted.numpy()))
        return frames


def run(options: dict) -> tuple[list[dict], dict]:
    """Return rows and details; `small`: two steps of the smallest network on two drawn videos."""
    devices.prepare()
    small = options["small"]
    sides: dict[str, Any] = {"ours": Ours}
    if peers.available():
        from tools.benchmarks.peer_learner import Torchvisions  # needs torch

        sides["torchvision"] = Torchvisions
    results: dict[str, list[dict]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        manifest = _records(options, pathlib.Path(folder))
        for seed in range(1 if small else options["rounds"]):
            config = _config(options, seed)
            for side, learner in sides.items():
                name = f"{side}, seed {seed}"
                results[side].append(_train(learner(config), manifest, config, name))
    rows = []
    for figure in results["ours"][0]:
        of = {side: [found[figure] for found in runs] for side, runs in results.items()}
        peer = of.get("torchvision")
        rows.append(
            measure.row(figure, _UNITS.get(figure, "%"), of["ours"], peer, higher_is_better=True)
        )
    return rows, {"trainings": results, **peers.versions()}


def _records(options, folder):
    if options["records"]:
        return Manifest.load(options["records"])
    if not options["small"]:
        raise InputError("--records is missing: this suite learns from records of the mini A2D")
    return setups.records(folder, 2, 1, image_height=64, image_width=96, clip_frames=1)


def _config(options, seed):
    """The settings of both sides: those of configs/mini.flags, for one frame, flips alone."""
    base = setups.read("mini", options["small"])
    model = dataclasses.replace(
        base.model, use_flow=False, temporal_layers=0, label_mode="cartesian"
    )
    training = dataclasses.replace(
        base.training,
        seed=seed,
        steps=2 if options["small"] else options["steps"],
        scale_jitter=0.0,
        colour_jitter=0.0,
        val_fraction=0.0,
        schedule="cosine",
        average_decay=0.0,
    )
    return dataclasses.replace(base, model=model, training=training).checked()


def _train(learner, manifest, config, name):
    """Train and score; return {figure: value}."""
    seconds, stream = [], iter(setups.batches(manifest, config))
    for number in tqdm(range(config.training.steps), desc=name, leave=False):
        batch = next(stream)
        began = time.perf_counter()
        learner.step(batch, number)
        seconds.append(time.perf_counter() - began)
    return {**_score(learner, manifest, config), "training": 1 / statistics.median(seconds)}


def _score(learner, manifest, config):
    """COCO's AP on the test split, whose frames and masks are those of the canvas, in percent."""
    true: list[Instances] = []
    found: list[Instances] = []
    for batch in pipeline.evaluation(manifest, "test", config, _EVALUATED):
        true += [_truth(batch, row) for row in range(len(batch["rgb"]))]
        found += learner.detect(batch)
    scores = np.concatenate([one.scores for one in found])
    results = box_data.Results(**_columns(found, config.model), scores=scores)
    figures = coco.coco_aps(results, box_data.Truth(**_columns(true, config.model)))
    return {
        f"{kind} {name.upper()}": max(figures[kind][name], 1e-9)  # 0 would have no ratio
        for kind in ("box", "mask")
        for name in ("ap", "ap50")
    }


def _truth(batch, row):
    present = batch["present"][row].numpy()
    return Instances(
        batch["boxes"][row].numpy()[present],
        batch["actors"][row].numpy()[present],
        np.ones(present.sum()),
        batch["masks"][row].numpy()[present] > 0,
    )


def _columns(frames, model):
    """The fields of `box_data.InstanceTable` of the instances of frames."""
    return {
        "frames": [f"v/{i:05d}" for i in range(len(frames))],
        "box_frame": np.repeat(np.arange(len(frames)), [len(one.actors) for one in frames]),
        "boxes": np.concatenate([one.boxes for one in frames]),
        "codes": np.concatenate([one.actors for one in frames]) + 1,
        "sizes": [(model.image_height, model.image_width)] * len(frames),
        "masks": [encode_mask(mask) for one in frames for mask in one.masks],
    }
