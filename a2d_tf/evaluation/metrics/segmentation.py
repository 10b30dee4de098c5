"""Segmentation metrics of Tables 1 and 3: one confusion matrix over the whole set of
frames.

Background is a class for actors, actions and pairs alike. The actor and the action of a
pixel are the digits of its code, so a predicted pair that does not exist is a miss as a
pair and still counts for its actor and its action.
"""

from __future__ import annotations

import collections
import functools
from typing import Any

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.metrics import KINDS, PIXELS, Metric, Split, Table

_CODES = 65536  # of a 16-bit label map
_MEASURES = {"ave": "ave", "glo": "glo", "miou": "mIoU"}
_FIGURES = [(kind, measure) for kind in KINDS for measure in _MEASURES]


class Segmentation(Metric):
    """Tables 1 and 3."""

    section, place = "segmentation", 1
    needs, validates = (PIXELS,), True
    columns = {f"{kind}_{m}": f"{kind} {_MEASURES[m]}" for kind, m in _FIGURES}

    def __init__(self, split: Split) -> None:
        super().__init__(split)
        # By threshold; a new one takes as long to make as many frames to add.
        made = functools.partial(Confusion, split.labels)
        self.confusions: dict[float, Confusion] = collections.defaultdict(made)

    def update(self, frame: Any) -> None:
        """Add the pairs of codes of a frame, unless its true label map is
        incomplete.
        """
        for threshold, counted in frame.pairs.items():
            self.confusions[threshold].add(*counted)

    def at(self, threshold: float) -> float | None:
        """Return the joint mIoU; None without objects in label maps."""
        confusion = self.confusions[threshold]
        return confusion.metrics()["joint"]["miou"] if confusion.pixels else None

    def result(self) -> dict:
        """Return {"segmentation": see `Confusion.metrics`}; empty without objects in
        label maps.

        With labels other than A2D's also `Confusion.ious`.
        """
        confusion = self.confusions[self.split.threshold]
        if not confusion.pixels:
            return {}
        ious = confusion.ious() if self.split.labels != A2D else {}
        return {"segmentation": confusion.metrics(), **ious}

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return a table of one row."""
        found = metrics.get("segmentation")
        if not found:
            return []
        ours = {f"{kind}_{measure}": found[kind][measure] for kind, measure in _FIGURES}
        return [Table("segmentation, percent", cls.columns, {"": ours})]


class Confusion:
    """Pixel counts of (true code, predicted code), added up over frames."""

    def __init__(self, label_space: LabelSpace) -> None:
        self.label_space = label_space
        self._classes = np.array((0, *label_space.codes))
        self._row = np.full(_CODES, -1, np.int32)
        self._row[self._classes] = np.arange(len(self._classes))
        # A code above the last actor's is no class, yet its last digit is an action: it
        # goes to the column of that digit behind the actors.
        base, codes = label_space.base, np.arange(_CODES)
        beyond = base * (len(label_space.actors) + 1)
        self._column = np.where(codes < beyond, codes, beyond + codes % base)
        self._counts = np.zeros((len(self._classes), beyond + base), np.int64)

    @property
    def pixels(self) -> int:
        """The number of pixels of true objects; none where only empty frames have
        label maps.
        """
        return int(self._counts[1:].sum())

    def update(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Add the label maps of a frame; errors as of `pairs` and `add`."""
        self.add(*pairs(truth, predicted))

    def add(self, truth: np.ndarray, predicted: np.ndarray, pixels: np.ndarray) -> None:
        """Add the `pairs` of a frame; InputError where a true code is no valid pair."""
        rows = self._row[truth]
        if (rows < 0).any():
            code = truth[rows < 0][0]
            raise InputError(
                f"truth label map: code {code} is not a valid pair of the label space"
            )
        np.add.at(self._counts, (rows, self._column[predicted]), pixels)

    def matrix(self, kind: str) -> np.ndarray:
        """Return the pixel counts int64 [C, C + 1], rows truth, columns prediction.

        The classes of one of KINDS are in code order, background first. The last column
        counts predictions that are no class: pairs that do not exist, actors or actions
        beyond the last.
        """
        space, count = self.label_space, self._counts.shape[1]
        actors, actions = zip(space.split(self._classes), space.split(np.arange(count)))
        rows, columns, size = {
            "actor": (*actors, len(space.actors) + 1),
            "action": (*actions, len(space.actions) + 1),
            "joint": (
                np.arange(len(self._classes)),
                self._row[:count],
                len(self._classes),
            ),
        }[kind]
        columns = np.where((columns < 0) | (columns >= size), size, columns)
        matrix = np.zeros((size, size + 1), np.int64)
        np.add.at(matrix, (rows[:, None], columns[None]), self._counts)
        return matrix

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return {"actor" | "action" | "joint": {"ave", "glo", "miou"}} in percent.

        ave is the mean over classes of correct / ground-truth pixels, glo correct / all
        pixels, mIoU the mean over classes of TP / (row + column - TP); both means run
        over the classes, background among them, that have ground-truth pixels.

        Raises:
          InputError: no pixel was counted.
        """
        if not self._counts.any():
            raise InputError("segmentation: no frames to score")
        found = {kind: measures(self.matrix(kind)).items() for kind in KINDS}
        return {
            kind: {name: float(x) for name, x in each} for kind, each in found.items()
        }

    def ious(self) -> dict[str, dict[str, float | None]]:
        """Return the IoU of each class in percent, None of one without ground truth.

        Returns:
          {"per_actor_iou" | "per_action_iou": {1-based digit: IoU}, "per_pair_iou":
          {code: IoU}}, keys strings.
        """
        space, found = self.label_space, {}
        for kind in KINDS:
            matrix = self.matrix(kind)
            classes = space.codes if kind == "joint" else range(1, len(matrix))
            correct, truth = matrix.diagonal(), matrix.sum(axis=1)
            union = truth + matrix.sum(axis=0)[:-1] - correct
            found[f"per_{'pair' if kind == 'joint' else kind}_iou"] = {
                str(number): 100 * float(right / whole) if present else None
                for number, right, whole, present in zip(
                    classes, correct[1:], union[1:], truth[1:]
                )
            }
        return found


def pairs(
    truth: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the pairs of codes of two label maps: (true, predicted, pixels), each int64
    [n].

    Raises:
      InputError: a map is no integer codes of 16 bits [H, W], or the sizes differ.
    """
    for codes in (truth, predicted):
        kind, ends = codes.dtype.kind, (codes.min(initial=0), codes.max(initial=0))
        if codes.ndim != 2 or kind not in "iu" or ends[0] < 0 or ends[1] >= _CODES:
            raise InputError(
                f"a label map must be integer codes [height, width] below {_CODES}"
            )
    if truth.shape != predicted.shape:
        raise InputError(
            f"label maps differ in size: truth is {truth.shape[0]}x{truth.shape[1]},"
            f" prediction is {predicted.shape[0]}x{predicted.shape[1]} (height x"
            " width); both must be in native pixels"
        )
    width = int(predicted.max(initial=0)) + 1
    index = (truth.astype(np.int64) * width + predicted.astype(np.int64)).ravel()
    if (int(truth.max(initial=0)) + 1) * width <= 1 << 20:
        pixels = np.bincount(index)
        used = np.flatnonzero(pixels)
        pixels = pixels[used]
    else:
        used, pixels = np.unique(index, return_counts=True)
    return used // width, used % width, pixels


def measures(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return {"ave", "glo", "miou"} in percent, [...] each, of matrices [..., C, C +
    1].
    """
    correct = np.diagonal(matrix, axis1=-2, axis2=-1)
    truth, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)[..., :-1]
    present = truth > 0

    def mean(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
        ratios = np.divide(parts, wholes, out=np.zeros(parts.shape), where=present)
        return 100 * ratios.sum(axis=-1) / present.sum(axis=-1)

    with np.errstate(invalid="ignore"):  # NaN of no pixels
        return {
            "ave": mean(correct, truth),
            "glo": 100 * correct.sum(axis=-1) / truth.sum(axis=-1),
            "miou": mean(correct, truth + predicted - correct),
        }
