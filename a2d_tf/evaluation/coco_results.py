"""Instances in COCO's results format, a JSON list of

  {"image_id": …, "category_id": code of a pair, "score": …, "bbox": [x, y, width, height],
   "segmentation": RLE}

Files that are read may omit one of the last two, and may have polygons for a segmentation.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core import files
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.segmentations import decode_mask, decode_rle

if TYPE_CHECKING:
    from a2d_tf.evaluation.box_data import Truth

_LARGEST = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class Results:
    """Instances on the frames of a ground truth, in native pixels.

    Attributes:
      frames: [F] names, those of the ground truth.
      roi_frame: int64 [R], index into frames.
      boxes: float32 [R, 4], x1, y1, x2, y2.
      codes: int64 [R], of actors and actions of the label space, not necessarily valid pairs.
      scores: float64 [R].
      masks: [R] RLEs, see `encode_mask`; None if any is missing.
    """

    frames: np.ndarray
    roi_frame: np.ndarray
    boxes: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    masks: list | None

    @classmethod
    def load(cls, path: str | os.PathLike, truth: Truth, label_space: LabelSpace) -> Results:
        """Read results on the frames of a ground truth.

        The sizes of masks are those of the ground truth; without sizes, segmentations are ignored.

        Raises:
          InputError: the file is missing or no such JSON, or names the entry and its field that is
            missing or malformed.
        """
        index = {identity: frame for frame, identity in enumerate(truth.image_ids)}

        every = label_space.encode(*np.indices(label_space.valid.shape)).ravel().tolist()
        entry = {
            "image_id": among(index, f"image of {truth.source}"),
            "category_id": among(every, "code of the label space"),
            "score": float,
            "bbox?": bbox,
        }
        listed = files.load_json(path, [entry], "results are a JSON list of COCO's instances")
        for i, each in enumerate(listed):
            mask = each.get("segmentation")
            if mask is not None:
                place, sizes = f"{path}: [{i}]", truth.sizes
                frame = index[each["image_id"]]
                mask = read_mask(mask, sizes[frame], place) if sizes else None
            each["segmentation"] = mask
            if "bbox" not in each:
                if mask is None:
                    raise InputError(
                        f"{path}: [{i}].bbox is missing, and no 'segmentation' stands in for it: "
                        "that also needs 'width' and 'height' of the images of the truth"
                    )
                each["bbox"] = rle_tools.toBbox(mask).tolist()
        return cls.of_entries(listed, truth)

    @classmethod
    def of_entries(cls, listed: list[dict], truth: Truth) -> Results:
        """Take `entries` on the frames of a ground truth, as `load` would from their file."""
        index = {identity: frame for frame, identity in enumerate(truth.image_ids)}
        masks = [entry["segmentation"] for entry in listed]
        return cls(
            truth.frames,
            np.array([index[entry["image_id"]] for entry in listed], np.int64),
            np.array([corners(entry["bbox"]) for entry in listed], np.float32).reshape(-1, 4),
            np.array([entry["category_id"] for entry in listed], np.int64),
            np.array([entry["score"] for entry in listed], np.float64),
            None if None in masks else masks,
        )

    def select(self, chosen: np.ndarray) -> Results:
        """Select instances by `chosen`, bool [R]; drops the masks."""
        return dataclasses.replace(
            self,
            roi_frame=self.roi_frame[chosen],
            boxes=self.boxes[chosen],
            codes=self.codes[chosen],
            scores=self.scores[chosen],
            masks=None,
        )


def entries(
    image_id: int | str,
    boxes: np.ndarray,
    codes: np.ndarray,
    scores: np.ndarray,
    *,
    masks: np.ndarray | list[dict],
) -> list[dict]:
    """Convert the instances of one frame to COCO's results format.

    Args:
      image_id: of the frame.
      boxes: float [N, 4], y1, x1, y2, x2.
      codes, scores: [N].
      masks: N of bool [H, W], or RLEs, see `encode_mask`.
    """
    results = []
    for box, code, score, mask in zip(boxes, codes, scores, masks):
        y1, x1, y2, x2 = (round(float(edge), 2) for edge in box)
        results.append(
            {
                "image_id": image_id,
                "category_id": int(code),
                "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                "score": round(float(score), 6),
                "segmentation": mask if isinstance(mask, dict) else encode_mask(mask),
            }
        )
    return results


def annotations_of(image_ids: Iterable, boxes: np.ndarray, codes: np.ndarray) -> list[dict]:
    """Convert ground truth to annotations of COCO JSON without masks; their ids count from 1.

    Args:
      image_ids: of each box's frame; boxes: float [N, 4], x1, y1, x2, y2; codes: int [N].
    """
    edges = boxes.astype(np.float64)
    extents = edges[:, 2:] - edges[:, :2]
    return [
        {
            "id": i + 1,
            "image_id": image_id,
            "category_id": int(codes[i]),
            "bbox": [*edges[i, :2].tolist(), *extents[i].tolist()],
            "area": float(extents[i].prod()),
            "iscrowd": 0,
        }
        for i, image_id in enumerate(image_ids)
    ]


def write(path: str | os.PathLike, results: list[dict]) -> None:
    """Write entries as a JSON list, one per line, atomically."""
    files.write_text(path, "[\n" + ",\n".join(map(json.dumps, results)) + "\n]\n")


def encode_mask(mask: np.ndarray) -> dict:
    """Encode a mask bool [H, W] as COCO's compressed RLE: {"size": [H, W], "counts": text}."""
    rle = rle_tools.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def area(rle: dict) -> int:
    """Count the pixels of an encoded mask."""
    return int(rle_tools.area(rle))


def read_mask(segmentation: Any, size: tuple[int, int], where: str) -> dict:
    """Convert a COCO segmentation, polygons or RLE, to the form of `encode_mask`.

    Args:
      segmentation: the mask; size: (height, width); where: its place in the file.

    Raises:
      InputError: malformed, or of another size; the message starts with `where`.
    """
    if segmentation == []:
        return encode_mask(np.zeros(size, bool))
    try:
        # Results may be empty, unlike what was drawn.
        decode = decode_rle if isinstance(segmentation, dict) else decode_mask
        return encode_mask(decode(segmentation, *size))
    except InputError as error:
        raise InputError(f"{where}.segmentation: {error}") from error


def among(values: Container, what: str) -> Callable[[Any], None]:
    """Return a kind for `files.check_json`: integers or texts that are among these values."""

    def check(value):
        if type(value) not in (int, str) or value not in values:
            raise ValueError(f"{shown(value)} is no {what}")

    return check


def bbox(value: Any) -> None:
    """Check a box of COCO JSON, as a kind of `files.check_json`."""
    four = isinstance(value, list) and len(value) == 4
    if not four or not all(type(x) in (int, float) and abs(x) <= _LARGEST for x in value):
        raise ValueError(f"{shown(value)} is not [x, y, width, height] in finite numbers")
    if min(value[2:]) < 0:
        raise ValueError(f"{shown(value)}: width and height are not negative")


def corners(box: list[float]) -> tuple[float, float, float, float]:
    """Convert [x, y, width, height] to x1, y1, x2, y2."""
    x, y, width, height = box
    return x, y, x + width, y + height
