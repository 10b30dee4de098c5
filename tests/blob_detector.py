"""A detector with the signature of TensorFlow's Object Detection API, made for tests.

It finds the pixels of pure colours: red is class 1, green class 18 and blue class 62 of
COCO (person, dog and chair). The box of a colour is that of its pixels.
"""

import numpy as np
import tensorflow as tf

COLOURS = {1: (255, 0, 0), 18: (0, 255, 0), 62: (0, 0, 255)}
"""{number of a class: its colour, RGB}."""
SCORES = (0.81, 0.64, 0.49)
"""The scores of the boxes of the three classes."""
GREY = 90
"""The level of the background of `frame`."""


class Blobs(tf.Module):
    """The detector, a module that takes an image and returns the boxes of its colours.

    Args:
      scores: scores of the three classes.
      numbers: numbers by which it reports the three classes.
      shift: number that is added to all coordinates, to make them wrong.
      scale: factor of all coordinates, likewise.
      size: (height, width) of the image that it takes; None for any size.
      masks: whether it also gives masks: the upper half of each box.
    """

    def __init__(
        self,
        scores=SCORES,
        numbers=tuple(COLOURS),
        shift=0.0,
        scale=1.0,
        size=None,
        masks=False,
    ):
        super().__init__()
        # A variable, which is lost where the model is not kept.
        self.scores = tf.Variable(np.float32(scores))
        self.numbers = numbers
        self.shift = shift
        self.scale = scale
        self.masks = masks
        self.spec = tf.TensorSpec([1, *(size or [None, None]), 3], tf.uint8, "image")

    def __call__(self, image):
        boxes = []
        scores = []
        for i, colour in enumerate(COLOURS.values()):
            is_colour = tf.reduce_all(image[0] == np.uint8(colour), axis=2)
            ends = []
            for axis in (1, 0):
                places = tf.where(tf.reduce_any(is_colour, axis=axis))[:, 0]
                length = tf.cast(tf.shape(is_colour)[1 - axis], tf.float32)
                first = tf.cast(tf.reduce_min(places), tf.float32) / length
                last = tf.cast(tf.reduce_max(places) + 1, tf.float32) / length
                ends.append((first, last))
            box = tf.stack([ends[0][0], ends[1][0], ends[0][1], ends[1][1]])
            is_there = tf.reduce_any(is_colour)
            boxes.append(tf.where(is_there, box, tf.zeros(4)))
            scores.append(tf.where(is_there, self.scores[i], 0.0))
        answer = {
            "detection_boxes": (tf.stack(boxes) * self.scale + self.shift)[None],
            "detection_scores": tf.stack(scores)[None],
            "detection_classes": tf.constant([self.numbers], tf.float32),
            "num_detections": tf.constant([3.0]),
        }
        if self.masks:
            upper = np.zeros((1, 3, 8, 8), np.float32)
            upper[:, :, :4] = 1
            answer["detection_masks"] = tf.constant(upper)
        return answer


def write(folder, model=None):
    """Write a detector as a SavedModel; return its folder.

    Args:
      folder: path of the folder.
      model: the detector; None for one with the default arguments.
    """
    model = model or Blobs()
    function = tf.function(model.__call__, input_signature=[model.spec])
    tf.saved_model.save(model, str(folder), {"serving_default": function})
    return folder


def frame(boxes, height=96, width=144):
    """Return a grey frame with filled boxes, RGB uint8 [height, width, 3].

    Args:
      boxes: {number of a class: box (y1, x1, y2, x2) in pixels}.
      height, width: size of the frame in pixels.
    """
    image = np.full((height, width, 3), GREY, np.uint8)
    for number, (y1, x1, y2, x2) in boxes.items():
        image[y1:y2, x1:x2] = COLOURS[number]
    return image
