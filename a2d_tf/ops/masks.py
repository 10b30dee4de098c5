"""Instance masks in a TensorFlow graph: training targets and label maps.

`label_painter.py` paints the label map of a frame in NumPy, in less time. Both compute
a pixel with the same operations in the same order. On processors with fused
multiply-add the results are equal to the bit; on others probabilities may differ in the
last bits.
"""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.ops.crop import crop


def crop_targets(
    masks: tf.Tensor, rois: tf.Tensor, matches: tf.Tensor, size: int
) -> tf.Tensor:
    """Compute the mask head's targets: the matched instance's mask inside each RoI.

    Args:
      masks: the annotated instances' masks, 0 or 1 [B, N, H, W], in the size of the
        image.
      rois: the sampled RoIs, float32 [B, R, 4] (y1, x1, y2, x2), pixels of the image.
      matches: int [B, R], the index of each RoI's matched instance, from 0 to N - 1.
      size: number of cells of a target along each side.

    Returns:
      float32 [B, R, size, size]; 1 if the mask, interpolated at the cell's centre, is
      at least 1/2, else 0.
    """
    shape = tf.shape(masks)
    flat_masks = tf.reshape(masks, [shape[0] * shape[1], shape[2], shape[3], 1])
    # Indices are floats, which are exact below 2**24: see `roi_gradients`.
    frames = tf.range(tf.cast(shape[0], tf.float32))
    first_masks = frames[:, None] * tf.cast(shape[1], tf.float32)
    indices = tf.reshape(first_masks + tf.cast(matches, tf.float32), [-1])
    indices = tf.cast(indices, tf.int32)
    cells = crop(flat_masks, tf.reshape(rois, [-1, 4]), indices, size)
    number = rois.shape[1] or tf.shape(rois)[1]
    cells = tf.reshape(cells, [shape[0], number, size, size])
    return tf.cast(cells >= 0.5, tf.float32)


def paste(
    masks: tf.Tensor, boxes: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor
) -> tf.Tensor:
    """Resample masks to the size of their boxes, each in an image of zeros.

    Args:
      masks: probabilities of a mask head, float32 [B, m, m], one mask for each image.
      boxes: the masks' boxes, float32 [B, 4] (y1, x1, y2, x2), pixels of the image.
      height: height of the images in pixels.
      width: width of the images in pixels.

    Returns:
      probabilities float32 [B, height, width].
    """
    size = masks.shape[-1]
    rows = _interpolation(boxes[:, 0], boxes[:, 2], height, size)
    columns = _interpolation(boxes[:, 1], boxes[:, 3], width, size)
    return tf.einsum("bhi,bij,bwj->bhw", rows, masks, columns, optimize="optimal")


def paint_label_map(
    masks: tf.Tensor,
    boxes: tf.Tensor,
    scores: tf.Tensor,
    codes: tf.Tensor,
    *,
    height: int | tf.Tensor,
    width: int | tf.Tensor,
) -> tf.Tensor:
    """Paint label maps: a pixel gets the code of its instance with the highest score.

    A pixel belongs to an instance if the mask's probability there is at least 1/2.
    Instances are painted one by one, so that memory does not grow with their number.

    Args:
      masks: probabilities of N instances in each of B frames, float32 [B, N, m, m].
      boxes: their boxes, float32 [B, N, 4] (y1, x1, y2, x2), pixels of the map.
      scores: their scores, float32 [B, N]; an instance with a score of 0 or less, such
        as padding, is not painted.
      codes: int32 [B, N], each instance's code of actor and action; see `LabelSpace`.
      height: height of the maps in pixels.
      width: width of the maps in pixels.

    Returns:
      int32 [B, height, width], each pixel's code; 0 if no instance is there.
    """

    def paint_instance(
        index: tf.Tensor, best: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        mask = paste(masks[:, index], boxes[:, index], height, width)
        score = tf.where(mask >= 0.5, scores[:, index, None, None], 0.0)
        better = score > best
        labels = tf.where(better, codes[:, index, None, None], labels)
        return index + 1, tf.where(better, score, best), labels

    # Stop after the last instance of the fullest image; the other rows are padding.
    count = tf.reduce_max(tf.where(scores > 0, tf.range(1, tf.shape(scores)[1] + 1), 0))
    shape = [tf.shape(masks)[0], height, width]
    any_map = tf.TensorShape([None, None, None])
    _, _, labels = tf.while_loop(
        lambda index, *_: index < count,
        paint_instance,
        (0, tf.zeros(shape), tf.zeros(shape, tf.int32)),
        shape_invariants=(tf.TensorShape([]), any_map, any_map),
    )
    return labels


def _interpolation(
    first: tf.Tensor, last: tf.Tensor, length: int | tf.Tensor, size: int
) -> tf.Tensor:
    """Return the weights with which pixels along one axis are interpolated from cells.

    The interpolation is linear between the centres of cells and constant beyond the
    outermost centres. Pixels outside of a box have weights of zero.

    Args:
      first: float32 [B], where each box starts, pixels.
      last: float32 [B], where each box ends, pixels.
      length: number of pixels of the image along the axis.
      size: number of cells of a mask along the axis.

    Returns:
      float32 [B, length, size].
    """
    centres = tf.range(length, dtype=tf.float32) + 0.5
    first = first[:, None]
    last = last[:, None]
    share = (centres - first) / tf.maximum(last - first, 1e-6)
    position = share * tf.cast(size, tf.float32) - 0.5
    inside = (centres >= first) & (centres < last)
    position = tf.clip_by_value(position, 0.0, tf.cast(size - 1, tf.float32))
    cells = tf.range(size, dtype=tf.float32)
    weights = tf.maximum(0.0, 1.0 - tf.abs(position[..., None] - cells))
    return tf.where(inside[..., None], weights, 0.0)
