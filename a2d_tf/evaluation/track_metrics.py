"""All scores over time of some videos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import hota, identity, label_changes, stq, tubes
from a2d_tf.evaluation.scenes import KINDS, Video, classes_of, of_class


def metrics_of(videos: Sequence[Video], labels: LabelSpace) -> dict:
    """Score videos over time.

    HOTA and IDF1, with their parts, and the AP of tubes are means over the classes of a kind that
    have truth; STQ has its own mean. The classes of "joint" are pairs; of "any", all objects are of
    one class, so that labels do not count.

    Returns:
      {"videos", "frames": numbers, and for each of KINDS {"hota", "det_a", "ass_a", "loc_a",
      "idf1", "idp", "idr", "stq", "aq", "sq", "tube_ap", "tube_ap50", "label_changes"}}: percent,
      and label changes per 100 frames (not of "any"); None where there is nothing to score.
    """
    figures: dict = {
        "videos": len(videos),
        "frames": sum(len(video.frames) for video in videos),
    }
    for kind in KINDS:
        precision = tubes.precisions(videos, kind, labels)
        figures[kind] = {
            **_mean(of_classes(videos, kind, labels).values()),
            **stq.figures(videos, kind, labels),
            "tube_ap": precision["ap"],
            "tube_ap50": precision["ap50"],
        }
        if kind != "any":
            figures[kind]["label_changes"] = label_changes.rate(videos, kind, labels)
    return figures


def of_classes(
    videos: Sequence[Video], kind: str, labels: LabelSpace
) -> dict[int, dict[str, float]]:
    """Compute HOTA and IDF1, with their parts, of each class of a kind that has truth.

    Counts add up over the videos, as in TrackEval.

    Returns:
      {number of the class: {name: percent}}.
    """
    codes = [frame.codes for video in videos for frame in video.frames]
    present = np.unique(classes_of(kind, np.concatenate([[0], *codes]).astype(int), labels))
    figures = {}
    for number in present[present > 0]:
        matches = [of_class(video, kind, number, labels) for video in videos]
        matches = [frames for frames in matches if frames]
        followed = sum(map(hota.count, matches), hota.Counts.none())
        known = sum(map(identity.count, matches), identity.Counts())
        figures[int(number)] = {**followed.figures(), **known.figures()}
    return figures


def _mean(rows):
    """The mean over the classes; None where there is none."""
    names = [*hota.Counts.none().figures(), *identity.Counts().figures()]
    return {name: float(np.mean([row[name] for row in rows])) if rows else None for name in names}
