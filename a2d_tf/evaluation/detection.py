"""Detection metrics of Table 2: VOC2007 average precision of actors, actions and pairs.

Classes are scored separately: within a frame, a class's boxes pass NMS in the order of their
scores, each ground-truth box is matched by the first that overlaps it enough, and precision and
recall are computed over the detections of the whole set. Boxes are half-open: areas are
(x2 - x1) * (y2 - y1).

Every RoI counts for every class, hundreds of thousands of suppressions. They are vectorised over
many frames, so that NumPy releases the GIL to other threads.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Callable

import numpy as np

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import UNREADABLE, is_frame_name, read_npz, write_file, write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_PIXELS
from a2d_tf.evaluation import coco_results

NMS_IOU = 3, 10  # the fraction 3/10, see _apart
MATCH_IOU = 0.5
RECALL_LEVELS = np.linspace(0, 1, 11)  # not the exact tenths, see average_precision

_CELLS = 1 << 15  # RoIs per batch of NMS, padding included
_HEAD = 24  # boxes per frame and round of NMS that are compared with all lower ones
_THREADS = min(8, os.cpu_count() or 1)


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
        coco = coco_results.read_json(path)
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
        corners = self.boxes.astype(np.float64)
        extents = corners[:, 2:] - corners[:, :2]
        images = [
            {"id": identity, "file_name": f"{frame}.png"}
            for identity, frame in zip(self.image_ids, self.frames.tolist())
        ]
        annotations = [
            {
                "id": i + 1,
                "image_id": self.image_ids[self.box_frame[i]],
                "category_id": int(self.codes[i]),
                "bbox": [*corners[i, :2].tolist(), *extents[i].tolist()],
                "area": float(extents[i].prod()),
                "iscrowd": 0,
            }
            for i in range(len(self.codes))
        ]
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


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the intersection over union of pairs of boxes [..., 4]; 0 where both are empty."""
    boxes, others = np.asarray(boxes, float), np.asarray(others, float)
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=-1)
    area, other = ((b[..., 2:] - b[..., :2]).prod(axis=-1) for b in (boxes, others))
    union = area + other - overlap
    return np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)


def _apart(edges, rows):
    """Test IoU <= NMS_IOU between the first boxes of each frame and all its boxes.

    IoU <= p/q is tested as (p + q) * overlap <= p * (sum of both areas), which is exact for whole
    pixels and holds for empty boxes.

    Args:
      edges: float32 [4, F, N], x1, y1, x2, y2.
      rows: number of first boxes.

    Returns:
      bool [F, rows, N].
    """
    numerator, denominator = NMS_IOU
    _, frames, count = edges.shape
    result = np.empty((frames, rows, count), bool)
    # A few frames at a time, so that intermediate results stay in the processor's cache.
    step = max(1, (1 << 16) // (rows * count))
    for start in range(0, frames, step):
        part = edges[:, start : start + step]
        x1, y1, x2, y2 = part[:, :, None]
        u1, v1, u2, v2 = part[:, :, :rows, None]
        overlap = np.minimum(x2, u2)
        overlap -= np.maximum(x1, u1)
        # Clipping one factor suffices: a negative overlap never exceeds a sum of areas.
        np.maximum(overlap, 0, out=overlap)
        height = np.minimum(y2, v2)
        height -= np.maximum(y1, v1)
        overlap *= height
        overlap *= numerator + denominator
        areas = np.add(
            numerator * (x2 - x1) * (y2 - y1), numerator * (u2 - u1) * (v2 - v1), out=height
        )
        np.less_equal(overlap, areas, out=result[start : start + step])
    return result


def _suppress(boxes, alive):
    """Greedy NMS on many frames at once.

    Args:
      boxes: float32 [F, N, 4], by descending score within each frame.
      alive: bool [F, N], False where a frame has fewer than N.

    Returns:
      bool [F, N], which boxes are kept.
    """
    kept = np.zeros(alive.shape, bool)
    column = np.broadcast_to(np.arange(alive.shape[1]), alive.shape)
    edges = np.ascontiguousarray(np.moveaxis(boxes, 2, 0))
    while alive.any():
        most = alive.sum(axis=1).max()
        if most <= 0.7 * alive.shape[1]:  # move the living up and cut off the rest
            living = np.argsort(~alive, axis=1, kind="stable")[:, :most]
            alive, column = (np.take_along_axis(x, living, axis=1) for x in (alive, column))
            edges = np.take_along_axis(edges, living[None], axis=2)
        rows = min(_HEAD, alive.shape[1])
        apart, head = _apart(edges, rows), alive[:, :rows].copy()
        for i in range(rows - 1):
            head[:, i + 1 :] &= apart[:, i, i + 1 : rows] | ~head[:, i : i + 1]
        np.put_along_axis(kept, column[:, :rows], head, axis=1)
        below = apart[:, :, rows:] | ~head[:, :, None]
        alive = alive[:, rows:] & below.all(axis=1)
        column, edges = column[:, rows:], edges[:, :, rows:]
    return kept


def average_precision(
    scores: np.ndarray, hits: np.ndarray, positives: int, weights: np.ndarray | None = None
) -> float:
    """Compute the VOC2007 11-point average precision, in [0, 1].

    The recall levels are those of np.arange(0, 1.1, 0.1), as in the usual scripts, so that figures
    agree to the last digit: 0.3, 0.6 and 0.7 are slightly above the tenths, and a recall of exactly
    3/10 does not reach level 0.3.

    Args:
      scores: [N], in any order; equal scores keep theirs.
      hits: bool [N], true positives.
      positives: number of ground-truth boxes; 0 gives 0.
      weights: int [N], multiplicity of each detection; by default 1.
    """
    if not positives or not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    weights = np.ones(len(order), np.int64) if weights is None else weights[order]
    true, all_ = np.cumsum(hits[order] * weights), np.cumsum(weights)
    precision = true / np.maximum(all_, 1)
    best_from = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best_from[np.searchsorted(true / positives, RECALL_LEVELS)].mean())


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


