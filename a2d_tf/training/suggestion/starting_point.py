"""The starting point of a suggestion: a preset's flagfile, or the settings of a run."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, NamedTuple

from a2d_tf.core.command import flagfiles
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config, ModelConfig
from a2d_tf.data.record_folder.deviations import Deviations
from a2d_tf.model import backbones
from a2d_tf.runs import run_folder
from a2d_tf.training.suggestion.anchor_sizes import suggest_anchors
from a2d_tf.training.suggestion.basis import Basis
from a2d_tf.training.suggestion.preset_choice import PresetChoice
from a2d_tf.training.suggestion.presets import (
    SINGLE_FRAME_FLAGS,
    SQUARE,
    Preset,
    preset_of_network,
    uses_readout,
)
from a2d_tf.training.suggestion.reasoned_flags import ReasonedFlags

_LEAST_FLOW = 1e-3  # standard deviation in pixels below which nothing moves
_MOST_FLOW_SCALE = 1000.0


class StartingPoint(NamedTuple):
    """The flagfile that a suggestion starts from, and the flags that fit its network.

    Attributes:
      preset: the preset with the memory and time that the training takes.
      config: the settings in the flagfile, before other flags change them.
      settings: the flagfile, then the flags that fit its network and its initial
        weights to the records.
    """

    preset: Preset
    config: Config
    settings: list[ReasonedFlags]


def of_preset(choice: PresetChoice, basis: Basis) -> StartingPoint:
    """Start from the flagfile of a preset, with a network that fits the records.

    The flags are: how the backbones are trained, motion maps, flow and its scale, the
    mask head, the canvas, anchor sizes, and public weights.

    Args:
      choice: the preset, and its motion maps.
      basis: the records and the machine.
    """
    preset = choice.preset
    config = Config.read(flagfiles.find(preset.flagfile))
    settings = [
        ReasonedFlags(
            {"flagfile": preset.flagfile}, f"for {basis.host}: {preset.reason}"
        )
    ]
    if preset.from_imagenet:
        settings.append(_training_of_backbones(preset, len(basis.videos)))
    if choice.motion_maps:
        settings.append(choice.motion_maps)
    if preset.single_frame_reason:
        settings.append(ReasonedFlags(SINGLE_FRAME_FLAGS, preset.single_frame_reason))
    if not basis.manifest.trains_masks:
        settings.append(
            ReasonedFlags({"use_mask": False}, "no training instance has a mask")
        )
    height, width = basis.contents.boxes.canvas
    most_pixels = SQUARE if preset.on_gpu else preset.most_pixels
    settings.append(
        ReasonedFlags(
            {"image_height": height, "image_width": width},
            f"size of the stored frames; on a CPU at most {most_pixels} pixels",
        )
    )
    settings.append(suggest_anchors(basis.contents.boxes, config.model, preset))
    if not preset.single_frame_reason:
        deviations = basis.contents.deviations
        if preset.on_gpu:
            settings.append(_public_weights(deviations))
        settings.append(_use_of_flow(deviations, preset, config.model))
    return StartingPoint(preset, config, settings)


def of_run(run: str, basis: Basis) -> StartingPoint:
    """Start from the settings and the weights of a run, whose network stays as it is.

    Args:
      run: path of the run folder.
      basis: the records and the machine.

    Raises:
      InputError: `run` is no run; or its network has no masks, but the records have; or
        it reads motion maps that the records lack.
    """
    config = run_folder.read_loadable_config(run)
    model = config.model
    basis.manifest.check_motion(model.action_backbone, model.flow_histograms)
    if basis.manifest.trains_masks and not model.use_mask:
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
        ReasonedFlags(flagfile, "settings of the training before"),
        ReasonedFlags(weights, "its weights"),
    ]
    preset = dataclasses.replace(
        preset_of_network(model), batch=config.training.batch_size
    )
    return StartingPoint(preset, config, settings)


def _training_of_backbones(preset: Preset, videos: int) -> ReasonedFlags:
    """Suggest how far backbones that start from ImageNet's weights are trained."""
    flags: dict[str, Any] = {"backbone_rate": 0.1}
    reason = "backbones close to ImageNet's"
    if uses_readout(preset, videos):
        flags.update(readout=True, scale_jitter=0.25, colour_jitter=0.3)
        reason = "few videos: labels by what ImageNet's features know, and more jitter"
    return ReasonedFlags(flags, f"{reason} (docs/real_video.md)")


def _public_weights(deviations: Deviations) -> ReasonedFlags:
    """Suggest the public weights of the streams that are used."""
    flags = {"init_rgb": "coco"}
    if _moves(deviations):
        flags["init_flow"] = "imagenet"
    return ReasonedFlags(
        flags, "public weights, downloaded once (docs/pretrained_weights.md)"
    )


def _use_of_flow(
    deviations: Deviations, preset: Preset, model: ModelConfig
) -> ReasonedFlags:
    """Suggest the scale of flow, or no flow if nothing moves."""
    if not _moves(deviations):
        return ReasonedFlags(
            {"use_flow": False, "init_flow": ""}, "nothing moves in the key frames"
        )
    model = dataclasses.replace(model, rgb_convention=preset.rgb_convention)
    rgb_divisor = backbones.convention(model, "rgb").std[0]
    scale = deviations.rgb / rgb_divisor / deviations.flow
    scale = min(scale, _MOST_FLOW_SCALE)
    return ReasonedFlags(
        {"flow_scale": float(f"{scale:.2g}")},
        f"flow deviates by {deviations.flow:.2g} pixels, RGB by {deviations.rgb:.3g}"
        " levels; so both streams get inputs of one scale (docs/training.md, flow"
        " beside RGB)",
    )


def _moves(deviations: Deviations) -> bool:
    """Return whether anything moves in the key frames."""
    return deviations.flow > _LEAST_FLOW and deviations.rgb > 0
