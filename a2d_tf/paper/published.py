"""The published figures of the paper's tables, and our rows beside them.

Source of the figures: Ji et al., ECCV 2018, Tables 1 to 3, in percent, all on A2D's own
test split.
"""

from __future__ import annotations

from typing import NamedTuple

SEGMENTATION: dict[str, tuple[float | None, ...]] = {
    "Trilayer": (45.7, 74.6, None, 47.0, 74.6, None, 25.4, 76.2, None),
    "GPM+TSP": (58.3, 85.2, 33.4, 60.5, 85.3, 32.0, 43.3, 84.2, 19.9),
    "GPM+GBH": (59.4, 84.8, 33.3, 61.2, 84.9, 31.9, 43.9, 83.8, 19.9),
    "TSMT+GBH": (72.9, 85.8, 42.7, 61.4, 84.6, 35.5, 48.0, 83.9, 24.9),
    "TSMT+SM": (73.7, 90.6, 49.5, 60.5, 89.3, 42.2, 47.5, 88.7, 29.7),
    "Ji et al., full": (79.1, 94.5, 66.4, 62.9, 92.6, 46.3, 51.4, 92.5, 36.9),
    "Mask R-CNN baseline": (62.8, 84.2, 33.7, 59.6, 84.0, 30.3, 41.7, 82.5, 19.1),
    "w/o mask + SM": (76.6, 92.2, 60.3, 60.7, 90.3, 42.9, 49.0, 89.8, 32.4),
    "w/o temporal": (79.0, 94.1, 66.1, 61.8, 92.0, 45.5, 50.3, 90.2, 35.3),
    "w/o flow": (79.5, 93.7, 66.5, 60.4, 86.3, 36.8, 46.2, 87.8, 29.4),
    "w/o joint": (77.7, 93.2, 63.2, 62.1, 91.3, 45.2, 50.9, 90.1, 33.6),
}
"""Tables 1 and 3: ave, glo, mIoU of actors, of actions, of pairs; None where the paper
has a dash.
"""
DETECTION: dict[str, tuple[float | None, ...]] = {
    "TSCT": (67.2, 60.2, 49.2),
    "TSHR": (67.9, 59.6, 49.6),
    "TSMT": (68.3, 60.0, 48.9),
    "Ji et al., full": (77.2, 62.4, 55.5),
}
"""Table 2: mAP of actors, of actions, of pairs."""

FULL = "Ji et al., full"
TABLE_1 = ("Trilayer", "GPM+TSP", "GPM+GBH", "TSMT+GBH", "TSMT+SM", FULL)
"""The published rows of Table 1."""


class Row(NamedTuple):
    """Our row of an experiment.

    Attributes:
      title: its name in our tables.
      segmentation: the published row beside it in Table 1 or 3; None without one.
      detection: the published row beside it in Table 2; None without one.
    """

    title: str
    segmentation: str | None = None
    detection: str | None = None


ROWS = {
    "full": Row("full", FULL, FULL),
    "mask_rcnn_baseline": Row("Mask R-CNN baseline", "Mask R-CNN baseline"),
    "no_mask": Row("w/o mask + SM", "w/o mask + SM"),
    "no_temporal": Row("w/o temporal", "w/o temporal"),
    "no_flow": Row("w/o flow", "w/o flow"),
    "no_joint": Row("w/o joint", "w/o joint"),
    "cartesian": Row("cross-product labels", detection="TSCT"),
    "hierarchical": Row("hierarchical labels", detection="TSHR"),
    "late_fusion": Row("late fusion"),
    "no_mask_strong": Row("w/o mask + strong segmenter"),
}
"""{experiment: its row}, in the order of Table 3 and what goes beyond it."""


def joint_miou(name: str) -> float:
    """Return the joint mIoU of a published row, which every row has."""
    value = SEGMENTATION[name][-1]
    assert value is not None
    return value
