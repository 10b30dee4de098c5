"""RoIAlign over a feature pyramid (paper, section 3.1).

A RoI has n x n cells, and a cell is the mean of 2x2 samples, at the positions that
`crop.py` describes. This is detectron2's "ROIAlign v2, aligned" with sampling ratio 2.

`legacy` is the convention of matterport's published weights. Boxes are divided by the
image's size, so that 1 is the centre of a map's last pixel. A cell is one sample, the
outermost samples lie on the box's edge, and levels are rounded.

The levels are joined, so that `tf.image.crop_and_resize` and average pooling sample all
of them at once. On a CPU with several threads, the gradient of `crop_and_resize` loses
updates if RoIs overlap (tensorflow issue 42033); on a GPU it is not deterministic.
`roi_gradients.py` has gradients that replace it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops import roi_gradients
from a2d_tf.ops.crop import outermost_samples, sample_between
from a2d_tf.ops.joined_pyramid import JoinedPyramid, SampleGrid


def assign_levels(
    boxes: tf.Tensor, num_levels: int, convention: str = "aligned"
) -> tf.Tensor:
    """Return the pyramid level from which RoIAlign samples each box.

    The formula is Eq. 1 of Lin et al. 2017 (FPN): k = floor(4 + log2(sqrt(h w) / 224))
    is the level P_k. Levels are counted from P2, of stride 4, which is level 0.

    Args:
      boxes: float32 [..., 4] (y1, x1, y2, x2), pixels of the image.
      num_levels: number of levels; the result is clipped to 0..num_levels - 1.
      convention: 'aligned'; or 'legacy', matterport's, which rounds instead of taking
        the floor.

    Returns:
      int64 [...], the index of each box's level.
    """
    side = tf.sqrt(tf.maximum(box_ops.area(boxes), 1e-12))
    octaves = tf.math.log(side / 224.0) / tf.math.log(2.0)
    if convention == "legacy":
        octaves = tf.round(octaves)
    else:
        # Without the addend, rounding would put a side of exactly 224 / 2**k on the
        # level below.
        octaves = tf.floor(octaves + 1e-6)
    return tf.cast(tf.clip_by_value(octaves + 2.0, 0.0, num_levels - 1.0), tf.int64)


def gradient_for(on_gpu: bool) -> roi_gradients.Gradient | None:
    """Choose the fastest correct gradient of RoIAlign for a device.

    If TensorFlow was told to be deterministic (`enable_op_determinism`), the gradient
    is so, too.

    Args:
      on_gpu: whether the computation runs on a GPU.

    Returns:
      the argument `gradient` of `roi_align`: a function of `roi_gradients.py`; None for
      the gradient of TensorFlow's operations, on a GPU that need not be deterministic.
    """
    if not on_gpu:
        return roi_gradients.sparse
    if is_op_determinism_enabled():  # TensorFlow has no public name for it
        return roi_gradients.segments
    return None


def roi_align(
    pyramid: Sequence[tf.Tensor],
    rois: tf.Tensor,
    size: int,
    convention: str = "aligned",
    *,
    image_size: tuple[int, int] | None = None,
    gradient: roi_gradients.Gradient | None = roi_gradients.sparse,
) -> tf.Tensor:
    """Extract the features of each RoI from the pyramid level for its size.

    Args:
      pyramid: feature maps [B, H_l, W_l, C] of strides 4, 8, 16, ...; all sizes except
        B must be known when the graph is built.
      rois: float32 [B, R, 4] (y1, x1, y2, x2), pixels of the image, finite and inside
        it; they get no gradient.
      size: n, the number of cells along each side of a RoI.
      convention: 'aligned' or 'legacy'; see the module.
      image_size: (height, width) of the image in pixels, needed by the legacy
        convention only.
      gradient: the function of `roi_gradients.py` that backpropagates to the pyramid;
        None for the gradient of TensorFlow's operations.

    Returns:
      float32 [B, R, n, n, C], the features of each cell.
    """
    rois = tf.stop_gradient(rois)
    joined = JoinedPyramid([tuple(features.shape[1:3]) for features in pyramid])
    grid = _sample_grid(joined.shapes, rois, size, convention, image_size)
    batch_size = tf.shape(rois)[0]
    maps = [tf.cast(features, tf.float32) for features in pyramid]
    if gradient is None:
        cells = _sample_cells(joined.join(maps), joined, grid)
    else:
        cells = _sample_with_gradient(maps, joined, grid, batch_size, gradient)
    count = tf.shape(rois)[1]
    channels = pyramid[0].shape[-1]
    cells = tf.reshape(cells, [batch_size, count, size, size, channels])
    return tf.ensure_shape(cells, [rois.shape[0], rois.shape[1], size, size, channels])


def _sample_with_gradient(
    maps: Sequence[tf.Tensor],
    joined: JoinedPyramid,
    grid: SampleGrid,
    batch_size: tf.Tensor,
    gradient: roi_gradients.Gradient,
) -> tf.Tensor:
    """Sample cells [R, n, n, C] of maps; `gradient` backpropagates to the pixels."""

    @tf.custom_gradient
    def sample(*maps: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def backward(cells: tf.Tensor) -> list[tf.Tensor]:
            with tf.name_scope("gradient_tape/roi_align"):  # for profiles
                return joined.split(gradient(cells, joined, grid, batch_size))

        return _sample_cells(joined.join(maps), joined, grid), backward

    return sample(*maps)


def _sample_grid(
    shapes: Sequence[tuple[int, int]],
    rois: tf.Tensor,
    size: int,
    convention: str,
    image_size: tuple[int, int] | None,
) -> SampleGrid:
    """Return the samples of RoIs [B, R, 4], each on the level for its size."""
    levels = assign_levels(rois, len(shapes), convention)
    if convention == "legacy":
        assert image_size is not None
        samples = 1
        boxes = rois / tf.constant([*image_size, *image_size], tf.float32)
        last_pixels = tf.gather(np.array(shapes, np.float32) - 1.0, levels)
        first = boxes[..., :2] * last_pixels
        last = boxes[..., 2:] * last_pixels
    else:
        samples = 2
        scales = tf.gather(np.float32(0.25 * 0.5 ** np.arange(len(shapes))), levels)
        first, last = outermost_samples(rois * scales[..., None], samples * size)
    frames = tf.cast(tf.range(tf.shape(rois)[0]), tf.float32)
    frame_of_box = frames[:, None] + tf.zeros_like(rois[..., 0])  # [B, R]
    return SampleGrid(
        first=tf.reshape(first, [-1, 2]),
        last=tf.reshape(last, [-1, 2]),
        frame_of_box=tf.reshape(frame_of_box, [-1]),
        levels=tf.reshape(levels, [-1]),
        size=size,
        samples=samples,
    )


def _sample_cells(
    pixels: tf.Tensor, joined: JoinedPyramid, grid: SampleGrid
) -> tf.Tensor:
    """Return cells [R, n, n, C], sampled from a joined pyramid's pixels [B, P, C]."""
    atlas = joined.atlas()
    sheet = tf.gather(pixels, atlas.pixels, axis=1)
    corners = tf.gather(atlas.corners, grid.levels)
    cells = sample_between(
        sheet,
        grid.first + corners,
        grid.last + corners,
        tf.cast(grid.frame_of_box, tf.int32),
        grid.size * grid.samples,
    )
    if grid.samples > 1:
        cells = tf.nn.avg_pool2d(cells, grid.samples, grid.samples, "VALID")
    return cells
