"""Backbones by name, from the dictionary BACKBONES of each module of this folder."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import TypeVar

from a2d_tf.core.config import ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.model.backbones.entry import Backbone, Convention, Published

_Entry = TypeVar("_Entry")


def _find_backbones() -> dict[str, Backbone]:
    """Return the backbones of every module of this folder."""
    backbones: dict[str, Backbone] = {}
    for module_info in pkgutil.iter_modules(__path__, f"{__name__}."):
        module = importlib.import_module(module_info.name)
        backbones.update(getattr(module, "BACKBONES", {}))
    return backbones


def _find_published() -> dict[str, Published]:
    """Return the public weights of every backbone."""
    published = {}
    for backbone in BACKBONES.values():
        for weights in backbone.published:
            published[weights.name] = weights
    return published


BACKBONES = _find_backbones()
PUBLISHED = _find_published()
"""Public weights by their names."""
CONVENTIONS = {"own": Convention()}
"""Weight conventions by the sources of weights; 'own' is that of random ones."""
for _weights in PUBLISHED.values():
    CONVENTIONS[_weights.source] = _weights.convention


def find(name: str, flag: str = "backbone") -> Backbone:
    """Return the backbone that a flag names.

    Raises:
      InputError: there is no backbone of that name.
    """
    return _find_entry(name, flag, BACKBONES)


def _find_entry(name: str, flag: str, entries: Mapping[str, _Entry]) -> _Entry:
    if name not in entries:
        raise InputError(f"--{flag}={name}: unknown; use one of {', '.join(entries)}")
    return entries[name]


def convention(model: ModelConfig, stream: str) -> Convention:
    """Return the weight convention of a network's 'rgb' or 'flow' stream.

    'own' follows --stride_in_1x1, --pixel_scale and --roi_align, others ignore them.
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
    """Return what a convention implies for the flags that only 'own' follows."""
    if name == "own":
        return {}
    implied = _find_entry(name, "rgb_convention", CONVENTIONS)
    return {
        "stride_in_1x1": implied.stride_in_1x1,
        "roi_align": implied.roi_align,
        "pixel_scale": 1.0,
    }
