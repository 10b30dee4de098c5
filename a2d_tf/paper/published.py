"""The published figures of the paper's tables, and our own printed beside them.

Source: Ji et al., ECCV 2018, Tables 1 to 3, in percent, all on A2D's own test split.
"""

from __future__ import annotations

import dataclasses

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation import metrics as registry

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
"""Tables 1 and 3: ave, glo, mIoU of actors, of actions, of pairs; None where the paper has a dash.
"""
DETECTION: dict[str, tuple[float | None, ...]] = {
    "TSCT": (67.2, 60.2, 49.2),
    "TSHR": (67.9, 59.6, 49.6),
    "TSMT": (68.3, 60.0, 48.9),
    "Ji et al., full": (77.2, 62.4, 55.5),
}
"""Table 2: mAP of actors, of actions, of pairs."""
_TABLES = {"segmentation": ("Table 1: ", SEGMENTATION), "detection": ("Table 2: ", DETECTION)}
_NOTE = "Published rows are for A2D's own test split: compare only figures of that split."


def table(metrics: dict, name: str = "ours", labels: LabelSpace = A2D) -> str:
    """Format the tables of all metrics that there are, for A2D with the rows of the paper.

    Those of the benchmark are left out where there are scores of own labels instead.

    Args:
      metrics: as in `metrics.json`, every part optional.
      name: that of our row.
      labels: of the metrics.
    """
    shown = []
    for metric, found in registry.tables(metrics):
        if labels != A2D and metric.section in _TABLES and "behaviours" in metrics:
            continue  # it counts what was not tested, and the background
        if labels == A2D and metric.section in _TABLES:
            number, rows = _TABLES[metric.section]
            found = dataclasses.replace(found, title=number + found.title, beside=rows)
        shown.append(found)
    notes = [_NOTE] if any(found.beside for found in shown) else []
    return "\n\n".join([*(found.text(name) for found in shown), *notes])
