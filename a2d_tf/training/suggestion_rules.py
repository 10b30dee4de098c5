"""The rules by which settings are suggested for records and a machine.

Sizes, anchors and the scale of flow follow from the records, the network from the
machine; batch and number of steps are in `suggestion_length`. docs/training.md,
docs/experiments.md and docs/performance.md have the measurements behind some of the
numbers; the others are rules of thumb.
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
from a2d_tf.core.config import Config, ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.data import pipeline
from a2d_tf.data.inspection import Contents
from a2d_tf.data.manifest import Manifest
from a2d_tf.model import backbones
from a2d_tf.ops.anchors import ROI_POSITIVE_IOU, STRIDES
from a2d_tf.pretrained.anchor_deltas import anchor_ratios
from a2d_tf.runs import run_folder
from a2d_tf.training.host import Host, Speed
from a2d_tf.training.presets import (
    LITE0,
    PRESETS,
    SMALL,
    SQUARE,
    STILL,
    Preset,
    preset_for,
    reads_labels,
)
from a2d_tf.training.suggestion import Settings
from a2d_tf.training.suggestion_length import training_settings

_FEW_VIDEOS = 20  # training videos below which none is held out
# The same with a readout, which learns much from each video (docs/real_video.md).
_FEW_VIDEOS_TO_READ = 50
_CELL = 32  # of the coarsest map that a canvas must divide into
_LEAST_CELLS = 2.5  # an anchor's least side, in strides of its level
# On p(actor), of a network that has learned little (docs/real_video.md).
_THRESHOLD = 0.3
_LEAST_FLOW = 1e-3  # standard deviation in pixels below which nothing moves
_MOST_FLOW_SCALE = 1000.0
AnchorSizes = tuple[tuple[float, ...], ...]
"""Sides of the anchors of each level, ascending."""
_SIDES = {"left", "right", "leftwards", "rightwards", "clockwise", "counterclockwise"}


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
        start = _start_of_run(after, manifest)
    else:
        start = _start_of_preset(preset or preset_for(host), host, manifest, contents)
    settings = list(start.settings)
    settings += training_settings(
        contents=contents,
        records_size=sum(os.path.getsize(path) for path in manifest.shards("train")),
        host=host,
        preset=start.preset,
        training=start.base.training,
        minutes=minutes,
        speed=speed,
    )
    settings += _instance_settings(train, start.base)
    if not after:
        reads = reads_labels(start.preset, len(train.videos))
        least_videos = _FEW_VIDEOS_TO_READ if reads else _FEW_VIDEOS
        settings.append(_validation_settings(train.videos, least_videos))
        settings += _mirroring_settings(manifest.label_space)
    return settings


class _Start(NamedTuple):
    """What the settings of a training start from.

    Attributes:
      preset: what the training takes.
      base: the Config of the flagfile that the settings change.
      settings: this flagfile, and what the records change of its network.
    """

    preset: Preset
    base: Config
    settings: list[Settings]


def _start_of_run(run: str, manifest: Manifest) -> _Start:
    """Start from the settings and weights of a run, whose network stays.

    Raises:
      InputError: it has no masks, but the records have.
    """
    base = run_folder.settings(run)
    if manifest.trains_masks and not base.model.use_mask:
        raise InputError(
            f"--after={run}: has no masks, as these records have; start anew"
        )
    folder = os.path.abspath(run)
    flagfile = {"flagfile": os.path.join(folder, "flags.txt")}
    weights = {
        "init_checkpoint": "",
        "init_rgb": "",
        "init_flow": "",
        "init_run": folder,
    }
    settings = [
        Settings(flagfile, "settings of the training before"),
        Settings(weights, "its weights"),
    ]
    preset = dataclasses.replace(
        _preset_like(base.model), batch=base.training.batch_size
    )
    return _Start(preset, base, settings)


def _preset_like(model: ModelConfig) -> Preset:
    """Return the preset whose training takes about as much as that of a network."""
    for preset in PRESETS:
        preset_model = Config.read(command_line.find(preset.flagfile)).model
        if preset_model.backbone == model.backbone:
            if preset is LITE0 and not model.temporal_layers:
                return STILL
            return preset
    return SMALL


def _start_of_preset(
    preset: Preset, host: Host, manifest: Manifest, contents: Contents
) -> _Start:
    """Start from the flagfile of a preset, with a network that fits the records."""
    base = Config.read(command_line.find(preset.flagfile))
    reads = reads_labels(preset, len(contents.summaries["train"].videos))
    settings = [Settings({"flagfile": preset.flagfile}, f"for {host}: {preset.reason}")]
    if preset.from_imagenet:
        settings.append(_backbone_settings(reads))
    if preset.single_frames:
        settings.append(
            Settings(
                {"use_flow": False, "init_flow": "", "temporal_layers": 0},
                preset.single_frames,
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
    settings.append(_anchor_settings(contents.boxes, base.model, preset))
    if not preset.single_frames:
        settings += _motion_settings(contents.deviations, preset, base.model)
    return _Start(preset, base, settings)


def _backbone_settings(reads):
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


def anchor_choices(sides: np.ndarray) -> list[AnchorSizes]:
    """Return sizes of anchors to choose from, one of each level.

    Each choice begins at the 5 % quantile of the sides and goes in geometric steps: up
    to the 95 % quantile, or by 1.5, or by 2 a level. A level's anchor is at least 2.5
    of its cells, so that few boxes fall between two of them.

    Args:
      sides: square roots of the boxes' areas, pixels of the canvas.
    """
    low, high = np.quantile(sides, (0.05, 0.95))
    low = max(round(low), 1)  # whole, so that doubled sizes are
    choices: list[AnchorSizes] = []
    for growth in ((high / low) ** (1 / (len(STRIDES) - 1)), 1.5, 2.0):
        sizes = low * growth ** np.arange(len(STRIDES))
        sizes = np.clip(sizes, _LEAST_CELLS * np.array(STRIDES), MAX_SIDE)
        choices.append(tuple((float(size),) for size in np.round(sizes)))
    return choices


def _anchors_text(sizes: AnchorSizes) -> str:
    """Return sizes of anchors as --anchor_sizes has them."""
    levels = []
    for level in sizes:
        levels.append("+".join(f"{size:g}" for size in level))
    return ",".join(levels)


def _anchor_settings(boxes, model, preset):
    """Return the sizes that reach most boxes, then those closest to them.

    The sizes must fit the weights. The preset's own come first.
    """
    trained_sizes = backbones.CONVENTIONS[preset.rgb_convention].anchors
    best: AnchorSizes = ()
    best_quality = (-1.0, -1.0)
    for sizes in [model.anchors, *anchor_choices(boxes.sides())]:
        if trained_sizes and not anchor_ratios(trained_sizes, sizes):
            continue
        overlaps = boxes.overlaps(sizes)
        recall = round(100 * np.mean(overlaps >= ROI_POSITIVE_IOU))
        quality = (recall, overlaps.mean())
        if quality > best_quality:
            best = sizes
            best_quality = quality
    return Settings(
        {"anchor_sizes": _anchors_text(best)},
        f"anchors of IoU {ROI_POSITIVE_IOU:g} or more for {best_quality[0]} % of the"
        " boxes",
    )


def _motion_settings(deviations, preset, model):
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


def _instance_settings(train, base):
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


def _validation_settings(videos, least_videos):
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


def _mirroring_settings(labels):
    """Return that clips are not mirrored, if the name of a label has a side."""
    sided_names = []
    for name in (*labels.actors, *labels.actions):
        if _SIDES & set(re.split(r"[\s_./-]+", name.lower())):
            sided_names.append(name)
    if not sided_names:
        return []
    reason = f"mirroring would change the meaning of {', '.join(sided_names)}"
    return [Settings({"flip": False}, reason)]
