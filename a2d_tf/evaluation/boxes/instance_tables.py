"""Tables of the boxes of a split: its true instances, or instances found in it.

Boxes in memory are y1, x1, y2, x2 in native pixels, half-open: areas are (y2 - y1) *
(x2 - x1). In files they are COCO's JSON, see `coco_json.py`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core import files
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes import checked_arrays, coco_json


@dataclasses.dataclass
class InstanceTable:
    """G instances on the F frames of a split: their boxes, codes and perhaps masks.

    The constructor takes arrays or lists and checks them; it raises InputError.

    Attributes:
      frames: [F], distinct names `<VID>/<frame>`, including frames without boxes.
      box_frame: int64 [G], the frame of each instance, an index into `frames`.
      boxes: float32 [G, 4], (y1, x1, y2, x2) in pixels of the video.
      codes: int64 [G], the code of the actor and action of each instance.
      source: what messages call the table: a path, "truth" or "results".
      sizes: F pairs (height, width) in pixels; None if there are no masks.
      masks: a COCO RLE for each instance, see `segmentations.encode_mask`, or None if
        there are no masks. In a truth, an instance whose mask is not known has None. In
        results, the whole field is None if one mask is missing.
      image_ids: F ids of the frames in COCO files; 1, 2, … by default.
      scores: float64 [G], the score of each instance; None in a truth.
    """

    frames: np.ndarray
    box_frame: np.ndarray
    boxes: np.ndarray
    codes: np.ndarray
    source: str = "truth"
    sizes: list | None = None
    masks: list | None = None
    image_ids: list = dataclasses.field(default_factory=list)
    scores: np.ndarray | None = None

    def __post_init__(self) -> None:
        fields = checked_arrays.Fields(self.source)
        self.frames = fields.frames(self.frames)
        self.box_frame = fields.frame_indices("box_frame", self.box_frame, self.frames)
        self.boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        self.codes = np.asarray(self.codes, np.int64)
        if not self.image_ids:
            self.image_ids = list(range(1, len(self.frames) + 1))

    def coco(self) -> dict:
        """Return the table as the content of COCO JSON.

        Returns:
          {"images": JSON objects of the frames, "annotations": JSON objects of the
          instances}. The "area" of an instance is that of its mask, or of its box if it
          has no mask.
        """
        images: list[dict] = []
        for i, frame in enumerate(self.frames.tolist()):
            image = {"id": self.image_ids[i], "file_name": f"{frame}.png"}
            if self.sizes:
                height, width = self.sizes[i]
                image.update(height=int(height), width=int(width))
            images.append(image)
        annotations: list[dict] = []
        codes = self.codes.tolist()
        frames = self.box_frame.tolist()
        for i, (y1, x1, y2, x2) in enumerate(self.boxes.tolist()):
            width = x2 - x1
            height = y2 - y1
            annotation = {
                "id": i + 1,
                "image_id": self.image_ids[frames[i]],
                "category_id": codes[i],
                "iscrowd": 0,
                "bbox": [x1, y1, width, height],
                "area": width * height,
            }
            if self.scores is not None:
                annotation["score"] = float(self.scores[i])
            if self.masks is not None and self.masks[i] is not None:
                annotation["segmentation"] = self.masks[i]
                annotation["area"] = int(rle_tools.area(self.masks[i]))
            annotations.append(annotation)
        return {"images": images, "annotations": annotations}


class Truth(InstanceTable):
    """The true instances of a split; their codes are valid pairs."""

    @classmethod
    def load(cls, path: str | os.PathLike, label_space: LabelSpace) -> Truth:
        """Read a ground truth from COCO JSON, as `save` or another tool wrote it.

        A "file_name" is `<VID>/<frame>.png`, a "category_id" the code of a pair, and a
        "segmentation" an RLE or polygons. Masks and sizes are None if an image lacks
        "width" or "height", or if no annotation has a "segmentation".

        Args:
          path: the JSON file, such as `truth.json`.
          label_space: the label space of the codes.

        Raises:
          InputError: the file is missing or no such JSON; a frame is listed twice; an
            annotation lacks its image, has a code that is no valid pair, a malformed
            box or segmentation, or is a crowd, or `categories` give a code of the label
            space another name.
        """
        source = os.fspath(path)
        coco = coco_json.read_truth(path, label_space)
        truth = cls(
            frames=np.array(
                [image["file_name"].removesuffix(".png") for image in coco.images]
            ),
            source=source,
            image_ids=list(coco.positions),
            **_columns(coco.annotations, coco.positions),
        )
        masks = coco_json.read_masks(coco, source)
        if masks is not None:
            truth.sizes = coco_json.image_sizes(coco)
            truth.masks = masks
        return truth

    def save(self, path: str | os.PathLike, label_space: LabelSpace) -> None:
        """Write the COCO JSON that `load` reads, whole or not at all.

        Args:
          path: the JSON file.
          label_space: the label space of the codes; its names are written, too.
        """
        categories = []
        for code in label_space.codes:
            categories.append({"id": code, "name": label_space.name(code)})
        content = {**self.coco(), "categories": categories}
        files.write_json(path, content, sort_keys=True)


class Results(InstanceTable):
    """The instances found on the frames of a ground truth, with their scores.

    Their codes need not be valid pairs.
    """

    scores: np.ndarray

    @classmethod
    def load(
        cls, path: str | os.PathLike, truth: Truth, label_space: LabelSpace
    ) -> Results:
        """Read COCO results, instances that any method found on the truth's frames.

        The sizes of masks are those of the ground truth; if that has none, the
        segmentations are ignored.

        Args:
          path: the JSON file, a list of entries as in `coco_json`.
          truth: the ground truth, whose ids of images the entries have.
          label_space: the label space of the codes.

        Raises:
          InputError: the file is missing or no such JSON, or an entry lacks a field.
        """
        entries = coco_json.read_results(
            path,
            sizes=dict(zip(truth.image_ids, truth.sizes or ())),
            image_ids=set(truth.image_ids),
            source=truth.source,
            label_space=label_space,
        )
        return cls.of_entries(entries, truth)

    @classmethod
    def of_entries(cls, entries: list[dict], truth: Truth) -> Results:
        """Make the table of instances from entries in COCO's results format.

        Args:
          entries: one for each instance, of `coco_json.result_entries` or
            `coco_json.read_results`.
          truth: the ground truth, whose frames and ids of images the results have.
        """
        index = {image_id: i for i, image_id in enumerate(truth.image_ids)}
        masks = [entry["segmentation"] for entry in entries]
        all_masked = None not in masks
        return cls(
            frames=truth.frames,
            source="results",
            sizes=truth.sizes,
            masks=masks if all_masked else None,
            image_ids=truth.image_ids,
            scores=np.array([entry["score"] for entry in entries], np.float64),
            **_columns(entries, index),
        )


def _columns(entries: list[dict], index: Mapping[int | str, int]) -> dict[str, Any]:
    """Return the fields of an `InstanceTable` that annotations and results both have.

    Args:
      entries: the JSON objects of annotations or results.
      index: {id of an image: index of its frame}.
    """
    frames = [index[entry["image_id"]] for entry in entries]
    codes = [entry["category_id"] for entry in entries]
    return {
        "box_frame": np.array(frames, np.int64),
        "boxes": coco_json.corner_boxes(entries),
        "codes": np.array(codes, np.int64),
    }
