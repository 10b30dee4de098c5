"""Boxes of a split: the detections of every RoI, and the ground truth, as they are in files.

Boxes are half-open: areas are (x2 - x1) * (y2 - y1).
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import UNREADABLE, is_frame_name, read_npz, write_file, write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_PIXELS
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
        self.frames = _frame_names(self.frames, self.source)
        self.roi_frame = _integers(self.roi_frame, "roi_frame", self.source)
        rois = len(self.roi_frame)
        if rois and not 0 <= self.roi_frame.min() <= self.roi_frame.max() < len(self.frames):
            raise InputError(
                f"{self.source}: field 'roi_frame' must index the {len(self.frames)} frames"
            )
        self.actor_scores = _floats(self.actor_scores, "actor_scores", self.source, (rois, None))
        self.action_scores = _floats(self.action_scores, "action_scores", self.source, (rois, None))
        pair = (rois, self.actor_scores.shape[1], self.action_scores.shape[1])
        self.boxes = _boxes(self.boxes, "boxes", self.source, (*pair[:2], 4))
        if self.joint_scores is not None:
            self.joint_scores = _floats(self.joint_scores, "joint_scores", self.source, pair)
        if self.joint_boxes is not None:
            self.joint_boxes = _boxes(self.joint_boxes, "joint_boxes", self.source, (*pair, 4))

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

    def joint(self, rois: np.ndarray, actor: int, actions: np.ndarray | list[int]) -> np.ndarray:
        """Return the scores of pairs of an actor (0-based indices): float64 [n, len(actions)]."""
        if self.joint_scores is not None:
            return self.joint_scores[rois, actor][:, actions].astype(np.float64)
        action_scores = self.action_scores[rois][:, actions].astype(np.float64)
        return self.actor_scores[rois, actor, None] * action_scores


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
        self.frames = _frame_names(self.frames, self.source)
        self.box_frame = _integers(self.box_frame, "box_frame", self.source)
        count = len(self.box_frame)
        if count and not 0 <= self.box_frame.min() <= self.box_frame.max() < len(self.frames):
            raise InputError(
                f"{self.source}: field 'box_frame' must index the {len(self.frames)} frames"
            )
        boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        self.boxes = _boxes(boxes, "boxes", self.source, (count, 4))
        self.codes = _integers(self.codes, "codes", self.source)
        if len(self.codes) != count:
            raise InputError(f"{self.source}: field 'codes' must have one code a box")
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
        path = os.fspath(path)
        coco = coco_results.read_coco(path)
        for field in ("images", "annotations"):
            if not isinstance(coco, dict) or not isinstance(coco.get(field), list):
                raise InputError(f"{path}: COCO JSON needs a list '{field}'")
        frames: dict = {}  # image id -> frame name
        for i, image in enumerate(coco["images"]):
            identity, name = _read_image(image, f"{path}: images[{i}]")
            if identity in frames:
                raise InputError(f"{path}: images[{i}].id {shown(identity)} is used twice")
            frames[identity] = name
        index = {identity: frame for frame, identity in enumerate(frames)}
        valid = set(label_space.codes)
        rows = [
            _read_annotation(annotation, index, valid, f"{path}: annotations[{i}]")
            for i, annotation in enumerate(coco["annotations"])
        ]
        box_frame, boxes, codes = zip(*rows) if rows else ((), (), ())
        truth = cls(
            np.array(list(frames.values())),
            np.array(box_frame),
            np.array(boxes, np.float32),
            np.array(codes),
            source=path,
            image_ids=list(frames),
        )
        if with_masks:
            truth._read_masks(coco)
        return truth

    def _read_masks(self, coco):
        sizes = [(image.get("height"), image.get("width")) for image in coco["images"]]
        segmentations = [annotation.get("segmentation") for annotation in coco["annotations"]]
        complete = all(type(side) is int and side > 0 for size in sizes for side in size)
        if not complete or not all(segmentations):
            return
        for i, (height, width) in enumerate(sizes):
            if height * width > MAX_PIXELS:
                raise InputError(
                    f"{self.source}: images[{i}] has {height}x{width} pixels, more than "
                    f"{MAX_PIXELS}; correct 'height' and 'width'"
                )
        self.sizes = sizes
        self.masks = [
            coco_results.read_mask(segmentation, *sizes[frame], f"{self.source}: annotations[{i}]")
            for i, (segmentation, frame) in enumerate(zip(segmentations, self.box_frame))
        ]

    def save(self, path: str | os.PathLike, label_space: LabelSpace) -> None:
        """Write the COCO JSON that `load` reads, atomically."""
        images = [
            {"id": identity, "file_name": f"{frame}.png"}
            for identity, frame in zip(self.image_ids, self.frames.tolist())
        ]
        image_ids = [self.image_ids[frame] for frame in self.box_frame]
        annotations = coco_results.annotations_of(image_ids, self.boxes, self.codes)
        if self.masks is not None and self.sizes is not None:
            for image, (height, width) in zip(images, self.sizes):
                image.update(height=int(height), width=int(width))
            for annotation, mask in zip(annotations, self.masks):
                annotation.update(segmentation=mask, area=coco_results.area(mask))
        write_json(
            path,
            {
                "images": images,
                "annotations": annotations,
                "categories": [
                    {"id": code, "name": label_space.name(code)} for code in label_space.codes
                ],
            },
            sort_keys=True,
        )


def check(detections: Detections, truth: Truth, label_space: LabelSpace) -> None:
    """Check that detections, ground truth and label space match.

    Raises:
      InputError: the numbers of actors or actions differ, the truth has a code that is no valid
        pair, or there are detections on a frame outside the truth.
    """
    for field, names in (("actor", label_space.actors), ("action", label_space.actions)):
        columns = getattr(detections, f"{field}_scores").shape[1]
        if columns != len(names):
            raise InputError(
                f"{detections.source}: field '{field}_scores' has {columns} columns, the label "
                f"space {len(names)} {field}s; give the label space of these detections"
            )
    wrong = truth.codes[~np.isin(truth.codes, label_space.codes)]
    if len(wrong):
        raise InputError(f"{truth.source}: code {wrong[0]} is no valid pair of the label space")
    used = detections.frames[np.unique(detections.roi_frame)]
    outside = used[~np.isin(used, truth.frames)]
    if len(outside):
        raise InputError(
            f"{detections.source}: field 'frames': {outside[0]} ({len(outside)} in all) has "
            f"detections and is not in {truth.source}"
        )


def _read_image(image, where):
    """(id, frame name) of an image of COCO JSON."""
    try:
        identity, name = image["id"], image["file_name"]
        hash(identity)
    except (KeyError, TypeError) as error:
        raise InputError(f"{where} needs 'id' and 'file_name'") from error
    if not isinstance(name, str) or not name.endswith(".png") or not is_frame_name(name[:-4]):
        raise InputError(f"{where}.file_name must be <VID>/<frame>.png")
    return identity, name[:-4]


def _read_annotation(annotation, index, valid, where):
    """(frame, (x1, y1, x2, y2), code) of an annotation of COCO JSON; `index` is {id: frame}."""
    try:
        frame, code = index.get(annotation["image_id"]), annotation["category_id"]
        x, y, width, height = (float(value) for value in annotation["bbox"])
        crowd, known = annotation.get("iscrowd"), code in valid
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(
            f"{where} needs 'image_id', 'category_id' and 'bbox' [x, y, width, height]"
        ) from error
    if frame is None:
        raise InputError(f"{where}.image_id {shown(annotation['image_id'])} is no image")
    if not known:
        raise InputError(f"{where}.category_id {shown(code)} is no valid pair of the label space")
    if not (np.isfinite([x, y, width, height]).all() and width >= 0 and height >= 0):
        raise InputError(f"{where}.bbox must be finite, width and height not negative")
    if crowd:
        raise InputError(f"{where} is a crowd; crowds cannot be scored")
    return frame, (x, y, x + width, y + height), code


def _frame_names(frames, source):
    frames = np.asarray(frames)
    if frames.size == 0:
        frames = frames.astype(str)
    if frames.ndim != 1 or frames.dtype.kind != "U":
        raise InputError(f"{source}: field 'frames' must be a list of strings <VID>/<frame>")
    for name in frames.tolist():
        if not is_frame_name(name):
            raise InputError(f"{source}: field 'frames': {shown(name)} is not <VID>/<frame>")
    names, counts = np.unique(frames, return_counts=True)
    if (counts > 1).any():
        raise InputError(f"{source}: field 'frames' lists {names[counts > 1][0]} twice")
    return frames


def _integers(values, name, source):
    values = np.asarray(values)
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise InputError(f"{source}: field '{name}' must be a list of integers")
    return values.astype(np.int64, copy=False)


def _floats(values, name, source, shape):
    values = np.asarray(values)
    fits = len(shape) == values.ndim and all(
        expected in (None, size) for expected, size in zip(shape, values.shape)
    )
    if not fits:
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(
            f"{source}: field '{name}' must have the shape [{expected}], not {list(values.shape)}"
        )
    if values.dtype.kind not in "fiu":
        raise InputError(f"{source}: field '{name}' must hold numbers, not {values.dtype}")
    if not np.isfinite(values).all():
        raise InputError(f"{source}: field '{name}' holds NaN or infinity")
    return values.astype(np.result_type(values.dtype, np.float32), copy=False)


def _boxes(values, name, source, shape):
    boxes = _floats(values, name, source, shape)
    with np.errstate(over="ignore"):  # overflow of float32 becomes infinity, which is rejected
        boxes = _floats(boxes.astype(np.float32, copy=False), name, source, shape)
    if (boxes[..., 2:] < boxes[..., :2]).any():
        raise InputError(
            f"{source}: field '{name}' must hold x1, y1, x2, y2 with x1 <= x2 and y1 <= y2"
        )
    return boxes
