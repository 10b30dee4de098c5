"""Suite `evaluation`: 2000 frames of 320x240 scored, against naive loops and pycocotools.

Label maps by actor, action and pair; boxes of every RoI by the protocol of Table 2, a suppression
per class and frame; instances by the same protocol, and by pycocotools at the same one IoU. By
`split_rate`, a split of records evaluated and validated beside the network alone.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import pathlib
import tempfile
import time
from collections.abc import Iterable

import cv2
import numpy as np
from pycocotools.cocoeval import COCOeval

from a2d_tf.core.labels import A2D
from a2d_tf.evaluation import (
    box_data,
    coco_eval,
    coco_results,
    detection,
    segmentation,
    suppression,
)
from tools.benchmarks import measure, peers, split_rate

_FRAMES, _SIZE = 2000, (240, 320)
_DISTINCT = 100  # pairs of label maps, seen in turn
_ROIS, _INSTANCES, _TRUTH = 300, 20, 2  # a frame
_FEW = 40  # frames for the naive suppression
_SECONDS, _MEGABYTES = 1.0, 300.0
_IOU, _MATCH = 0.3, 0.5


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: 20 frames of 30 RoIs."""
    small = options["small"]
    frames, rois = (20, 30) if small else (_FRAMES, _ROIS)
    few = 4 if small else _FEW
    maps = label_maps(min(frames, _DISTINCT))
    ways = _ways(maps, frames, rois, few)
    read, scored = _reading(maps, frames)
    timed = measure.alternate(
        options["rounds"], {name: lambda way=way: _timed(way) for name, way in ways.items()}
    )
    seconds = {name: [s for s, _ in result] for name, result in timed.items()}
    found = {name: result[-1][1] for name, result in timed.items()}
    _agree(found)

    label, loops = f"{frames} frames", f"{few} frames: boxes of {rois} RoIs each"
    memory, ours = 1e3 * (scored[0] - read[0]), seconds["few rois"]
    rows = [
        measure.limit_row(f"{label}: label maps", "s", seconds["maps"], _SECONDS),
        measure.time_row(f"{label}: label maps, loop", seconds["maps"], seconds["naive maps"]),
        measure.limit_row(f"{label}: label maps, memory beyond reading", "MB", memory, _MEGABYTES),
        measure.row(f"{label}: reading them", "s", read[1]),
        measure.time_row(f"{label}: boxes of {rois} RoIs each", seconds["rois"]),
    ]
    for name in ("naive", "torchvision"):
        if peer := seconds.get(f"few rois, {name}"):
            rows.append(measure.time_row(f"{loops}, {name} loop", ours, peer))
    ours, peer = seconds["instances"], seconds["instances, pycocotools"]
    rows.append(measure.time_row(f"{label}: {_INSTANCES} instances each, pycocotools", ours, peer))
    of_splits, details = split_rate.run(options)
    return rows + of_splits, {"figures": found, "split": details, **peers.versions()}


def _ways(maps, frames, rois, few):
    """{name: function that scores, ours or a peer, and returns its figures}."""
    truth, small_truth = truth_of(frames), truth_of(few)
    every, part = detections_of(truth, rois), detections_of(small_truth, rois)
    results = results_of(truth, _INSTANCES)
    annotated = coco_eval.as_coco(truth, truth, truth.box_frame)
    ways = {
        "maps": lambda: score_maps(itertools.islice(itertools.cycle(maps), frames)),
        "naive maps": lambda: _loop_over_maps(itertools.islice(itertools.cycle(maps), frames)),
        "rois": lambda: detection.metrics_of(every, truth, A2D)["detection"],
        "few rois": lambda: detection.metrics_of(part, small_truth, A2D)["detection"],
        "few rois, naive": lambda: _loop_over_boxes(part, small_truth, _numpy_nms),
        "instances": lambda: detection.metrics_of_results(results, truth, A2D)["detection"],
        "instances, pycocotools": lambda: _pycocotools(annotated, results),
    }
    if peers.available():
        torch_nms = peers.numpy_nms
        ways["few rois, torchvision"] = lambda: _loop_over_boxes(part, small_truth, torch_nms)
    return ways


