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
"""For each pyramid level from P2 on its anchor sizes, the square roots of areas in
pixels, ascending.
"""

_LEAST_CELLS = 2.5  # an anchor's least side, in strides of its level


def anchor_choices(sides: np.ndarray) -> list[AnchorSizes]:
    """Return three choices of anchor sizes for boxes, with one size for each level.

    Each choice begins at the 5 % quantile of the sides and grows from level to level by
    a factor: one that ends at the 95 % quantile, 1.5, or 2. A level's anchor is at
    least 2.5 of its cells, so that few boxes fall between two of them.

    Args:
      sides: [N], square roots of the boxes' areas, pixels of the canvas.

    Returns:
      three values for `anchors.generate`: for each level from P2 to P6 a tuple of one
      size, pixels.
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
    """Suggest the anchor sizes that suit the boxes of the training split.

    The preset's own sizes and `anchor_choices` are compared. The best sizes have an
    anchor of IoU ROI_POSITIVE_IOU or more for the most boxes (in whole percent), and
    then the highest mean IoU. Sizes to which the weights of the preset's region
    proposal network cannot be adapted are left out.

    Args:
      boxes: boxes of the training split, on the canvas.
      model: settings of the preset's network, with its anchor sizes.
      preset: the preset.

    Returns:
      the flag `anchor_sizes`, with the share of boxes as its reason.
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
