"""Backbones by name: those that see single frames, and those that see time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.model.backbones import efficientnet, i3d, resnet
from a2d_tf.model.backbones.entry import (
    ActionBackbone,
    Backbone,
    Convention,
    Published,
)

_Entry = TypeVar("_Entry")

BACKBONES: dict[str, Backbone] = efficientnet.BACKBONES | resnet.BACKBONES
ACTION_BACKBONES: dict[str, ActionBackbone] = i3d.ACTION_BACKBONES


def _published() -> dict[str, Published]:
    """Return the public weights of all backbones by their names."""
    published = {}
    for backbone in BACKBONES.values():
        for weights in backbone.published:
            published[weights.name] = weights
    return published


def _conventions() -> dict[str, Convention]:
    """Return the conventions of all sources of weights."""
    conventions = {"own": Convention()}
    for weights in PUBLISHED.values():
        conventions[weights.source] = weights.convention
    return conventions


PUBLISHED = _published()
"""Public weights of backbones by their names, those of --init_rgb and --init_flow."""
PUBLISHED_OF_ACTIONS = {
    backbone.published.name: backbone.published
    for backbone in ACTION_BACKBONES.values()
}
"""Public weights of action backbones by their names."""
CONVENTIONS = _conventions()
"""Weight conventions by the sources of weights; 'own' is that of random ones."""


def find(name: str, flag: str = "backbone") -> Backbone:
    """Return the backbone of single frames that a flag names.

    Args:
      name: a key of BACKBONES, such as 'resnet101'.
      flag: name of the flag that holds the name, for the message.

    Raises:
      InputError: there is no backbone of that name.
    """
    return _find_entry(name, flag, BACKBONES)


def build_action_backbone(name: str) -> tf.keras.Model:
    """Build the action backbone that --action_backbone names, with random weights.

    An action backbone sees frames in time, such as I3D.

    Args:
      name: a key of ACTION_BACKBONES, such as 'i3d'.

    Returns:
      the model from RGB of 0 to 255, uint8 [N, T, h, w, 3], to {name of a map: float32
      [N, t, h', w', C]}. `motion_maps.BACKBONE_MAPS` lists the maps, their strides and
      the number of frames of a cell.

    Raises:
      InputError: there is no action backbone of that name.
    """
    backbone = _find_entry(name, "action_backbone", ACTION_BACKBONES)
    frames = tf.keras.Input([None, None, None, 3], dtype=tf.uint8, name="frames")
    maps = backbone.build(tf.cast(frames, tf.float32))
    return tf.keras.Model(frames, maps, name="action_backbone")


def convention(model: ModelConfig, stream: str) -> Convention:
    """Return the weight convention that a network follows in one of its streams.

    A convention is what a network must share with the weights it starts from, such as
    the normalisation of pixels. The convention 'own' follows --stride_in_1x1,
    --pixel_scale and --roi_align, others ignore them.

    Args:
      model: settings of the network; --rgb_convention or --flow_convention is read.
      stream: 'rgb' for the appearance branch, 'flow' for the motion backbone.

    Raises:
      InputError: there is no convention of the name in the settings.
    """
    flag = f"{stream}_convention"
    name = getattr(model, flag)
    if name != "own":
        return _find_entry(name, flag, CONVENTIONS)
    return Convention(
        std=(1 / model.pixel_scale,) * 3,
        stride_in_1x1=model.stride_in_1x1,
        roi_align=model.roi_align,
    )


def implied_settings(name: str) -> dict:
    """Return the settings of a network that a weight convention fixes.

    A network that starts from such weights takes them over. With the convention 'own',
    that of random weights, a user chooses them.

    Args:
      name: a key of CONVENTIONS, such as 'matterport'.

    Returns:
      {stride_in_1x1, roi_align, pixel_scale: value}; empty for 'own'.

    Raises:
      InputError: there is no convention of that name.
    """
    if name == "own":
        return {}
    implied = _find_entry(name, "rgb_convention", CONVENTIONS)
    return {
        "stride_in_1x1": implied.stride_in_1x1,
        "roi_align": implied.roi_align,
        "pixel_scale": 1.0,
    }


def _find_entry(name: str, flag: str, entries: Mapping[str, _Entry]) -> _Entry:
    if name not in entries:
        raise InputError(f"--{flag}={name}: unknown; use one of {', '.join(entries)}")
    return entries[name]