def _reading(maps, frames):
    """[`_files` of label maps that are read alone, and of ones that are scored as well]."""
    with tempfile.TemporaryDirectory() as folder:
        for i, pair in enumerate(maps):
            for name, image in zip(("truth", "predicted"), pair):
                cv2.imwrite(f"{folder}/{name}{i}.png", image)
        return [measure.apart(_files, folder, frames, score) for score in (False, True)]


def _timed(function):
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def _agree(found):
    """What is compared computes the same figures."""
    pairs = [
        ("maps", "naive maps"),
        ("few rois", "few rois, naive"),
        ("few rois", "few rois, torchvision"),
    ]
    for ours, peer in pairs:
        for name, value in found.get(peer, {}).items():
            if abs(value - found[ours][name]) > 0.1:
                raise RuntimeError(f"{peer}: {name} {value}, ours {found[ours][name]}")


def label_maps(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """`count` pairs (truth, predicted): four rectangles of codes, and the same moved."""
    rng, pairs = np.random.default_rng(0), []
    for _ in range(count):
        truth = np.zeros(_SIZE, np.uint8)
        for code in rng.choice(A2D.codes, 4):
            y, x = rng.integers(0, (180, 240))
            truth[y : y + rng.integers(30, 120), x : x + rng.integers(30, 160)] = code
        pairs.append((truth, np.roll(truth, rng.integers(-9, 10, 2), axis=(0, 1))))
    return pairs


def score_maps(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    confusion = segmentation.Confusion(A2D)
    for truth, predicted in pairs:
        confusion.update(truth, predicted)
    return {kind: figures["miou"] for kind, figures in confusion.metrics().items()}


def _loop_over_maps(pairs):
    """The usual loop: class by class, frame by frame."""
    kinds = {
        "actor": (lambda codes: codes // A2D.base, range(len(A2D.actors) + 1)),
        "action": (lambda codes: codes % A2D.base, range(len(A2D.actions) + 1)),
        "joint": (lambda codes: codes, (0, *A2D.codes)),
    }
    counts = {kind: np.zeros((len(classes), 3)) for kind, (_, classes) in kinds.items()}
    for maps in pairs:
        for kind, (split, classes) in kinds.items():
            truth, predicted = map(split, maps)
            for row, c in zip(counts[kind], classes):
                true, found = truth == c, predicted == c
                row += (true & found).sum(), true.sum(), found.sum()
    figures = {}
    for kind, table in counts.items():
        both, true, found = table[table[:, 1] > 0].T
        figures[kind] = 100 * float((both / (true + found - both)).mean())
    return figures


def _files(folder, frames, score):
    """(gigabytes this process held at most, seconds): label maps read from disk, and scored."""
    count = len(list(pathlib.Path(folder).glob("truth*.png")))

    def pairs():
        for i in range(frames):
            yield [
                segmentation.read_label_map(f"{folder}/{name}{i % count}.png", A2D)
                for name in ("truth", "predicted")
            ]

    consume = score_maps if score else lambda maps: [None for _ in maps]
    seconds, _ = _timed(lambda: consume(pairs()))
    return measure.memory(), seconds


def truth_of(frames: int) -> box_data.Truth:
    rng = np.random.default_rng(1)
    count = _TRUTH * frames
    corner = rng.uniform(0, 160, (count, 2))
    boxes = np.hstack([corner, corner + rng.uniform(20, 80, (count, 2))])
    names = [f"v{i // 4:04d}/{i % 4 + 1:05d}" for i in range(frames)]
    return box_data.Truth(
        names, np.repeat(np.arange(frames), _TRUTH), boxes, rng.choice(A2D.codes, count)
    )


def _near(truth, each, rng):
    """(frame, box, true index) of `each` boxes a frame, about the truth's, some of them far."""
    frame = np.repeat(np.arange(len(truth.frames)), each)
    own = _TRUTH * frame + rng.integers(0, _TRUTH, len(frame))
    spread = rng.choice([3.0, 15.0, 60.0], len(frame))[:, None]
    centre = truth.boxes[own, :2] + rng.normal(0, 1, (len(frame), 2)) * spread
    sides = (truth.boxes[own, 2:] - truth.boxes[own, :2]) * rng.uniform(0.8, 1.25, (len(frame), 2))
    return frame, np.hstack([centre, centre + sides]).astype(np.float32), own


def detections_of(truth: box_data.Truth, rois: int) -> box_data.Detections:
    rng = np.random.default_rng(2)
    frame, boxes, own = _near(truth, rois, rng)
    actor, action = A2D.split(truth.codes[own])

    def scores(classes, right):
        logits = rng.normal(0, 1, (len(frame), classes))
        logits[np.arange(len(frame)), right - 1] += 2
        return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)

    shift = rng.normal(0, 2, (len(frame), len(A2D.actors), 1)).astype(np.float32)
    return box_data.Detections(
        truth.frames,
        frame,
        boxes[:, None] + shift,
        scores(len(A2D.actors), actor),
        scores(len(A2D.actions), action),
    )


def results_of(truth: box_data.Truth, each: int) -> coco_results.Results:
    rng = np.random.default_rng(3)
    frame, boxes, own = _near(truth, each, rng)
    return coco_results.Results(
        truth.frames, frame, boxes, truth.codes[own], rng.uniform(size=len(frame)), None
    )


def _numpy_nms(boxes, scores, iou_threshold):
    """Indices that greedy suppression keeps, best first."""
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[suppression.iou(boxes[order], boxes[best]) <= iou_threshold]
    return kept


def _loop_over_boxes(found, truth, nms):
    """The protocol of `detection.metrics_of`, class by class and frame by frame."""
    rows = np.split(np.arange(len(found.roi_frame)), len(truth.frames))  # equally many in each
    best = found.actor_scores.argmax(axis=1)
    own_boxes = found.boxes[np.arange(len(best)), best]
    actors, actions = A2D.split(truth.codes)
    kinds = {"actor": [], "action": [], "joint": []}
    for i in range(len(A2D.actors)):
        scores = found.actor_scores[:, i]
        kinds["actor"].append((found.boxes[:, i], scores, actors == i + 1))
        for j in np.flatnonzero(A2D.valid[i]):
            product = scores.astype(float) * found.action_scores[:, j]
            own = truth.codes == A2D.encode(i, j)
            kinds["joint"].append((found.boxes[:, i], product, own))
    for j, name in enumerate(A2D.actions):
        if name != A2D.none_action:
            kinds["action"].append((own_boxes, found.action_scores[:, j], actions == j + 1))

    def ap(boxes, scores, own):
        every, hits = [], []
        for frame, here in enumerate(rows):
            kept = here[nms(boxes[here], scores[here], _IOU)]
            hit = np.zeros(len(kept), bool)
            for true in truth.boxes[own & (truth.box_frame == frame)]:
                matches = suppression.iou(boxes[kept], true) >= _MATCH
                if matches.any():
                    hit[matches.argmax()] = True
            every.append(scores[kept])
            hits.append(hit)
        return 100 * detection.average_precision(
            np.concatenate(every), np.concatenate(hits), own.sum()
        )

    return {kind: float(np.mean([ap(*c) for c in classes])) for kind, classes in kinds.items()}


def _pycocotools(annotated, results):
    sides = results.boxes[:, 2:] - results.boxes[:, :2]
    table = np.column_stack(
        [results.roi_frame, results.boxes[:, :2], sides, results.scores, results.codes]
    )
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(annotated, annotated.loadRes(table), "bbox")
        evaluation.params.iouThrs, evaluation.params.maxDets = np.array([_MATCH]), [100]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return {"ap50": 100 * float(precision[precision > -1].mean())}
