"""Find boxes by a detector that TensorFlow's Object Detection API has exported.

Such a SavedModel takes an image, uint8 [1, H, W, 3], and gives `detection_boxes`
[1, N, 4] (y1, x1, y2, x2 of 0 to 1), `detection_scores` and `detection_classes` [1, N],
maybe `num_detections` [1], and maybe `detection_masks` [1, N, m, m], probabilities
inside the boxes.

Source: tensorflow/models, `research/object_detection/exporter_lib_v2.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.core.errors import InputError
from a2d_tf.data.preparation.resizing import resize_frame
from a2d_tf.ops.label_painter import mask_patches
from a2d_tf.video.predictors.detector_classes import DetectorClasses

GRAPH = "saved_model.pb"
"""The file by which the folder of a SavedModel is known."""
SCORE_THRESHOLD = 0.2
"""The least score of a box, unless the user sets --score_threshold."""
_BOXES = "detection_boxes"
_CLASSES = "detection_classes"
_COUNT = "num_detections"
_MASKS = "detection_masks"
_SCORES = "detection_scores"
_NEEDED = (_BOXES, _CLASSES, _SCORES)
_SIGNATURE = "serving_default"
_WANTED = (
    f"a model of uint8 [1, height, width, 3] -> {', '.join(_NEEDED)}, as TensorFlow's"
    " Object Detection API exports it"
)
_MOST_COORDINATE = 2.0  # a larger coordinate counts pixels


class ImageInput(NamedTuple):
    """The input of a detector's signature, an image.

    Attributes:
      name: name by which the signature takes the image.
      size: (height, width) that the image must have, in pixels; None for any size.
    """

    name: str
    size: tuple[int, int] | None


class ObjectDetector:
    """A detector of boxes in single images, exported by the Object Detection API.

    `load` makes one.

    Args:
      path: path of the folder of the SavedModel.
      model: the SavedModel, as TensorFlow loads it.
      image_input: the input of its signature.
      classes: the classes whose boxes are reported, and their actors.
      score_threshold: the least score of a box that is reported.

    Attributes:
      path, score_threshold: the arguments.
      has_masks: whether the model gives a mask of each box.
    """

    def __init__(
        self,
        path: str,
        model: Any,
        image_input: ImageInput,
        classes: DetectorClasses,
        score_threshold: float = SCORE_THRESHOLD,
    ) -> None:
        self.path = path
        self._model = model  # kept, because its variables live as long as it does
        self._function = model.signatures[_SIGNATURE]
        self._input = image_input
        self._classes = classes
        self.score_threshold = score_threshold
        self.has_masks = _MASKS in self._function.structured_outputs

    @classmethod
    def load(
        cls,
        path: str,
        classes: DetectorClasses,
        score_threshold: float = SCORE_THRESHOLD,
    ) -> ObjectDetector:
        """Load a SavedModel from its folder.

        Args:
          path: path of the folder.
          classes: the classes whose boxes are reported, and their actors.
          score_threshold: the least score of a box that is reported.

        Raises:
          InputError: it cannot be loaded, or has another signature.
        """
        import tensorflow as tf

        check_path(path)
        try:
            model = tf.saved_model.load(path)
        except Exception as error:  # of many kinds
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"--detector={path}: TensorFlow cannot load it: {reason}"
            ) from error
        function = model.signatures.get(_SIGNATURE)
        if function is None:
            raise InputError(
                f"--detector={path}: it has no signature {_SIGNATURE}; use {_WANTED}"
            )
        _, inputs = function.structured_input_signature
        outputs = function.structured_outputs
        if not _takes_an_image(inputs) or not set(_NEEDED) <= set(outputs):
            specs = [
                f"{spec.dtype.name} {list(spec.shape)}" for spec in inputs.values()
            ]
            raise InputError(
                f"--detector={path}: its {_SIGNATURE} is {', '.join(specs)} ->"
                f" {', '.join(sorted(outputs))}; use {_WANTED}"
            )
        ((name, spec),) = inputs.items()
        size = None
        if spec.shape.rank is not None and None not in spec.shape[1:3]:
            size = (spec.shape[1], spec.shape[2])
        return cls(path, model, ImageInput(name, size), classes, score_threshold)

    def instances(self, image: np.ndarray) -> GivenInstances:
        """Find the instances in an image.

        Boxes are cut off at the edges of the image; a box beyond them is left out, as
        is a box of another class or of a low score.

        Args:
          image: RGB uint8 [H, W, 3].

        Returns:
          the instances with their boxes in pixels, scores and actors, and with masks if
          the model gives them; all have track 0.

        Raises:
          InputError: the output of the model does not fit its signature: coordinates
            are in pixels, or, with all of COCO's classes, a class is none of COCO's.
        """
        import tensorflow as tf

        size = (image.shape[0], image.shape[1])
        if self._input.size is not None:  # coordinates are shares of the sides
            image = resize_frame(image, *self._input.size)
        answer = self._function(**{self._input.name: tf.constant(image[None])})
        outputs = {name: values.numpy()[0] for name, values in answer.items()}
        scores = outputs[_SCORES].astype(np.float32)
        is_taken = scores >= self.score_threshold
        if _COUNT in outputs:
            is_taken &= np.arange(len(scores)) < int(outputs[_COUNT])
        numbers = np.round(outputs[_CLASSES]).astype(np.int64)
        shares = outputs[_BOXES].astype(np.float32)
        self._check(numbers[is_taken], shares[is_taken])
        ends = np.clip(shares, 0, 1)
        is_taken &= (ends[:, 2:] > ends[:, :2]).all(axis=1)
        is_taken &= np.isin(numbers, [*self._classes.index_of_number])

        chosen = np.flatnonzero(is_taken)
        sides = np.tile(np.array(size, np.float32), 2)
        boxes = ends[chosen] * sides
        masks: list[dict | None] = [None] * len(chosen)
        if self.has_masks:
            # Those of whole boxes, of which a part may lie outside.
            patches = mask_patches(
                outputs[_MASKS][chosen].astype(np.float32),
                shares[chosen] * sides,
                *size,
            )
            masks = [patch.rle(*size) for patch in patches]
        actors = [self._classes.index_of_number[number] for number in numbers[chosen]]
        return GivenInstances(
            boxes=boxes,
            masks=masks,
            tracks=np.zeros(len(chosen), np.int64),
            actors=np.array(actors, np.int64),
            scores=scores[chosen],
        )

    def _check(self, numbers: np.ndarray, shares: np.ndarray) -> None:
        """Raise InputError if boxes are in pixels, or a class is none of COCO's."""
        if not (np.abs(shares) <= _MOST_COORDINATE).all():
            raise InputError(
                f"{self.path}: {_BOXES} has {np.abs(shares).max():g}; a detector's"
                " coordinates are shares of the sides, of 0 to 1"
            )
        if not self._classes.all_of_coco:
            return
        for number in numbers.tolist():
            if number not in self._classes.index_of_number:
                raise InputError(
                    f"{self.path}: found class {number}, which is none of COCO's; name"
                    f" the classes of this detector, as in --actors=NAME={number}"
                )


def check_path(path: str) -> None:
    """Check that a folder has a SavedModel, before TensorFlow is loaded.

    Args:
      path: path of the folder, the value of --detector.

    Raises:
      InputError: there is no SavedModel.
    """
    if not os.path.isfile(os.path.join(path, GRAPH)):
        raise InputError(
            f"--detector={path}: no {GRAPH} there; use the folder of a SavedModel,"
            f" {_WANTED}"
        )


def _takes_an_image(inputs: Mapping[str, Any]) -> bool:
    """Return whether the only input is an image, uint8 [1, height, width, 3].

    Args:
      inputs: {name: tf.TensorSpec}.
    """
    specs = list(inputs.values())
    if len(specs) != 1 or specs[0].dtype.name != "uint8":
        return False
    shape = specs[0].shape
    if shape.rank is None:
        return True
    return shape.rank == 4 and shape[0] in (None, 1) and shape[3] in (None, 3)
