"""Whether actions of few videos are read from single frames and from motion maps.

A readout is fitted as in a training, and has to tell the actions of videos that are
left out of the fit.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from a2d_tf.data.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.model.readout.label_fit import LEAST_SKILL
from a2d_tf.pretrained import cache
from a2d_tf.training import initial_weights, run_settings
from a2d_tf.training.fit_readout import Skills, fit_readout
from a2d_tf.training.suggestion.presets import (
    ACTION_BACKBONE,
    INSTALL_ACTION_BACKBONE,
    STILL,
    STILL_UNTESTED,
    STILL_WITH_MOTION,
    Preset,
    single_frame_config,
)
from a2d_tf.training.suggestion.settings import Settings, motion_flags
from a2d_tf.training.suggestion.sizes import canvas


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a training with a readout tells actions.

    Attributes:
      preset: what it starts from.
      motion: the motion maps that are read, None for none.
      remark: what a user should know of these, "" for nothing.
    """

    preset: Preset
    motion: Settings | None = None
    remark: str = ""


def choose_reading(manifest: Manifest, preset: Preset) -> Reading:
    """Choose single frames, with the motion maps of the records, if these show actions.

    Single frames are also best if nothing tells: of seven videos 571 steps fit the time
    of 62 with flow and temporal context. All motion maps are read then.

    Args:
      preset: for actions that neither shows.
    """
    maps = motion_flags(manifest)
    skills = fit_to_left_out(manifest, maps)
    remark = _missing_maps(maps)
    if skills.action is not None and skills.action < LEAST_SKILL:
        return Reading(preset, None, remark)
    if maps.get("action_backbone") in skills.unread:
        del maps["action_backbone"]
    if "flow_histograms" in skills.unread:
        del maps["flow_histograms"]
    if not maps:
        known = STILL_UNTESTED if skills.action is None else STILL
        return Reading(known, None, remark)
    worth = "too few videos to tell what each kind of map is worth: all are read"
    if skills.worth:
        worth = skills.worth
    motion = Settings(maps, f"{worth} (docs/real_video.md)")
    return Reading(STILL_WITH_MOTION, motion, remark)


def fit_to_left_out(manifest: Manifest, maps: dict[str, Any]) -> Skills:
    """Return how well a readout of single frames knows the actions of other videos.

    It is fitted without each video in turn, whose actions it has to tell; see
    `ridge.skill`.

    Args:
      maps: flags of the motion maps that it reads, too.
    """
    height, width = canvas(manifest.sizes, STILL.most_pixels)
    config = single_frame_config(height, width, maps).with_settings(val_fraction=0.0)
    config = run_settings.resolve_config(config, ())
    initial_weights.check_motion(config, manifest)
    network = Network(config.model, manifest.label_space, config.compute)
    initial_weights.initialise(network, config)
    return fit_readout(network, manifest, config)


def _missing_maps(maps: dict[str, Any]) -> str:
    """Return how to get the features of an action backbone, "" if they are there."""
    if "action_backbone" in maps:
        return ""
    install = ""
    without = ""
    if not cache.at_hand(ACTION_BACKBONE):
        install = f"{INSTALL_ACTION_BACKBONE}, and "
        without = (
            "; without them --backbone=efficientnet_lite2 --init_rgb=lite2 knows a"
            " little more, for about 1.5 times the time"
        )
    return (
        "features of I3D know actions far better than single frames"
        f" (docs/real_video.md): {install}`a2d records --action_backbone="
        f"{ACTION_BACKBONE} --flow_histograms`, or a2d start with another --output"
        f"{without}"
    )
