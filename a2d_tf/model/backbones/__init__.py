"""Backbones by name: each module of this folder has a dictionary BACKBONES of its
own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from a2d_tf.core.config import ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.model.backbones.entry import Backbone, Convention, Published

BACKBONES: dict[str, Backbone] = {}
for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    BACKBONES.update(getattr(importlib.import_module(_module.name), "BACKBONES", {}))

PUBLISHED: dict[str, Published] = {
    weights.name: weights
    for backbone in BACKBONES.values()
    for weights in backbone.published
}
"""Public weights by their names."""
CONVENTIONS = {
    "own": Convention(),
    **{weights.source: weights.convention for weights in PUBLISHED.values()},
}
"""Weight conventions by the sources of weights; 'own' is that of random ones."""


def find(
    name: str, flag: str = "backbone", entries: Mapping[str, Any] = BACKBONES
) -> Any:
    """Return the backbone, or the entry of another dictionary, that a flag names;
    InputError where there is none of that name.
    """
    if name not in entries:
        raise InputError(f"--{flag}={name}: unknown; use one of {', '.join(entries)}")
    return entries[name]


def convention(model: ModelConfig, stream: str) -> Convention:
    """Return the weight convention of a network's 'rgb' or 'flow' stream.

    'own' follows --stride_in_1x1, --pixel_scale and --roi_align, others ignore them.
    """
    flag = f"{stream}_convention"
    if getattr(model, flag) != "own":
        return find(getattr(model, flag), flag, CONVENTIONS)
    return Convention(
        std=(1 / model.pixel_scale,) * 3,
        stride_in_1x1=model.stride_in_1x1,
        roi_align=model.roi_align,
    )


def implied_settings(name: str) -> dict:
    """Return the values that a convention implies for the flags that only 'own'
    follows.
    """
    if name == "own":
        return {}
    own = find(name, "rgb_convention", CONVENTIONS)
    return {
        "stride_in_1x1": own.stride_in_1x1,
        "roi_align": own.roi_align,
        "pixel_scale": 1.0,
    }
