"""The rules by which settings are suggested for records and a machine.

Sizes, anchors and the scale of flow follow from the records; network, batch and number
of steps from the machine. docs/training.md, docs/experiments.md and docs/performance.md
have the measurements behind some of the numbers; the others are rules of thumb.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core import command_line
from a2d_tf.core.config import Config, parse_anchors
from a2d_tf.core.errors import InputError
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.data import pipeline
from a2d_tf.data.inspection import Contents
from a2d_tf.data.manifest import Manifest
from a2d_tf.model import backbones
from a2d_tf.ops.anchors import ROI_POSITIVE_IOU, STRIDES
from a2d_tf.pretrained.anchor_deltas import anchor_ratios
from a2d_tf.runs import run_folder
from a2d_tf.training.host import Host
from a2d_tf.training.presets import (
    LITE0,
    PRESETS,
    SMALL,
    SQUARE,
    STILL,
    USABLE_MEMORY,
    Preset,
    preset_for,
    reads_labels,
)
from a2d_tf.training.suggestion import Settings

_FEW_VIDEOS = 20  # training videos below which none is held out
# The same with a readout, which learns much from each video (docs/real_video.md).
_FEW_VIDEOS_TO_READ = 50
_CELL = 32  # of the coarsest map that a canvas must divide into
_LEAST_CELLS = 2.5  # an anchor's least side, in strides of its level
_MOST_STEPS = 60000  # the paper's, by the authors' code
_FEW_STEPS = 20000  # below which weights are averaged over fewer steps
_HOURS = 3.0  # a first run on a CPU may take
# On p(actor), of a network that has learned little (docs/real_video.md).
_THRESHOLD = 0.3
_LEAST_FLOW = 1e-3  # standard deviation in pixels below which nothing moves
_MOST_FLOW_SCALE = 1000.0
_SIDES = {"left", "right", "leftwards", "rightwards", "clockwise", "counterclockwise"}


class Speed(NamedTuple):
    """Measured seconds of a training on this machine.

    Attributes:
      start: before its second step.
      step: of a later step.
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
) -> list[Settings]:
    """Return the settings for records; first the flagfile that the others change.

    Args:
      manifest: of the records.
      contents: of the records, on the network's canvas.
      minutes: of training at most; by default 180 on a CPU.
      speed: of a training with these settings; by default estimated from the preset's.
      after: run folder whose settings and weights the training starts from.
      preset: by default that of `preset_for`.

    Raises:
      InputError: `after` is no run, or has no masks where the records have.
    """
    train = contents.summaries["train"]
    if after:
        base = _base_run(after, manifest)
        settings = _from_run(after)
        preset = _preset_of_run(base)
    else:
        preset = preset or preset_for(host)
        base = Config.read(command_line.find(preset.flagfile))
        settings = _from_preset(preset, host, base, manifest, contents)
    settings += _of_training(
        contents=contents,
        records_size=sum(os.path.getsize(path) for path in manifest.shards("train")),
        host=host,
        preset=preset,
        training=base.training,
        minutes=minutes,
        speed=speed,
    )
    settings += _of_instances(train, base)
    if not after:
        reads = reads_labels(preset, len(train.videos))
        least_videos = _FEW_VIDEOS_TO_READ if reads else _FEW_VIDEOS
        settings.append(_of_validation(train.videos, least_videos))
        settings += _of_sides(manifest.label_space)
    return settings


def _base_run(run, manifest):
    """Return the settings of a run to go on from, which must have a mask head."""
    base = run_folder.settings(run)
    if manifest.trains_masks and not base.model.use_mask:
        raise InputError(
            f"--after={run}: has no masks, as these records have; start anew"
        )
    return base


def _from_run(run):
    """Return the settings that take over those of a run, and its weights."""
    folder = os.path.abspath(run)
    flagfile = {"flagfile": os.path.join(folder, "flags.txt")}
    weights = {
        "init_checkpoint": "",
        "init_rgb": "",
        "init_flow": "",
        "init_run": folder,
    }
    return [
        Settings(flagfile, "settings of the training before"),
        Settings(weights, "its weights"),
    ]


def _preset_of_run(base: Config) -> Preset:
    """Return the preset whose training takes as much as that of a run."""
    preset = SMALL
    for candidate in PRESETS:
        config = Config.read(command_line.find(candidate.flagfile))
        if config.model.backbone == base.model.backbone:
            preset = candidate
    if preset is LITE0 and not base.model.temporal_layers:
        preset = STILL
    return dataclasses.replace(preset, batch=base.training.batch_size)


