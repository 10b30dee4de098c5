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
from a2d_tf.evaluation.scenes import Frame, classes_of

_EVERY_SIZE: dict[str, list[float]] = {"all": [0, np.inf]}


def precisions(
    videos: Sequence[Sequence[Frame]], kind: str, labels: LabelSpace
) -> dict[str, float | None]:
    """Compute the AP of tubes of the classes of a kind, in percent.

    A tube is what a track shows of one class in the scored frames of a video. The IoU of two tubes
    is the sum over these frames of the intersections of their masks over that of their unions. The
    score of a predicted tube is the mean over its frames. All else is COCO's AP, a video in the
    place of an image: the best 100 tubes of a class in a video, the mean over the classes with
    truth.

    Returns:
      {"ap", "ap50"} at IoU .5:.95 and .5; None where no object is true.
    """
    sides: tuple[dict, dict] = ({}, {})  # {(video, class, track): [(pixels, score), ...]}
    shared: collections.Counter = collections.Counter()  # {(true tube, predicted tube): pixels}
    for i, frames in enumerate(videos):
        for frame in frames:
            tubes = []
            for seen, side in zip(sides, (frame.truth, frame.found)):
                numbers = classes_of(kind, side.codes, labels).tolist()
                tubes.append([(i, *tube) for tube in zip(numbers, side.tracks.tolist())])
                for tube, *shown in zip(tubes[-1], side.areas.tolist(), side.scores.tolist()):
                    seen.setdefault(tube, []).append(shown)
            for row, column in zip(*np.nonzero(frame.overlaps)):
                shared[tubes[0][row], tubes[1][column]] += int(frame.overlaps[row, column])
    categories = sorted({number for _, number, _ in sides[0]})
    if not categories:
        return {"ap": None, "ap50": None}
    images = [{"id": i} for i in range(len(videos))]
    true, found = (coco.index(images, _annotations(seen, categories), categories) for seen in sides)
    figures = coco.precisions(_TubeEvaluation(true, found, shared), _EVERY_SIZE)
    return {name: figures[name] for name in ("ap", "ap50")}


def _annotations(seen, categories):
    """Return annotations of pycocotools, with their tubes."""
    return [
        {
            "id": number,
            "image_id": tube[0],
            "category_id": tube[1],
            "tube": tube,
            "area": sum(area for area, _ in rows),
            "iscrowd": 0,
            "score": float(np.mean([score for _, score in rows])),
        }
        for number, (tube, rows) in enumerate(seen.items(), 1)
        if tube[1] in categories
    ]


class _TubeEvaluation(COCOeval):
    """pycocotools' evaluation with the IoU of tubes in the place of that of masks.

    Args:
      true, found: objects of pycocotools, of `_annotations`.
      shared: {(true tube, predicted tube): pixels}.
    """

    def __init__(self, true, found, shared):
        super().__init__(true, found, "bbox")  # the kind whose annotations are left as they are
        self._shared = shared

    def computeIoU(self, imgId: int, catId: int) -> list | np.ndarray:
        """Return the IoU of each (predicted, true) tube, the best predicted first."""
        found = sorted(self._dts[imgId, catId], key=lambda row: -row["score"])
        found = found[: self.params.maxDets[-1]]
        true = self._gts[imgId, catId]
        if not found or not true:
            return []
        overlaps = [[self._shared[t["tube"], f["tube"]] for t in true] for f in found]
        areas = [[t["area"] + f["area"] for t in true] for f in found]
        return np.array(overlaps) / (np.array(areas) - overlaps)
