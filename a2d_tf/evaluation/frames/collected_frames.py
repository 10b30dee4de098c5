"""What is kept of the frames of a split until all of them have been seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from a2d_tf.data import clip_records
from a2d_tf.evaluation.boxes import instance_tables, scored_rois
from a2d_tf.evaluation.frames.evaluated_frames import Frame

_NO_LABEL_MAP = np.zeros((0, 0), np.uint8)


class Collected:
    """Collects the RoIs and the truth of each frame of a split, for metrics of all.

    Whole frames would fill the memory. Call `add` for each frame in order, then `rois`
    and `truth` once.

    Args:
      columns: names of the fields of `RoiTable` that the network's label mode adds to
        boxes, actor and action scores: `LabelMode.columns`, such as "joint_scores".
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._fields = ["boxes", "actor_scores", "action_scores", *columns]
        self.tables: list[dict] = []
        self.truths: list[clip_records.ClipTruth] = []

    def add(self, frame: Frame) -> None:
        """Keep the RoIs and the ground truth of a frame, without its label map.

        Args:
          frame: the next frame of the split.
        """
        self.tables.append(
            {field: getattr(frame.table, field) for field in self._fields}
        )
        self.truths.append(dataclasses.replace(frame.truth, label_map=_NO_LABEL_MAP))

    def rois(self) -> scored_rois.ScoredRois:
        """Return the RoIs of all frames that were added, as one table.

        Call it once: to save memory, the RoIs are not kept here any longer.
        """
        roi_frame = _part_of_item([table["boxes"] for table in self.tables])
        arrays = {}
        for field in self._fields:
            # Popped: the boxes of every pair of every RoI take gigabytes.
            arrays[field] = np.concatenate([table.pop(field) for table in self.tables])
        return scored_rois.ScoredRois(self._names(), roi_frame, **arrays)

    def truth(self) -> instance_tables.Truth:
        """Return the true instances of all frames that were added, as one table."""
        codes = [truth.codes for truth in self.truths]
        boxes = [truth.boxes for truth in self.truths]
        masks: list[dict | None] = []
        for truth in self.truths:
            for rle, has_mask in zip(truth.rles, truth.has_mask):
                mask = None
                if has_mask:
                    mask = {**rle, "counts": rle["counts"].decode()}
                masks.append(mask)
        return instance_tables.Truth(
            frames=self._names(),
            box_frame=_part_of_item(codes),
            boxes=np.concatenate(boxes),
            codes=np.concatenate(codes),
            sizes=[truth.native_size for truth in self.truths],
            masks=masks,
        )

    def _names(self) -> np.ndarray:
        return np.array([truth.name for truth in self.truths])


def _part_of_item(parts: Sequence) -> np.ndarray:
    """Return the index of its part for each item of all parts: int64 [items]."""
    lengths = [len(part) for part in parts]
    return np.repeat(np.arange(len(parts)), lengths)
