"""Box deltas of a proposal network, adapted to other anchors than it was trained with.

An adapted delta gives the same box on the network's anchor as it gave on the anchor of
the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.pretrained.weights_file import Weights

# relative error of a size that was rounded, such as 22.63 for 16 * 2**.5
_ROUNDED = 1e-3


def anchor_ratios(
    trained: Sequence[float], used: Sequence[Sequence[float]]
) -> list[float] | None:
    """Return trained / used anchors for each size of the proposal head, in its order.

    Args:
      trained: the size that the weights were trained with, of each level.
      used: ascending sizes of the network, of each level. The last of these use the
        last outputs of the head.

    Returns:
      the ratios; None if one differs by level, so that the head cannot be adapted.
    """
    ratios = []
    head_sizes = max(len(sizes) for sizes in used)
    for rank in range(head_sizes, 0, -1):  # 1 is the largest size of a level
        level_ratios = []
        for trained_size, used_sizes in zip(trained, used):
            if len(used_sizes) >= rank:
                level_ratios.append(trained_size / used_sizes[-rank])
        if max(level_ratios) > (1 + _ROUNDED) * min(level_ratios):
            return None
        ratios.append(level_ratios[0])
    return ratios


def checked_ratios(model: ModelConfig, weights: Weights) -> list[float]:
    """Return the `anchor_ratios` of a detector's weights and a network.

    Raises:
      InputError: the weights' deltas cannot be adapted to the network's anchors.
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
    """Make the weights of a layer of deltas mean the same boxes on other anchors.

    With an anchor that was r times as large, dy and dx are r times as large in units of
    ours, and dh and dw, logarithms, larger by ln r.

    Args:
      kernel: [..., sizes * aspect ratios * 4].
      bias: likewise.
      ratios: r of each size.
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


def _by_size(variable, ratios):
    """Return a variable's values as [..., sizes, aspect ratios, 4]."""
    return variable.numpy().reshape(*variable.shape[:-1], len(ratios), -1, 4)