def _from_preset(preset, host, base, manifest, contents):
    """Return the flagfile of a preset, and what the records change of its network."""
    reads = reads_labels(preset, len(contents.summaries["train"].videos))
    settings = [Settings({"flagfile": preset.flagfile}, f"for {host}: {preset.reason}")]
    if preset.from_imagenet:
        settings.append(_of_backbones(reads))
    if preset.single_frames:
        settings.append(
            Settings(
                {"use_flow": False, "init_flow": "", "temporal_layers": 0},
                "these features know the actions of videos left out by single frames",
            )
        )
    if not manifest.trains_masks:
        settings.append(
            Settings({"use_mask": False}, "no training instance has a mask")
        )
    height, width = contents.boxes.canvas
    most_pixels = SQUARE if preset.on_gpu else preset.most_pixels
    settings.append(
        Settings(
            {"image_height": height, "image_width": width},
            f"size of the stored frames; on a CPU at most {most_pixels} pixels",
        )
    )
    settings.append(_of_anchors(contents.boxes, base.model, preset))
    if not preset.single_frames:
        settings += _of_motion(contents.deviations, preset, base.model)
    return settings


def _of_backbones(reads):
    """Return how far backbones that start from ImageNet's weights are trained."""
    flags: dict[str, Any] = {"backbone_rate": 0.1}
    reason = "backbones close to ImageNet's"
    if reads:
        flags.update(readout=True, scale_jitter=0.25, colour_jitter=0.3)
        reason = "few videos: labels by what ImageNet's features know, and more jitter"
    return Settings(flags, f"{reason} (docs/real_video.md)")


def canvas(sizes: dict[str, int], most_pixels: float = math.inf) -> tuple[int, int]:
    """Return the least (height, width) in multiples of 32 that holds the frames.

    Args:
      sizes: of the stored frames, as in a manifest.
      most_pixels: a larger canvas is shrunk to about as many, of the same aspect.
    """
    size = largest_size(sizes)
    cells = np.ceil(size / _CELL)
    if np.prod(cells) * _CELL**2 > most_pixels:
        factor = math.sqrt(most_pixels / np.prod(size))
        cells = np.maximum(np.round(size * factor / _CELL), 1)
    return int(cells[0]) * _CELL, int(cells[1]) * _CELL


def largest_size(sizes: dict[str, int]) -> np.ndarray:
    """Return the largest [height, width] of a manifest's {'<height>x<width>': ...}."""
    return np.max([np.array(key.split("x"), int) for key in sizes], axis=0)


def anchor_sizes(sides: np.ndarray) -> list[str]:
    """Return values of --anchor_sizes to choose from.

    Each begins at the 5 % quantile of the sides and goes in geometric steps: up to the
    95 % quantile, or by 1.5, or by 2 a level. A level's anchor is at least 2.5 of its
    cells, so that few boxes fall between two of them.

    Args:
      sides: square roots of the boxes' areas, pixels of the canvas.
    """
    low, high = np.quantile(sides, (0.05, 0.95))
    low = max(round(low), 1)  # whole, so that doubled sizes are
    choices = []
    for growth in ((high / low) ** (1 / (len(STRIDES) - 1)), 1.5, 2.0):
        sizes = low * growth ** np.arange(len(STRIDES))
        sizes = np.clip(sizes, _LEAST_CELLS * np.array(STRIDES), MAX_SIDE)
        choices.append(",".join(f"{size:.0f}" for size in sizes))
    return choices


def _of_anchors(boxes, model, preset):
    """Return the sizes that reach most boxes, then those closest to them.

    The sizes must fit the weights. The preset's own come first.
    """
    trained_sizes = backbones.CONVENTIONS[preset.rgb_convention].anchors
    best = ""
    best_quality = (-1.0, -1.0)
    for text in (model.anchor_sizes, *anchor_sizes(boxes.sides())):
        sizes = parse_anchors(text)
        if trained_sizes and not anchor_ratios(trained_sizes, sizes):
            continue
        overlaps = boxes.overlaps(sizes)
        recall = round(100 * np.mean(overlaps >= ROI_POSITIVE_IOU))
        quality = (recall, overlaps.mean())
        if quality > best_quality:
            best = text
            best_quality = quality
    return Settings(
        {"anchor_sizes": best},
        f"anchors of IoU {ROI_POSITIVE_IOU:g} or more for {best_quality[0]} % of the"
        " boxes",
    )


def _of_motion(deviations, preset, model):
    """Return the use of flow and its scale, and the public weights of both streams."""
    flow = deviations["flow"]
    rgb = deviations["rgb"]
    moves = flow > _LEAST_FLOW and rgb > 0
    settings = []
    if preset.on_gpu:
        weights = {"init_rgb": "coco"}
        if moves:
            weights["init_flow"] = "imagenet"
        settings.append(
            Settings(
                weights,
                "public weights, downloaded once (docs/pretrained_weights.md)",
            )
        )
    if not moves:
        no_flow = {"use_flow": False, "init_flow": ""}
        settings.append(Settings(no_flow, "nothing moves in the key frames"))
        return settings
    model = dataclasses.replace(model, rgb_convention=preset.rgb_convention)
    scale = rgb / backbones.convention(model, "rgb").std[0] / flow
    scale = min(scale, _MOST_FLOW_SCALE)
    settings.append(
        Settings(
            {"flow_scale": float(f"{scale:.2g}")},
            f"flow deviates by {flow:.2g} pixels, RGB by {rgb:.3g} levels; so both"
            " streams get inputs of one scale (docs/training.md, flow beside RGB)",
        )
    )
    return settings


