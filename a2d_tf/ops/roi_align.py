"""RoIAlign over a feature pyramid (paper, section 3.1).

Sampling grid: pixel i of a map covers [i, i + 1), with its value at the centre i + 1/2. A side
[a, b) of a box is divided into m = 2n intervals of length s = (b - a) / m (n output cells with two
samples each). Sample k lies at the centre of interval k, a + (k + 1/2) s, which is index
a + (k + 1/2) s - 1/2 on the grid of pixel centres. Samples of a box at the border can lie half a
pixel outside of the centres, where the map's edge is repeated. A cell is the mean of 2x2 samples.
This is ROIAlign "v2, aligned" with sampling ratio 2.

`legacy` is matterport's convention, for its published weights: one corner-aligned sample per cell,
boxes normalised as (y1, x1, y2 - 1, x2 - 1) / (H - 1, W - 1) of the image, levels rounded.

The levels are joined, so that one op samples all of them (`sampling`). The implementations:

sparse           A sparse matrix, 16 numbers per cell. On a CPU it is exact and deterministic in
                 both directions, with any number of threads.
crop_and_resize  `tf.image.crop_and_resize` and average pooling. On a CPU with several threads its
                 gradient loses updates where RoIs overlap (tensorflow issue 42033), and on a GPU it
                 is not deterministic; the gradient of `sparse` or `segments` replaces it there.
segments         The same forward; its gradient sums what each pixel gets from every cell, by a
                 kernel that is deterministic on a GPU as well.

`auto` is `sparse` on a CPU and `crop_and_resize` on a GPU.

On two busy CPU cores, crop_and_resize takes, forward and forward + backward by those of sparse
(medians of seven, one after the other; 256 channels): 0.7 and 1.4 times as long for 1000 RoIs of
14x14 in the pyramid of 320x576 pixels, 0.6 and 0.7 times for eight frames of 256x256 pixels, 64
RoIs of 7x7 each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from a2d_tf.core import devices
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops import sampling

IMPLEMENTATIONS = {
    "sparse": sampling.Sparse,
    "crop_and_resize": sampling.Crop,
    "segments": sampling.Segments,
}


def assign_levels(
    boxes: tf.Tensor,
    num_levels: int,
    convention: str = "aligned",
    image_size: tuple[int, int] | None = None,
) -> tf.Tensor:
    """Return the pyramid level of each box, an index into levels of stride 4, 8, 16, ...

    aligned: floor(4 + log2(sqrt(h w) / 224)), Lin et al. 2017, Eq. 1, with 224 pixels at stride 16.
    legacy: round(4 + log2(sqrt(h w / (H W)) / (224 / sqrt(H W)))) of the box in legacy coordinates.

    Args:
      boxes: [..., 4] in image pixels.
      num_levels: number of levels, to which the index is clamped.
      image_size: (height, width), needed by the legacy convention only.

    Returns:
      int32 [...].
    """
    if convention == "legacy":
        assert image_size is not None
        boxes = legacy_normalise(boxes, image_size)
        scale = 224.0 / (image_size[0] * image_size[1]) ** 0.5
    else:
        scale = 224.0
    side = tf.sqrt(tf.maximum(box_ops.area(boxes), 1e-12))
    octaves = tf.math.log(side / scale) / tf.math.log(2.0)
    # The small addend keeps a side of exactly 224 / 2**k on its own level in float32.
    octaves = tf.round(octaves) if convention == "legacy" else tf.floor(octaves + 1e-6)
    return tf.cast(tf.clip_by_value(octaves + 2.0, 0.0, num_levels - 1.0), tf.int32)


def legacy_normalise(boxes: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Convert half-open pixel boxes [..., 4] to matterport 2.1's coordinates of 0..1."""
    height, width = image_size
    scale = tf.constant([height - 1, width - 1, height - 1, width - 1], tf.float32)
    return box_ops.to_inclusive(boxes) / scale


def crop(images: tf.Tensor, boxes: tf.Tensor, box_indices: tf.Tensor, samples: int) -> tf.Tensor:
    """Sample `samples` x `samples` points of each box bilinearly, with the edge repeated.

    Args:
      images: [N, H, W, C], sampled in float32; they get no gradient.
      boxes: float32 [R, 4] in pixels of this map, inside it.
      box_indices: int32 [R], the map of each box.
      samples: m of the module docstring.

    Returns:
      float32 [R, m, m, C].
    """
    images = tf.stop_gradient(tf.cast(images, tf.float32))
    first, last = _ends(boxes, samples)
    return sampling.crop(images, first, last, box_indices, number=samples)


