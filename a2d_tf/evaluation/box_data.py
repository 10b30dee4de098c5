"""Boxes of a split as they are in files: of every RoI, of the ground truth, and of instances.

Boxes are half-open: areas are (x2 - x1) * (y2 - y1).
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import MAX_SIDE, InputError, shown
from a2d_tf.core.files import (
    UNREADABLE,
    is_frame_name,
    load_json,
    one_of,
    read_npz,
    whole,
    write_file,
    write_json,
)
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import coco_results


@dataclasses.dataclass
class Detections:
    """Every RoI of a split, as in `detections.npz`. The arrays are checked and converted.

    Attributes:
      frames: [F] distinct names `<VID>/<%05d>`.
      roi_frame: int64 [R], index into frames.
      boxes: float32 [R, |X|, 4], x1, y1, x2, y2 in native pixels, regressed for each actor.
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

    def __post_init__(self):
        self.frames = _frame_names(self)
        self.roi_frame = _indices(self, "roi_frame")
        rois = len(self.roi_frame)
        self.actor_scores = _floats(self, "actor_scores", rois, None)
        self.action_scores = _floats(self, "action_scores", rois, None)
        actors, actions = self.actor_scores.shape[1], self.action_scores.shape[1]
        self.boxes = _boxes(self, "boxes", rois, actors, 4)
        if self.joint_scores is not None:
            self.joint_scores = _floats(self, "joint_scores", rois, actors, actions)
        if self.joint_boxes is not None:
            self.joint_boxes = _boxes(self, "joint_boxes", rois, actors, actions, 4)

    def save(self, path: str | os.PathLike) -> None:
        """Write `detections.npz` atomically, without pickles."""
        fields = {name: getattr(self, name) for name in _FIELDS if getattr(self, name) is not None}
        write_file(path, lambda file: np.savez_compressed(file, **fields))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Detections:
        """Read `detections.npz`.

        Raises:
          InputError: the file is missing or damaged, or a field is missing or malformed.
        """
        path = os.fspath(path)
        try:
            stored = read_npz(path)
        except UNREADABLE as error:
            raise InputError(f"{path}: not a readable .npz archive ({error})") from error
        for name in _FIELDS[:5]:
            if name not in stored:
                raise InputError(f"{path}: field '{name}' is missing")
        return cls(**{name: stored[name] for name in _FIELDS if name in stored}, source=path)

    def joint(self, actor: int, action: int) -> np.ndarray:
        """Return the scores of a pair of 0-based indices: float64 [R]."""
        if self.joint_scores is not None:
            return self.joint_scores[:, actor, action].astype(np.float64)
        return self.actor_scores[:, actor] * self.action_scores[:, action].astype(np.float64)


_FIELDS = tuple(field.name for field in dataclasses.fields(Detections))[:-1]