def precision_recall(
    scores: np.ndarray, hits: np.ndarray, positives: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the curve of `average_precision`, by descending score: (recall [N], precision [N])."""
    true = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    return true / max(positives, 1), true / np.arange(1, len(true) + 1)


def average_precisions(
    detections: Detections | coco_results.Results,
    truth: Truth,
    boxes_of: Callable[[np.ndarray], np.ndarray],
    scores_of: Callable[[np.ndarray], np.ndarray],
    *,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
    curves: list | None = None,
) -> list:
    """Compute the average precisions of C classes that share their boxes, in percent.

    Args:
      detections, truth: see `check`; only `frames` and `roi_frame` of the detections are used.
      boxes_of: RoI indices [n] -> float32 [n, 4].
      scores_of: RoI indices [n] -> float [n, C].
      targets: bool [G, C], the classes of each ground-truth box.
      weights: int [S, F], multiplicity of each ground-truth frame in each of S samples.
      curves: list to which the `precision_recall` of each class is appended; without `weights`.

    Returns:
      A list of C floats, or of arrays [S] with `weights`.
    """
    positives = targets.sum(axis=0)
    classes = np.flatnonzero(positives)

    def match(chunk):
        rois = chunk[0][chunk[0] >= 0]
        boxes, scores = boxes_of(rois), np.asarray(scores_of(rois), float)
        return [_match(*chunk, boxes, scores[:, c], truth.boxes, targets[:, c]) for c in classes]

    aps = [0.0 if weights is None else np.zeros(len(weights)) for _ in positives]
    if not len(classes):
        return aps
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        chunks = list(pool.map(match, _chunks(detections, truth)))
    frame_index = {name: i for i, name in enumerate(truth.frames.tolist())}
    gt_frame = np.array([frame_index.get(name, -1) for name in detections.frames.tolist()])
    for c, parts in zip(classes, zip(*chunks)):
        scores, hits, rois = map(np.concatenate, zip(*parts))
        if curves is not None:
            curves.append(precision_recall(scores, hits, positives[c]))
        if weights is None:
            aps[c] = 100 * average_precision(scores, hits, positives[c])
            continue
        order = np.argsort(-scores, kind="stable")  # once: sorting sorted scores again is cheap
        frames = gt_frame[detections.roi_frame[rois[order]]]
        counts = weights[:, truth.box_frame[targets[:, c]]].sum(axis=1)
        aps[c] = 100 * np.array(
            [
                average_precision(scores[order], hits[order], count, sample[frames])
                for count, sample in zip(counts, weights)
            ]
        )
    return aps


def _match(rois, gts, gt_row, boxes, scores, gt_boxes, targets):
    """NMS and matching of a class in the frames of a chunk.

    Args:
      rois, gts, gt_row: see `_chunks`.
      boxes, scores: of the chunk's RoIs.
      gt_boxes, targets: of all ground truth; bool, whether it is of this class.

    Returns:
      (scores, hits, RoI indices) of the boxes kept.
    """
    used = rois >= 0
    place = np.cumsum(used).reshape(rois.shape) - 1
    order = np.argsort(np.where(used, -scores[place], np.inf), axis=1, kind="stable")
    order = np.take_along_axis(place, order, axis=1)
    ordered = boxes[order]
    kept, hits = _suppress(ordered, used), np.zeros(used.shape, bool)
    in_class = targets[gts]
    row, gt_boxes = gt_row[in_class], gt_boxes[gts[in_class], None]
    matches = (iou(ordered[row], gt_boxes) >= MATCH_IOU) & kept[row]
    matched = matches.any(axis=1)
    hits[row[matched], matches[matched].argmax(axis=1)] = True
    return scores[order[kept]], hits[kept], rois[used][order[kept]]


def _chunks(detections, truth):
    """Split the frames with detections, in order, into batches.

    Yields:
      (RoI indices [F, N], padded with -1; ground-truth indices [G]; the row of each in F, [G]).
    """
    order = np.argsort(detections.roi_frame, kind="stable")
    rois = np.split(order, np.cumsum(np.bincount(detections.roi_frame))[:-1])
    gts = {}
    for i, frame in enumerate(truth.box_frame.tolist()):
        gts.setdefault(truth.frames[frame], []).append(i)

    def pack(group):
        padded = np.full((len(group), max(len(indices) for _, indices in group)), -1)
        for row, (_, indices) in zip(padded, group):
            row[: len(indices)] = indices
        group_gts = [gts.get(frame, []) for frame, _ in group]
        rows = np.repeat(np.arange(len(group)), [len(indices) for indices in group_gts])
        return padded, np.array(sum(group_gts, []), np.int64), rows

    group, longest = [], 0
    for frame, indices in zip(detections.frames, rois):
        if not len(indices):
            continue
        longest = max(longest, len(indices))
        if group and (len(group) + 1) * longest > _CELLS:
            yield pack(group)
            group, longest = [], len(indices)
        group.append((frame, indices))
    if group:
        yield pack(group)


def metrics_of(
    detections: Detections, truth: Truth, label_space: LabelSpace, weights: np.ndarray | None = None
) -> dict:
    """Score detections by the protocol of Table 2.

    A pair is scored p(actor) * p(action) with the actor's box, unless the detections have joint
    scores or boxes. An actor's ground truth is the union over its actions. An action has the box of
    the RoI's most probable actor or, with joint scores, of the RoI's best valid pair with this
    action.

    Args:
      detections, truth, label_space: see `check`.
      weights: int [S, F], multiplicity of each ground-truth frame in each of S samples; every
        figure is then an array [S].

    Returns:
      {"detection": {"actor", "action", "joint"}, "per_pair_ap": {code: AP}, "per_actor_ap",
      "per_action_ap": {1-based digit: AP}}, in percent, keys strings. Joint mAP is the mean over
      all valid pairs, counting 0 for those without ground truth; action mAP excludes `none_action`.

    Raises:
      InputError: see `check`.
    """
    check(detections, truth, label_space)
    pair_ap, actor_ap = {}, {}
    for actor in range(len(label_space.actors)):
        ap, pair_aps = actor_aps(detections, truth, label_space, actor, weights=weights)
        actor_ap[str(actor + 1)] = ap
        pair_ap.update(pair_aps)
    action_aps = _action_aps(detections, truth, label_space, weights)
    real = [
        ap for name, ap in zip(label_space.actions, action_aps) if name != label_space.none_action
    ]
    return {
        "detection": {
            "actor": _mean(actor_ap.values()),
            "action": _mean(real),
            "joint": _mean(pair_ap.values()),
        },
        "per_pair_ap": pair_ap,
        "per_actor_ap": actor_ap,
        "per_action_ap": {str(i + 1): ap for i, ap in enumerate(action_aps)},
    }


def actor_aps(
    detections: Detections,
    truth: Truth,
    label_space: LabelSpace,
    actor: int,
    *,
    weights: np.ndarray | None = None,
) -> tuple:
    """Compute the AP of an actor (0-based) and of its valid pairs, {code as a string: AP}."""
    actions = np.flatnonzero(label_space.valid[actor])
    codes = label_space.encode(actor, actions)
    of_actor = truth.codes // label_space.base == actor + 1
    of_pairs = truth.codes[:, None] == codes

    def boxes_of(rois):
        return detections.boxes[rois, actor]

    def actor_score(rois):
        return detections.actor_scores[rois, actor, None]

    if detections.joint_boxes is None:
        ap, *pair_aps = average_precisions(
            detections,
            truth,
            boxes_of,
            lambda rois: np.hstack([actor_score(rois), detections.joint(rois, actor, actions)]),
            targets=np.column_stack([of_actor, of_pairs]),
            weights=weights,
        )
    else:
        (ap,) = average_precisions(
            detections, truth, boxes_of, actor_score, targets=of_actor[:, None], weights=weights
        )
        pair_aps = []
        for i, action in enumerate(actions):
            pair_aps += average_precisions(
                detections,
                truth,
                functools.partial(_pair_boxes, detections, actor, action),
                functools.partial(detections.joint, actor=actor, actions=[action]),
                targets=of_pairs[:, i : i + 1],
                weights=weights,
            )
    return ap, dict(zip(map(str, codes), pair_aps))


def _pair_boxes(detections, actor, action, rois):
    return detections.joint_boxes[rois, actor, action]


def _action_aps(detections, truth, label_space, weights):
    """Compute the AP of each action, in percent."""
    _, gt_action = label_space.split(truth.codes)
    targets = gt_action[:, None] == np.arange(1, len(label_space.actions) + 1)
    if detections.joint_scores is None:
        best = detections.actor_scores.argmax(axis=1)
        return average_precisions(
            detections,
            truth,
            lambda rois: detections.boxes[rois, best[rois]],
            lambda rois: detections.action_scores[rois],
            targets=targets,
            weights=weights,
        )

    def box_of(rois, action):
        actors = np.flatnonzero(label_space.valid[:, action])
        best = actors[detections.joint_scores[rois[:, None], actors, action].argmax(axis=1)]
        if detections.joint_boxes is None:
            return detections.boxes[rois, best]
        return detections.joint_boxes[rois, best, action]

    aps = []
    for action in range(len(label_space.actions)):
        aps += average_precisions(
            detections,
            truth,
            lambda rois, action=action: box_of(rois, action),
            lambda rois, action=action: detections.action_scores[rois, action, None],
            targets=targets[:, action : action + 1],
            weights=weights,
        )
    return aps


def metrics_of_results(
    results: coco_results.Results, truth: Truth, label_space: LabelSpace
) -> dict:
    """Score COCO results on the frames of this ground truth, each of one pair, by this protocol.

    Returns:
      {"detection": {"joint"}, "per_pair_ap": {code: AP}} in percent, keys strings; actors and
      actions have no scores of their own.
    """
    pair_ap = {}
    for code in label_space.codes:
        of_pair = results.select(results.codes == code)
        (pair_ap[str(code)],) = average_precisions(
            of_pair,
            truth,
            of_pair.boxes.__getitem__,
            of_pair.scores[:, None].__getitem__,
            targets=truth.codes[:, None] == code,
        )
    return {"detection": {"joint": _mean(pair_ap.values())}, "per_pair_ap": pair_ap}


def _mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0
