"""The choice of a preset: single frames and motion maps, if these show the actions.

Whether they do is measured. A readout (a linear layer on features of public weights) is
fitted as in a training, and has to tell the actions of videos that are left out of the
fit.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.model.readout.label_fit import LEAST_SKILL
from a2d_tf.pretrained import cache
from a2d_tf.training import initial_weights, run_settings
from a2d_tf.training.fit_readout import Skills, fit_readout
from a2d_tf.training.suggestion.canvas_size import canvas_of_records
from a2d_tf.training.suggestion.presets import (
    ACTION_BACKBONE,
    INSTALL_ACTION_BACKBONE,
    SINGLE_FRAME,
    SINGLE_FRAME_UNTESTED,
    SINGLE_FRAME_WITH_MOTION,
    Preset,
    single_frame_config,
)
from a2d_tf.training.suggestion.reasoned_flags import ReasonedFlags
from a2d_tf.training.suggestion.record_flags import motion_flags


@dataclasses.dataclass(frozen=True)
class PresetChoice:
    """The preset that a training starts from, and the motion maps that it reads.

    Attributes:
      preset: the chosen preset.
      motion_maps: the flags of the motion maps that the network reads, with a reason;
        None if it reads none.
      remark: a sentence on motion maps for the user; "" for nothing.
    """

    preset: Preset
    motion_maps: ReasonedFlags | None = None
    remark: str = ""


def choose_preset(manifest: Manifest, preset: Preset) -> PresetChoice:
    """Choose between a preset with temporal context and one of single frames.

    A network of single frames, with the motion maps of the records, is chosen if a
    readout of these recognises the actions of videos left out of its fit. Kinds of maps
    that add nothing are not read. Single frames are also chosen if the videos are too
    few to tell, because many more steps fit the same time; all motion maps are read
    then.

    Args:
      manifest: the manifest of the records to train on.
      preset: the preset for actions that neither single frames nor motion maps show.
    """
    maps = motion_flags(manifest)
    skills = measure_skills(manifest, maps)
    remark = _remark_on_missing_maps(maps)
    if skills.action is not None and skills.action < LEAST_SKILL:
        return PresetChoice(preset, None, remark)
    if maps.get("action_backbone") in skills.unused_groups:
        del maps["action_backbone"]
    if "flow_histograms" in skills.unused_groups:
        del maps["flow_histograms"]
    if not maps:
        untested = skills.action is None
        single_frame = SINGLE_FRAME_UNTESTED if untested else SINGLE_FRAME
        return PresetChoice(single_frame, None, remark)
    worth = "too few videos to tell what each kind of map is worth: all are read"
    if skills.summary:
        worth = skills.summary
    motion_maps = ReasonedFlags(maps, f"{worth} (docs/real_video.md)")
    return PresetChoice(SINGLE_FRAME_WITH_MOTION, motion_maps, remark)


def measure_skills(manifest: Manifest, maps: dict[str, Any]) -> Skills:
    """Measure how well a readout of single frames labels videos left out of its fit.

    It is fitted without each video in turn, whose labels it has to tell; see
    `LeftOutPredictions.skill`.

    Args:
      manifest: the manifest of the records to train on.
      maps: {flag: value} of the motion maps that it reads beside the frames; {} for
        none.

    Returns:
      the skills for actors and for actions, from 0 for chance to 1 for all right, None
      if the videos are too few to tell; and the kinds of maps that add nothing.
    """
    height, width = canvas_of_records(manifest.sizes, SINGLE_FRAME.most_pixels)
    config = single_frame_config(height, width, maps).with_settings(val_fraction=0.0)
    config = run_settings.resolve_config(config, ())
    initial_weights.check_motion_maps(config, manifest)
    network = Network(config.model, manifest.label_space, config.compute)
    initial_weights.initialise(network, config)
    return fit_readout(network, manifest, config)


def _remark_on_missing_maps(maps: dict[str, Any]) -> str:
    """Say how to get the maps of an action backbone, "" if the records have them."""
    if "action_backbone" in maps:
        return ""
    install = ""
    without = ""
    if not cache.is_available(ACTION_BACKBONE):
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
