"""The region proposal network (Ren et al. 2015; paper, 3.1): anchors, labels, RoIs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import tensorflow as tf

from a2d_tf.model import losses, targets
from a2d_tf.model.layers import OUTPUT_STDDEV, ConvNorm
from a2d_tf.model.structures import BatchTruth, Features, LossSettings, Terms
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops.anchors import NEGATIVE_IOU, POSITIVE_IOU, RATIOS

_NMS_THRESHOLD = 0.7  # boxes that overlap a better proposal by more are suppressed


class Proposals:
    """The head of the region proposal network, shared by the levels P2 to P6.

    It is no `Head`: it runs on each cell of the pyramid, not on RoIs.

    Args:
      anchors: float32 [A, 4], (y1, x1, y2, x2) in pixels of the padded canvas: the
        anchors of all levels in the order of `anchors.generate`.
      sizes: for each level, the sizes of the anchors of a cell in pixels, ascending.
      coder: converts boxes to deltas from anchors, and back.

    Attributes:
      anchors: float32 [A, 4], the anchors of all levels.
      coder: the converter between boxes and deltas from anchors.
      beta: where the smooth L1 of the deltas turns linear: 1/9 for plain deltas (Ren et
        al. 2015), 1 for matterport's, which are scaled.
    """

    branch: ClassVar[str] = "actor"
    loss_terms: ClassVar[tuple[str, ...]] = ("objectness", "box_reg")

    def __init__(
        self,
        anchors: np.ndarray,
        sizes: tuple[tuple[float, ...], ...],
        coder: box_ops.BoxCoder,
    ) -> None:
        self.anchors = anchors
        self.coder = coder
        self._anchors_per_cell = []
        for sizes_of_level in sizes:
            self._anchors_per_cell.append(len(sizes_of_level) * len(RATIOS))
        # The beta of the smooth L1 is 1/9 for plain deltas (Ren et al. 2015);
        # matterport's deltas are ten times as large.
        self.beta = 1.0 if max(coder.weights) > 1.0 else 1.0 / 9

    def build_layers(
        self, pyramid: list[tf.Tensor], channels: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Build the layers that predict objectness and box deltas of every anchor.

        The head has as many outputs as the level with the most anchors; other levels
        use the last of them, so that the largest anchors of all levels share their
        weights.

        Args:
          pyramid: P2 to P6, list of [B, h, w, C].
          channels: width of the hidden layer.

        Returns:
          (logits [B, A], deltas [B, A, 4]), float32, in the order of
          `anchors.generate`; deltas are (dy, dx, dh, dw).
        """
        most = max(self._anchors_per_cell)
        shared = ConvNorm(channels, 3, name="rpn_conv")
        objectness = ConvNorm(
            most, 1, relu=False, stddev=OUTPUT_STDDEV, name="rpn_logits"
        )
        regression = ConvNorm(
            4 * most, 1, relu=False, stddev=OUTPUT_STDDEV, name="rpn_deltas"
        )
        logits = []
        deltas = []
        for level, count in zip(pyramid, self._anchors_per_cell):
            hidden = shared(level)
            number = level.shape[1] * level.shape[2] * count
            level_logits = _last(objectness(hidden), count)
            logits.append(tf.reshape(level_logits, [-1, number]))
            level_deltas = _last(regression(hidden), 4 * count)
            deltas.append(tf.reshape(level_deltas, [-1, number, 4]))
        all_logits = tf.cast(tf.concat(logits, axis=1), tf.float32)
        all_deltas = tf.cast(tf.concat(deltas, axis=1), tf.float32)
        return all_logits, all_deltas

    def decode(
        self, features: Features, size: tf.Tensor, before_nms: int, after_nms: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Select regions of interest: top-k, decode, clip, NMS. No gradient passes.

        Boxes with a side below one pixel are dropped. NMS suppresses boxes whose IoU
        with a better one exceeds 0.7.

        Args:
          features: the proposal network's logits and deltas are read.
          size: int [B, 2], height and width in pixels of each frame inside the padded
            canvas.
          before_nms: number of the best anchors to keep before NMS.
          after_nms: number of the best boxes to keep after NMS.

        Returns:
          (rois float32 [B, after_nms, 4], (y1, x1, y2, x2) in pixels, clipped to the
          frame, best first; valid bool [B, after_nms]). Invalid rows are zero.
        """
        before_nms = min(before_nms, self.anchors.shape[0])
        scores, best = tf.math.top_k(tf.stop_gradient(features.rpn_logits), before_nms)
        deltas = tf.gather(tf.stop_gradient(features.rpn_deltas), best, batch_dims=1)
        boxes = self.coder.decode(deltas, tf.gather(self.anchors, best))
        boxes = box_ops.clip(boxes, size)
        # Boxes in the padding are clipped to nothing; they must not count among
        # `after_nms`.
        sides = boxes[..., 2:] - boxes[..., :2]
        scores = tf.where(
            tf.reduce_min(sides, axis=-1) >= 1.0, tf.sigmoid(scores), -1.0
        )
        rois, _, _, count = tf.image.combined_non_max_suppression(
            boxes[:, :, None],  # of one class
            scores[:, :, None],
            max_output_size_per_class=after_nms,
            max_total_size=after_nms,
            iou_threshold=_NMS_THRESHOLD,
            score_threshold=0.0,
            clip_boxes=False,
        )
        return rois, tf.sequence_mask(count, after_nms)

    def terms(
        self,
        features: Features,
        truth: BatchTruth,
        settings: LossSettings,
        rng: targets.Rng,
    ) -> Terms:
        """Sample anchors and compute their loss terms (Eq. 1: RoI-cls, box-reg).

        Args:
          features: the proposal network's logits and deltas are read.
          truth: the true instances.
          settings: settings of sampling and losses.
          rng: random numbers of the sampling.

        Returns:
          {objectness: [binary cross-entropy of the sample], box_reg: [smooth L1 of the
          positives' deltas]}, each as a sum and its divisor.
        """
        with tf.name_scope("targets"):
            sample = self.sample(truth, settings.rpn_samples, rng)
        logits = tf.gather(features.rpn_logits, sample.index, batch_dims=1)
        deltas = tf.gather(features.rpn_deltas, sample.index, batch_dims=1)
        box = losses.box_regression(
            deltas,
            sample.deltas,
            sample.positive,
            sample.counted,
            beta=settings.rpn_beta or self.beta,
            normaliser=settings.rpn_box_normaliser,
        )
        objectness = losses.objectness(logits, sample.positive, sample.counted)
        return {"objectness": [objectness], "box_reg": [box]}

    def class_layers(self) -> dict[str, list[tuple[str, ...]]]:
        """Return the layers that have a row of weights for each anchor size.

        When pretrained weights are loaded, the sizes of a level count as classes and
        are filled by name. The last row is the largest size, "size 1". The row of a
        smaller size can start from the weights of the next larger size of a file.

        Returns:
          {rpn_logits, rpn_deltas: a tuple of names for each size, smallest first}, such
          as ("size 2", "size 1") and ("size 1",) for two sizes.
        """
        most = max(self._anchors_per_cell) // len(RATIOS)
        sizes = []
        for rank in range(most, 0, -1):
            sizes.append(tuple(f"size {larger}" for larger in range(rank, 0, -1)))
        return {"rpn_logits": sizes, "rpn_deltas": sizes}

    def sample(
        self, truth: BatchTruth, samples: int, rng: targets.Rng
    ) -> targets.AnchorSample:
        """Sample anchors and assign their labels (Ren et al. 2015).

        An anchor is positive if its IoU with an instance is at least 0.7 or the best of
        all anchors, and negative if its IoU is below 0.3. Anchors with their centre in
        the padding are neither. At most half of the sample is positive.

        Args:
          truth: the true instances.
          samples: largest number of anchors per frame that count.
          rng: random numbers.

        Returns:
          S = samples + samples // 2 rows, of which at most `samples` count.
        """
        anchors = tf.convert_to_tensor(self.anchors)
        matches = targets.match_boxes(anchors[None], truth)
        centre = 0.5 * (anchors[:, :2] + anchors[:, 2:])
        inside = tf.reduce_all(
            centre[None] < tf.cast(truth.size, tf.float32)[:, None], axis=-1
        )
        inside &= truth.annotated[:, None]
        is_peak = _is_peak(matches.ious, inside)
        positive = inside & ((matches.best_iou >= POSITIVE_IOU) | is_peak)
        negative = inside & (matches.best_iou < NEGATIVE_IOU) & ~positive
        positive_rng, negative_rng = rng.split(2)
        positives = targets.sample(positive, samples // 2, positive_rng)
        negatives = targets.sample(negative, samples, negative_rng)
        quota = samples - tf.reduce_sum(
            tf.cast(positives.counted, tf.float32), axis=1, keepdims=True
        )
        within = tf.range(negatives.counted.shape[1], dtype=tf.float32) < quota
        negatives = negatives._replace(counted=negatives.counted & within)
        joined = targets.join(positives, negatives)
        # The best anchor of an instance may overlap another instance more; then the box
        # of that instance is its target.
        matched = tf.gather(matches.instance, joined.index, batch_dims=1)
        boxes = tf.gather(truth.boxes, matched, batch_dims=1)
        deltas = self.coder.encode(boxes, tf.gather(anchors, joined.index))
        return targets.AnchorSample(
            index=joined.index,
            positive=joined.positive,
            counted=joined.counted,
            deltas=tf.where(joined.positive[..., None], deltas, 0.0),
        )


def _last(x: tf.Tensor, channels: int) -> tf.Tensor:
    """Return the last channels of x, by no operation if these are all.

    Each operation counts as a layer in the model's checkpoints.
    """
    if x.shape[-1] == channels:
        return x
    return x[..., -channels:]


def _is_peak(ious: tf.Tensor, inside: tf.Tensor) -> tf.Tensor:
    """Return which anchors inside the frame are the best of an instance, with ties.

    Args:
      ious: [B, A, N].
      inside: bool [B, A].

    Returns:
      bool [B, A].
    """
    peak = tf.reduce_max(tf.where(inside[..., None], ious, -1.0), axis=1, keepdims=True)
    return tf.reduce_any((ious == peak) & (peak > 0.0), axis=2)
