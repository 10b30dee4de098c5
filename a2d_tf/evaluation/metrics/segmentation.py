"""Segmentation metrics of Tables 1 and 3, from one confusion matrix over all frames.

Background is a class for actors, actions and pairs alike. The actor and the action of a
pixel are the digits of its code, so a predicted pair that does not exist is a miss as a
pair and still counts for its actor and its action.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.metrics.metric import KINDS, PIXELS, Metric, SplitData
from a2d_tf.evaluation.metrics.tables import Table
from a2d_tf.runs.chosen_threshold import DEFAULT

if TYPE_CHECKING:
    from a2d_tf.evaluation.frames.evaluated_frames import Frame

_CODES = 65536  # of a 16-bit label map
_MEASURES = {"ave": "ave", "glo": "glo", "miou": "mIoU"}


def _columns() -> dict[str, str]:
    """Return {name of a figure: its heading}, kind by kind."""
    columns = {}
    for kind in KINDS:
        for measure, heading in _MEASURES.items():
            columns[f"{kind}_{measure}"] = f"{kind} {heading}"
    return columns


class Segmentation(Metric):
    """Pixel accuracies and mIoU of the label maps (paper, Tables 1 and 3)."""

    section = "segmentation"
    needs = (PIXELS,)
    validates = True
    is_benchmark = True
    columns = _columns()

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__(labels)
        # {threshold: the confusion of the label maps at this threshold}
        self.confusions: dict[float, Confusion] = collections.defaultdict(
            functools.partial(Confusion, labels)
        )

    def update(self, frame: Frame) -> None:
        """Add the pixel counts of a frame at each threshold of p(actor).

        A frame has none if its true label map is incomplete.
        """
        for threshold, counts in frame.pixel_counts.items():
            self.confusions[threshold].add(counts)

    def at(self, threshold: float) -> float | None:
        """Return the joint mIoU in percent at a threshold of p(actor).

        It is None if the true label maps show no object.
        """
        confusion = self._confusion(threshold)
        if confusion is None:
            return None
        return confusion.metrics()["joint"]["miou"]

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Return the figures at the split's threshold.

        Returns:
          {"segmentation": {"actor", "action", "joint": {"ave", "glo", "miou"}}}, see
          `Confusion.metrics`; empty if true label maps show no object. If pixels were
          also counted at the default threshold, .7, "joint_miou_at_default" is the
          joint mIoU there: networks that have thresholds of their own compare by it.
          With labels other than A2D's, the IoU of each class is added, see
          `Confusion.ious`.
        """
        confusion = self._confusion(split.threshold)
        if confusion is None:
            return {}
        figures: dict = {"segmentation": confusion.metrics()}
        if DEFAULT in self.confusions:
            figures["joint_miou_at_default"] = self.at(DEFAULT)
        if self.labels != A2D:
            figures.update(confusion.ious())
        return figures

    def _confusion(self, threshold: float) -> Confusion | None:
        """Return the confusion at a threshold; None without objects in label maps."""
        confusion = self.confusions.get(threshold)
        if confusion is None or not confusion.pixels:
            return None
        return confusion

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return a table with one row, or no table without scores.

        Args:
          metrics: the content of `metrics.json`; any part may be missing.
        """
        row = cls.row(metrics)
        if row is None:
            return []
        return [Table("segmentation, percent", cls.columns, {"": row})]

    @classmethod
    def row(cls, metrics: dict) -> dict[str, float | None] | None:
        """Return the segmentation figures of a `metrics.json`.

        Args:
          metrics: the content of `metrics.json`; any part may be missing.

        Returns:
          {"actor_ave", "actor_glo", "actor_miou", "action_ave", …: percent}; None if
          segmentation was not scored.
        """
        figures = metrics.get("segmentation")
        if not figures:
            return None
        row = {}
        for kind in KINDS:
            for measure in _MEASURES:
                row[f"{kind}_{measure}"] = figures[kind][measure]
        return row


class PixelCounts(NamedTuple):
    """The number of pixels for each of N combinations of a true and a predicted code.

    Attributes:
      true: int64 [N], the true code.
      predicted: int64 [N], the predicted code.
      pixels: int64 [N], the number of pixels with both of these codes.
    """

    true: np.ndarray
    predicted: np.ndarray
    pixels: np.ndarray


class _Axes(NamedTuple):
    """The rows and columns of a `Confusion`.

    Attributes:
      classes: int64 [C], the code of each row: background and the valid pairs.
      row_of_code: int32 [_CODES], the row of each true code; -1 for a code that is no
        class.
      column_of_code: int64 [_CODES], the column of each predicted code.
      column_count: the number of columns.
    """

    classes: np.ndarray
    row_of_code: np.ndarray
    column_of_code: np.ndarray
    column_count: int


@functools.lru_cache(maxsize=8)
def _axes(labels: LabelSpace) -> _Axes:
    """Return the axes of every `Confusion` of a label space, which share 0.8 MB."""
    classes = np.array((0, *labels.codes))
    row_of_code = np.full(_CODES, -1, np.int32)
    row_of_code[classes] = np.arange(len(classes))
    # The column of a predicted code is the code itself. A code above the last actor's
    # is no class, yet its last digit is an action: it goes to the column of that digit
    # behind the actors.
    beyond = labels.base * (len(labels.actors) + 1)
    codes = np.arange(_CODES)
    column_of_code = np.where(codes < beyond, codes, beyond + codes % labels.base)
    return _Axes(
        classes=classes,
        row_of_code=row_of_code,
        column_of_code=column_of_code,
        column_count=beyond + labels.base,
    )


class Confusion:
    """A confusion matrix: pixels by true and predicted code, added up over frames.

    Args:
      label_space: the label space of the codes.
    """

    def __init__(self, label_space: LabelSpace) -> None:
        self.label_space = label_space
        self._axes = _axes(label_space)
        shape = (len(self._axes.classes), self._axes.column_count)
        self._counts = np.zeros(shape, np.int64)

    @property
    def pixels(self) -> int:
        """The number of pixels that belong to true objects, not to background."""
        return int(self._counts[1:].sum())

    def update(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Compare the label maps of a frame, and add their pixels.

        Args:
          truth: integers [H, W], the code of the true actor and action of each pixel; 0
            for background.
          predicted: integers [H, W], the predicted codes, likewise.

        Raises:
          InputError: a map is no integer codes of 16 bits, the sizes differ, or a true
            code is no valid pair of an actor and an action.
        """
        self.add(count_pixels(truth, predicted))

    def add(self, counts: PixelCounts) -> None:
        """Add the pixels of a frame.

        Args:
          counts: the numbers of pixels by their true and predicted codes, as
            `count_pixels` returns them.

        Raises:
          InputError: a true code is no valid pair of the label space.
        """
        rows = self._axes.row_of_code[counts.true]
        if (rows < 0).any():
            code = counts.true[rows < 0][0]
            raise InputError(
                f"truth label map: code {code} is not a valid pair of the label space"
            )
        columns = self._axes.column_of_code[counts.predicted]
        np.add.at(self._counts, (rows, columns), counts.pixels)

    def matrix(self, kind: str) -> np.ndarray:
        """Return the confusion matrix of the classes of one kind.

        Args:
          kind: "actor", "action" or "joint", whose classes are pairs of both.

        Returns:
          int64 [C, C + 1], numbers of pixels; a row is a true class, a column a
          predicted one. The C classes are background and then the others in the order
          of their numbers or codes. The last column counts predictions that are no
          class: pairs that do not exist, actors or actions beyond the last.
        """
        space = self.label_space
        classes = self._axes.classes
        column_codes = np.arange(self._axes.column_count)
        if kind == "actor":
            size = len(space.actors) + 1
            rows, _ = space.split(classes)
            columns, _ = space.split(column_codes)
        elif kind == "action":
            size = len(space.actions) + 1
            _, rows = space.split(classes)
            _, columns = space.split(column_codes)
        else:
            size = len(classes)
            rows = np.arange(size)
            columns = self._axes.row_of_code[column_codes]
        columns = np.where((columns < 0) | (columns >= size), size, columns)
        matrix = np.zeros((size, size + 1), np.int64)
        np.add.at(matrix, (rows[:, None], columns[None]), self._counts)
        return matrix

    def metrics(self) -> dict[str, dict[str, float]]:
        """Compute the figures of the paper's Table 1.

        "ave" is the mean over classes of correct / true pixels, "glo" correct / all
        pixels, "miou" the mean over classes of the IoU: correct / (true + predicted -
        correct) pixels. Both means are over the classes that have true pixels,
        background among them.

        Returns:
          {"actor" | "action" | "joint": {"ave", "glo", "miou"}} in percent.

        Raises:
          InputError: no pixel was counted.
        """
        if not self._counts.any():
            raise InputError("segmentation: no frames to score")
        figures = {}
        for kind in KINDS:
            of_kind = measures(self.matrix(kind))
            figures[kind] = {name: float(value) for name, value in of_kind.items()}
        return figures

    def ious(self) -> dict[str, dict[str, float | None]]:
        """Compute the IoU of each class.

        Returns:
          {"per_actor_iou": {number of the actor: IoU}, "per_action_iou": {number of the
          action: IoU}, "per_pair_iou": {code: IoU}}. Numbers from 1 and codes are
          strings; an IoU is in percent, None for a class without true pixels.
        """
        space = self.label_space
        actors = range(1, len(space.actors) + 1)
        actions = range(1, len(space.actions) + 1)
        return {
            "per_actor_iou": self._ious("actor", actors),
            "per_action_iou": self._ious("action", actions),
            "per_pair_iou": self._ious("joint", space.codes),
        }

    def _ious(self, kind: str, numbers: Iterable[int]) -> dict[str, float | None]:
        """Return {number of a class as a string: IoU}; the numbers skip background."""
        matrix = self.matrix(kind)
        correct = matrix.diagonal()
        truth = matrix.sum(axis=1)
        union = truth + matrix.sum(axis=0)[:-1] - correct
        ious = {}
        for i, number in enumerate(numbers, 1):
            ious[str(number)] = 100 * float(correct[i] / union[i]) if truth[i] else None
        return ious


