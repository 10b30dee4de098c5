"""Key frames of a split as a network sees them, and what is kept of each."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import cv2
import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import clip_records
from a2d_tf.data.instance_fields import scale_fields
from a2d_tf.evaluation import box_data, coco_json
from a2d_tf.evaluation.metrics.segmentation import CodePairs
from a2d_tf.model.inference import Inference
from a2d_tf.model.structures import BatchDetections, RoiTable
from a2d_tf.ops import masks as mask_ops
from a2d_tf.ops import visualize

FIELDS = ("record", "rgb", "flow", "size")
"""The fields of a batch that `Frame.of` reads."""
_NO_MAP = np.zeros((0, 0), np.uint8)


@dataclasses.dataclass
class Frame:
    """The network's outputs on one key frame; boxes are y1, x1, y2, x2 in native
    pixels.

    Attributes:
      truth: the record's ground truth.
      table: arrays of the valid RoIs, [R, ...].
      instances: arrays of the detections, [N, ...]; `number` is N.
      rgb: uint8 [h, w, 3], the key frame as stored, without padding.
      flow: float32 [h, w, 2].
      pairs: {threshold: those of the true label map and the one predicted at it}; empty
        where the true one is incomplete.
    """

    truth: clip_records.ClipTruth
    table: RoiTable
    instances: BatchDetections
    rgb: np.ndarray
    flow: np.ndarray
    pairs: dict[float, CodePairs] = dataclasses.field(default_factory=dict, init=False)

    @classmethod
    def of(cls, batch: dict[str, np.ndarray], outputs: Inference, row: int) -> Frame:
        """Return the frame of a row of a batch's FIELDS and of its inference;
        InputError where the record holds no ground truth.
        """
        truth = clip_records.read_truth(batch["record"][row])
        size = batch["size"][row]
        ratio = np.tile(np.array(truth.native_size) / size, 2).astype(np.float32)
        valid, number = outputs.valid[row], outputs.detections.number[row]
        assert outputs.table is not None  # an evaluation asks for it
        table = RoiTable._make(
            None if v is None else v[row][valid] for v in outputs.table
        )
        found = outputs.detections.map_rows(lambda values: values[row][:number])
        found = found._replace(number=number, more=scale_fields(found.more, ratio[:2]))
        table, instances = _scaled(table, ratio), _scaled(found, ratio)
        clips = (batch[name][row] for name in ("rgb", "flow"))
        rgb, flow = (clip[len(clip) // 2, : size[0], : size[1]] for clip in clips)
        return cls(truth, table, instances, rgb, flow)

    @functools.cached_property
    def patches(self) -> list[mask_ops.Patch]:
        """The masks of the instances at native size."""
        masks = self.instances.more["masks"]
        return list(
            mask_ops.patches(masks, self.instances.boxes, *self.truth.native_size)
        )

    @functools.cached_property
    def rles(self) -> list[dict]:
        """The masks of the instances at native size, as RLEs."""
        return [patch.rle(*self.truth.native_size) for patch in self.patches]

    def entries(self, image_id: int) -> list[dict]:
        """Return the instances in COCO's results format."""
        found = self.instances
        return coco_json.result_entries(
            image_id, found.boxes, found.code, found.score, self.rles
        )

    def picture(self, threshold: float, labels: LabelSpace) -> np.ndarray:
        """Draw truth, instances of at least this p(actor), and flow: uint8 [H, 3 W,
        3], native.
        """
        truth, instances = self.truth, self.instances
        height, width = truth.native_size
        rgb = cv2.resize(self.rgb, (width, height))
        masks = map(rle_tools.decode, truth.rles)
        left = visualize.draw_instances(
            rgb, truth.boxes, truth.codes, masks, label_space=labels
        )
        chosen = np.flatnonzero(instances.class_scores >= threshold)
        places, scores = (
            (instances.boxes[chosen], instances.code[chosen]),
            instances.score[chosen],
        )
        found = [self.patches[i].mask(height, width) for i in chosen]
        middle = visualize.draw_instances(
            rgb, *places, found, label_space=labels, scores=scores
        )
        flow = cv2.resize(visualize.flow_to_rgb(self.flow), (width, height))
        return np.concatenate([left, middle, flow], axis=1)


def _scaled(values, ratio):
    """A RoiTable or BatchDetections with its boxes times a ratio."""
    boxes = {
        k: x
        for k, x in values._asdict().items()
        if k.endswith("boxes") and x is not None
    }
    return values._replace(**{name: box * ratio for name, box in boxes.items()})


class Collected:
    """The RoIs and the truth of each frame; whole frames would fill the memory.

    Args:
      columns: of the network's label mode.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._fields = ["boxes", "actor_scores", "action_scores", *columns]
        self.tables: list[dict] = []
        self.truths: list[clip_records.ClipTruth] = []

    def add(self, frame: Frame) -> None:
        """Keep a frame's RoIs and ground truth."""
        self.tables.append(
            {field: getattr(frame.table, field) for field in self._fields}
        )
        self.truths.append(dataclasses.replace(frame.truth, label_map=_NO_MAP))

    def detections(self) -> box_data.Detections:
        """Return all RoIs, and free the tables."""
        rows = _rows(table["boxes"] for table in self.tables)
        arrays = {}
        for field in self._fields:
            # Popped: the boxes of every pair of every RoI take gigabytes.
            arrays[field] = np.concatenate([table.pop(field) for table in self.tables])
        return box_data.Detections(self._names(), rows, **arrays)

    def truth(self) -> box_data.Truth:
        """Return the ground truth of the frames."""
        truths = self.truths
        rles = [
            {**rle, "counts": rle["counts"].decode()} if has_mask else None
            for truth in truths
            for rle, has_mask in zip(truth.rles, truth.has_mask)
        ]
        rows, codes = (
            _rows(t.codes for t in truths),
            np.concatenate([t.codes for t in truths]),
        )
        boxes, sizes = (
            np.concatenate([t.boxes for t in truths]),
            [t.native_size for t in truths],
        )
        return box_data.Truth(
            self._names(), rows, boxes, codes, sizes=sizes, masks=rles
        )

    def _names(self):
        return np.array([truth.name for truth in self.truths])


def _rows(parts):
    """The index of the part of each of their items: int64 [number of all items]."""
    counts = list(map(len, parts))
    return np.repeat(np.arange(len(counts)), counts)
