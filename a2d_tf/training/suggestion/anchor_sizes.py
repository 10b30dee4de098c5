"""The suggested anchors, by the sizes of boxes."""

from __future__ import annotations

import numpy as np

from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.data.record_folder.inspection import Boxes
from a2d_tf.model import backbones
from a2d_tf.ops.anchors import ROI_POSITIVE_IOU, STRIDES
from a2d_tf.pretrained.anchor_deltas import anchor_ratios
from a2d_tf.training.suggestion.presets import Preset
from a2d_tf.training.suggestion.reasoned_flags import ReasonedFlags

AnchorSizes = tuple[tuple[float, ...], ...]
"""Sides of the anchors of each level, ascending."""

_LEAST_CELLS = 2.5  # an anchor's least side, in strides of its level


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


def suggest_anchors(boxes: Boxes, model: ModelConfig, preset: Preset) -> ReasonedFlags:
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
    return ReasonedFlags(
        {"anchor_sizes": _anchors_text(best)},
        f"anchors of IoU {ROI_POSITIVE_IOU:g} or more for {best_quality[0]} % of the"
        " boxes",
    )


def _anchors_text(sizes: AnchorSizes) -> str:
    """Return sizes of anchors as --anchor_sizes has them."""
    levels = []
    for level in sizes:
        levels.append("+".join(f"{size:g}" for size in level))
    return ",".join(levels)
