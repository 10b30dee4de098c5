"""Instances as COCO's JSON files have them: boxes [x, y, width, height], and masks.

Ground truth has annotations. Results are a JSON list of

  {"image_id": …, "category_id": code of a pair, "score": …, "bbox": [x, y, width, height],
   "segmentation": RLE}

Files that are read may omit one of the last two, and may have polygons for a segmentation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core import files
from a2d_tf.core.errors import InputError, shown
from a2d_tf.data.segmentations import decode_mask, decode_rle

_LARGEST = float(np.finfo(np.float32).max)


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


def to_annotations(
    image_ids: Sequence,
    boxes: np.ndarray,
    codes: np.ndarray,
    masks: Sequence[dict] | None = None,
    scores: np.ndarray | None = None,
) -> list[dict]:
    """Convert instances to annotations of COCO JSON; their ids count from 1.

    Args:
      image_ids: of each instance's frame; boxes: float [N, 4], x1, y1, x2, y2; codes: int [N].
      masks: RLEs, whose areas count in place of those of the boxes.
      scores: of detections.
    """
    edges = boxes.astype(np.float64)
    extents = edges[:, 2:] - edges[:, :2]
    columns: dict[str, Sequence] = {
        "image_id": image_ids,
        "category_id": codes.tolist(),
        "bbox": np.concatenate([edges[:, :2], extents], axis=1).tolist(),
        "area": extents.prod(axis=1).tolist(),
    }
    if masks is not None:
        columns.update(segmentation=masks, area=rle_tools.area(list(masks)).tolist())
    if scores is not None:
        columns["score"] = scores.tolist()
    rows = zip(*columns.values())
    return [{"id": i, "iscrowd": 0, **dict(zip(columns, row))} for i, row in enumerate(rows, 1)]


def write(path: str | os.PathLike, results: list[dict]) -> None:
    """Write entries as a JSON list, one per line, atomically."""
    files.write_text(path, "[\n" + ",\n".join(map(json.dumps, results)) + "\n]\n")


def encode_mask(mask: np.ndarray) -> dict:
    """Encode a mask bool [H, W] as COCO's compressed RLE: {"size": [H, W], "counts": text}."""
    rle = rle_tools.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


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


def arrays(
    listed: list[dict], index: dict[int | str, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the frames, boxes and codes of annotations or results.

    Args:
      listed: with boxes; index: {image id: frame}.

    Returns:
      int64 [N], float32 [N, 4], x1, y1, x2, y2, and int64 [N].
    """
    boxes = np.array([entry["bbox"] for entry in listed], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return (
        np.array([index[entry["image_id"]] for entry in listed], np.int64),
        boxes.astype(np.float32),
        np.array([entry["category_id"] for entry in listed], np.int64),
    )
