"""Adaptation of a proposal network's box deltas to anchors of other sizes.

A delta describes a box relative to an anchor. The adapted delta describes, on an anchor
of the new size, the box that the delta described on an anchor of the old size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.pretrained.weights_file import Weights

_ROUNDING = 1e-3
"""Relative error of a rounded size, such as 22.63 for 16 * 2**.5."""


def anchor_ratios(
    trained: Sequence[float], used: Sequence[Sequence[float]]
) -> list[float] | None:
    """Return how much larger the anchors of pretrained weights are than a network's.

    The proposal head is shared by all levels, so its deltas can be adapted only if the
    ratio is the same on all levels P2 to P6.

    Args:
      trained: for each level, the size that the weights were trained with, in pixels.
      used: for each level, the network's sizes in ascending order, in pixels. A level
        with fewer sizes than others uses the last outputs of the head.

    Returns:
      trained size / used size, for each anchor size of the head in its order, smallest
      first; None if the ratio differs between levels.
    """
    ratios = []
    head_sizes = max(len(sizes) for sizes in used)
    for rank in range(head_sizes, 0, -1):  # 1 is the largest size of a level
        level_ratios = []
        for trained_size, used_sizes in zip(trained, used):
            if len(used_sizes) >= rank:
                level_ratios.append(trained_size / used_sizes[-rank])
        if max(level_ratios) > (1 + _ROUNDING) * min(level_ratios):
            return None
        ratios.append(level_ratios[0])
    return ratios


def checked_ratios(model: ModelConfig, weights: Weights) -> list[float]:
    """Return how much larger the anchors of a detector's weights are than a network's.

    Args:
      model: settings of the network, with --anchor_sizes.
      weights: weights with a proposal network.

    Returns:
      trained size / used size for each anchor size, see `anchor_ratios`.

    Raises:
      InputError: the ratio differs between levels, so the weights' deltas cannot be
        adapted to the network's anchors.
    """
    ratios = anchor_ratios(weights.anchors, model.anchors)
    if ratios is None:
        sizes = ",".join(f"{size:g}" for size in weights.anchors)
        halves = ",".join(f"{size * 0.5:g}" for size in weights.anchors)
        raise InputError(
            f"{weights.path}: --anchor_sizes={model.anchor_sizes} cannot decode these"
            f" weights' boxes, whose anchors are {sizes}; use these, all times one"
            f" factor, such as {halves}, or two sizes on the finest levels, such as"
            f" {weights.anchors[0] / 2:g}+{sizes}"
        )
    return ratios


def adapt_deltas(
    kernel: tf.Variable,
    bias: tf.Variable,
    ratios: Sequence[float],
    coder_weights: Sequence[float],
) -> None:
    """Adapt the proposals' layer of deltas to other anchors, to predict the same boxes.

    If the old anchor is r times as large as the new one, dy and dx grow by the factor
    r, and dh and dw, which are logarithms, grow by ln r.

    Args:
      kernel: [..., sizes * aspect ratios * 4], changed in place.
      bias: [sizes * aspect ratios * 4], changed in place.
      ratios: r for each size, as `anchor_ratios` returns them.
      coder_weights: factors of dy, dx, dh and dw, see `BoxCoder`.
    """
    kernel_rows = _by_size(kernel, ratios)
    bias_rows = _by_size(bias, ratios)
    for size, ratio in enumerate(ratios):
        kernel_rows[..., size, :, :2] *= ratio
        bias_rows[..., size, :, :2] *= ratio
        bias_rows[..., size, :, 2:] += np.multiply(coder_weights[2:], math.log(ratio))
    kernel.assign(kernel_rows.reshape(kernel.shape))
    bias.assign(bias_rows.reshape(bias.shape))


def _by_size(variable: tf.Variable, ratios: Sequence[float]) -> np.ndarray:
    """Return a variable's values as [..., sizes, aspect ratios, 4]."""
    return variable.numpy().reshape(*variable.shape[:-1], len(ratios), -1, 4)
