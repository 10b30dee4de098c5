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
    """Sample a grid of `samples` x `samples` points in each box, bilinearly.

    Args:
      images: N maps of any dtype [N, H, W, C], such as masks or frames; they are
        sampled in float32 and get no gradient.
      boxes: float32 [R, 4] (y1, x1, y2, x2), pixels of the map. Samples more than half
        a pixel outside of the map are zero.
      image_indices: int32 [R], the index of each box's map in `images`.
      samples: m, the number of samples along each side of a box.

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
    """Crop boxes from frames and resize each to a square patch.

    The refiner segments actors in such patches, and so does a mask head that sees the
    image (--mask_image). A pixel of a patch is the mean of 2x2 samples. Samples outside
    the frame are zero.

    Args:
      images: B frames, float [B, H, W, 3], normalised as the backbone's input.
      boxes: R boxes in each frame, float32 [B, R, 4] (y1, x1, y2, x2), pixels.
      size: height and width of a patch in pixels.

    Returns:
      float32 [B * R, size, size, 3], the patches of the first frame first.
    """
    image_indices = tf.repeat(tf.range(tf.shape(boxes)[0]), tf.shape(boxes)[1])
    samples = crop(images, tf.reshape(boxes, [-1, 4]), image_indices, 2 * size)
    return tf.nn.avg_pool2d(samples, 2, 2, "VALID")


def outermost_samples(boxes: tf.Tensor, samples: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the upper left and the lower right sample of each box.

    The samples are the centres of `samples` intervals along each side of the box.

    Args:
      boxes: [..., 4] (y1, x1, y2, x2), pixels of the map.
      samples: number of samples along each side.

    Returns:
      first: [..., 2], row and column of the upper left sample in pixels of the map,
        where 0 is the centre of the first pixel.
      last: [..., 2], row and column of the lower right sample, likewise.
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
    """Sample a grid of points between two corners bilinearly.

    Args:
      images: float32 [N, H, W, C].
      first: float32 [R, 2], row and column of each grid's upper left point, pixels; 0
        is the centre of the image's first pixel.
      last: float32 [R, 2], row and column of each grid's lower right point, likewise.
      image_indices: int32 [R], the index of each grid's image in `images`.
      samples: number of points along each side, at equal distances.

    Returns:
      float32 [R, samples, samples, C]; zero outside of 0..H - 1 and 0..W - 1.
    """
    span = tf.cast(tf.shape(images)[1:3] - 1, tf.float32)
    boxes = tf.concat([first / span, last / span], axis=1)
    return tf.image.crop_and_resize(images, boxes, image_indices, [samples, samples])
