"""The published figures of the paper's tables, in percent, on A2D's own test split.

Source: Ji et al., ECCV 2018, Tables 1 to 3.
"""

from __future__ import annotations

from typing import NamedTuple


class Measures(NamedTuple):
    """The measures of Tables 1 and 3 for one kind of classes, in percent.

    Attributes:
      ave: the mean over classes of the share of pixels that are right.
      glo: the share of all pixels that are right.
      miou: the mean IoU over classes; None if the paper has a dash.
    """

    ave: float
    glo: float
    miou: float | None


class SegmentationRow(NamedTuple):
    """A published row of Table 1 or 3: scores of label maps.

    Attributes:
      actor: the measures of the classes of actors.
      action: the measures of the classes of actions.
      joint: the measures of the classes of actor-action pairs.
    """

    actor: Measures
    action: Measures
    joint: Measures

    def figures(self) -> list[float | None]:
        """Return the figures in the order of the table's columns."""
        return [*self.actor, *self.action, *self.joint]


class DetectionRow(NamedTuple):
    """A published row of Table 2: mean average precisions of boxes, in percent.

    Attributes:
      actor: the mAP over actors.
      action: the mAP over actions.
      joint: the mAP over actor-action pairs.
    """

    actor: float
    action: float
    joint: float

    def figures(self) -> list[float | None]:
        """Return the figures in the order of the table's columns."""
        return [*self]


FULL = "Ji et al., full"
"""The name of the paper's own row."""
SEGMENTATION = {
    "Trilayer": SegmentationRow(
        actor=Measures(45.7, 74.6, None),
        action=Measures(47.0, 74.6, None),
        joint=Measures(25.4, 76.2, None),
    ),
    "GPM+TSP": SegmentationRow(
        actor=Measures(58.3, 85.2, 33.4),
        action=Measures(60.5, 85.3, 32.0),
        joint=Measures(43.3, 84.2, 19.9),
    ),
    "GPM+GBH": SegmentationRow(
        actor=Measures(59.4, 84.8, 33.3),
        action=Measures(61.2, 84.9, 31.9),
        joint=Measures(43.9, 83.8, 19.9),
    ),
    "TSMT+GBH": SegmentationRow(
        actor=Measures(72.9, 85.8, 42.7),
        action=Measures(61.4, 84.6, 35.5),
        joint=Measures(48.0, 83.9, 24.9),
    ),
    "TSMT+SM": SegmentationRow(
        actor=Measures(73.7, 90.6, 49.5),
        action=Measures(60.5, 89.3, 42.2),
        joint=Measures(47.5, 88.7, 29.7),
    ),
    FULL: SegmentationRow(
        actor=Measures(79.1, 94.5, 66.4),
        action=Measures(62.9, 92.6, 46.3),
        joint=Measures(51.4, 92.5, 36.9),
    ),
    "Mask R-CNN baseline": SegmentationRow(
        actor=Measures(62.8, 84.2, 33.7),
        action=Measures(59.6, 84.0, 30.3),
        joint=Measures(41.7, 82.5, 19.1),
    ),
    "w/o mask + SM": SegmentationRow(
        actor=Measures(76.6, 92.2, 60.3),
        action=Measures(60.7, 90.3, 42.9),
        joint=Measures(49.0, 89.8, 32.4),
    ),
    "w/o temporal": SegmentationRow(
        actor=Measures(79.0, 94.1, 66.1),
        action=Measures(61.8, 92.0, 45.5),
        joint=Measures(50.3, 90.2, 35.3),
    ),
    "w/o flow": SegmentationRow(
        actor=Measures(79.5, 93.7, 66.5),
        action=Measures(60.4, 86.3, 36.8),
        joint=Measures(46.2, 87.8, 29.4),
    ),
    "w/o joint": SegmentationRow(
        actor=Measures(77.7, 93.2, 63.2),
        action=Measures(62.1, 91.3, 45.2),
        joint=Measures(50.9, 90.1, 33.6),
    ),
}
"""{name of a row of Table 1 or 3: its figures}."""
DETECTION = {
    "TSCT": DetectionRow(actor=67.2, action=60.2, joint=49.2),
    "TSHR": DetectionRow(actor=67.9, action=59.6, joint=49.6),
    "TSMT": DetectionRow(actor=68.3, action=60.0, joint=48.9),
    FULL: DetectionRow(actor=77.2, action=62.4, joint=55.5),
}
"""{name of a row of Table 2: its figures}."""

TABLE_1 = ("Trilayer", "GPM+TSP", "GPM+GBH", "TSMT+GBH", "TSMT+SM", FULL)
"""The published rows of Table 1."""


def joint_miou(name: str) -> float:
    """Return the joint mIoU, in percent, of a published row of Table 3."""
    miou = SEGMENTATION[name].joint.miou
    assert miou is not None
    return miou