def count_pixels(truth: np.ndarray, predicted: np.ndarray) -> PixelCounts:
    """Count the pixels of two label maps of a frame by their codes.

    Args:
      truth: integers [H, W], the code of the true actor and action of each pixel; 0 for
        background.
      predicted: integers [H, W], the predicted codes, likewise.

    Raises:
      InputError: a map is no integer codes of 16 bits [H, W], or the sizes differ.
    """
    for codes in (truth, predicted):
        integer = codes.ndim == 2 and codes.dtype.kind in "iu"
        if not integer or codes.min(initial=0) < 0 or codes.max(initial=0) >= _CODES:
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
    return PixelCounts(used // width, used % width, pixels)


def measures(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the figures of the paper's Table 1 from confusion matrices.

    Args:
      matrix: [..., C, C + 1], numbers of pixels, see `Confusion.matrix`; there may be
        one for each sample of a bootstrap.

    Returns:
      {"ave", "glo", "miou": array [...]}, in percent, see `Confusion.metrics`; NaN for
      a matrix without pixels.
    """
    correct = np.diagonal(matrix, axis1=-2, axis2=-1)
    truth = matrix.sum(axis=-1)
    predicted = matrix.sum(axis=-2)[..., :-1]
    union = truth + predicted - correct
    present = truth > 0

    def mean(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
        ratios = np.divide(parts, wholes, out=np.zeros(parts.shape), where=present)
        return 100 * ratios.sum(axis=-1) / present.sum(axis=-1)

    with np.errstate(invalid="ignore"):  # NaN of no pixels
        return {
            "ave": mean(correct, truth),
            "glo": 100 * correct.sum(axis=-1) / truth.sum(axis=-1),
            "miou": mean(correct, union),
        }
