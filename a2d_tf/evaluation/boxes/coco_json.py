"""COCO's JSON of the truth and of results: its fields, read, checked and written.

A box of COCO is [x, y, width, height]. Results are a list of

  {"image_id": …, "category_id": code of a pair, "score": …, "bbox": …,
   "segmentation": RLE}

Results that are read may omit one of the last two, and may have polygons for a
segmentation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core import checked_json, files
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.data.segmentations import decode_mask, decode_rle, encode_mask

_REMEDY = "expected COCO JSON"
_EDGE = checked_json.number(-1e38, 1e38)  # so that sums of two are finite in 32 bits


class TruthJson(NamedTuple):
    """The checked contents of a COCO JSON of ground truth.

    Attributes:
      images: the JSON objects of the images, with "id" and "file_name", which is
        `<VID>/<frame>.png`.
      annotations: the JSON objects of the annotations, with "image_id", "category_id"
        (the code of a pair) and "bbox".
      positions: {id of an image: its index in `images`}.
    """

    images: list[dict]
    annotations: list[dict]
    positions: dict[int | str, int]


def read_truth(path: str | os.PathLike, label_space: LabelSpace) -> TruthJson:
    """Read and check the COCO JSON of a ground truth.

    Args:
      path: the JSON file.
      label_space: the label space, whose codes "category_id" must be.

    Raises:
      InputError: the file is missing or no such JSON; the id of an image is used twice;
        an annotation has no image, a code that is no valid pair or a malformed box, or
        is a crowd; or a category gives a code of the label space another name.
    """
    side = (checked_json.whole(1, MAX_SIDE), None)
    image_kind = {
        "id": checked_json.kind_of(_is_id, "a valid id"),
        "file_name": _check_file_name,
        "height?": side,
        "width?": side,
    }
    annotation_kind = {
        "image_id": checked_json.kind_of(_is_id, "a listed image"),
        "category_id": _among(label_space.codes, "a valid pair"),
        "bbox": check_bbox,
        "iscrowd?": checked_json.one_of(0, None),  # crowds cannot be scored
    }
    kind = {
        "categories?": [_category_of(label_space)],
        "images": [image_kind],
        "annotations": [annotation_kind],
    }
    coco = checked_json.load_json(path, kind, _REMEDY)
    positions: dict[int | str, int] = {}
    for i, image in enumerate(coco["images"]):
        image_id = image["id"]
        if image_id in positions:
            raise InputError(
                f"{path}: images[{i}].id: {quoted(image_id)} is used twice; {_REMEDY}"
            )
        positions[image_id] = i
    for i, annotation in enumerate(coco["annotations"]):
        image_id = annotation["image_id"]
        if image_id not in positions:
            raise InputError(
                f"{path}: annotations[{i}].image_id: {quoted(image_id)} is not a listed"
                f" image; {_REMEDY}"
            )
    return TruthJson(coco["images"], coco["annotations"], positions)


def _category_of(label_space: LabelSpace) -> Callable[[Any], None]:
    """Return a kind for `check_json`: a category that fits the label space.

    Other tools name categories as they like, and the paper shortens: "adult-climb". But
    a code may be valid in two label spaces, so that only its name tells them apart.
    """
    code_of_name = {label_space.name(code): code for code in label_space.codes}

    def check(value: Any) -> None:
        checked_json.check_json(value, {})
        code = value.get("id")
        name = str(value.get("name"))
        if "-" not in name:
            return
        right = code_of_name.get(name, code) == code
        if right and code in label_space.codes:
            right = label_space.name(code).startswith(name)
        if not right:
            raise ValueError(
                f"{quoted(code)} is {quoted(name)}, but not in the label space; use"
                " the labels.json of the run that wrote it"
            )

    return check


def read_masks(truth: TruthJson, source: str) -> list[dict | None] | None:
    """Return the mask of each annotation of a ground truth.

    Args:
      truth: the contents of the COCO JSON.
      source: the path of the file, for messages.

    Returns:
      a COCO RLE for each annotation, None for one without a segmentation. The whole
      result is None if an image lacks its size, or if no annotation has a segmentation.

    Raises:
      InputError: a segmentation is malformed.
    """
    segmentations = [annotation.get("segmentation") for annotation in truth.annotations]
    if segmentations and not any(segmentations):
        return None
    sizes = image_sizes(truth)
    if sizes is None:
        return None
    masks = []
    for i, annotation in enumerate(truth.annotations):
        mask = None
        if segmentations[i]:
            size = sizes[truth.positions[annotation["image_id"]]]
            mask = _read_mask(segmentations[i], size, f"{source}: annotations[{i}]")
        masks.append(mask)
    return masks


def image_sizes(truth: TruthJson) -> list[tuple[int, int]] | None:
    """Return the (height, width) in pixels of each image of a COCO JSON.

    The result is None if an image has none.
    """
    sizes = []
    for image in truth.images:
        height = image.get("height")
        width = image.get("width")
        if not height or not width:
            return None
        sizes.append((height, width))
    return sizes


def read_results(
    path: str | os.PathLike,
    sizes: dict[int | str, tuple[int, int]],
    image_ids: Container,
    source: str,
    label_space: LabelSpace,
) -> list[dict]:
    """Read a file of COCO results: instances that any method found.

    Args:
      path: the JSON file.
      sizes: {id of an image: (height, width) in pixels}; segmentations are ignored on
        images whose size is not here.
      image_ids: the ids of the images of the ground truth.
      source: the path or name of the ground truth, for messages.
      label_space: the label space, which says which codes are known.

    Returns:
      the entries, each with a "bbox", and with a "segmentation" that is a COCO RLE or
      None.

    Raises:
      InputError: the file is missing or no such JSON, or an entry lacks a field.
    """
    codes = [
        code for code in range(label_space.max_code + 1) if label_space.knows(code)
    ]
    kind = {
        "image_id": _among(image_ids, f"an image of {source}"),
        "category_id": _among(codes, "a code of the label space"),
        "score": float,
        "bbox?": check_bbox,
    }
    results = checked_json.load_json(
        path, [kind], "expected a JSON list of COCO instances"
    )
    for i, result in enumerate(results):
        segmentation = result.get("segmentation")
        size = sizes.get(result["image_id"])
        mask = None
        if segmentation is not None and size:
            mask = _read_mask(segmentation, size, f"{path}: [{i}]")
        result["segmentation"] = mask
        if "bbox" not in result:
            if mask is None:
                raise InputError(
                    f"{path}: [{i}].bbox is missing; a segmentation can replace it"
                    " if the images of the truth have 'width' and 'height'"
                )
            result["bbox"] = rle_tools.toBbox(mask).tolist()
    return results


def result_entries(
    image_id: int | str,
    boxes: np.ndarray,
    codes: np.ndarray,
    scores: np.ndarray,
    masks: list[dict],
) -> list[dict]:
    """Return the instances of one frame as entries of COCO's results.

    Args:
      image_id: the id of the frame in COCO files.
      boxes: float [N, 4], (y1, x1, y2, x2) in pixels of the video.
      codes: int [N], the code of the actor and action of each instance.
      scores: float [N].
      masks: N COCO RLEs, see `segmentations.encode_mask`.

    Returns:
      N entries with "image_id", "category_id", "bbox", "score" and "segmentation".
    """
    results = []
    for box, code, score, mask in zip(boxes, codes, scores, masks):
        results.append(
            {
                "image_id": image_id,
                "category_id": int(code),
                "bbox": coco_box(box),
                "score": round(float(score), 6),
                "segmentation": mask,
            }
        )
    return results


def coco_box(box: np.ndarray) -> list[float]:
    """Return a box (y1, x1, y2, x2) as COCO's [x, y, width, height], to hundredths."""
    y1, x1, y2, x2 = (round(float(edge), 2) for edge in box)
    return [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]


