"""Label changes: how often an object that goes on doing the same is said to do something else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.assignment import assign
from a2d_tf.evaluation.scenes import Video, classes_of

MIN_IOU = 0.5


def rate(videos: Sequence[Video], kind: str, labels: LabelSpace) -> float | None:
    """Count the changes of the predicted class per 100 frames of true objects that keep theirs.

    In each frame true and predicted objects are paired, whatever their classes, for the highest sum
    of IoUs among pairs of MIN_IOU or more. Of a true track, take every two frames in a row of those
    in which it is paired, and leave out those where its true class differs. The rate is 100 times
    the share of them where the predicted class differs. A change of the predicted track alone is
    none.

    Returns:
      the rate; None where no track is paired twice.
    """
    changes = total = 0
    for video in videos:
        last: dict[int, tuple[int, int]] = {}  # {true track: (true class, predicted class)}
        for frame in video.frames:
            good = np.where(frame.iou >= MIN_IOU, frame.iou, 0.0)
            true = classes_of(kind, frame.codes, labels)
            found = classes_of(kind, frame.predicted_codes, labels)
            for i, k in zip(*assign(good)):
                if not good[i, k]:
                    continue
                now = int(true[i]), int(found[k])
                before = last.get(int(frame.tracks[i]))
                if before and before[0] == now[0]:
                    total += 1
                    changes += before[1] != now[1]
                last[int(frame.tracks[i])] = now
    return 100 * changes / total if total else None
