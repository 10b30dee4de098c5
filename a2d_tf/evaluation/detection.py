"""Detection metrics of Table 2: VOC2007 average precision of actors, actions and pairs.

Each class is scored alone: within a frame its boxes go through NMS in score order, each
ground-truth box takes the first of them that overlaps it enough, and precision and recall run over
the detections of the whole set. Areas are (x2 - x1) * (y2 - y1): boxes are half-open.

Every RoI counts, for every class: hundreds of thousands of suppressions. They run for many frames
at a time, as array operations that leave Python's lock to other threads.
"""

import concurrent.futures
import dataclasses
import os
from typing import Optional

import numpy as np

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import UNREADABLE, is_frame_name, read_npz, write_file, write_json
from a2d_tf.core.limits import MAX_PIXELS
from a2d_tf.evaluation import coco_results

NMS_IOU = 3, 10  # the fraction 3/10, see _apart
MATCH_IOU = 0.5
RECALL_LEVELS = np.linspace(0, 1, 11)  # not the exact tenths, see average_precision

_CELLS = 1 << 15  # RoIs that are suppressed together, padding included
_HEAD = 24  # boxes of a frame that are compared with all below them at a time
_THREADS = min(8, os.cpu_count() or 1)


@dataclasses.dataclass
class Detections:
    """The arrays of `detections.npz`. Checked and converted when made; every RoI is kept.

    Attributes:
      frames: [F] distinct names `<VID>/<%05d>`.
      roi_frame: int64 [R], index into frames.
      boxes: float32 [R, |X|, 4], x1, y1, x2, y2 in native pixels, the box regressed for each actor.
      actor_scores: float [R, |X|], p(actor).
      action_scores: float [R, |Y|], p(action), in code order.
      joint_scores: optional float [R, |X|, |Y|], where the score of a pair is no product.
      joint_boxes: optional float32 [R, |X|, |Y|, 4], where boxes are per pair.
      source: what messages call these detections.
    """

    frames: np.ndarray
    roi_frame: np.ndarray
    boxes: np.ndarray
    actor_scores: np.ndarray
    action_scores: np.ndarray
    joint_scores: Optional[np.ndarray] = None
    joint_boxes: Optional[np.ndarray] = None
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

    def save(self, path):
        """Write `detections.npz`, in one step and without pickles."""
        fields = {name: getattr(self, name) for name in _FIELDS if getattr(self, name) is not None}
        write_file(path, lambda file: np.savez_compressed(file, **fields))

    @classmethod
    def load(cls, path):
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

    def joint(self, rois, actor, actions):
        """Scores float64 [n, len(actions)] of RoIs for pairs of one actor (0-based indices)."""
        if self.joint_scores is not None:
            return self.joint_scores[rois, actor][:, actions].astype(np.float64)
        action_scores = self.action_scores[rois][:, actions].astype(np.float64)
        return self.actor_scores[rois, actor, None] * action_scores


_FIELDS = tuple(field.name for field in dataclasses.fields(Detections))[:-1]


