"""The rules by which settings are suggested for records and a machine.

The scale of flow follows from the records, the network from the machine. Canvas and
anchors are in `sizes`, batch and number of steps in `length`.
docs/training.md, docs/experiments.md and docs/performance.md have the measurements
behind some of the numbers; the others are rules of thumb.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core import flagfiles
from a2d_tf.core.config import Config, ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import pipeline
from a2d_tf.data.deviations import Deviations
from a2d_tf.data.inspection import Contents, Summary
from a2d_tf.data.manifest import Manifest
from a2d_tf.model import backbones
from a2d_tf.runs import run_folder
from a2d_tf.training.suggestion.host import Host, Speed
from a2d_tf.training.suggestion.length import training_settings
from a2d_tf.training.suggestion.presets import (
    LITE0,
    PRESETS,
    SINGLE_FRAMES,
    SMALL,
    SQUARE,
    STILL,
    Preset,
    reads_labels,
)
from a2d_tf.training.suggestion.readout_use import Reading
from a2d_tf.training.suggestion.settings import Settings
from a2d_tf.training.suggestion.sizes import anchor_settings

_FEW_VIDEOS = 20  # training videos below which none is held out
# The same with a readout, which learns much from each video (docs/real_video.md).
_FEW_VIDEOS_TO_READ = 50
# On p(actor), of a network that has learned little (docs/real_video.md).
_THRESHOLD = 0.3
_LEAST_FLOW = 1e-3  # standard deviation in pixels below which nothing moves
_MOST_FLOW_SCALE = 1000.0
_SIDES = {"left", "right", "leftwards", "rightwards", "clockwise", "counterclockwise"}


def suggest(
    manifest: Manifest,
    contents: Contents,
    host: Host,
    reading: Reading,
    *,
    minutes: float | None = None,
    speed: Speed | None = None,
    after: str | None = None,
) -> list[Settings]:
    """Return the settings for records; first the flagfile that the others change.

    Args:
      manifest: of the records.
      contents: of the records, on the network's canvas.
      reading: what the training starts from, without `after`.
      minutes: of training at most; by default 180 on a CPU.
      speed: of a training with these settings; by default estimated from the preset's.
      after: run folder whose settings and weights the training starts from.

    Raises:
      InputError: `after` is no run, has no masks where the records have, or reads
        motion maps that they lack.
    """
    train = contents.summaries["train"]
    if after:
        start = _start_of_run(after, manifest)
    else:
        start = _start_of_preset(reading, host, manifest, contents)
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
    names = _names_of_labels(manifest.label_space)
    if after:
        # What the run knew is in its own settings.
        known = _names_of_labels(run_folder.read_labels(after))
        names = [name for name in names if name not in known]
    else:
        reads = reads_labels(start.preset, len(train.videos))
        least_videos = _FEW_VIDEOS_TO_READ if reads else _FEW_VIDEOS
        settings.append(_validation_settings(train.videos, least_videos))
    settings += _mirroring_settings(names)
    return settings


def _names_of_labels(labels: LabelSpace) -> list[str]:
    return [*labels.actors, *labels.actions]


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
      InputError: it has no masks, but the records have; or it reads motion maps that
        they lack.
    """
    base = run_folder.read_loadable_config(run)
    manifest.check_motion(base.model.action_backbone, base.model.flow_histograms)
    if manifest.trains_masks and not base.model.use_mask:
        raise InputError(
            f"--after={run}: has no masks, as these records have; start anew"
        )
    folder = os.path.abspath(run)
    flagfile = {"flagfile": run_folder.flags_path(folder)}
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
    if model.backbone.startswith("efficientnet"):
        return LITE0 if model.temporal_layers else STILL
    for preset in PRESETS:
        preset_model = Config.read(flagfiles.find(preset.flagfile)).model
        if preset_model.backbone == model.backbone:
            return preset
    return SMALL


def _start_of_preset(
    reading: Reading, host: Host, manifest: Manifest, contents: Contents
) -> _Start:
    """Start from the flagfile of a preset, with a network that fits the records."""
    preset = reading.preset
    base = Config.read(flagfiles.find(preset.flagfile))
    reads = reads_labels(preset, len(contents.summaries["train"].videos))
    settings = [Settings({"flagfile": preset.flagfile}, f"for {host}: {preset.reason}")]
    if preset.from_imagenet:
        settings.append(_backbone_settings(reads))
    if reading.motion:
        settings.append(reading.motion)
    if preset.single_frames:
        settings.append(Settings(SINGLE_FRAMES, preset.single_frames))
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
    settings.append(anchor_settings(contents.boxes, base.model, preset))
    if not preset.single_frames:
        settings += _motion_settings(contents.deviations, preset, base.model)
    return _Start(preset, base, settings)


def _backbone_settings(reads: bool) -> Settings:
    """Return how far backbones that start from ImageNet's weights are trained."""
    flags: dict[str, Any] = {"backbone_rate": 0.1}
    reason = "backbones close to ImageNet's"
    if reads:
        flags.update(readout=True, scale_jitter=0.25, colour_jitter=0.3)
        reason = "few videos: labels by what ImageNet's features know, and more jitter"
    return Settings(flags, f"{reason} (docs/real_video.md)")


def _motion_settings(
    deviations: Deviations, preset: Preset, model: ModelConfig
) -> list[Settings]:
    """Return the use of flow and its scale, and the public weights of both streams."""
    flow = deviations.flow
    rgb = deviations.rgb
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


def _instance_settings(train: Summary, base: Config) -> list[Settings]:
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


def _validation_settings(videos: Collection[str], least_videos: int) -> Settings:
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


def _mirroring_settings(names: Iterable[str]) -> list[Settings]:
    """Return that clips are not mirrored, if the name of a label has a side."""
    sided_names = []
    for name in names:
        if _SIDES & set(re.split(r"[\s_./-]+", name.lower())):
            sided_names.append(name)
    if not sided_names:
        return []
    reason = f"mirroring would change the meaning of {', '.join(sided_names)}"
    return [Settings({"flip": False}, reason)]