def _of_training(*, contents, records_size, host, preset, training, minutes, speed):
    """Return batch, steps, what depends on the steps, and the order of the clips.

    Args:
      records_size: bytes of the training split.
      training: the TrainingConfig that is changed.
      minutes: of training at most, or None.
      speed: measured, or None.
    """
    pixels = math.prod(contents.boxes.canvas)
    clips = contents.summaries["train"].clips
    settings = []

    batch = _fitting_batch(host, preset, pixels)
    if batch != training.batch_size:
        flags: dict[str, Any] = {"batch_size": batch}
        reason = f"what fits in memory at this image size, on {host}"
        if training.optimizer == "sgd":
            flags["learning_rate"] = training.learning_rate * batch / preset.batch
            reason += "; the rate scales with the batch"
        settings.append(Settings(flags, reason))

    if speed:
        start_hours = speed.start / 3600
        step_hours = speed.step / 3600
    else:
        start_hours = 0.0
        cores = 1 if preset.on_gpu else host.cores
        step_hours = batch * pixels * preset.seconds / 3600 / cores
    steps = _number_of_steps(
        preset=preset,
        wanted_steps=clips * preset.epochs / batch,
        start_hours=start_hours,
        step_hours=step_hours,
        minutes=minutes,
    )
    passes = steps * batch / clips
    estimate = round(60 * (start_hours + steps * step_hours))
    unit = "minute" if estimate == 1 else "minutes"
    reason = (
        f"{passes:.1f} passes over {clips} clips; an estimated {estimate} {unit} on"
        f" {host}"
    )
    if speed:
        reason += f", of {speed.step:.2g} s a step as measured"
    settings.append(Settings({"steps": steps}, reason))

    validate_every = max(1, min(training.validate_every, steps // 3))
    flags = {
        "validate_every": validate_every,
        "checkpoint_every": min(training.checkpoint_every, validate_every),
        "warmup_steps": min(training.warmup_steps, steps // 10),
    }
    if training.average_decay and steps < _FEW_STEPS:
        flags["average_decay"] = 0.99
    settings.append(Settings(flags, f"to match {steps} steps"))

    if clips > training.shuffle_buffer and records_size < host.memory / 8:
        settings.append(
            Settings(
                {"shuffle_buffer": clips},
                "all clips, as those of a video are adjacent in the records"
                " (docs/real_video.md)",
            )
        )
    return settings


def _fitting_batch(host, preset, pixels):
    """Return the largest power of two of clips that fits the memory."""
    memory = USABLE_MEMORY * (host.gpu or host.memory) - preset.weights_memory
    most_clips = max(1, memory / (preset.clip_memory * pixels / SQUARE))
    return min(preset.batch, 2 ** int(math.log2(most_clips)))


def _number_of_steps(*, preset, wanted_steps, start_hours, step_hours, minutes):
    """Return the steps of a training: those of the preset's epochs, if time allows.

    Never fewer than the preset's least, except to meet the given minutes: a network
    that has learned nothing is not cheaper.
    """
    most_hours = math.inf
    if not preset.on_gpu:
        most_hours = max(_HOURS, (minutes or 0) / 60)
    most_steps = min(_MOST_STEPS, most_hours / step_hours)
    steps = max(min(wanted_steps, most_steps), preset.least_steps)
    rounded = int(float(f"{steps:.2g}"))
    if not minutes:
        return rounded
    in_time = math.ceil((minutes / 60 - start_hours) / step_hours)
    return min(rounded, max(1, in_time))


def _of_instances(train, base):
    """Return room for as many instances as a frame has, if there is not enough."""
    most = max(train.per_clip)
    max_instances = base.training.max_instances
    max_detections = base.inference.max_detections
    if most <= max_instances and 2 * most <= max_detections:
        return []
    flags = {
        "max_instances": max(most, max_instances),
        "max_detections": max(2 * most, max_detections),
    }
    return [Settings(flags, f"a frame has up to {most} instances")]


def _of_validation(videos, least_videos):
    """Return the share of the training videos that is held out to choose the threshold.

    Args:
      videos: names of the training videos.
      least_videos: number of them from which on some are held out.
    """
    if len(videos) >= least_videos:
        names = tf.constant([*videos])
        for fraction in (0.1, 0.2, 0.3):
            held_out = np.count_nonzero(pipeline.is_validation(names, fraction))
            if held_out >= 2:
                return Settings(
                    {"val_fraction": fraction},
                    f"{held_out} of {len(videos)} training videos are held out to"
                    " choose the threshold",
                )
    return Settings(
        {"val_fraction": 0.0, "score_threshold": _THRESHOLD},
        f"too few training videos ({len(videos)}) to hold some out for choosing the"
        " threshold",
    )


def _of_sides(labels):
    """Return that clips are not mirrored if the name of a label has a side."""
    sided_names = []
    for name in (*labels.actors, *labels.actions):
        if _SIDES & set(re.split(r"[\s_./-]+", name.lower())):
            sided_names.append(name)
    if not sided_names:
        return []
    reason = f"mirroring would change the meaning of {', '.join(sided_names)}"
    return [Settings({"flip": False}, reason)]
