"""Boxes of a split as they are in files: of every RoI, of the ground truth, and of
instances.

Boxes in memory are y1, x1, y2, x2 in native pixels, half-open: areas are (y2 - y1) *
(x2 - x1). Those of `detections.npz` are x1, y1, x2, y2. Truth and results are COCO's
JSON, whose boxes are [x, y, width, height]. Results are a list of

  {"image_id": …, "category_id": code of a pair, "score": …, "bbox": [x, y, width,
  height],
   "segmentation": RLE}

Files that are read may omit one of the last two, and may have polygons for a
segmentation.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Container
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core import checked_json, files
from a2d_tf.core.errors import MAX_SIDE, InputError, quoted
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.segmentations import decode_mask, decode_rle, encode_mask

_EDGE = checked_json.number(-1e38, 1e38)  # so that sums of two are finite in 32 bits


@dataclasses.dataclass
class Detections:
    """Every RoI of a split, the contents of `detections.npz`. The arrays are checked
    and converted.

    Attributes:
      frames: [F] distinct names `<VID>/<%05d>`.
      roi_frame: int64 [R], index into frames.
      boxes: float32 [R, |X|, 4] in native pixels, regressed for each actor.
      actor_scores: float [R, |X|], p(actor).
      action_scores: float [R, |Y|], p(action), in code order.
      joint_scores: float [R, |X|, |Y|], if the score of a pair is not the product.
      joint_boxes: float32 [R, |X|, |Y|, 4], if boxes are regressed per pair.
      source: name of the detections in messages.
    """

    frames: np.ndarray
    roi_frame: np.ndarray
    boxes: np.ndarray
    actor_scores: np.ndarray
    action_scores: np.ndarray
    joint_scores: np.ndarray | None = None
    joint_boxes: np.ndarray | None = None
    source: str = "detections"

    def __post_init__(self) -> None:
        _check_frames(self, "roi_frame")
        sizes = {"R": len(self.roi_frame), "4": 4}
        for name, axes in _AXES.items():
            if getattr(self, name) is not None or name in _FIELDS[:5]:
                values = _array(self, name, "fiu", *(sizes.get(axis) for axis in axes))
                wide = np.float32 if name.endswith("boxes") else values.dtype
                setattr(
                    self,
                    name,
                    values.astype(np.result_type(wide, np.float32), copy=False),
                )
                sizes.update(zip(axes, values.shape))

    def save(self, path: str | os.PathLike) -> None:
        """Write `detections.npz` atomically, without pickles."""
        known = (name for name in _FIELDS if getattr(self, name) is not None)
        fields = {name: _turned(name, getattr(self, name)) for name in known}
        files.write_file(path, lambda file: np.savez_compressed(file, **fields))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Detections:
        """Read `detections.npz`; InputError where it or a field is missing or
        damaged.
        """
        path = os.fspath(path)
        try:
            stored = files.read_npz(path)
        except files.UNREADABLE as error:
            raise InputError(
                f"{path}: not a readable .npz archive ({error})"
            ) from error
        fields: dict[str, Any] = {name: stored.get(name) for name in _FIELDS}
        loaded = cls(**fields, source=path)
        for name in set(_FIELDS) & set(stored):
            setattr(loaded, name, _turned(name, getattr(loaded, name)))
        return loaded

    def check(self, truth: Truth, label_space: LabelSpace) -> None:
        """Raise InputError where ground truth or label space are not those of the
        detections.
        """
        for field, names in (
            ("actor", label_space.actors),
            ("action", label_space.actions),
        ):
            columns = getattr(self, f"{field}_scores").shape[1]
            if columns != len(names):
                raise InputError(
                    f"{self.source}: field '{field}_scores' has {columns} columns, but"
                    f" the label space has {len(names)} {field}s; use the label space"
                    " of these detections"
                )
        outside = np.setdiff1d(self.frames[np.unique(self.roi_frame)], truth.frames)
        if len(outside):
            raise InputError(
                f"{self.source}: field 'frames': {outside[0]} ({len(outside)} in all)"
                f" has detections but is not in {truth.source}"
            )


def _turned(name, values):
    """Exchange x and y where these are boxes."""
    return values[..., [1, 0, 3, 2]] if name.endswith("boxes") else values


_FIELDS = tuple(field.name for field in dataclasses.fields(Detections))[:-1]
# RoIs, actors, actions and coordinates; sizes are learnt from the first that has them.
_AXES = {"actor_scores": "RX", "action_scores": "RY", "boxes": "RX4"}
_AXES |= {"joint_scores": "RXY", "joint_boxes": "RXY4"}


@dataclasses.dataclass
class InstanceTable:
    """Boxes, perhaps masks, on the frames of a split. Fields may be given as arrays or
    lists.

    Attributes:
      frames: [F] distinct names `<VID>/<%05d>`, including frames without boxes.
      box_frame: int64 [G], index into frames.
      boxes: float32 [G, 4] in native pixels.
      codes: int64 [G], the pair codes.
      source: their name in messages.
      sizes: [F] (height, width), if there are masks.
      masks: [G] RLEs, see `segmentations.encode_mask`; in a truth None where only the
        box is known. In results the field is None if any mask is missing.
      image_ids: [F] ids of the frames in COCO files; 1, 2, ... by default.
      scores: float64 [G], of results.
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
        _check_frames(self, "box_frame")
        self.boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        self.codes = np.asarray(self.codes, np.int64)
        if not self.image_ids:
            self.image_ids = list(range(1, len(self.frames) + 1))

    def coco(self) -> dict:
        """Return {"images", "annotations"} as in COCO JSON; areas are of masks where
        there are.
        """
        images: list[dict] = [
            {"id": identity, "file_name": f"{frame}.png"}
            for identity, frame in zip(self.image_ids, self.frames.tolist())
        ]
        for image, (height, width) in zip(images, self.sizes or ()):
            image.update(height=int(height), width=int(width))
        annotations: list[dict] = []
        rows = zip(self.box_frame.tolist(), self.boxes.tolist(), self.codes.tolist())
        for i, (frame, (y1, x1, y2, x2), code) in enumerate(rows, 1):
            box = [x1, y1, x2 - x1, y2 - y1]
            places = {"id": i, "image_id": self.image_ids[frame], "category_id": code}
            annotations.append(
                {**places, "iscrowd": 0, "bbox": box, "area": box[2] * box[3]}
            )
        if self.scores is not None:
            for annotation, score in zip(annotations, self.scores):
                annotation["score"] = float(score)
        for annotation, mask in zip(annotations, self.masks or ()):
            if mask is not None:
                annotation.update(segmentation=mask, area=int(rle_tools.area(mask)))
        return {"images": images, "annotations": annotations}