@dataclasses.dataclass
class Truth:
    """Ground-truth boxes. Made from arrays or lists.

    Attributes:
      frames: [F] distinct names `<VID>/<%05d>`, those without boxes among them.
      box_frame: int64 [G], index into frames.
      boxes: float32 [G, 4], x1, y1, x2, y2 in native pixels.
      codes: int64 [G], the pair codes.
      source: what messages call this truth.
      sizes: optional [F] (height, width), where there are masks.
      masks: optional [G] RLEs as `coco_results.encode_mask` makes them.
      image_ids: [F] ids of the frames in COCO files, 1, 2, ... by default.
    """

    frames: np.ndarray
    box_frame: np.ndarray
    boxes: np.ndarray
    codes: np.ndarray
    source: str = "truth"
    sizes: Optional[list] = None
    masks: Optional[list] = None
    image_ids: Optional[list] = None

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
        if self.image_ids is None:
            self.image_ids = list(range(1, len(self.frames) + 1))

    @classmethod
    def load(cls, path, label_space, with_masks=False):
        """Read COCO JSON: `file_name` = `<VID>/<%05d>.png`, `category_id` = pair code.

        Args:
          path: the file.
          label_space: whose pairs the codes are.
          with_masks: read `masks` and `sizes` too. They stay None where an image lacks `width` or
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
        index, frames = {}, []
        for i, image in enumerate(coco["images"]):
            try:
                identity, name = image["id"], image["file_name"]
                fresh = identity not in index
            except (KeyError, TypeError) as error:
                raise InputError(f"{path}: images[{i}] needs 'id' and 'file_name'") from error
            named = isinstance(name, str) and name.endswith(".png")
            if not named or not is_frame_name(name[: -len(".png")]):
                raise InputError(f"{path}: images[{i}].file_name must be <VID>/<frame>.png")
            if not fresh:
                raise InputError(f"{path}: images[{i}].id {shown(identity)} is used twice")
            index[identity] = len(frames)
            frames.append(name[: -len(".png")])
        codes, box_frame, boxes = [], [], []
        valid = set(label_space.codes)
        for i, annotation in enumerate(coco["annotations"]):
            where = f"{path}: annotations[{i}]"
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
                raise InputError(
                    f"{where}.category_id {shown(code)} is no valid pair of the label space"
                )
            if not (np.isfinite([x, y, width, height]).all() and width >= 0 and height >= 0):
                raise InputError(f"{where}.bbox must be finite, width and height not negative")
            if crowd:
                raise InputError(f"{where} is a crowd; crowds cannot be scored")
            box_frame.append(frame)
            codes.append(code)
            boxes.append((x, y, x + width, y + height))
        truth = cls(frames, box_frame, boxes, codes, source=path, image_ids=list(index))
        if with_masks:
            truth._read_masks(coco)
        return truth

    def _read_masks(self, coco):
        sizes = [(image.get("height"), image.get("width")) for image in coco["images"]]
        segmentations = [annotation.get("segmentation") for annotation in coco["annotations"]]
        whole = all(type(side) is int and side > 0 for size in sizes for side in size)
        if whole and all(segmentations):
            for i, (height, width) in enumerate(sizes):
                if height * width > MAX_PIXELS:
                    raise InputError(
                        f"{self.source}: images[{i}] has {height}x{width} pixels, more than "
                        f"{MAX_PIXELS}; correct 'height' and 'width'"
                    )
            self.sizes = sizes
            self.masks = [
                coco_results.read_mask(
                    segmentation, *sizes[frame], f"{self.source}: annotations[{i}]"
                )
                for i, (segmentation, frame) in enumerate(zip(segmentations, self.box_frame))
            ]

    def save(self, path, label_space):
        """Write COCO JSON, the form `load` reads, in one step."""
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
        if self.masks is not None:
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
        wanted in (None, size) for wanted, size in zip(shape, values.shape)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(
            f"{source}: field '{name}' must have the shape [{wanted}], not {list(values.shape)}"
        )
    if values.dtype.kind not in "fiu":
        raise InputError(f"{source}: field '{name}' must hold numbers, not {values.dtype}")
    if not np.isfinite(values).all():
        raise InputError(f"{source}: field '{name}' holds NaN or infinity")
    return values.astype(np.result_type(values.dtype, np.float32), copy=False)


def _boxes(values, name, source, shape):
    boxes = _floats(values, name, source, shape)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, and is refused
        boxes = _floats(boxes.astype(np.float32, copy=False), name, source, shape)
    if (boxes[..., 2:] < boxes[..., :2]).any():
        raise InputError(
            f"{source}: field '{name}' must hold x1, y1, x2, y2 with x1 <= x2 and y1 <= y2"
        )
    return boxes


def iou(boxes, others):
    """Intersection over union [...] of boxes [..., 4] by pairs; 0 where both are empty."""
    boxes, others = np.asarray(boxes, float), np.asarray(others, float)
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=-1)
    area, other = ((b[..., 2:] - b[..., :2]).prod(axis=-1) for b in (boxes, others))
    union = area + other - overlap
    return np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)


def _apart(edges, rows):
    """Which boxes NMS lets stand beside the first ones of their frame, IoU <= NMS_IOU.

    IoU <= p/q is (p + q) * overlap <= p * (sum of the two areas): without a division it is exact
    for whole pixels, and holds for empty boxes.

    Args:
      edges: float32 [4, F, N], x1, y1, x2, y2.
      rows: how many of the N are compared with all.

    Returns:
      bool [F, rows, N].
    """
    numerator, denominator = NMS_IOU
    _, frames, count = edges.shape
    result = np.empty((frames, rows, count), bool)
    # Some frames at a time, so that the intermediate results stay in the processor's cache.
    step = max(1, (1 << 16) // (rows * count))
    for start in range(0, frames, step):
        part = edges[:, start : start + step]
        x1, y1, x2, y2 = part[:, :, None]
        u1, v1, u2, v2 = part[:, :, :rows, None]
        overlap = np.minimum(x2, u2)
        overlap -= np.maximum(x1, u1)
        # One factor cut off at 0 is enough: no negative overlap exceeds a sum of areas.
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
    """Greedy NMS, of many frames at once: which boxes are kept, bool [F, N].

    Args:
      boxes: float32 [F, N, 4], each frame's in the order of their scores.
      alive: bool [F, N], False where a frame has fewer than N.
    """
    kept = np.zeros(alive.shape, bool)
    column = np.broadcast_to(np.arange(alive.shape[1]), alive.shape)
    edges = np.ascontiguousarray(np.moveaxis(boxes, 2, 0))
    while alive.any():
        most = alive.sum(axis=1).max()
        if most <= 0.7 * alive.shape[1]:  # the living move up, the rest is cut off
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


def average_precision(scores, hits, positives, weights=None):
    """VOC2007 11-point average precision, in [0, 1].

    The recall levels are those that scripts compute as np.arange(0, 1.1, 0.1), so that figures
    agree with theirs to the last digit: 0.3, 0.6 and 0.7 come out a rounding above the tenths, and
    a recall of exactly 3/10 does not reach level 0.3.

    Args:
      scores: [N], sorted here, stably.
      hits: bool [N], which detections are true.
      positives: number of ground-truth boxes; 0 gives 0.
      weights: int [N], how often each detection counts; by default once.
    """
    if not positives or not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    weights = np.ones(len(order), np.int64) if weights is None else weights[order]
    true, all_ = np.cumsum(hits[order] * weights), np.cumsum(weights)
    precision = true / np.maximum(all_, 1)
    best_from = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best_from[np.searchsorted(true / positives, RECALL_LEVELS)].mean())


def check(detections, truth, label_space):
    """Check that detections, truth and label space belong together.

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


