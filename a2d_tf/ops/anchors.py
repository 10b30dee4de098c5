"""Anchors of the region proposal network, one size per pyramid level (Lin et al. 2017)."""

import numpy as np


def generate(shapes, strides, sizes, ratios=(0.5, 1.0, 2.0)):
    """Anchors over all pyramid levels.

    A ratio is width / height, so 0.5 is tall (matterport's sense); the area is size**2 for each.
    Centres lie at (i * stride, j * stride).

    Args:
      shapes: per level, (height, width) of the feature map.
      strides: per level, image pixels per cell.
      sizes: per level, the square root of the anchors' area in pixels.
      ratios: width / height of the anchors at each cell.

    Returns:
      float32 [A, 4] (y1, x1, y2, x2), ordered by level, row, column, ratio.
    """
    ratios = np.sqrt(np.asarray(ratios, np.float64))
    levels = []
    for (rows, columns), stride, size in zip(shapes, strides, sizes):
        y, x = np.meshgrid(np.arange(rows) * stride, np.arange(columns) * stride, indexing="ij")
        centres = np.stack([y, x], axis=-1)[:, :, None, :]
        halves = 0.5 * size * np.stack([1 / ratios, ratios], axis=-1)
        corners = np.concatenate([centres - halves, centres + halves], axis=-1)
        levels.append(corners.reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)
