"""AP of tubes: of whole tracks by the IoU of their masks over space and time.

Source: Yang et al., "Video Instance Segmentation", ICCV 2019 (YouTube-VIS).
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np
from pycocotools.cocoeval import COCOeval

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics import coco
from a2d_tf.evaluation.scenes import Video, classes_of

_EVERY_SIZE: dict[str, list[float]] = {"all": [0, np.inf]}


def precisions(videos: Sequence[Video], kind: str, labels: LabelSpace) -> dict[str, float | None]:
    """Compute the AP of tubes of the classes of a kind, in percent.

    A tube is what a track shows of one class in the scored frames of a video. The IoU of two tubes
    is the sum over these frames of the intersections of their masks over that of their unions. The
    score of a predicted tube is the mean over its frames. All else is COCO's AP, a video in the
    place of an image: the best 100 tubes of a class in a video, the mean over the classes with
    truth.

    Returns:
      {"ap", "ap50"} at IoU .5:.95 and .5; None where no object is true.
    """
    true: collections.Counter = collections.Counter()  # {(video, class, track): pixels}
    found: collections.Counter = collections.Counter()
    shared: collections.Counter = collections.Counter()  # {(true tube, predicted tube): pixels}
    scores: dict[tuple, list[float]] = {}
    for i, video in enumerate(videos):
        for frame in video.frames:
            rows, columns = (
                [(i, *tube) for tube in zip(classes_of(kind, codes, labels).tolist(), tracks)]
                for codes, tracks in (
                    (frame.codes, frame.tracks.tolist()),
                    (frame.predicted_codes, frame.predicted_tracks.tolist()),
                )
            )
            true.update(dict(zip(rows, frame.areas.tolist())))
            found.update(dict(zip(columns, frame.predicted_areas.tolist())))
            for tube, score in zip(columns, frame.scores):
                scores.setdefault(tube, []).append(score)
            for row, column in zip(*np.nonzero(frame.overlaps)):
                shared[rows[row], columns[column]] += int(frame.overlaps[row, column])
    categories = sorted({number for _, number, _ in true})
    if not categories:
        return {"ap": None, "ap50": None}

    def iou(row, column):
        return shared[row, column] / (true[row] + found[column] - shared[row, column])

    images = [{"id": i} for i in range(len(videos))]
    sides = [
        coco.index(images, _annotations(tubes, scores, categories), categories)
        for tubes in (true, found)
    ]
    figures = coco.precisions(_TubeEvaluation(sides[0], sides[1], iou), _EVERY_SIZE)
    return {name: figures[name] for name in ("ap", "ap50")}


def _annotations(tubes, scores, categories):
    """Return annotations of pycocotools, with their tubes."""
    return [
        {
            "id": number,
            "image_id": tube[0],
            "category_id": tube[1],
            "tube": tube,
            "area": area,
            "iscrowd": 0,
            "score": float(np.mean(scores.get(tube, 1.0))),
        }
        for number, (tube, area) in enumerate(tubes.items(), 1)
        if tube[1] in categories
    ]


class _TubeEvaluation(COCOeval):
    """pycocotools' evaluation with the IoU of tubes in the place of that of masks."""

    def __init__(self, true, found, iou):
        super().__init__(true, found, "bbox")  # the kind whose annotations are left as they are
        self._iou = iou

    def computeIoU(self, imgId: int, catId: int) -> list | np.ndarray:
        """Return the IoU of each (predicted, true) tube, the best predicted first."""
        found = sorted(self._dts[imgId, catId], key=lambda row: -row["score"])
        found = found[: self.params.maxDets[-1]]
        true = self._gts[imgId, catId]
        if not found or not true:
            return []
        return np.array([[self._iou(t["tube"], f["tube"]) for t in true] for f in found])