class Truth(InstanceTable):
    """The ground truth of a split: codes are valid pairs."""

    @classmethod
    def load(cls, path: str | os.PathLike, label_space: LabelSpace) -> Truth:
        """Read COCO JSON: `file_name` = `<VID>/<%05d>.png`, `category_id` = pair code.

        `masks` (RLE or polygons) and `sizes` remain None if an image lacks `width` or
        `height`, or if no annotation has a `segmentation`.

        Raises:
          InputError: the file is missing or no such JSON; a frame is listed twice; an
            annotation lacks its image, has a code that is no valid pair, a malformed
            box or segmentation, or is a crowd, or `categories` give a code of the label
            space another name.
        """
        index: dict = {}  # image id -> frame

        def new_image(value: Any) -> None:
            if type(value) not in (int, str) or value in index:
                raise ValueError(f"{quoted(value)} is not a valid id, or is used twice")
            index[value] = len(index)

        side = (checked_json.whole(1, MAX_SIDE), None)
        image = {
            "id": new_image,
            "file_name": _file_name,
            "height?": side,
            "width?": side,
        }
        annotation = {
            "image_id": _among(index, "a listed image"),
            "category_id": _among(label_space.codes, "a valid pair"),
            "bbox": _bbox,
            "iscrowd?": checked_json.one_of(0, None),  # crowds cannot be scored
        }

        names = {label_space.name(code): code for code in label_space.codes}

        def category(value: Any) -> None:
            checked_json.check_json(value, {})
            code, name = value.get("id"), str(value.get("name"))
            known = label_space.name(code) if code in label_space.codes else name
            # Other tools name categories as they like, and the paper shortens:
            # "adult-climb". But a code may be valid in two label spaces, so that only
            # its name tells them apart.
            if "-" in name and (
                names.get(name, code) != code or not known.startswith(name)
            ):
                raise ValueError(
                    f"{quoted(code)} is {quoted(name)}, but not in the label space; use"
                    " the labels.json of the run that wrote it"
                )

        kind = {
            "categories?": [category],
            "images": [image],
            "annotations": [annotation],
        }
        coco = checked_json.load_json(path, kind, "expected COCO JSON")
        images, boxes = coco["images"], coco["annotations"]
        frames = np.array([image["file_name"][: -len(".png")] for image in images])
        columns, source = _columns(boxes, index), os.fspath(path)
        truth = cls(frames, **columns, source=source, image_ids=list(index))
        sizes = [(image.get("height"), image.get("width")) for image in images]
        segmentations = [annotation.get("segmentation") for annotation in boxes]
        if all(map(all, sizes)) and (any(segmentations) or not boxes):
            truth.sizes = sizes
            truth.masks = [
                (
                    _read_mask(
                        segmentation, sizes[frame], f"{source}: annotations[{i}]"
                    )
                    if segmentation
                    else None
                )
                for i, (segmentation, frame) in enumerate(
                    zip(segmentations, truth.box_frame)
                )
            ]
        return truth

    def save(self, path: str | os.PathLike, label_space: LabelSpace) -> None:
        """Write the COCO JSON that `load` reads, atomically."""
        names = [
            {"id": code, "name": label_space.name(code)} for code in label_space.codes
        ]
        files.write_json(path, {**self.coco(), "categories": names}, sort_keys=True)


