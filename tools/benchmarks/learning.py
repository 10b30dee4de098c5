"""Suite `learning`: what our detector and torchvision's Mask R-CNN learn from the same
frames.

Boxes and masks of the actors from one RGB frame, both from random weights: the same
records, order, flips, widths, anchors, counts, preprocessing and optimizer. pycocotools
computes COCO's AP of both. A step's time is without its batch's.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import NamedTuple

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
from a2d_tf.training import optimizer
from a2d_tf.training.replicas import for_device
from tools.benchmarks import measure, peers, setups

_EVALUATED = 8  # frames together


class Instances(NamedTuple):
    """A frame's instances, found or true: boxes y1, x1, y2, x2 in pixels, actors
    from 0, masks.
    """

    boxes: np.ndarray
    actors: np.ndarray
    scores: np.ndarray
    masks: np.ndarray


class Ours:
    """One RGB frame, one softmax over the actors: our network without actions."""

    def __init__(self, config: Config) -> None:
        tf.keras.utils.set_random_seed(config.training.seed)
        labels = LabelSpace.from_fields({"actors": [*A2D.actors], "actions": ["one"]})
        self._network = Network(config.model, labels, config.compute)
        self._step = setups.make_step(self._network, config.training)
        self._detect = tf.function(
            lambda clip: infer(self._network, clip, config.inference).detections,
            autograph=False,
        )

    def step(self, batch: dict[str, tf.Tensor], number: int) -> float:
        """Train on a batch of `pipeline.training`; return the loss."""
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


class Torchvisions:
    """torchvision's Mask R-CNN with the settings of ours, and the methods of `Ours`."""

    def __init__(self, config: Config) -> None:
        training = self._settings = config.training
        self._schedule = optimizer.Schedule(training)
        peers.torch.manual_seed(training.seed)
        self._model = peers.mask_rcnn(
            config.model, training, config.inference, len(A2D.actors)
        )
        self._trained = [p for p in self._model.parameters() if p.requires_grad]
        kernels = [p for p in self._trained if p.ndim > 1]
        others = [p for p in self._trained if p.ndim <= 1]
        decays = [(kernels, training.weight_decay), (others, 0.0)]
        groups = [{"params": some, "weight_decay": decay} for some, decay in decays]
        self._optimizer = peers.torch.optim.AdamW(groups, eps=1e-7)  # Keras'

    def step(self, batch: dict[str, tf.Tensor], number: int) -> float:
        """Train on a batch; return the loss."""
        self._model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = float(self._schedule(number))
        truth = [peers.truth(batch, row) for row in range(len(batch["rgb"]))]
        loss = sum(self._model(_images(batch), truth).values())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self._settings.clip_norm:
            peers.torch.nn.utils.clip_grad_norm_(
                self._trained, self._settings.clip_norm
            )
        self._optimizer.step()
        return float(loss.detach())

    def detect(self, batch: dict[str, tf.Tensor]) -> list[Instances]:
        """Detect on the frames of a batch."""
        self._model.eval()
        with peers.torch.inference_mode():
            found = self._model(_images(batch))
        return [
            Instances(
                one["boxes"].cpu().numpy()[:, [1, 0, 3, 2]],
                one["labels"].cpu().numpy() - 1,
                one["scores"].cpu().numpy().astype(np.float64),
                one["masks"].cpu().numpy()[:, 0] >= 0.5,
            )
            for one in found
        ]


def _images(batch):
    pixels = (
        batch["rgb"][:, batch["rgb"].shape[1] // 2].numpy().astype(np.float32) / 255
    )
    return [image.contiguous() for image in peers.maps(pixels)]


def run(options: dict) -> tuple[list[dict], dict]:
    """Return rows and details; `small`: two steps of the smallest network."""
    devices.prepare()
    small = options["small"]
    sides = {
        "ours": Ours,
        **({"torchvision": Torchvisions} if peers.available() else {}),
    }
    results: dict[str, list[dict]] = {side: [] for side in sides}
    if not options["records"]:
        raise InputError(
            "--records is missing: this suite learns from records of the mini A2D"
        )
    manifest = Manifest.load(options["records"])
    for seed in range(1 if small else options["rounds"]):
        config = _config(options, seed)
        for side, learner in sides.items():
            name = f"{side}, seed {seed}"
            results[side].append(_train(learner(config), manifest, config, name))
    rows = []
    for figure in results["ours"][0]:
        of = {side: [found[figure] for found in runs] for side, runs in results.items()}
        peer = of.get("torchvision")
        unit = "steps/s" if figure == "training" else "%"
        rows.append(measure.row(figure, unit, of["ours"], peer, higher_is_better=True))
    return rows, {"trainings": results, **peers.versions()}


def _config(options, seed):
    """The settings of both sides: those of configs/mini.flags, for one frame, flips
    alone.
    """
    base = setups.read("mini", options["small"])
    model = dataclasses.replace(
        base.model, use_flow=False, temporal_layers=0, label_mode="cartesian"
    )
    off = dict.fromkeys(
        ("scale_jitter", "colour_jitter", "val_fraction", "average_decay"), 0.0
    )
    steps = 2 if options["small"] else options["steps"]
    training = dataclasses.replace(
        base.training, seed=seed, steps=steps, schedule="cosine", **off
    )
    config = dataclasses.replace(base, model=model, training=training)
    defaults = {
        "score_threshold": 0.05,
        "nms_threshold": 0.5,
        "max_detections": 100,
    }  # torchvision's
    return config.with_inference(**defaults).checked()


def _train(learner, manifest, config, name):
    """Train and score; return {figure: value}."""
    seconds, stream = [], iter(pipeline.training(manifest, config))
    for number in tqdm(range(config.training.steps), desc=name, leave=False):
        batch = next(stream)
        began = time.perf_counter()
        learner.step(batch, number)
        seconds.append(time.perf_counter() - began)
    return {
        **_score(learner, manifest, config),
        "training": 1 / statistics.median(seconds),
    }


def _score(learner, manifest, config):
    """COCO's AP on the test split, whose frames and masks are those of the canvas,
    in percent.
    """
    true: list[Instances] = []
    found: list[Instances] = []
    for batch in pipeline.evaluation(manifest, "test", config, _EVALUATED):
        true += [_truth(batch, row) for row in range(len(batch["rgb"]))]
        found += learner.detect(batch)
    scores = np.concatenate([one.scores for one in found])
    results = box_data.Results(**_columns(found, config.model), scores=scores)
    figures = coco.coco_aps(results, box_data.Truth(**_columns(true, config.model)))
    return {
        # 0 would have no ratio
        f"{kind} {name.upper()}": max(figures[kind][name], 1e-9)
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
        "box_frame": np.repeat(
            np.arange(len(frames)), [len(one.actors) for one in frames]
        ),
        "boxes": np.concatenate([one.boxes for one in frames]),
        "codes": np.concatenate([one.actors for one in frames]) + 1,
        "sizes": [(model.image_height, model.image_width)] * len(frames),
        "masks": [encode_mask(mask) for one in frames for mask in one.masks],
    }
