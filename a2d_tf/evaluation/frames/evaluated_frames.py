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
    """One key frame: its ground truth, and the network's answers in it.

    Each metric sees every frame. Boxes are (y1, x1, y2, x2) in pixels of the video.

    Attributes:
      truth: the ground truth of the record: video, frame, boxes, codes, masks, tracks.
      table: scores and boxes of the R RoIs, NumPy arrays [R, ...].
      instances: the N instances that the network finds, NumPy arrays [N, ...], the best
        first; `number` is N.
      rgb: RGB uint8 [h, w, 3], the key frame as the record stores it, without padding.
      flow: float32 [h, w, 2], the optical flow of the key frame in pixels, of the same
        size.
      true_boxes: the network's labels of the true boxes; None if it did not label
        these.
      pixel_counts: {threshold of p(actor): numbers of pixels by their code in the true
        label map and in the one that is predicted at this threshold}; empty if an
        instance has no mask, so that the true label map is incomplete.
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
        """Return one frame of a batch, with its boxes in pixels of the video.

        Args:
          batch: {name: array [B, ...]} of the clips: "record", the serialized records;
            "rgb" and "flow", their frames; "size", the height and width of the frames
            inside the network's input.
          outputs: the network's answer for the batch, with the `table` of every RoI.
          in_true_boxes: the network's answer of `infer_boxes` in the true boxes; None
            if these were not labelled.
          row: index of the frame in the batch.

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
        """The mask of each predicted instance, resized to its box at the video's size.

        They are in the order of `instances`, and are computed once.
        """
        masks = self.instances.head_results["masks"]
        return list(mask_patches(masks, self.instances.boxes, *self.truth.native_size))

    @functools.cached_property
    def rles(self) -> list[dict]:
        """The mask of each predicted instance, as a COCO RLE of the video's size.

        They are in the order of `instances`, and are computed once.
        """
        return [patch.rle(*self.truth.native_size) for patch in self.patches]

    def entries(self, image_id: int) -> list[dict]:
        """Return the instances as entries of COCO's results, see `coco_json`.

        Args:
          image_id: the id of the frame in these results.
        """
        instances = self.instances
        return coco_json.result_entries(
            image_id,
            boxes=instances.boxes,
            codes=instances.code,
            scores=instances.score,
            masks=self.rles,
        )

    def picture(self, threshold: float, labels: LabelSpace) -> np.ndarray:
        """Draw the true instances, the predicted ones and the flow side by side.

        Args:
          threshold: the least p(actor) of a predicted instance that is drawn.
          labels: the label space of the codes, which names and colours them.

        Returns:
          RGB uint8 [H, 3 W, 3], for a video of H x W pixels.
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
    """Return the labels of the true boxes of one frame.

    Args:
      outputs: the network's answer for a batch, of `infer_boxes`.
      row: the index of the frame in the batch.
    """
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
