"""Boxes of a split: of every RoI, of the ground truth, and of instances.

Boxes in memory are y1, x1, y2, x2 in native pixels, half-open: areas are (y2 - y1) *
(x2 - x1). Those of `detections.npz` are x1, y1, x2, y2. Truth and results are COCO's
JSON in files, see `coco_json.py`.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core import files
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import coco_json


@dataclasses.dataclass
class Detections:
    """Every RoI of a split, the contents of `detections.npz`, checked and converted.

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
        source = self.source
        self.frames = _checked_frames(source, self.frames)
        self.roi_frame = _checked_frame_indices(
            source, "roi_frame", self.roi_frame, self.frames
        )
        rois = len(self.roi_frame)
        self.actor_scores = _checked_scores(
            source, "actor_scores", self.actor_scores, (rois, None)
        )
        actors = self.actor_scores.shape[1]
        self.action_scores = _checked_scores(
            source, "action_scores", self.action_scores, (rois, None)
        )
        actions = self.action_scores.shape[1]
        self.boxes = _checked_boxes(source, "boxes", self.boxes, (rois, actors, 4))
        if self.joint_scores is not None:
            self.joint_scores = _checked_scores(
                source, "joint_scores", self.joint_scores, (rois, actors, actions)
            )
        if self.joint_boxes is not None:
            self.joint_boxes = _checked_boxes(
                source, "joint_boxes", self.joint_boxes, (rois, actors, actions, 4)
            )

    def save(self, path: str | os.PathLike) -> None:
        """Write `detections.npz` atomically, without pickles."""
        arrays = {
            "frames": self.frames,
            "roi_frame": self.roi_frame,
            "boxes": _turned(self.boxes),
            "actor_scores": self.actor_scores,
            "action_scores": self.action_scores,
        }
        if self.joint_scores is not None:
            arrays["joint_scores"] = self.joint_scores
        if self.joint_boxes is not None:
            arrays["joint_boxes"] = _turned(self.joint_boxes)
        files.write_file(path, lambda file: np.savez_compressed(file, **arrays))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Detections:
        """Read `detections.npz`; InputError if it or a field is missing or damaged."""
        path = os.fspath(path)
        try:
            stored = files.read_npz(path)
        except files.UNREADABLE as error:
            raise InputError(
                f"{path}: not a readable .npz archive ({error})"
            ) from error
        arrays: dict[str, Any] = {name: stored.get(name) for name in _FIELDS}
        loaded = cls(**arrays, source=path)
        loaded.boxes = _turned(loaded.boxes)
        if loaded.joint_boxes is not None:
            loaded.joint_boxes = _turned(loaded.joint_boxes)
        return loaded

    def check(self, truth: Truth, label_space: LabelSpace) -> None:
        """Raise InputError if ground truth or label space belong to others."""
        self._check_columns("actor", self.actor_scores, len(label_space.actors))
        self._check_columns("action", self.action_scores, len(label_space.actions))
        outside = np.setdiff1d(self.frames[np.unique(self.roi_frame)], truth.frames)
        if len(outside):
            raise InputError(
                f"{self.source}: field 'frames': {outside[0]} ({len(outside)} in all)"
                f" has detections but is not in {truth.source}"
            )

    def _check_columns(self, kind, scores, count):
        """Raise InputError if there is not a column for each actor or action."""
        columns = scores.shape[1]
        if columns != count:
            raise InputError(
                f"{self.source}: field '{kind}_scores' has {columns} columns, but the"
                f" label space has {count} {kind}s; use the label space of these"
                " detections"
            )


_FIELDS = (
    "frames",
    "roi_frame",
    "boxes",
    "actor_scores",
    "action_scores",
    "joint_scores",
    "joint_boxes",
)
"""The arrays of `detections.npz`."""


def _turned(boxes):
    """Exchange x and y."""
    return boxes[..., [1, 0, 3, 2]]


