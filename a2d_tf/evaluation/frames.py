"""Key frames of a split as a network sees them, and what is kept of each."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import records
from a2d_tf.evaluation import box_data
from a2d_tf.ops import masks as mask_ops
from a2d_tf.ops import visualize

FIELDS = ("record", "rgb", "flow", "size")
"""The fields of a batch that `Frame.of` reads."""
_NO_MAP = np.zeros((0, 0), np.uint8)
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A result of `segmentation.pairs`."""


@dataclasses.dataclass
class Frame:
    """The network's outputs on one key frame; boxes are y1, x1, y2, x2 in native pixels.

    Attributes:
      truth: the record's ground truth.
      table: arrays of `scoring.score_rois` over the valid RoIs, [R, ...].
      instances: arrays of `scoring.select` over the detections, [N, ...], masks [N, m, m].
      rgb: uint8 [h, w, 3], the key frame as stored, without padding.
      flow: float32 [h, w, 2].
      pairs: {threshold: those of the true label map and the one predicted at it}; empty where the
        true one is incomplete.
    """

    truth: records.ClipTruth
    table: dict
    instances: dict
    rgb: np.ndarray
    flow: np.ndarray
    pairs: dict[float, Pairs] = dataclasses.field(default_factory=dict, init=False)

    @classmethod
    def of(cls, batch: dict[str, np.ndarray], outputs: dict, row: int) -> Frame:
        """Return the frame of a row of a batch's FIELDS and of the outputs of `Network.inference`.

        Raises:
          InputError: the record holds no ground truth.
        """
        truth = records.read_truth(batch["record"][row])
        size = batch["size"][row]
        ratio = np.tile(np.array(truth.native_size) / size, 2).astype(np.float32)
        valid = outputs["valid"][row]
        number = outputs["detections"]["num_detections"][row]
        table = {k: v[row][valid] for k, v in outputs["table"].items()}
        instances = {k: v[row][:number] for k, v in outputs["detections"].items() if v[row].ndim}
        for values in (table, instances):
            for name in values:
                if name.endswith("boxes"):
                    values[name] = values[name] * ratio
        clips = (batch[name][row] for name in ("rgb", "flow"))
        rgb, flow = (clip[len(clip) // 2, : size[0], : size[1]] for clip in clips)
        return cls(truth, table, instances, rgb, flow)

    @functools.cached_property
    def patches(self) -> list[mask_ops.Patch]:
        """The masks of the instances at native size."""
        masks, boxes = self.instances["masks"], self.instances["boxes"]
        return list(mask_ops.patches(masks, boxes, *self.truth.native_size))

    @functools.cached_property
    def rles(self) -> list[dict]:
        """The masks of the instances at native size, as RLEs."""
        return [patch.rle(*self.truth.native_size) for patch in self.patches]

    def entries(self, image_id: int) -> list[dict]:
        """Return the instances in COCO's results format."""
        boxes, codes, scores = (self.instances[name] for name in ("boxes", "code", "score"))
        return box_data.entries(image_id, boxes, codes, scores, self.rles)

    def picture(self, threshold: float, labels: LabelSpace) -> np.ndarray:
        """Draw truth, instances of at least this p(actor), and flow: uint8 [H, 3 W, 3], native."""
        truth, instances = self.truth, self.instances
        height, width = truth.native_size
        rgb = cv2.resize(self.rgb, (width, height))
        masks = map(rle_tools.decode, truth.rles)
        left = visualize.draw_instances(rgb, truth.boxes, truth.codes, masks, label_space=labels)
        chosen = np.flatnonzero(instances["class_score"] >= threshold)
        middle = visualize.draw_instances(
            rgb,
            instances["boxes"][chosen],
            instances["code"][chosen],
            [self.patches[i].mask(height, width) for i in chosen],
            label_space=labels,
            scores=instances["score"][chosen],
        )
        flow = cv2.resize(visualize.flow_to_rgb(self.flow), (width, height))
        return np.concatenate([left, middle, flow], axis=1)


class Collected:
    """The RoIs and the truth of each frame, by the network's label mode.

    Whole frames would fill the memory.
    """

    def __init__(self, label_mode: str) -> None:
        self._fields = ["boxes", "actor_scores", "action_scores"]
        self._fields += ["joint_scores"] * (label_mode != "decoupled")
        self._fields += ["joint_boxes"] * (label_mode == "cartesian")
        self.tables: list[dict] = []
        self.truths: list[records.ClipTruth] = []

    def add(self, frame: Frame) -> None:
        """Keep a frame's RoIs and ground truth."""
        self.tables.append({field: frame.table[field] for field in self._fields})
        self.truths.append(dataclasses.replace(frame.truth, label_map=_NO_MAP))

    def detections(self) -> box_data.Detections:
        """Return all RoIs as in `detections.npz`, and free the tables."""
        rows = _rows(table["boxes"] for table in self.tables)
        arrays = {}
        for field in self._fields:
            # Popped: the boxes of every pair of every RoI take gigabytes.
            values = np.concatenate([table.pop(field) for table in self.tables])
            arrays[field] = values[..., [1, 0, 3, 2]] if field.endswith("boxes") else values
        return box_data.Detections(self._names(), rows, **arrays)

    def truth(self) -> box_data.Truth:
        """Return the ground truth of the frames."""
        truths = self.truths
        rles = [
            {**rle, "counts": rle["counts"].decode()} if has_mask else None
            for truth in truths
            for rle, has_mask in zip(truth.rles, truth.has_mask)
        ]
        return box_data.Truth(
            self._names(),
            _rows(truth.codes for truth in truths),
            np.concatenate([truth.boxes for truth in truths])[:, [1, 0, 3, 2]],
            np.concatenate([truth.codes for truth in truths]),
            sizes=[truth.native_size for truth in truths],
            masks=rles,
        )

    def _names(self):
        return np.array([truth.name for truth in self.truths])


def _rows(parts):
    """The index of the part of each of their items: int64 [number of all items]."""
    counts = list(map(len, parts))
    return np.repeat(np.arange(len(counts)), counts)