class Results(InstanceTable):
    """The instances found on the frames of a truth; codes need not be valid pairs."""

    scores: np.ndarray

    @classmethod
    def load(
        cls, path: str | os.PathLike, truth: Truth, label_space: LabelSpace
    ) -> Results:
        """Read results on the frames of a ground truth.

        The sizes of masks are those of the ground truth; without sizes, segmentations
        are ignored.

        Raises:
          InputError: the file is missing or no such JSON, or an entry lacks a field.
        """
        sizes = dict(zip(truth.image_ids, truth.sizes or ()))
        codes = [
            code for code in range(label_space.max_code + 1) if label_space.knows(code)
        ]
        entry = {
            "image_id": _among(set(truth.image_ids), f"an image of {truth.source}"),
            "category_id": _among(codes, "a code of the label space"),
            "score": float,
            "bbox?": _bbox,
        }
        listed = checked_json.load_json(
            path, [entry], "expected a JSON list of COCO instances"
        )
        for i, each in enumerate(listed):
            mask, size = each.get("segmentation"), sizes.get(each["image_id"])
            if mask is not None:
                mask = _read_mask(mask, size, f"{path}: [{i}]") if size else None
            each["segmentation"] = mask
            if "bbox" not in each:
                if mask is None:
                    raise InputError(
                        f"{path}: [{i}].bbox is missing; a segmentation can replace it"
                        " if the images of the truth have 'width' and 'height'"
                    )
                each["bbox"] = rle_tools.toBbox(mask).tolist()
        return cls.of_entries(listed, truth)

    @classmethod
    def of_entries(cls, listed: list[dict], truth: Truth) -> Results:
        """Take `entries` on the frames of a ground truth."""
        columns = _columns(
            listed, {name: frame for frame, name in enumerate(truth.image_ids)}
        )
        masks = [entry["segmentation"] for entry in listed]
        columns["masks"] = None if None in masks else masks
        columns["scores"] = np.array([entry["score"] for entry in listed], np.float64)
        columns.update(sizes=truth.sizes, image_ids=truth.image_ids)
        return cls(truth.frames, **columns, source="results")