@dataclasses.dataclass
class Truth:
    """Ground-truth boxes and masks of a split. Fields may be given as arrays or lists.

    Attributes:
      frames: [F] distinct names `<VID>/<%05d>`, including frames without boxes.
      box_frame: int64 [G], index into frames.
      boxes: float32 [G, 4], x1, y1, x2, y2 in native pixels.
      codes: int64 [G], the pair codes.
      source: name of the ground truth in messages.
      sizes: [F] (height, width), if there are masks.
      masks: [G] RLEs, see `coco_results.encode_mask`.
      image_ids: [F] ids of the frames in COCO files; 1, 2, ... by default.
    """

    frames: np.ndarray
    box_frame: np.ndarray
    boxes: np.ndarray
    codes: np.ndarray
    source: str = "truth"
    sizes: list | None = None
    masks: list | None = None
    image_ids: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.frames = _frame_names(self)
        self.box_frame = _indices(self, "box_frame")
        self.boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        self.boxes = _boxes(self, "boxes", len(self.box_frame), 4)
        self.codes = np.asarray(self.codes, np.int64)
        if not self.image_ids:
            self.image_ids = list(range(1, len(self.frames) + 1))

    @classmethod
    def load(
        cls, path: str | os.PathLike, label_space: LabelSpace, with_masks: bool = False
    ) -> Truth:
        """Read COCO JSON: `file_name` = `<VID>/<%05d>.png`, `category_id` = pair code.

        Args:
          path: the file.
          label_space: the label space of the codes.
          with_masks: also read `masks` and `sizes`. They remain None if an image lacks `width` or
            `height`, or an annotation its `segmentation` (RLE or polygons).

        Raises:
          InputError: the file is missing or no such JSON; a frame is listed twice; an annotation
            lacks its image, has a code that is no valid pair, a malformed box or segmentation, or
            is a crowd.
        """
        index: dict = {}  # image id -> frame

        def new_image(value):
            if type(value) not in (int, str) or value in index:
                raise ValueError(f"{shown(value)} is no id, or used twice")
            index[value] = len(index)

        side = (whole(1, MAX_SIDE), None)
        image = {"id": new_image, "file_name": _file_name, "height?": side, "width?": side}
        annotation = {
            "image_id": coco_results.among(index, "image"),
            "category_id": coco_results.among(label_space.codes, "valid pair"),
            "bbox": coco_results.bbox,
            "iscrowd?": one_of(0, None),  # crowds cannot be scored
        }
        kind = {"images": [image], "annotations": [annotation]}
        coco = load_json(path, kind, "a truth is COCO JSON")
        images, boxes = coco["images"], coco["annotations"]
        frames = np.array([image["file_name"][: -len(".png")] for image in images])
        parts, source = coco_results.arrays(boxes, index), os.fspath(path)
        truth = cls(frames, *parts, source=source, image_ids=list(index))
        sizes = [(image.get("height"), image.get("width")) for image in images]
        segmentations = [annotation.get("segmentation") for annotation in boxes]
        if with_masks and all(map(all, sizes)) and all(segmentations):
            truth.sizes = sizes
            truth.masks = [
                coco_results.read_mask(segmentation, sizes[frame], f"{source}: annotations[{i}]")
                for i, (segmentation, frame) in enumerate(zip(segmentations, truth.box_frame))
            ]
        return truth

    def coco(self) -> dict:
        """Return the frames and boxes as in COCO JSON, with masks where there are."""
        images = [
            {"id": identity, "file_name": f"{frame}.png"}
            for identity, frame in zip(self.image_ids, self.frames.tolist())
        ]
        for image, (height, width) in zip(images, self.sizes or ()):
            image.update(height=int(height), width=int(width))
        image_ids = [self.image_ids[frame] for frame in self.box_frame]
        annotations = coco_results.to_annotations(image_ids, self.boxes, self.codes, self.masks)
        return {"images": images, "annotations": annotations}

    def save(self, path: str | os.PathLike, label_space: LabelSpace) -> None:
        """Write the COCO JSON that `load` reads, atomically."""
        names = [{"id": code, "name": label_space.name(code)} for code in label_space.codes]
        write_json(path, {**self.coco(), "categories": names}, sort_keys=True)


