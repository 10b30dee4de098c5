"""Tell the actions in boxes by the published I3D, without training.

I3D (Carreira and Zisserman, CVPR 2017) tells 400 actions of people apart, those of the
data set Kinetics. Walking, standing and sitting are not among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.ops.motion_maps import MIXED_5C
from a2d_tf.ops.softmax import softmax
from a2d_tf.pretrained import kinetics
from a2d_tf.pretrained.named_classes import name_classes

ALL = "kinetics"
"""The value of --actions for all 400 classes."""
BACKBONE = "i3d"
"""The name of the action backbone whose published classifier is used."""
_POINTS = 8  # at which a map is read along each side of a box


class KineticsActions:
    """The published I3D as a classifier of the actions in boxes of a video.

    Args:
      name_of_class: {class of Kinetics: the action's name here}; several classes may
        have the same name, whose probabilities are then added up. See `chosen_classes`.

    Attributes:
      names: names of the actions, without duplicates.
      sha256: SHA-256 of the published file of weights, in hexadecimal digits.
    """

    def __init__(self, name_of_class: Mapping[str, str]) -> None:
        # They import TensorFlow.
        from a2d_tf.pretrained.action_features import ActionFeatures
        from a2d_tf.pretrained.weights_file import Weights

        self.names = tuple(dict.fromkeys(name_of_class.values()))
        self._is_named = np.zeros((len(name_of_class), len(self.names)), np.float32)
        for i, name in enumerate(name_of_class.values()):
            self._is_named[i, self.names.index(name)] = 1
        self._features = ActionFeatures.get(BACKBONE)
        self.sha256 = self._features.sha256
        tensors = Weights.read(self._features.path).tensors
        chosen = [kinetics.CLASSES.index(name) for name in name_of_class]
        self._kernel = tensors["logits/kernel"][:, chosen]
        self._bias = tensors["logits/bias"][chosen]

    def motion_stream(self) -> MotionStream:
        """Return a new stream that computes, for one video, the maps that `read` takes.

        These maps have the logits of the chosen classes in place of I3D's features.
        """
        return MotionStream(self._logits_of_block, flow_histograms=False)

    def read(self, motion: Mapping[str, np.ndarray], boxes: np.ndarray) -> np.ndarray:
        """Return the probability of each action in boxes of a frame.

        Probabilities of the chosen actions add up to 1, as if one of them were certain.
        This ranks the boxes of a video better than a share for all other classes.

        Args:
          motion: maps of the frame from `motion_stream`: {name: float32 [h, w,
            classes]}.
          boxes: [N, 4], (y1, x1, y2, x2) in shares of the frame, 0 to 1.

        Returns:
          float32 [N, |Y|], in the order of `names`.
        """
        logits = box_means(motion[MIXED_5C.name], boxes)
        return softmax(logits) @ self._is_named

    def _logits_of_block(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Return the map of the logits of the classes; see `BlockFunction`."""
        maps = self._features(frames)[MIXED_5C.name]
        # The classifier is linear: its logits of a mean are the mean of its logits.
        return {MIXED_5C.name: maps @ self._kernel + self._bias}


def chosen_classes(words: Sequence[str]) -> dict[str, str]:
    """Return the classes of Kinetics that --actions chooses, with their names.

    Args:
      words: the words of --actions, each CLASS or NAME=CLASS; or ALL alone for all
        classes by their own names.

    Returns:
      {class of Kinetics: the action's name}; {} without words.

    Raises:
      InputError: a class is unknown or has two names, or a name is not valid.
    """
    if list(words) == [ALL]:
        return dict(zip(kinetics.CLASSES, kinetics.CLASSES))
    return name_classes(
        words,
        {name.lower(): name for name in kinetics.CLASSES},
        flag="--actions",
        of=f"Kinetics-400, or {ALL} alone",
        spell=lambda text: text.strip().lower(),
        hints=3,
    )


def box_means(values: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the mean of a map in each box.

    A mean is taken over a grid of points in the box; the map is interpolated linearly
    between the centres of its cells.

    Args:
      values: the map, [h, w, C].
      boxes: [N, 4], (y1, x1, y2, x2) in shares of the map, 0 to 1.

    Returns:
      [N, C].
    """
    height, width = values.shape[:2]
    rows = _weights(boxes[:, 0], boxes[:, 2], height)
    columns = _weights(boxes[:, 1], boxes[:, 3], width)
    return np.einsum("nh,nw,hwc->nc", rows, columns, values, optimize=True)


def _weights(first: np.ndarray, last: np.ndarray, cells: int) -> np.ndarray:
    """Return the weights of a map's cells, along one axis, in the means of N spans.

    Args:
      first: [N], starts of the spans in shares of the axis.
      last: [N], ends of the spans.
      cells: number of cells along the axis.

    Returns:
      [N, cells]; the weights of a span add up to 1.
    """
    shares = (np.arange(_POINTS) + 0.5) / _POINTS
    places = first[:, None] + (last - first)[:, None] * shares
    places = np.clip(places * cells - 0.5, 0, cells - 1)
    distances = np.abs(places[:, :, None] - np.arange(cells))
    return np.maximum(1 - distances, 0).mean(axis=1)
