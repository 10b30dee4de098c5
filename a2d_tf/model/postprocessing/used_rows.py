"""Rows of a batch of frames, of which the first `number` of each frame are used."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

_GPU_MULTIPLE = 8  # on a GPU, the number of computed rows is a multiple of it


def gather_rows(values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Return rows of each frame by their indices.

    Args:
      values: [B, M, ...], M rows of each of B frames.
      index: int [B, N], the rows to take.

    Returns:
      [B, N, ...].
    """
    return tf.gather(values, index, batch_dims=1)


def gather_used(values: tf.Tensor, index: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Return rows of each frame by their indices, with zeros in unused rows.

    Args:
      values: [B, M, ...], M rows of each of B frames.
      index: int [B, N], the rows to take.
      number: int32 [B], how many of a frame's N rows are used; later rows become zero.

    Returns:
      [B, N, ...].
    """
    used = tf.sequence_mask(number, index.shape[1])
    values = gather_rows(values, index)
    mask = tf.reshape(used, [-1, index.shape[1]] + [1] * (values.shape.rank - 2))
    return tf.where(mask, values, tf.zeros_like(values))


def apply_to_used(
    function: Callable[..., tf.Tensor],
    number: tf.Tensor,
    *rows: tf.Tensor,
    on_gpu: bool,
) -> tf.Tensor:
    """Apply a function to the first rows of each frame, and pad the rest with zeros.

    It is applied to as many rows as the fullest frame uses: at least one, and on a GPU
    a multiple of eight. So heads run on no more instances than there are.

    Args:
      function: takes tensors [B, n, ...] and returns one tensor [B, n, ...].
      number: int32 [B], the number of used rows of each frame.
      rows: tensors [B, N, ...], the arguments of the function.
      on_gpu: whether TensorFlow computes on a GPU.

    Returns:
      [B, N, ...]. Rows from a frame's own number on may hold values: ignore them.
    """
    most = rows[0].shape[1]
    count = tf.maximum(tf.reduce_max(number), 1)
    if on_gpu:
        # Few different numbers: cuDNN chooses an algorithm for each of them.
        count = tf.minimum(-(-count // _GPU_MULTIPLE) * _GPU_MULTIPLE, most)
    values = function(*(tensor[:, :count] for tensor in rows))
    shape = values.shape[2:]
    no_padding = [[0, 0] for _ in shape]
    values = tf.pad(values, [[0, 0], [0, most - count], *no_padding])
    return tf.ensure_shape(values, [None, most, *shape])