def entries(
    image_id: int | str,
    boxes: np.ndarray,
    codes: np.ndarray,
    scores: np.ndarray,
    masks: list[dict],
) -> list[dict]:
    """Return the instances of one frame as entries of COCO's results.

    Args:
      boxes: float [N, 4], y1, x1, y2, x2.
      codes, scores: [N].
      masks: N RLEs, see `segmentations.encode_mask`.
    """
    results = []
    for box, code, score, mask in zip(boxes, codes, scores, masks):
        y1, x1, y2, x2 = (round(float(edge), 2) for edge in box)
        entry: dict = {"image_id": image_id, "category_id": int(code)}
        entry["bbox"] = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
        results.append({**entry, "score": round(float(score), 6), "segmentation": mask})
    return results


def _columns(listed, index):
    """Return frames, boxes and codes of annotations or entries, whose images `index`
    numbers.
    """
    boxes = np.array([entry["bbox"] for entry in listed], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes = _turned("boxes", boxes)
    return {
        "box_frame": np.array([index[entry["image_id"]] for entry in listed], np.int64),
        "boxes": boxes.astype(np.float32),
        "codes": np.array([entry["category_id"] for entry in listed], np.int64),
    }


def _read_mask(segmentation, size, where):
    """Return a segmentation, polygons or RLE, as of `encode_mask`; errors start with
    `where`.
    """
    if segmentation == []:
        return encode_mask(np.zeros(size, bool))
    try:
        # Results may be empty, unlike what was drawn.
        decode = decode_rle if isinstance(segmentation, dict) else decode_mask
        return encode_mask(decode(segmentation, *size))
    except InputError as error:
        raise InputError(f"{where}.segmentation: {error}") from error


def _among(values: Container, what: str) -> Callable[[Any], None]:
    """Return a kind for `checked_json.check_json`: integers or texts that are among these
    values.
    """
    return checked_json.kind_of(
        lambda value: type(value) in (int, str) and value in values, what
    )


def _bbox(value):
    """Check a box of COCO JSON, as a kind of `checked_json.check_json`."""
    checked_json.check_json(value, [_EDGE])
    if len(value) != 4 or min(value[2:]) < 0:
        raise ValueError(f"{quoted(value)} is not [x, y, width, height]")


def _file_name(value):
    """Check the file name of a frame, as a kind of `checked_json.check_json`."""
    frame = value.removesuffix(".png") if isinstance(value, str) else value
    if frame == value or not files.is_frame_name(frame):
        raise ValueError(f"{quoted(value)} must be <VID>/<frame>.png")


def _check_frames(owner, name):
    """Check and convert the names of frames and the field `name`, which are indices
    of them.
    """
    frames = owner.frames = _array(owner, "frames", "U", None)
    for frame, count in collections.Counter(frames.tolist()).items():
        if count > 1 or not files.is_frame_name(frame):
            raise InputError(
                f"{owner.source}: field 'frames': {quoted(frame)} is listed twice, or"
                " not VID/frame"
            )
    places = _array(owner, name, "iu", None).astype(np.int64, copy=False)
    if not np.isin(places, np.arange(len(frames))).all():
        raise InputError(
            f"{owner.source}: field '{name}' must index the {len(frames)} frames"
        )
    setattr(owner, name, places)


def _array(owner, name, kinds, *shape):
    """Return a field as an array of some of NumPy's kinds; None stands for any
    length.
    """
    values = np.asarray(getattr(owner, name))
    if not values.size:  # of an empty list NumPy does not know the kind
        values = values.astype(kinds[0])
    right = len(shape) == values.ndim and values.dtype.kind in kinds
    right = right and all(n in (None, size) for n, size in zip(shape, values.shape))
    if right and kinds == "fiu":
        ordered = (
            not name.endswith("boxes") or (values[..., 2:] >= values[..., :2]).all()
        )
        right = bool(ordered and np.isfinite(values).all())
    if not right:
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        what = {"U": "strings", "iu": "integers", "fiu": "finite numbers"}[kinds]
        raise InputError(
            f"{owner.source}: field '{name}' must be {what} of shape [{expected}] "
            f"(boxes: x1 <= x2 and y1 <= y2); got {values.dtype} {list(values.shape)}"
        )
    return values