def precision_recall(scores, hits, positives):
    """The curve that `average_precision` reads: (recall [N], precision [N]), from high score down.

    Arguments as there, without weights.
    """
    true = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    return true / max(positives, 1), true / np.arange(1, len(true) + 1)


def average_precisions(detections, truth, boxes_of, scores_of, targets, weights=None, curves=None):
    """Average precisions of classes that share their boxes, in percent: a list of C.

    Args:
      detections, truth: a pair that `check` accepts; of the detections, `frames` and `roi_frame`.
      boxes_of: RoI indices [n] -> float32 [n, 4].
      scores_of: RoI indices [n] -> float [n, C].
      targets: bool [G, C], which classes each ground-truth box counts for.
      weights: int [S, F], how often each frame of the truth counts in each of S samples; the
        average precisions are then arrays [S].
      curves: a list, which gets the `precision_recall` of each class; without `weights`.
    """
    positives = targets.sum(axis=0)
    classes = np.flatnonzero(positives)

    def kept_of(chunk):
        """[(scores, which are true, their RoIs)] of what each class keeps in some frames."""
        rois, gts, gt_row = chunk
        used = rois >= 0
        boxes, scores = boxes_of(rois[used]), np.asarray(scores_of(rois[used]), float)
        place = np.cumsum(used).reshape(rois.shape) - 1
        results = []
        for c in classes:
            order = np.argsort(np.where(used, -scores[place, c], np.inf), axis=1, kind="stable")
            order = np.take_along_axis(place, order, axis=1)
            ordered = boxes[order]
            kept, hit = _suppress(ordered, used), np.zeros(used.shape, bool)
            own = targets[gts, c]
            row, targeted = gt_row[own], truth.boxes[gts[own], None]
            matches = (iou(ordered[row], targeted) >= MATCH_IOU) & kept[row]
            found = matches.any(axis=1)
            hit[row[found], matches[found].argmax(axis=1)] = True
            results.append((scores[order[kept], c], hit[kept], rois[used][order[kept]]))
        return results

    aps = [0.0 if weights is None else np.zeros(len(weights)) for _ in positives]
    if not len(classes):
        return aps
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        chunks = list(pool.map(kept_of, _chunks(detections, truth)))
    if chunks:
        for c, parts in zip(classes, zip(*chunks)):
            scores, hits, rois = map(np.concatenate, zip(*parts))
            if curves is not None:
                curves.append(precision_recall(scores, hits, positives[c]))
            if weights is None:
                aps[c] = 100 * average_precision(scores, hits, positives[c])
                continue
            order = np.argsort(-scores, kind="stable")  # once; it is quick on what is sorted
            of_frame = {name: i for i, name in enumerate(truth.frames.tolist())}
            place = np.array([of_frame.get(name, -1) for name in detections.frames.tolist()])
            place = place[detections.roi_frame[rois[order]]]
            boxes = weights[:, truth.box_frame[targets[:, c]]].sum(axis=1)
            aps[c] = 100 * np.array(
                [
                    average_precision(scores[order], hits[order], count, own[place])
                    for count, own in zip(boxes, weights)
                ]
            )
    return aps


