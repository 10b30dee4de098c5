"""Check imported COCO weights: run the original network, matterport's, on a photo.

It is built from our submodels and filled by our loader, with COCO's 80 classes for actors and the
anchors that the weights were trained with. Its outputs at every stage are in the order and scale of
matterport's release 2.0, so that they can be compared with those of its own code.
"""

from __future__ import annotations

import os

import cv2
import numpy as np
import tensorflow as tf

from a2d_tf.core.config import ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_file
from a2d_tf.data import frames
from a2d_tf.model import fpn
from a2d_tf.model.network import Network
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops import masks as mask_ops
from a2d_tf.ops import visualize
from a2d_tf.pretrained import layouts
from a2d_tf.pretrained import weights as weights_lib

_BEFORE_NMS = 6000
_DETECTIONS = 100
_NMS_THRESHOLD = 0.3


def square(image: np.ndarray, size: int) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Scale an image into the centre of a square, with zeros around it.

    As matterport's 'square' mode: bilinear with zeros outside, truncated to integers.

    Args:
      image: uint8 [H, W, 3].

    Returns:
      (uint8 [size, size, 3], the image's window (y1, x1, y2, x2) in it).
    """
    height, width = (round(side * size / max(image.shape[:2])) for side in image.shape[:2])
    height, width = max(height, 1), max(width, 1)
    if (height, width) != image.shape[:2]:
        rows, columns = (_interpolation(*sides) for sides in zip(image.shape[:2], (height, width)))
        scaled = np.tensordot(rows, image.astype(np.float64), 1)
        scaled = np.tensordot(columns, scaled, (1, 1)).transpose(1, 0, 2)
        image = np.clip(scaled, image.min(), image.max()).astype(np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    canvas = np.zeros((size, size, 3), np.uint8)
    canvas[top : top + height, left : left + width] = image
    return canvas, (top, left, top + height, left + width)


def _interpolation(length, target):
    """Bilinear weights [target, length] of pixel centres, without weight outside."""
    places = (np.arange(target) + 0.5) * length / target - 0.5
    distance = np.abs(places[:, None] - np.arange(length))
    return np.maximum(1 - distance, 0)


class Detector:
    """Matterport's network with imported weights.

    Args:
      size: side of the square canvas; proposals: their number; score: the least that is shown.

    Attributes:
      report: of loading the weights.
    """

    def __init__(
        self, weights: layouts.Weights, *, size: int, proposals: int, score: float
    ) -> None:
        if weights.source != "matterport":
            raise InputError(
                f"{weights.path}: --check_image runs matterport's network; these are "
                f"{weights.source} weights"
            )
        self.weights, self.proposals, self.score = weights, proposals, score
        config = ModelConfig(
            image_height=size,
            image_width=size,
            use_flow=False,
            temporal_layers=0,
            **weights.model_fields(),
        )
        self.labels = layouts.ClassSpace.of(weights.classes)
        self.network = Network(config, self.labels)
        self.report = weights_lib.load(self.network, weights)

    def __call__(
        self, canvas: np.ndarray, window: tuple[int, int, int, int]
    ) -> dict[str, np.ndarray]:
        """Compute the outputs of every stage, in matterport's order.

        Args:
          canvas, window: from `square`.

        Returns:
          dict of P2..P6 [1, h, w, C], rpn_logits [1, A, 2] (background, foreground), rpn_deltas
          [1, A, 4], proposals [1, N, 4], class_probabilities [1, N, 81] (background first),
          box_deltas [1, N, 81, 4], detections [1, 100, 6] (y1, x1, y2, x2, class, score;
          zero-padded), masks [1, 100, 28, 28, 81] of the detections. Proposals are divided by the
          canvas's height and width, detections are whole pixels; deltas are (dy, dx, dh, dw).
        """
        network = self.network
        pyramid = network.backbones({"rgb": canvas[None]})["actor"]
        levels = [*pyramid, fpn.coarsest(pyramid[-1])]
        outputs = {f"P{level}": x for level, x in enumerate(levels, 2)}
        logits, outputs["rpn_deltas"] = network.rpn(pyramid)
        background = self._background_logits(levels)
        outputs["rpn_logits"] = tf.stack([background, background + logits], axis=-1)
        rois = self._proposals(outputs["rpn_logits"], outputs["rpn_deltas"])
        outputs["proposals"] = rois / np.tile(np.array(network.image_size, np.float32), 2)
        outputs["class_probabilities"], outputs["box_deltas"] = self._heads(pyramid, rois)
        outputs["detections"] = self._detections(outputs, rois, window)
        outputs["masks"] = self._masks(pyramid, outputs["detections"][..., :4])
        return {name: np.asarray(value) for name, value in outputs.items()}

    def _convolve(self, x, role):
        """Apply a 1x1 convolution that only the source's own outputs need."""
        kernel, bias = (
            np.asarray(self.weights.tensors[f"{role}/{name}"]) for name in ("kernel", "bias")
        )
        return tf.tensordot(x, kernel[0, 0], 1) + bias

    def _background_logits(self, levels):
        hidden = self.network.rpn.get_layer("rpn_conv")
        return tf.concat(
            [tf.reshape(self._convolve(hidden(x), "rpn/background"), [1, -1]) for x in levels], 1
        )

    def _proposals(self, logits, deltas):
        """`fpn.propose` with matterport's order of ties, and without dropping empty boxes."""
        network, count = self.network, self.proposals
        scores = tf.nn.softmax(logits)[0, :, 1]
        scores, best = tf.math.top_k(scores, min(_BEFORE_NMS, scores.shape[0]))
        boxes = network.rpn_coder.decode(
            tf.gather(deltas[0], best), tf.gather(network.anchors, best)
        )
        boxes = box_ops.clip(boxes[None], tf.constant([network.image_size]))[0]
        kept = tf.image.non_max_suppression(boxes, scores, count, 0.7)
        return tf.pad(tf.gather(boxes, kept), [[0, count - kept.shape[0]], [0, 0]])[None]

    def _heads(self, pyramid, rois):
        model = self.network.roi_heads
        # Without the action head.
        outputs = {name: model.output[name] for name in ("class_logits", "deltas")}
        outputs["hidden"] = model.get_layer("actor_fc2").output
        values = tf.keras.Model(model.input, outputs)(
            {"actor": pyramid, "action": pyramid, "rois": rois}
        )
        background = self._convolve(values["hidden"], "actor/background")
        background = tf.reshape(background, [1, -1, 1, 4])
        probabilities = tf.roll(tf.nn.softmax(values["class_logits"]), 1, axis=-1)
        return probabilities, tf.concat([background, values["deltas"]], axis=2)

    def _detections(self, outputs, rois, window):
        """Detect at most 100 instances: the best class of each RoI, NMS by class, best first."""
        probabilities = outputs["class_probabilities"][0]
        best = tf.argmax(probabilities, axis=1)
        scores = tf.reduce_max(probabilities, axis=1)
        deltas = tf.gather(outputs["box_deltas"][0], best, batch_dims=1)
        boxes = self.network.head_coder.decode(deltas, rois[0])
        window = np.float32(window)
        boxes = tf.round(tf.clip_by_value(boxes, np.tile(window[:2], 2), np.tile(window[2:], 2)))
        candidates, kept = (best > 0) & (scores >= self.score), []
        for number in np.unique(best[candidates]):
            rows = tf.where(candidates & (best == number))[:, 0]
            chosen = tf.image.non_max_suppression(
                tf.gather(boxes, rows), tf.gather(scores, rows), _DETECTIONS, _NMS_THRESHOLD
            )
            kept.append(tf.gather(rows, chosen))
        kept = tf.sort(tf.concat([*kept, tf.zeros([0], tf.int64)], axis=0))
        order = tf.math.top_k(tf.gather(scores, kept), min(_DETECTIONS, kept.shape[0])).indices
        kept = tf.gather(kept, order)
        classes = tf.stack([tf.cast(best, tf.float32), scores], axis=1)
        rows = tf.gather(tf.concat([boxes, classes], axis=1), kept)
        return tf.pad(rows, [[0, _DETECTIONS - kept.shape[0]], [0, 0]])[None]

    def _masks(self, pyramid, boxes):
        model = self.network.mask_head
        outputs = {"logits": model.output, "hidden": model.get_layer("mask_deconv").output}
        values = tf.keras.Model(model.input, outputs)({"actor": pyramid, "rois": boxes})
        background = self._convolve(values["hidden"], "mask/background")[None]
        return tf.sigmoid(tf.concat([background, values["logits"]], axis=-1))

    def draw(
        self, image: np.ndarray, window: tuple[int, int, int, int], outputs: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, list[str]]:
        """Draw the detections over the original image.

        Returns:
          (uint8 [H, W, 3], names with scores).
        """
        height, width = image.shape[:2]
        rows = outputs["detections"][0]
        rows = rows[rows[:, 4] > 0]
        ratio = np.tile([height, width], 2) / np.tile(np.subtract(window[2:], window[:2]), 2)
        boxes = (rows[:, :4] - np.tile(window[:2], 2)) * ratio
        boxes = boxes.astype(np.float32)
        classes = rows[:, 4].astype(int)
        small = outputs["masks"][0][np.arange(len(rows)), :, :, classes]
        masks = [
            patch.mask(height, width) for patch in mask_ops.patches(small, boxes, height, width)
        ]
        codes, scores = self.labels.encode(classes - 1, 0), rows[:, 5]
        # The best is drawn last, on top.
        picture = visualize.draw_instances(
            image,
            boxes[::-1],
            codes[::-1],
            masks[::-1],
            label_space=self.labels,
            scores=scores[::-1],
        )
        names = [f"{self.labels.name(code)} {score:.2f}" for code, score in zip(codes, scores)]
        return picture, names


def run(
    weights: layouts.Weights,
    photo: str,
    output: str,
    *,
    size: int = 256,
    proposals: int = 1000,
    score: float = 0.7,
) -> None:
    """Run a `Detector` on a photo; writes `check.png` and `check.npz` to the folder `output`.

    Raises:
      InputError: no readable photo, weights of another source, or a folder that cannot be written.
    """
    image = frames.read_image(photo, "give another --check_image")
    image = np.ascontiguousarray(image[..., ::-1])
    detector = Detector(weights, size=size, proposals=proposals, score=score)
    print(detector.report.summary(), flush=True)
    canvas, window = square(image, size)
    outputs = detector(canvas, window)
    picture, names = detector.draw(image, window, outputs)
    png = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
    write_file(os.path.join(output, "check.npz"), lambda file: np.savez(file, **outputs))
    write_file(os.path.join(output, "check.png"), lambda file: file.write(png))
    print(f"{photo}: {', '.join(names) or f'nothing with a score of {score:g}'}")
    print(f"{output}/check.png, check.npz")