@dataclasses.dataclass
class InstanceTable:
    """Boxes, perhaps masks, on the frames of a split.

    Fields may be given as arrays or lists.

    Attributes:
      frames: [F] distinct names `<VID>/<%05d>`, including frames without boxes.
      box_frame: int64 [G], index into frames.
      boxes: float32 [G, 4] in native pixels.
      codes: int64 [G], the pair codes.
      source: their name in messages.
      sizes: [F] (height, width), if there are masks.
      masks: [G] RLEs, see `segmentations.encode_mask`. In a truth, an instance whose
        mask is not known has None. In results, the field is None if a mask is missing.
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
        self.frames = _checked_frames(self.source, self.frames)
        self.box_frame = _checked_frame_indices(
            self.source, "box_frame", self.box_frame, self.frames
        )
        self.boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        self.codes = np.asarray(self.codes, np.int64)
        if not self.image_ids:
            self.image_ids = list(range(1, len(self.frames) + 1))

    def coco(self) -> dict:
        """Return {"images", "annotations"} as in COCO JSON.

        An area is that of the mask, or of the box without one.
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
        """Write the COCO JSON that `load` reads, atomically."""
        categories = []
        for code in label_space.codes:
            categories.append({"id": code, "name": label_space.name(code)})
        content = {**self.coco(), "categories": categories}
        files.write_json(path, content, sort_keys=True)


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
        """Return results of `coco_json.result_entries` on the frames of a truth."""
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


def _columns(entries, index):
    """Return the fields of annotations or results that every `InstanceTable` has.

    Args:
      index: {id of an image: index of its frame}.
    """
    frames = [index[entry["image_id"]] for entry in entries]
    codes = [entry["category_id"] for entry in entries]
    return {
        "box_frame": np.array(frames, np.int64),
        "boxes": coco_json.corner_boxes(entries),
        "codes": np.array(codes, np.int64),
    }


def _checked_frames(source, frames):
    """Return the names of frames as an array; InputError if one is wrong or twice."""
    frames = _array(frames, "U")
    if frames.ndim != 1 or frames.dtype.kind != "U":
        raise _wrong_field(source, "frames", "strings", (None,), frames)
    for frame, count in collections.Counter(frames.tolist()).items():
        if count > 1 or not files.is_frame_name(frame):
            raise InputError(
                f"{source}: field 'frames': {quoted(frame)} is listed twice, or"
                " not VID/frame"
            )
    return frames


def _checked_frame_indices(source, field, indices, frames):
    """Return indices of frames as int64 [N]; InputError if one has no frame."""
    indices = _array(indices, "i")
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise _wrong_field(source, field, "integers", (None,), indices)
    indices = indices.astype(np.int64, copy=False)
    if not np.isin(indices, np.arange(len(frames))).all():
        raise InputError(
            f"{source}: field '{field}' must index the {len(frames)} frames"
        )
    return indices


def _checked_scores(source, field, scores, shape):
    """Return scores as floats of 32 bits or more; InputError if they are no such.

    Args:
      shape: their lengths; None stands for any length.
    """
    scores = _array(scores, "f")
    if not _are_finite(scores, shape):
        raise _wrong_field(source, field, "finite numbers", shape, scores)
    return scores.astype(np.result_type(scores.dtype, np.float32), copy=False)


def _checked_boxes(source, field, boxes, shape):
    """Return boxes as float32; InputError if an edge lies before the opposite one."""
    boxes = _array(boxes, "f")
    if not _are_finite(boxes, shape) or (boxes[..., 2:] < boxes[..., :2]).any():
        raise _wrong_field(source, field, "finite numbers", shape, boxes)
    return boxes.astype(np.float32, copy=False)


def _array(values, empty_dtype):
    """Return values as an array; NumPy does not know the type of an empty list."""
    values = np.asarray(values)
    return values if values.size else values.astype(empty_dtype)


def _are_finite(values, shape):
    """Return whether values are finite numbers of a shape, None being any length."""
    if values.ndim != len(shape) or values.dtype.kind not in "fiu":
        return False
    for expected, length in zip(shape, values.shape):
        if expected not in (None, length):
            return False
    return bool(np.isfinite(values).all())


def _wrong_field(source, field, expected, shape, values):
    """Return the error of a field that has another type, shape or content."""
    lengths = ", ".join("any" if n is None else str(n) for n in shape)
    return InputError(
        f"{source}: field '{field}' must be {expected} of shape [{lengths}] "
        f"(boxes: x1 <= x2 and y1 <= y2); got {values.dtype} {list(values.shape)}"
    )
