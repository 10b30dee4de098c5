"""Resize frames to fit the network's canvas, and pad them with zeros.

The canvas is the network's input image of a fixed height and width (--image_height and
--image_width). The padding is below and to the right. Flow is optical flow, the motion
of each pixel since the frame before, (u, v) with u to the right and v down; its vectors
scale with the frame. The input pipeline and the exported model use the same functions,
so that training and inference see the same clip.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import tensorflow as tf


class Placed(NamedTuple):
    """The N frames of a clip on a canvas of height H and width W.

    Attributes:
      rgb: the frames, uint8 [N, H, W, 3]; 0 in the padding.
      flow: their optical flow, float32 [N, H, W, 2], (u, v) in pixels of the canvas; 0
        in the padding.
      size: int32 [2], height and width of the frames on the canvas without padding.
    """

    rgb: tf.Tensor
    flow: tf.Tensor
    size: tf.Tensor


def decode_jpegs(images: tf.Tensor, channels: int) -> tf.Tensor:
    """Decode JPEGs or PNGs of one size in the graph, with the pixels OpenCV would give.

    Args:
      images: string [N], the encoded images, all of one height and width.
      channels: 3 for RGB, 1 for grey.

    Returns:
      uint8 [N, H, W, channels].
    """
    # The default method differs from OpenCV's by several levels and is no faster.
    decode = functools.partial(
        tf.io.decode_jpeg, channels=channels, dct_method="INTEGER_ACCURATE"
    )
    signature = tf.TensorSpec([None, None, channels], tf.uint8)
    return tf.map_fn(decode, images, fn_output_signature=signature)


def fitted_size_in_graph(size: tf.Tensor, canvas: tuple[int, int]) -> tf.Tensor:
    """Return the largest size that fits into the canvas and keeps the aspect ratio.

    A smaller frame is enlarged. This is `resizing.fitted_size` for a size that is a
    tensor, known only when the graph runs.

    Args:
      size: int32 [2], height and width of the frame in pixels.
      canvas: (height, width) of the canvas in pixels.

    Returns:
      int32 [2], height and width in pixels, each at least 1.
    """
    ratio = tf.cast(canvas, tf.float64) / tf.cast(size, tf.float64)
    fitted = tf.round(tf.cast(size, tf.float64) * tf.reduce_min(ratio))
    return tf.cast(tf.clip_by_value(fitted, 1, tf.cast(canvas, tf.float64)), tf.int32)


def resize(images: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Resize images as the frames of records were resized.

    Images are averaged over areas to shrink them, and interpolated to enlarge them.

    Args:
      images: uint8 or float32 [N, h, w, C]: frames, or flow, whose vectors keep their
        lengths (see `scale_vectors`).
      size: int32 [2], the new height and width in pixels.

    Returns:
      float32 [N, height, width, C].
    """
    with tf.device("CPU:0"):
        shrinks = tf.reduce_prod(size) < tf.reduce_prod(tf.shape(images)[1:3])
    return tf.cond(
        shrinks,
        lambda: tf.image.resize(images, size, "area"),
        lambda: tf.image.resize(images, size, "bilinear"),
    )


def scale_vectors(flow: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Multiply flow vectors by a factor for each component, as after resizing frames.

    Args:
      flow: float32 [N, h, w, 2], (u, v).
      factors: float32 [2], the factors of u and of v, in this order: new width / old
        width, then new height / old height.

    Returns:
      float32 [N, h, w, 2].
    """
    # Factors as long as a row: broadcasting along two channels takes ten times as long.
    shape = tf.shape(flow)
    width = shape[2]
    rows = tf.reshape(flow, [-1, 2 * width]) * tf.tile(factors, [width])
    return tf.reshape(rows, shape)


def place(rgb: tf.Tensor, flow: tf.Tensor, canvas: tuple[int, int]) -> Placed:
    """Resize the frames of a clip and their flow to fit the canvas, and pad them.

    Args:
      rgb: the frames, uint8 [N, h, w, 3].
      flow: their optical flow, float32 [N, h, w, 2], (u, v) in pixels of these frames.
      canvas: (height, width) of the canvas in pixels.

    Returns:
      the frames and the flow on the canvas, and the frames' size there.
    """
    with tf.device("CPU:0"):  # shapes are on the CPU, which would wait for a GPU
        size = tf.shape(rgb)[1:3]
        new_size = fitted_size_in_graph(size, canvas)
        ratio = tf.cast(new_size, tf.float32) / tf.cast(size, tf.float32)
        fits = tf.reduce_all(size == new_size)

    def resample() -> tuple[tf.Tensor, tf.Tensor]:
        vectors = scale_vectors(resize(flow, new_size), ratio[::-1])
        return tf.cast(tf.round(resize(rgb, new_size)), tf.uint8), vectors

    rgb, flow = tf.cond(fits, lambda: (rgb, flow), resample)
    below = canvas[0] - new_size[0]
    right = canvas[1] - new_size[1]
    padding = [[0, 0], [0, below], [0, right], [0, 0]]
    rgb = tf.pad(rgb, padding)
    flow = tf.pad(flow, padding)
    rgb.set_shape([None, *canvas, 3])
    flow.set_shape([None, *canvas, 2])
    return Placed(rgb, flow, size=new_size)
