"""Suite `learning`: what our detector and torchvision's Mask R-CNN learn.

Both learn boxes and masks of the actors from one RGB frame, and start from random
weights. They have the same records, order of clips, flips, widths, anchors, counts,
preprocessing and optimizer. pycocotools computes COCO's AP of both. The time of a step
does not include the making of its batch.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.core.machine import devices
from a2d_tf.core.settings.config import Config
from a2d_tf.data.batches import pipeline
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.boxes import instance_tables
from a2d_tf.evaluation.metrics import coco
from a2d_tf.model.inference import infer
from a2d_tf.model.network import Network
from a2d_tf.ops import masks as mask_ops
from a2d_tf.training.step.replicas import for_device
from a2d_tf.training.step.schedule import Schedule
from tools.benchmarks import measure, peers, setups

_BATCH = 8  # frames that are evaluated together


class Instances(NamedTuple):
    """The N instances of a frame, predicted or true.

    Attributes:
      boxes: [N, 4], (y1, x1, y2, x2) in pixels.
      actors: [N], indices of the actors, from 0.
      scores: [N]; 1 for true instances.
      masks: bool [N, H, W], of the whole frame.
    """

    boxes: np.ndarray
    actors: np.ndarray
    scores: np.ndarray
    masks: np.ndarray


class Ours:
    """Our network as a detector of actors in one RGB frame, without actions.

    Args:
      config: the settings.
    """

    def __init__(self, config: Config) -> None:
        tf.keras.utils.set_random_seed(config.training.seed)
        labels = LabelSpace.from_fields({"actors": [*A2D.actors], "actions": ["one"]})
        self._network = Network(config.model, labels, config.compute)
        self._step = setups.make_step(self._network, config.training)

        def detect(clip):
            return infer(self._network, clip, config.inference).detections

        self._detect = tf.function(detect, autograph=False)

    def step(self, batch: dict[str, tf.Tensor], number: int) -> float:
        """Train on a batch, and return the loss.

        Args:
          batch: a batch of `pipeline.training`.
          number: number of the step, from 0.
        """
        batch = for_device(batch)
        batch["actions"] = tf.minimum(batch["actions"], 0)
        return float(self._step(batch, number)["total"])

    def detect(self, batch: dict[str, tf.Tensor]) -> list[Instances]:
        """Detect the actors in the frames of a batch of `pipeline.evaluation`."""
        detections = self._detect({"rgb": batch["rgb"], "size": batch["size"]})
        height, width = self._network.image_size
        frames = []
        for row, count in enumerate(detections.number.numpy()):
            boxes = detections.boxes[row, :count]
            masks = detections.head_results["masks"][row, :count]
            pasted = mask_ops.paste(masks, boxes, height, width) >= 0.5
            frames.append(
                Instances(
                    boxes=boxes.numpy(),
                    actors=detections.actor.numpy()[row, :count] - 1,
                    scores=detections.class_scores.numpy()[row, :count],
                    masks=pasted.numpy(),
                )
            )
        return frames


class Torchvision:
    """torchvision's Mask R-CNN with the settings of our network.

    Args:
      config: the settings of our network.
    """

    def __init__(self, config: Config) -> None:
        training = config.training
        self._clip_norm = training.clip_norm
        self._schedule = Schedule(training)
        peers.torch.manual_seed(training.seed)
        self._model = peers.mask_rcnn(
            config.model, training, config.inference, len(A2D.actors)
        )
        self._trained = [p for p in self._model.parameters() if p.requires_grad]
        kernels = []
        others = []
        for parameter in self._trained:
            if parameter.ndim > 1:
                kernels.append(parameter)
            else:
                others.append(parameter)
        groups = [
            {"params": kernels, "weight_decay": training.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        keras_epsilon = 1e-7
        self._optimizer = peers.torch.optim.AdamW(groups, eps=keras_epsilon)

    def step(self, batch: dict[str, tf.Tensor], number: int) -> float:
        """Train on a batch, and return the loss.

        Args:
          batch: a batch of `pipeline.training`.
          number: number of the step, from 0, which gives the learning rate.
        """
        self._model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = float(self._schedule(number))
        truth = [peers.truth(batch, row) for row in range(len(batch["rgb"]))]
        loss = sum(self._model(_images(batch), truth).values())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self._clip_norm:
            peers.torch.nn.utils.clip_grad_norm_(self._trained, self._clip_norm)
        self._optimizer.step()
        return float(loss.detach())

    def detect(self, batch: dict[str, tf.Tensor]) -> list[Instances]:
        """Detect the actors in the frames of a batch of `pipeline.evaluation`."""
        self._model.eval()
        with peers.torch.inference_mode():
            detections = self._model(_images(batch))
        frames = []
        for detected in detections:
            frames.append(
                Instances(
                    boxes=detected["boxes"].cpu().numpy()[:, [1, 0, 3, 2]],
                    actors=detected["labels"].cpu().numpy() - 1,
                    scores=detected["scores"].cpu().numpy().astype(np.float64),
                    masks=detected["masks"].cpu().numpy()[:, 0] >= 0.5,
                )
            )
        return frames


def _images(batch):
    """Return the middle frame of each clip as torchvision wants it: [3, H, W], 0..1."""
    middle = batch["rgb"].shape[1] // 2
    pixels = batch["rgb"][:, middle].numpy().astype(np.float32) / 255
    return [image.contiguous() for image in peers.maps(pixels)]


def run(options: measure.Options) -> measure.Report:
    """Train and score our network and torchvision's, with a seed for each round.

    Args:
      options: the options; `records`, `steps` and `rounds` are used, and `small` does
        one round of two steps with the smallest network.

    Raises:
      InputError: --records is missing.
    """
    devices.prepare()
    if not options.records:
        raise InputError(
            "--records is missing: this suite learns from records of the mini A2D"
        )
    manifest = Manifest.load(options.records)
    learners: dict[str, type] = {"ours": Ours}
    if peers.available():
        learners["torchvision"] = Torchvision
    rounds = 1 if options.small else options.rounds
    trainings: dict[str, list[dict]] = {side: [] for side in learners}
    for seed in range(rounds):
        config = _config(options, seed)
        for side, learner in learners.items():
            name = f"{side}, seed {seed}"
            trainings[side].append(_train(learner(config), manifest, config, name))
    rows = []
    for figure in trainings["ours"][0]:
        unit = "steps/s" if figure == "training" else "%"
        ours = [scores[figure] for scores in trainings["ours"]]
        if "torchvision" in trainings:
            peer = [scores[figure] for scores in trainings["torchvision"]]
            row = measure.compare(figure, unit, ours, peer, higher_is_better=True)
        else:
            row = measure.Row(figure, unit, statistics.median(ours))
        rows.append(row)
    return measure.Report(rows, {"trainings": trainings, **peers.versions()})


def _config(options: measure.Options, seed: int) -> Config:
    """Return the settings of both sides.

    They are those of configs/mini.flags for one frame, with flips as the only
    augmentation, and torchvision's defaults of inference.
    """
    base = setups.read("mini", options.small)
    model = dataclasses.replace(
        base.model, use_flow=False, temporal_layers=0, label_mode="cartesian"
    )
    training = dataclasses.replace(
        base.training,
        seed=seed,
        steps=2 if options.small else options.steps,
        schedule="cosine",
        scale_jitter=0.0,
        colour_jitter=0.0,
        val_fraction=0.0,
        average_decay=0.0,
    )
    config = dataclasses.replace(base, model=model, training=training)
    config = config.with_settings(
        score_threshold=0.05, nms_threshold=0.5, max_detections=100
    )
    return config.checked()


def _train(learner, manifest, config, name):
    """Train and score; return {figure: value}."""
    stream = iter(pipeline.training(manifest, config))
    seconds = []
    for number in tqdm(range(config.training.steps), desc=name, leave=False):
        batch = next(stream)
        began = time.perf_counter()
        learner.step(batch, number)
        seconds.append(time.perf_counter() - began)
    figures = _score(learner, manifest, config)
    figures["training"] = 1 / statistics.median(seconds)
    return figures


def _score(learner, manifest, config):
    """Return COCO's APs in percent on the test split, on the network's canvas."""
    true: list[Instances] = []
    predicted: list[Instances] = []
    for batch in pipeline.evaluation(manifest, "test", config, _BATCH):
        true += [_truth(batch, row) for row in range(len(batch["rgb"]))]
        predicted += learner.detect(batch)
    truth = instance_tables.Truth(**_columns(true, config.model))
    scores = np.concatenate([frame.scores for frame in predicted])
    results = instance_tables.Results(
        **_columns(predicted, config.model), scores=scores
    )
    aps = coco.coco_aps(results, truth)
    figures = {}
    for kind in ("box", "mask"):
        for name in ("ap", "ap50"):
            figures[f"{kind} {name.upper()}"] = aps[kind][name]
    return figures


def _truth(batch, row):
    """Return the true instances of a clip of a batch."""
    present = batch["present"][row].numpy()
    return Instances(
        boxes=batch["boxes"][row].numpy()[present],
        actors=batch["actors"][row].numpy()[present],
        scores=np.ones(present.sum()),
        masks=batch["masks"][row].numpy()[present] > 0,
    )


def _columns(frames, model):
    """Return the fields of an `InstanceTable` for the instances of frames."""
    counts = [len(frame.actors) for frame in frames]
    masks: list = []
    for frame in frames:
        masks += [encode_mask(mask) for mask in frame.masks]
    return {
        "frames": [f"v/{i:05d}" for i in range(len(frames))],
        "box_frame": np.repeat(np.arange(len(frames)), counts),
        "boxes": np.concatenate([frame.boxes for frame in frames]),
        "codes": np.concatenate([frame.actors for frame in frames]) + 1,
        "sizes": [(model.image_height, model.image_width) for _ in frames],
        "masks": masks,
    }
