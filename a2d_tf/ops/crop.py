"""Crop boxes from maps at evenly spaced points.

Pixel i of a map covers [i, i + 1), with its value at the centre i + 1/2. A side [a, b)
of a box is divided into m intervals of length s = (b - a) / m. Sample k lies at the
centre of interval k, a + (k + 1/2) s, which is index a + (k + 1/2) s - 1/2 on the grid
of pixel centres. Samples of a box at the border can lie half a pixel outside of the
centres, where the map's edge is repeated.
"""

from __future__ import annotations

import tensorflow as tf


def crop(
    images: tf.Tensor, boxes: tf.Tensor, image_indices: tf.Tensor, samples: int
) -> tf.Tensor:
    """Sample `samples` x `samples` points of each box bilinearly.

    Args:
      images: N maps [N, H, W, C], sampled in float32; they get no gradient.
      boxes: float32 [R, 4] (y1, x1, y2, x2), pixels of the map. Samples more than half
        a pixel outside of the map are zero.
      image_indices: int32 [R], the map of each box.
      samples: m, the number of samples along each side.

    Returns:
      float32 [R, m, m, C].
    """
    first, last = outermost_samples(boxes, samples)
    # Samples may lie half a pixel outside of the centres, where TensorFlow's operation
    # reads zeros.
    images = tf.stop_gradient(tf.cast(images, tf.float32))
    images = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return sample_between(images, first + 1.0, last + 1.0, image_indices, samples)


def crop_patches(images: tf.Tensor, boxes: tf.Tensor, size: int) -> tf.Tensor:
    """Crop boxes to patches of the same size; a pixel is the mean of 2x2 samples.

    Samples outside the image are zero.

    Args:
      images: float [B, H, W, 3], preprocessed.
      boxes: float32 [B, R, 4] (y1, x1, y2, x2), pixels.
      size: pixels of a patch along each side.

    Returns:
      float32 [B * R, size, size, 3].
    """
    image_indices = tf.repeat(tf.range(tf.shape(boxes)[0]), tf.shape(boxes)[1])
    samples = crop(images, tf.reshape(boxes, [-1, 4]), image_indices, 2 * size)
    return tf.nn.avg_pool2d(samples, 2, 2, "VALID")


def outermost_samples(boxes: tf.Tensor, samples: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the first and the last sample of each box, (row, column) [..., 2] each.

    Args:
      boxes: [..., 4] (y1, x1, y2, x2), pixels of the map.
      samples: number of samples along each side.

    Returns:
      two tensors of rows and columns, in units of the map's pixels; 0 is the centre of
      the first pixel.
    """
    first, last = tf.split(boxes, 2, axis=-1)
    step = (last - first) / samples
    first = first + 0.5 * step - 0.5
    return first, first + step * (samples - 1)


def sample_between(
    images: tf.Tensor,
    first: tf.Tensor,
    last: tf.Tensor,
    image_indices: tf.Tensor,
    samples: int,
) -> tf.Tensor:
    """Sample `samples` x `samples` points, evenly from the first to the last.

    Args:
      images: float32 [N, H, W, C].
      first: float32 [R, 2], (row, column) of the first sample; 0 is the centre of the
        image's first pixel.
      last: float32 [R, 2], likewise of the last sample.
      image_indices: int32 [R], the image of each box.
      samples: number of samples along each side.

    Returns:
      float32 [R, samples, samples, C]; zero outside of 0..H - 1 and 0..W - 1.
    """
    span = tf.cast(tf.shape(images)[1:3] - 1, tf.float32)
    boxes = tf.concat([first / span, last / span], axis=1)
    return tf.image.crop_and_resize(images, boxes, image_indices, [samples, samples])