def check_bbox(value: Any) -> None:
    """Check a box of COCO JSON.

    `check_json` calls it, if a kind, its description of JSON, has it for a field.

    Args:
      value: what the JSON has as "bbox".

    Raises:
      ValueError: it is not four numbers [x, y, width, height], or a length is negative.
    """
    checked_json.check_json(value, [_EDGE])
    if len(value) != 4 or min(value[2:]) < 0:
        raise ValueError(f"{quoted(value)} is not [x, y, width, height]")


def corner_boxes(entries: list[dict]) -> np.ndarray:
    """Return the boxes of COCO annotations or results as corners.

    Args:
      entries: N JSON objects with a "bbox", [x, y, width, height].

    Returns:
      float32 [N, 4], (y1, x1, y2, x2) in pixels.
    """
    boxes = np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes[:, [1, 0, 3, 2]].astype(np.float32)


def _read_mask(segmentation: Any, size: tuple[int, int], where: str) -> dict:
    """Return a segmentation, polygons or RLE, as an RLE.

    Args:
      segmentation: the value in the JSON.
      size: (height, width) of the image in pixels.
      where: the place in the file, at the beginning of an error's message.
    """
    if segmentation == []:
        return encode_mask(np.zeros(size, bool))
    # Results may be empty, unlike what was drawn.
    decode = decode_rle if isinstance(segmentation, dict) else decode_mask
    try:
        return encode_mask(decode(segmentation, *size))
    except InputError as error:
        raise InputError(f"{where}.segmentation: {error}") from error


def _among(values: Container, what: str) -> Callable[[Any], None]:
    """Return a kind for `check_json`: integers or texts that are among these values."""
    return checked_json.kind_of(lambda value: _is_id(value) and value in values, what)


def _is_id(value: Any) -> bool:
    """Return whether a value can be the id of an image."""
    return type(value) in (int, str)


def _check_file_name(value: Any) -> None:
    """Check the file name of a frame, as a kind of `check_json`."""
    right = False
    if isinstance(value, str) and value.endswith(".png"):
        right = files.is_frame_name(value.removesuffix(".png"))
    if not right:
        raise ValueError(f"{quoted(value)} must be <VID>/<frame>.png")
