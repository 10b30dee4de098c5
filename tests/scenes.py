"""A drawn clip with one instance, in the form of `clip_records.parse`."""

import numpy as np
import tensorflow as tf

NOTHING = dict(
    boxes=np.zeros((0, 4), np.float32),
    masks=np.zeros((0, 32, 48), np.uint8),
    codes=np.zeros(0, np.int32),
)
"""The fields of a clip without instances."""


def rectangle():
    """Draw a black clip of 3 frames with a white rectangle, at box (8, 12, 20, 30).

    The flow of the rectangle is (2, -1) pixels, (u, v).

    Returns:
      {"rgb": [3, 32, 48, 3], "flow": [3, 32, 48, 2], "boxes": [1, 4], "masks": [1, 32,
      48]}.
    """
    rgb = np.zeros((3, 32, 48, 3), np.uint8)
    flow = np.zeros((3, 32, 48, 2), np.float32)
    masks = np.zeros((1, 32, 48), np.uint8)
    rgb[:, 8:20, 12:30] = 255
    flow[:, 8:20, 12:30] = [2, -1]
    masks[:, 8:20, 12:30] = 1
    boxes = np.float32([[8, 12, 20, 30]])
    return {"rgb": rgb, "flow": flow, "boxes": boxes, "masks": masks}


def clip_of(**changed):
    """Return the clip of `rectangle` as tensors, with all fields of a clip.

    Args:
      **changed: fields that differ, {name: value}.
    """
    fields = {**rectangle(), "codes": np.int32([43])}
    fields |= dict(video="v", frame=7, native_size=np.int32([320, 480]), **changed)
    fields.setdefault("has_mask", np.ones(len(fields["codes"]), bool))
    return {name: tf.constant(value) for name, value in fields.items()}


def box_around(image):
    """Return the box (y1, x1, y2, x2) of a map's pixels that are not zero."""
    rows, columns = np.nonzero(image)
    return [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