@dataclasses.dataclass(frozen=True)
class Results:
    """Instances on the frames of a ground truth, as in COCO's results; in native pixels.

    Attributes:
      frames: [F] names, those of the ground truth.
      roi_frame: int64 [R], index into frames.
      boxes: float32 [R, 4], x1, y1, x2, y2.
      codes: int64 [R], of actors and actions of the label space, not necessarily valid pairs.
      scores: float64 [R].
      masks: [R] RLEs, see `coco_results.encode_mask`; None if any is missing.
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
        sizes = dict(zip(truth.image_ids, truth.sizes or ()))
        every = label_space.encode(*np.indices(label_space.valid.shape)).ravel().tolist()
        entry = {
            "image_id": coco_results.among(set(truth.image_ids), f"image of {truth.source}"),
            "category_id": coco_results.among(every, "code of the label space"),
            "score": float,
            "bbox?": coco_results.bbox,
        }
        listed = load_json(path, [entry], "results are a JSON list of COCO's instances")
        for i, each in enumerate(listed):
            mask, size = each.get("segmentation"), sizes.get(each["image_id"])
            if mask is not None:
                mask = coco_results.read_mask(mask, size, f"{path}: [{i}]") if size else None
            each["segmentation"] = mask
            if "bbox" not in each:
                if mask is None:
                    raise InputError(
                        f"{path}: [{i}].bbox is missing; a segmentation stands in for it where the "
                        "images of the truth have 'width' and 'height'"
                    )
                each["bbox"] = rle_tools.toBbox(mask).tolist()
        return cls.of_entries(listed, truth)

    @classmethod
    def of_entries(cls, listed: list[dict], truth: Truth) -> Results:
        """Take `coco_results.entries` on the frames of a ground truth."""
        index = {identity: frame for frame, identity in enumerate(truth.image_ids)}
        masks = [entry["segmentation"] for entry in listed]
        scores = np.array([entry["score"] for entry in listed], np.float64)
        parts = coco_results.arrays(listed, index)
        return cls(truth.frames, *parts, scores, None if None in masks else masks)


def check(detections: Detections, truth: Truth, label_space: LabelSpace) -> None:
    """Check that detections, ground truth and label space match.

    Raises:
      InputError: the numbers of actors or actions differ, or there are detections on a frame
        outside the truth.
    """
    for field, names in (("actor", label_space.actors), ("action", label_space.actions)):
        columns = getattr(detections, f"{field}_scores").shape[1]
        if columns != len(names):
            raise InputError(
                f"{detections.source}: field '{field}_scores' has {columns} columns, the label "
                f"space {len(names)} {field}s; give the label space of these detections"
            )
    used = detections.frames[np.unique(detections.roi_frame)]
    outside = used[~np.isin(used, truth.frames)]
    if len(outside):
        raise InputError(
            f"{detections.source}: field 'frames': {outside[0]} ({len(outside)} in all) has "
            f"detections and is not in {truth.source}"
        )


def _file_name(value):
    """Check the file name of a frame, as a kind of `files.check_json`."""
    if not isinstance(value, str) or not value.endswith(".png") or not is_frame_name(value[:-4]):
        raise ValueError(f"{shown(value)} must be <VID>/<frame>.png")


def _array(owner, name, kinds, *shape):
    """Return a field as an array of some kinds of NumPy's; None stands for any length."""
    values = np.asarray(getattr(owner, name))
    if not values.size:  # of an empty list NumPy does not know the kind
        values = values.astype(kinds[0])
    fits = len(shape) == values.ndim and all(
        expected in (None, size) for expected, size in zip(shape, values.shape)
    )
    if not fits or values.dtype.kind not in kinds:
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        what = {"U": "texts", "iu": "integers", "fiu": "numbers"}[kinds]
        raise InputError(
            f"{owner.source}: field '{name}' must be {what} of the shape [{expected}], not "
            f"{values.dtype} {list(values.shape)}"
        )
    return values


def _frame_names(owner):
    """Return the names of the owner's frames."""
    frames = _array(owner, "frames", "U", None)
    wrong = [name for name in frames.tolist() if not is_frame_name(name)]
    if wrong:
        raise InputError(f"{owner.source}: field 'frames': {shown(wrong[0])} is not <VID>/<frame>")
    names, counts = np.unique(frames, return_counts=True)
    if (counts > 1).any():
        raise InputError(f"{owner.source}: field 'frames' lists {names[counts > 1][0]} twice")
    return frames


def _indices(owner, name):
    """Return a field as int64 [N], indices of the owner's frames."""
    values, count = _array(owner, name, "iu", None), len(owner.frames)
    if values.size and not 0 <= values.min() <= values.max() < count:
        raise InputError(f"{owner.source}: field '{name}' must index the {count} frames")
    return values.astype(np.int64, copy=False)


def _floats(owner, name, *shape):
    """Return a field as finite floats."""
    values = _array(owner, name, "fiu", *shape)
    if not np.isfinite(values).all():
        raise InputError(f"{owner.source}: field '{name}' must be finite")
    return values.astype(np.result_type(values.dtype, np.float32), copy=False)


def _boxes(owner, name, *shape):
    """Return a field as boxes, float32."""
    boxes = _floats(owner, name, *shape).astype(np.float32, copy=False)
    if not (boxes[..., 2:] >= boxes[..., :2]).all():
        raise InputError(
            f"{owner.source}: field '{name}' must hold x1, y1, x2, y2 with x1 <= x2 and y1 <= y2"
        )
    return boxes
