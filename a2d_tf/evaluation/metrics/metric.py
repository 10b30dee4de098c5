"""The base class of metrics, and the data that they are computed from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.metrics.tables import Table

if TYPE_CHECKING:
    from a2d_tf.evaluation.boxes.instance_tables import Results
    from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
    from a2d_tf.evaluation.frames.evaluated_frames import Frame

KINDS = ("actor", "action", "joint")
"""The kinds of classes that are scored; those of "joint" are pairs of both."""

# The data that a metric may need (`Metric.needs`).
PIXELS = "pixels"
"""A metric needs `Frame.pixel_counts`: pixels by their true and predicted codes."""
INSTANCES = "instances"
"""A metric needs the true and the predicted instances of each frame."""
TRACKS = "tracks"
"""A metric needs the identities of the true instances, from frame to frame."""
ROIS = "rois"
"""A metric needs `SplitData.rois`, every RoI of the split with its scores."""
RESULTS = "results"
"""A metric needs `SplitData.results`, the instances of the split as COCO results."""


def _no_boxes() -> Truth:
    """Return the true boxes of no frames."""
    empty = np.zeros(0, np.int64)
    return Truth(empty.astype(str), empty, empty.reshape(0, 4), empty)


@dataclasses.dataclass(frozen=True)
class SplitData:
    """The data of a whole split, from which a metric computes its result.

    A metric finds at least one of the data that it `needs`; the others may be None.

    Attributes:
      threshold: the least p(actor) of an instance in label maps and tracks.
      joint: whether p(action) is a sum over actors, see `track_labels.LabelReader`.
      truth: the true instances of all frames; empty if label maps alone are scored.
      rois: every RoI of all frames, with its scores.
      results: the predicted instances of all frames.
      zero_shot_actor: name of the actor whose action labels were withheld from training
        (paper, section 4.4); "" for none.
      seed: seed of the shuffles by which `ZeroShot` computes chance.
      full: every RoI of the model that was trained with all action labels, to compare a
        zero-shot model with.
    """

    threshold: float = 0.0
    joint: bool = False
    truth: Truth = dataclasses.field(default_factory=_no_boxes)
    rois: ScoredRois | None = None
    results: Results | None = None
    zero_shot_actor: str = ""
    seed: int = 0
    full: ScoredRois | None = None


class Metric:
    """The base class of metrics, each of which has one or several figures of a split.

    An object scores one split: `update` is called for each frame, then `result`, or
    `at`. `tables` formats stored figures, without an object.

    Args:
      labels: the label space of the split.

    Attributes:
      section: the first part of its tags in TensorBoard, which are SECTION/FIGURE or
        SECTION/ROW_FIGURE; empty for no tags.
      needs: the data that it is computed from, such as PIXELS; one of several suffices.
      reads: the keys of `metrics.json` that its result depends on. Metrics before it in
        `registry.METRICS` write these.
      validates: whether it is computed in validation, while a training waits.
      is_benchmark: whether it counts background and classes that were not tested, as
        the paper's tables do; it is not printed for a user's own labels.
      labels: the label space of the split.
    """

    section: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    reads: ClassVar[tuple[str, ...]] = ()
    validates: ClassVar[bool] = False
    is_benchmark: ClassVar[bool] = False

    def __init__(self, labels: LabelSpace) -> None:
        self.labels = labels

    def update(self, frame: Frame) -> None:
        """Store what `at` and `result` need from a frame; called once for each frame.

        Args:
          frame: the truth and the prediction of a frame. In `a2d score segmentation` it
            has `pixel_counts` alone.
        """

    def at(self, threshold: float) -> float | None:
        """Return the figure that a validation maximizes, in percent.

        A validation chooses the threshold and the best weights by the first metric of
        `registry.METRICS` that has such figures.

        Args:
          threshold: the least p(actor) of an instance that counts.

        Returns:
          the figure; None if the metric has none.
        """
        return None

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Return the metric's entries of `metrics.json`; empty if it has no score.

        Args:
          split: the data of all frames, and the threshold; in validation it is one of
            those that `Frame.pixel_counts` has.
          earlier: the entries of `metrics.json` that the metric `reads`; an entry may
            be missing.
        """
        return {}

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return the metric's figures as tables, for print and TensorBoard.

        Args:
          metrics: the contents of `metrics.json`; any part may be missing.

        Returns:
          the tables; none if the figures are missing.
        """
        return []
