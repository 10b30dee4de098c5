"""Instances in COCO's results format, a JSON list of

  {"image_id": …, "category_id": code of a pair, "score": …, "bbox": [x, y, width, height],
   "segmentation": RLE}

Files that are read may omit one of the last two, and may have polygons for a segmentation.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
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
        path = os.fspath(path)
        listed = read_coco(path)
        if not isinstance(listed, list):
            raise InputError(f"{path}: COCO results are a list of instances")
        index = {identity: frame for frame, identity in enumerate(truth.image_ids)}
        rows, masks = [], []
        for i, entry in enumerate(listed):
            where = f"{path}: [{i}]"
            if not isinstance(entry, dict):
                raise InputError(f"{where} is no object with 'image_id', 'category_id', 'score'")
            frame = _frame(entry, index, truth.source, where)
            mask = _mask(entry, truth.sizes and truth.sizes[frame], where)
            masks.append(mask)
            rows.append(
                (
                    frame,
                    _code(entry, label_space, where),
                    _number(entry, "score", where),
                    _corners(entry, mask, where),
                )
            )
        return cls._of_rows(truth, rows, masks)

    @classmethod
    def of_entries(cls, listed: list[dict], truth: Truth) -> Results:
        """Take `entries` on the frames of a ground truth, as `load` would from their file."""
        index = {identity: frame for frame, identity in enumerate(truth.image_ids)}
        rows = [
            (index[e["image_id"]], e["category_id"], e["score"], _corners(e, None, ""))
            for e in listed
        ]
        return cls._of_rows(truth, rows, [entry["segmentation"] for entry in listed])

    @classmethod
    def _of_rows(cls, truth, rows, masks):
        """Rows are (frame, code, score, corners)."""
        frames, codes, scores, boxes = zip(*rows) if rows else ((), (), (), ())
        return cls(
            truth.frames,
            np.array(frames, np.int64),
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(codes, np.int64),
            np.array(scores, np.float64),
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
    corners = boxes.astype(np.float64)
    extents = corners[:, 2:] - corners[:, :2]
    return [
        {
            "id": i + 1,
            "image_id": image_id,
            "category_id": int(codes[i]),
            "bbox": [*corners[i, :2].tolist(), *extents[i].tolist()],
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


def read_mask(segmentation: Any, height: int, width: int, where: str) -> dict:
    """Convert a COCO segmentation, polygons or RLE, to the form of `encode_mask`.

    Raises:
      InputError: malformed, or of another size; the message starts with `where`.
    """
    if segmentation == []:
        return encode_mask(np.zeros((height, width), bool))
    try:
        # Results may be empty, unlike what was drawn.
        decode = decode_rle if isinstance(segmentation, dict) else decode_mask
        return encode_mask(decode(segmentation, height, width))
    except InputError as error:
        raise InputError(f"{where}.segmentation: {error}") from error


def read_coco(path: str | os.PathLike) -> Any:
    """Read COCO JSON; raises InputError if the file is missing or no JSON."""
    try:
        return files.read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable COCO JSON ({error})") from error


def _frame(entry, index, source, where):
    identity = entry.get("image_id")
    if type(identity) not in (int, str) or identity not in index:
        raise InputError(f"{where}.image_id {shown(identity)} is no image of {source}")
    return index[identity]


def _code(entry, label_space, where):
    code = entry.get("category_id")
    if type(code) is not int or not label_space.knows(code):
        raise InputError(f"{where}.category_id {shown(code)} is no code of the label space")
    return code


def _number(entry, field, where):
    value = entry.get(field)
    if not _is_finite(value):
        raise InputError(f"{where}.{field} {shown(value)} is no finite number")
    return value


def _is_finite(value):
    return type(value) in (int, float) and abs(value) <= _LARGEST


def _mask(entry, size, where):
    segmentation = entry.get("segmentation")
    if segmentation is None or size is None:
        return None
    return read_mask(segmentation, *size, where)


def _corners(entry, mask, where):
    """x1, y1, x2, y2 of an entry's `bbox`, or of its mask if that is absent."""
    bbox = entry.get("bbox")
    if bbox is None and mask is not None:
        bbox = rle_tools.toBbox(mask).tolist()
    elif bbox is None:
        raise InputError(
            f"{where}.bbox is missing, and no 'segmentation' stands in for it: that also needs "
            "'width' and 'height' of the images of the truth"
        )
    four = isinstance(bbox, list) and len(bbox) == 4 and all(map(_is_finite, bbox))
    if not four or min(bbox[2:]) < 0:
        raise InputError(
            f"{where}.bbox {shown(bbox)} is not [x, y, width, height], finite and not negative in "
            "size"
        )
    x, y, width, height = bbox
    return x, y, x + width, y + height
