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
"""Kinds of classes."""

# What a metric may need.
PIXELS = "pixels"
"""The pairs of codes of each frame's label maps."""
INSTANCES = "instances"
"""The instances of each frame."""
TRACKS = "tracks"
"""The identities of each frame's true instances."""
ROIS = "rois"
"""`SplitData.rois`, of the whole split."""
RESULTS = "results"
"""`SplitData.results`, of the whole split."""


def _no_boxes() -> Truth:
    """Return the true boxes of no frames."""
    empty = np.zeros(0, np.int64)
    return Truth(empty.astype(str), empty, empty.reshape(0, 4), empty)


@dataclasses.dataclass(frozen=True)
class SplitData:
    """What is known of a split whose frames have all been seen.

    A metric finds in it one of the data that it needs; others may be None.

    Attributes:
      threshold: least p(actor) of an instance in label maps and tracks.
      joint: whether p(action) is a sum over actors, see `track_labels.LabelReader`.
      truth: the true boxes; none if label maps alone are scored.
      rois: every RoI.
      results: the instances.
      zero_shot_actor: name of the actor whose action labels were withheld, or "".
      seed: of shuffles.
      full: every RoI of the full model, to compare a zero-shot model with.
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
    """One or several figures of a split.

    Attributes:
      section: of TensorBoard's tags: SECTION/FIGURE, or SECTION/ROW_FIGURE; empty for
        none.
      needs: what it is computed from; one of several suffices.
      reads: the keys of `metrics.json`, as of metrics before it in `registry.METRICS`,
        that its result depends on.
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
          frame: truth and prediction of the frame. In `a2d score segmentation` it has
            only `pixel_counts`.
        """

    def at(self, threshold: float) -> float | None:
        """Return the figure, in percent, that validation maximizes; None without one.

        Validation chooses the threshold and the best weights by the first metric of
        `registry.METRICS` that has such figures.
        """
        return None

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Return the metric's part of `metrics.json`; empty without scores.

        Args:
          split: the data of all frames, and the threshold; in validation it is one of
            those that `Frame.pixel_counts` has.
          earlier: those entries of `metrics.json` that it `reads`, if they are there.
        """
        return {}

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return the metric's tables of `metrics.json`, which may lack any part."""
        return []
