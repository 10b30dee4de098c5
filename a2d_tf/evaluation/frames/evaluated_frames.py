"""Key frames of a split as a network sees them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import clip_records
from a2d_tf.data.instance_fields import scale_fields
from a2d_tf.evaluation.boxes import coco_json
from a2d_tf.evaluation.metrics.segmentation import PixelCounts
from a2d_tf.evaluation.metrics.true_boxes import LabelledBoxes
from a2d_tf.model.inference import Inference
from a2d_tf.model.structures import BatchInstances, RoiTable
from a2d_tf.ops import visualize
from a2d_tf.ops.label_painter import MaskPatch, mask_patches

FIELDS = ("record", "rgb", "flow", "size")
"""The fields of a batch that `Frame.of` reads."""


@dataclasses.dataclass
class Frame:
    """The network's outputs on one key frame.

    Boxes are y1, x1, y2, x2 in native pixels.

    Attributes:
      truth: the record's ground truth.
      table: arrays of the valid RoIs, [R, ...].
      instances: arrays of the instances, [N, ...]; `number` is N.
      rgb: uint8 [h, w, 3], the key frame as stored, without padding.
      flow: float32 [h, w, 2].
      true_boxes: the labels in the true boxes, if these were labelled.
      pixel_counts: {threshold: pixels of the true label map and of the one predicted at
        this threshold}; empty if the true one is incomplete.
    """

    truth: clip_records.ClipTruth
    table: RoiTable
    instances: BatchInstances
    rgb: np.ndarray
    flow: np.ndarray
    true_boxes: LabelledBoxes | None = None
    pixel_counts: dict[float, PixelCounts] = dataclasses.field(
        default_factory=dict, init=False
    )

    @classmethod
    def of(
        cls,
        batch: dict[str, np.ndarray],
        outputs: Inference,
        in_true_boxes: Inference | None,
        row: int,
    ) -> Frame:
        """Return the frame of a row of a batch.

        Args:
          batch: FIELDS.
          outputs: its inference.
          in_true_boxes: that of `infer_boxes` in the true boxes; None without one.
          row: of the frame.

        Raises:
          InputError: the record holds no ground truth.
        """
        truth = clip_records.read_truth(batch["record"][row])
        size = batch["size"][row]
        ratio = np.tile(np.array(truth.native_size) / size, 2).astype(np.float32)
        valid = outputs.valid[row]
        assert outputs.table is not None  # an evaluation asks for it
        columns = {}
        for name, values in outputs.table._asdict().items():
            if values is not None:
                columns[name] = values[row][valid]
        table = RoiTable(**columns)
        number = outputs.detections.number[row]
        instances = outputs.detections.map_rows(lambda values: values[row][:number])
        instances = instances._replace(
            number=number, head_results=scale_fields(instances.head_results, ratio[:2])
        )
        return cls(
            truth=truth,
            table=_scaled(table, ratio),
            instances=_scaled(instances, ratio),
            rgb=_key_frame(batch["rgb"][row], size),
            flow=_key_frame(batch["flow"][row], size),
            true_boxes=None if in_true_boxes is None else _labels(in_true_boxes, row),
        )

    @functools.cached_property
    def patches(self) -> list[MaskPatch]:
        """The masks of the instances at native size."""
        masks = self.instances.head_results["masks"]
        return list(mask_patches(masks, self.instances.boxes, *self.truth.native_size))

    @functools.cached_property
    def rles(self) -> list[dict]:
        """The masks of the instances at native size, as RLEs."""
        return [patch.rle(*self.truth.native_size) for patch in self.patches]

    def entries(self, image_id: int) -> list[dict]:
        """Return the instances in COCO's results format."""
        instances = self.instances
        return coco_json.result_entries(
            image_id,
            boxes=instances.boxes,
            codes=instances.code,
            scores=instances.score,
            masks=self.rles,
        )

    def picture(self, threshold: float, labels: LabelSpace) -> np.ndarray:
        """Draw truth, instances of at least this p(actor), and flow side by side.

        Returns:
          uint8 [H, 3 W, 3], of native size.
        """
        truth = self.truth
        instances = self.instances
        height, width = truth.native_size
        rgb = cv2.resize(self.rgb, (width, height))
        true_instances = visualize.DrawnInstances(
            truth.boxes, truth.codes, map(rle_tools.decode, truth.rles)
        )
        left = visualize.draw_instances(rgb, true_instances, labels)
        rows = np.flatnonzero(instances.class_scores >= threshold)
        sure_instances = visualize.DrawnInstances(
            boxes=instances.boxes[rows],
            codes=instances.code[rows],
            masks=[self.patches[i].mask(height, width) for i in rows],
            scores=instances.score[rows],
        )
        middle = visualize.draw_instances(rgb, sure_instances, labels)
        flow = cv2.resize(visualize.flow_to_rgb(self.flow), (width, height))
        return np.concatenate([left, middle, flow], axis=1)


def _scaled(values: Any, ratio: np.ndarray) -> Any:
    """Return a RoiTable or BatchInstances with its boxes times a ratio."""
    boxes = {}
    for name, array in values._asdict().items():
        if name.endswith("boxes") and array is not None:
            boxes[name] = array * ratio
    return values._replace(**boxes)


def _labels(outputs: Inference, row: int) -> LabelledBoxes:
    """Return the `LabelledBoxes` of a row of the outputs of `infer_boxes`."""
    assert outputs.table is not None  # an evaluation asks for it
    valid = outputs.valid[row]
    return LabelledBoxes(
        actor_scores=outputs.table.actor_scores[row][valid],
        action_scores=outputs.table.action_scores[row][valid],
        joint_scores=outputs.table.joint_scores[row][valid],
        codes=outputs.detections.code[row][valid],
    )


def _key_frame(clip: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the middle frame of a clip without its padding."""
    height, width = size
    return clip[len(clip) // 2, :height, :width]
