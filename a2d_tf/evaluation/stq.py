"""STQ: segmentation and tracking quality, of pixels rather than of objects.

Source: Weber et al., "STEP: Segmenting and Tracking Every Pixel", NeurIPS Datasets and Benchmarks
2021; details as in DeepLab2's `segmentation_and_tracking_quality.py`.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.scenes import Video, classes_of


def figures(videos: Sequence[Video], kind: str, labels: LabelSpace) -> dict[str, float | None]:
    """Compute STQ = sqrt(AQ SQ) of the classes of a kind, in percent.

    A tube is what is seen of one (class, track) in a video. AQ is the mean over true tubes t of the
    sum over predicted tubes p of |t & p| IoU(t, p) / |t|; their classes need not agree. SQ is the
    mean IoU of the classes over the pixels of all frames: of background, the one class that is no
    object, and of each class that the truth or the prediction has.

    Returns:
      {"stq", "aq", "sq"}; None for AQ and STQ where no object is true.
    """
    # Also of pairs that are not valid: an actor without any may be predicted.
    codes = labels.encode(*np.indices(labels.valid.shape)).ravel()
    size = int(classes_of(kind, codes, labels).max()) + 1
    confusion = np.zeros((size, size), np.int64)
    qualities: list[float] = []
    for video in videos:
        true: collections.Counter = collections.Counter()
        found: collections.Counter = collections.Counter()
        shared: collections.Counter = collections.Counter()
        for frame in video.frames:
            rows = _tubes(kind, frame.codes, frame.tracks, labels)
            columns = _tubes(kind, frame.predicted_codes, frame.predicted_tracks, labels)
            for i, k in zip(*np.nonzero(frame.visible)):
                row, column, pixels = rows[i], columns[k], int(frame.visible[i, k])
                confusion[row[0], column[0]] += pixels
                true[row] += pixels
                found[column] += pixels
                shared[row, column] += pixels
        qualities += _association(true, found, shared)
    association = float(np.mean(qualities)) if qualities else None
    segmentation = _mean_iou(confusion)
    return {
        "stq": None if association is None else 100 * (association * segmentation) ** 0.5,
        "aq": None if association is None else 100 * association,
        "sq": 100 * segmentation,
    }


def _tubes(kind, codes, tracks, labels):
    """The (class, track) of each object of a frame, and that of background."""
    classes = classes_of(kind, codes, labels)
    return [*zip(classes.tolist(), tracks.tolist()), (0, 0)]


def _association(true, found, shared):
    """The association quality of each true tube of a video, in [0, 1]."""
    sums = dict.fromkeys((tube for tube in true if tube[0]), 0.0)
    for (row, column), pixels in shared.items():
        if row[0] and column[0]:
            iou = pixels / (true[row] + found[column] - pixels)
            sums[row] += pixels * iou
    return [value / true[tube] for tube, value in sums.items()]


def _mean_iou(confusion):
    hits = confusion.diagonal()
    unions = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    return float((hits[unions > 0] / unions[unions > 0]).mean()) if unions.any() else 0.0
