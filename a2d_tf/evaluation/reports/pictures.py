"""A key frame as it is shown: its truth, what the network says of it, and its flow."""

from __future__ import annotations

import cv2
import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import records
from a2d_tf.evaluation.frames import Frame
from a2d_tf.ops import visualize


def draw(frame: Frame, threshold: float, labels: LabelSpace) -> np.ndarray:
    """Draw a frame's truth, prediction and flow side by side: uint8 [H, 3 W, 3], native.

    Args:
      frame: the frame.
      threshold: least p(actor) of the instances drawn.
      labels: the label space of their codes.
    """
    truth, instances = frame.truth, frame.instances
    height, width = truth.native_size
    rgb = cv2.resize(frame.rgb, (width, height))
    masks = records.decode_rles(truth.rles, height, width)
    left = visualize.draw_instances(rgb, truth.boxes, truth.codes, masks, label_space=labels)
    chosen = np.flatnonzero(instances["class_score"] >= threshold)
    middle = visualize.draw_instances(
        rgb,
        instances["boxes"][chosen],
        instances["code"][chosen],
        [frame.patches[i].mask(height, width) for i in chosen],
        label_space=labels,
        scores=instances["score"][chosen],
    )
    flow = cv2.resize(visualize.flow_to_rgb(frame.flow), (width, height))
    return np.concatenate([left, middle, flow], axis=1)