def _chunks(detections, truth):
    """The frames with detections, in order, some at a time.

    Yields:
      (RoI indices [F, N], -1 behind the last of a frame; ground-truth indices [G]; the row among
      the F of each of those [G]).
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
        own = [gts.get(frame, []) for frame, _ in group]
        rows = np.repeat(np.arange(len(group)), [len(indices) for indices in own])
        return padded, np.array(sum(own, []), np.int64), rows

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


def evaluate(detections, truth, label_space, weights=None):
    """Score detections by the protocol of Table 2.

    A pair's score is p(actor) * p(action) and its box the actor's, unless the detections have
    joint scores or boxes. An actor's ground truth is the union over its actions, its box the one
    in `boxes`. An action's box is that of the RoI's most probable actor; with joint scores, where
    the actor depends on the action, that of the RoI's best valid pair with this action.

    Args:
      weights: int [S, F], how often each frame of the truth counts in each of S samples of them;
        every figure is then an array [S].

    Returns:
      {"detection": {"actor", "action", "joint"}, "per_pair_ap": {code: AP}, "per_actor_ap",
      "per_action_ap": {1-based digit: AP}}, in percent, keys strings. Joint mAP is the mean over
      all valid pairs, those without ground truth counting 0; action mAP leaves out `none_action`.

    Raises:
      InputError: see `check`.
    """
    check(detections, truth, label_space)
    pair_ap, actor_ap = {}, {}
    for actor in range(len(label_space.actors)):
        own = actor_aps(detections, truth, label_space, actor, weights)
        actor_ap[str(actor + 1)], of_pairs = own
        pair_ap.update(of_pairs)
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


def actor_aps(detections, truth, label_space, actor, weights=None):
    """The AP of an actor (0-based), and of its valid pairs {code, a string: AP}, in percent."""
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
            np.column_stack([of_actor, of_pairs]),
            weights,
        )
    else:
        (ap,) = average_precisions(
            detections, truth, boxes_of, actor_score, of_actor[:, None], weights
        )
        pair_aps = []
        for i, action in enumerate(actions):
            pair_aps += average_precisions(
                detections,
                truth,
                lambda rois, action=action: detections.joint_boxes[rois, actor, action],
                lambda rois, action=action: detections.joint(rois, actor, [action]),
                of_pairs[:, i : i + 1],
                weights,
            )
    return ap, dict(zip(map(str, codes), pair_aps))


def _action_aps(detections, truth, label_space, weights):
    """The AP of each action, in percent."""
    _, gt_action = label_space.split(truth.codes)
    targets = gt_action[:, None] == np.arange(1, len(label_space.actions) + 1)
    if detections.joint_scores is None:
        best = detections.actor_scores.argmax(axis=1)
        return average_precisions(
            detections,
            truth,
            lambda rois: detections.boxes[rois, best[rois]],
            lambda rois: detections.action_scores[rois],
            targets,
            weights,
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
            targets[:, action : action + 1],
            weights,
        )
    return aps


def evaluate_results(results, truth, label_space):
    """Score instances, each of one pair, by the same protocol.

    Args:
      results: a `coco_results.Results` of this truth's frames.

    Returns:
      {"detection": {"joint"}, "per_pair_ap": {code: AP}} in percent, keys strings: actors and
      actions have no scores of their own.
    """
    pair_ap = {}
    for code in label_space.codes:
        own = results.select(results.codes == code)
        (pair_ap[str(code)],) = average_precisions(
            own,
            truth,
            lambda rois, own=own: own.boxes[rois],
            lambda rois, own=own: own.scores[rois, None],
            truth.codes[:, None] == code,
        )
    return {"detection": {"joint": _mean(pair_ap.values())}, "per_pair_ap": pair_ap}


def _mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0