def _ends(boxes, samples):
    """Return the indices of the first and last of the samples per side: two float32 [..., 2]."""
    first, last = tf.split(boxes, 2, axis=-1)
    step = (last - first) / samples
    first = first + 0.5 * step - 0.5
    return first, first + step * (samples - 1)


def _grid(shapes, rois, size, convention, image_size):
    """Assign RoIs [B, R, 4] to levels; return their samples."""
    levels = assign_levels(rois, len(shapes), convention, image_size)
    if convention == "legacy":
        boxes = legacy_normalise(rois, image_size)
        sides = tf.gather(np.float32(shapes) - 1.0, levels)
        first, last, samples = boxes[..., :2] * sides, boxes[..., 2:] * sides, 1
    else:
        scales = tf.gather(np.float32(0.25 * 0.5 ** np.arange(len(shapes))), levels)
        first, last = _ends(rois * scales[..., None], 2 * size)
        samples = 2
    frames = tf.cast(tf.range(tf.shape(rois)[0]), tf.float32)
    owners = tf.reshape(frames[:, None] + tf.zeros_like(rois[..., 0]), [-1])
    first, last = tf.reshape(first, [-1, 2]), tf.reshape(last, [-1, 2])
    return sampling.Grid(first, last, owners, tf.reshape(levels, [-1]), size, samples)


def choose(implementation: str, on_gpu: bool, deterministic: bool) -> tuple[str, str | None]:
    """Return the (forward, backward) implementation; backward is None for autodiff.

    Args:
      implementation: 'auto', 'sparse', 'crop_and_resize' or 'segments'.

    Raises:
      ValueError: another implementation.
    """
    if implementation == "auto":
        implementation = "crop_and_resize" if on_gpu else "sparse"
    if implementation not in IMPLEMENTATIONS:
        names = ", ".join(("auto", *IMPLEMENTATIONS))
        raise ValueError(f"RoIAlign is implemented as one of {names}, not as {implementation}")
    if implementation != "crop_and_resize":
        return implementation, implementation
    if on_gpu:
        return implementation, "segments" if deterministic else None
    return implementation, "sparse"


def roi_align(
    pyramid: Sequence[tf.Tensor],
    rois: tf.Tensor,
    size: int,
    convention: str = "aligned",
    *,
    image_size: tuple[int, int] | None = None,
    implementation: str = "auto",
) -> tf.Tensor:
    """Extract the features of each RoI from the pyramid level for its size.

    Args:
      pyramid: list of [B, H_l, W_l, C], of strides 4, 8, 16, ..., static but for B.
      rois: float32 [B, R, 4] in image pixels, finite, inside the image; they get no gradient.
      size: n, cells per side.
      convention: 'aligned' or 'legacy'.
      image_size: (height, width) of the image, for the legacy convention only.
      implementation: as of `choose`.

    Returns:
      float32 [B, R, n, n, C].
    """
    forward, backward = choose(implementation, devices.on_gpu(), is_op_determinism_enabled())
    rois = tf.stop_gradient(rois)
    joined = sampling.Pyramid([tuple(features.shape[1:3]) for features in pyramid])
    grid = _grid(joined.shapes, rois, size, convention, image_size)
    frames = tf.shape(rois)[0]
    sampler = IMPLEMENTATIONS[forward](joined, grid, frames)

    @tf.custom_gradient
    def exactly_sampled(*pyramid):
        def gradient(cells):
            with tf.name_scope("gradient_tape/roi_align"):  # for profiles
                chosen = sampler
                if backward != forward:
                    chosen = IMPLEMENTATIONS[backward](joined, grid, frames)
                return joined.split(chosen.gradient(cells))

        return sampler.cells(joined.join(pyramid)), gradient

    def sampled(*pyramid):
        return sampler.cells(joined.join(pyramid))

    function = exactly_sampled if backward else sampled
    cells = function(*(tf.cast(features, tf.float32) for features in pyramid))
    count, channels = tf.shape(rois)[1], pyramid[0].shape[-1]
    cells = tf.reshape(cells, [frames, count, size, size, channels])
    return tf.ensure_shape(cells, [rois.shape[0], rois.shape[1], size, size, channels])
