"""AP of tubes: of whole tracks by the IoU of their masks over space and time.

Source: Yang et al., "Video Instance Segmentation", ICCV 2019 (YouTube-VIS).
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
from pycocotools.cocoeval import COCOeval

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import coco_eval
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
    collected = [_collect(video, kind, labels) for video in videos]
    categories = sorted({number for part in collected for number, _ in part.true})
    if not categories:
        return {"ap": None, "ap50": None}
    images = [{"id": i} for i in range(len(videos))]
    true, found = (
        coco_eval.index(images, _annotations(tubes, categories), categories)
        for tubes in ([part.true for part in collected], [part.found for part in collected])
    )
    figures = coco_eval.precisions(_TubeEvaluation(true, found, collected), _EVERY_SIZE)
    return {name: figures[name] for name in ("ap", "ap50")}


@dataclasses.dataclass
class _Sum:
    """A tube: its pixels, and the scores of its frames."""

    area: int = 0
    scores: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class _Tubes:
    """The tubes of a video, and the pixels of each intersection; a tube is (class, track)."""

    true: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(_Sum))
    found: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(_Sum))
    shared: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def iou(self, true: tuple, found: tuple) -> float:
        pixels = self.shared[true, found]
        return pixels / (self.true[true].area + self.found[found].area - pixels)


def _collect(video, kind, labels):
    """Return the `_Tubes` of a video."""
    tubes = _Tubes()
    for frame in video.frames:
        rows, columns = (
            list(zip(classes_of(kind, codes, labels).tolist(), tracks.tolist()))
            for codes, tracks in (
                (frame.codes, frame.tracks),
                (frame.predicted_codes, frame.predicted_tracks),
            )
        )
        for row, area in zip(rows, frame.areas.tolist()):
            tubes.true[row].area += area
        for column, area, score in zip(columns, frame.predicted_areas.tolist(), frame.scores):
            tubes.found[column].area += area
            tubes.found[column].scores.append(score)
        for i, k in zip(*np.nonzero(frame.overlaps)):
            tubes.shared[rows[i], columns[k]] += int(frame.overlaps[i, k])
    return tubes


def _annotations(tubes, categories):
    """Annotations of pycocotools, with their tubes, of the tubes of each video."""
    annotations: list[dict] = []
    for video, of_video in enumerate(tubes):
        for tube, total in of_video.items():
            if tube[0] in categories:
                annotation = {
                    "id": len(annotations) + 1,
                    "image_id": video,
                    "category_id": tube[0],
                    "tube": tube,
                    "area": total.area,
                    "iscrowd": 0,
                    "score": float(np.mean(total.scores)) if total.scores else 1.0,
                }
                annotations.append(annotation)
    return annotations


class _TubeEvaluation(COCOeval):
    """pycocotools' evaluation with the IoU of tubes in the place of that of masks."""

    def __init__(self, true, found, collected):
        super().__init__(true, found, "bbox")  # the kind whose annotations are left as they are
        self._collected = collected

    def computeIoU(self, imgId: int, catId: int) -> list | np.ndarray:
        """Return the IoU of each (predicted, true) tube, the best predicted first."""
        found = sorted(self._dts[imgId, catId], key=lambda row: -row["score"])
        found = found[: self.params.maxDets[-1]]
        true = self._gts[imgId, catId]
        if not found or not true:
            return []
        part = self._collected[imgId]
        return np.array([[part.iou(t["tube"], f["tube"]) for t in true] for f in found])
