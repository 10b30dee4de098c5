"""Run a network over a split of the records and score it at the videos' native size."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures

import cv2
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from a2d_tf.core import workers
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import check_place, whole_folder
from a2d_tf.data import pipeline, records
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import (
    best_masks,
    box_data,
    calibration,
    coco_eval,
    coco_results,
    detection,
    segmentation,
    zero_shot,
)
from a2d_tf.evaluation.frames import FIELDS, Frame, Tables
from a2d_tf.evaluation.recorded import Recorded
from a2d_tf.evaluation.reports import pictures as pictures_of
from a2d_tf.evaluation.reports import tables
from a2d_tf.model.network import Network
from a2d_tf.ops import painting

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Least p(actor) of instances: below every threshold, yet it bounds the number of masks.
FLOOR = 0.05
_MARKS = ("metrics.json", "truth.json")  # a folder of scores has these
Clip = Callable[[], Frame]
"""Makes the frame of a clip, off the main thread: it decodes the ground truth."""
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of `segmentation.pairs`."""


@dataclasses.dataclass(frozen=True)
class Validation:
    """The scores of a network on the videos held out.

    Attributes:
      threshold: on p(actor), that of the best joint mIoU.
      metrics: as in `metrics.json`: segmentation at that threshold, detection, APs of classes.
      confusion: at that threshold.
      losses: {name: mean over the batches} of the Evaluator's `measure`.
      detections, truth: see `detection.metrics_of`.
      pictures: {split/VID/frame: uint8 [H, 3 W, 3]}, truth | prediction | flow.
    """

    threshold: float
    metrics: dict
    confusion: segmentation.Confusion
    losses: dict
    detections: box_data.Detections
    truth: box_data.Truth
    pictures: dict


class Evaluator:
    """Scores a network, whose weights may change between calls.

    Args:
      network: the network.
      config: the run's settings.
      manifest: of the records.
      measure: graph function (batch, its `Network.features`) -> {name: scalar}, which `validate`
        averages over the batches.
    """

    def __init__(
        self,
        network: Network,
        config: Config,
        manifest: Manifest,
        measure: Callable[[dict, dict], dict] | None = None,
    ):
        self.network, self.config, self.manifest = network, config, manifest
        self.labels = network.labels
        given = config.inference.score_threshold
        floor = min(FLOOR, given) if given >= 0 else FLOOR
        settings = dataclasses.replace(config.inference, score_threshold=floor)
        names = network.features.input_names
        self._inputs = [*names, "size"]
        self._needed = pipeline.CLIP if measure else self._inputs
        self._batches: dict[str, tf.data.Dataset] = {}  # by split: each takes a second to trace

        # There is no `if` or `for` on tensors for AutoGraph to find.
        @tf.function(autograph=False)
        def graph(batch):
            features = network.features({name: batch[name] for name in names})
            outputs = network.score_and_detect(batch["rgb"], features, batch["size"], settings)
            return outputs, measure(batch, features) if measure else {}

        traced: dict[tuple, Callable] = {}  # to look one up by its specs takes a millisecond

        def run(batch):
            fields = tuple(sorted(batch))
            if fields not in traced:
                # Of batches of any size, so that a smaller last one is not traced by itself.
                specs = {
                    name: tf.TensorSpec([None, *x.shape[1:]], x.dtype) for name, x in batch.items()
                }
                traced[fields] = graph.get_concrete_function(specs)
            return traced[fields](batch)

        self.run = run

    def clips(self, split: str, measured: list[dict] | None = None) -> Iterator[Clip]:
        """Run the network over a split; yield its clips in the records' order.

        Args:
          split: 'train' (without the validation videos), 'val' or 'test'.
          measured: list to which the values of `measure` on each batch are appended.
        """
        directory = self.manifest.directory
        if split not in self._batches:
            self._batches[split] = self._read(split)
        batches = iter(self._batches[split])
        while True:
            with records.naming(directory):
                batch = next(batches, None)
            if batch is None:
                return
            outputs, values = self.run({name: batch[name] for name in self._needed})
            if measured is not None:
                measured.append({name: float(value) for name, value in values.items()})
            # What is on the host is not copied.
            outputs, arrays = tf.nest.map_structure(
                np.asarray, (outputs, {name: batch[name] for name in FIELDS})
            )
            for row in range(len(arrays["size"])):
                yield functools.partial(_frame, arrays, outputs, row, directory)

    def _read(self, split):
        batch_size = self.config.learning.evaluation_batch
        fields = {*self._needed, *FIELDS}
        return pipeline.evaluation(self.manifest, split, self.config, batch_size, fields=fields)

    def frames(self, split: str) -> Iterator[Frame]:
        """Yield the key frames of a split, in the records' order; see `clips`."""
        for clip in self.clips(split):
            yield clip()

    def label_map(self, frame: Frame, threshold: float) -> np.ndarray:
        """Paint a frame's label map at native size, of codes in the label space's dtype."""
        canvas = self._canvas(frame)
        chosen = np.flatnonzero(frame.instances["class_score"] >= threshold)
        self._paint(canvas, frame, chosen)
        return canvas.labels

    def label_maps(self, frame: Frame) -> Iterator[tuple[list[float], np.ndarray]]:
        """Yield (thresholds of THRESHOLDS, their common `label_map`), from the highest down.

        Instances come best first, so each threshold only paints those that it adds, most of them
        none. It does so in the same array.
        """
        scores, painted = frame.instances["class_score"], 0
        canvas = self._canvas(frame)
        descending = sorted(THRESHOLDS, reverse=True)
        for number, same in itertools.groupby(descending, lambda t: np.count_nonzero(scores >= t)):
            self._paint(canvas, frame, range(painted, number))
            painted = number
            yield list(same), canvas.labels

    def _canvas(self, frame):
        per_pixel = self.config.inference.paint == "pixel"
        return painting.Canvas(*frame.truth.native_size, per_pixel, self.labels.code_dtype)

    def _paint(self, canvas, frame, indices):
        scores, codes = frame.instances["score"], frame.instances["code"]
        for i in indices:
            canvas.add(frame.patches[i], scores[i], codes[i])

    def scored(self, clips: Iterable[Clip]) -> Iterator[tuple[Frame, dict[float, Pairs]]]:
        """Yield the frame of each clip in order, with its pairs of codes at each of THRESHOLDS."""

        def score(clip):
            frame, pairs = clip(), {}
            for thresholds, label_map in self.label_maps(frame):
                counted = segmentation.pairs(frame.truth.label_map, label_map)
                pairs.update(dict.fromkeys(thresholds, counted))
            return frame, pairs

        yield from self._in_threads(score, clips)

    def _in_threads(self, work, items):
        """Work on frames in threads, while the network processes the next batch."""
        return workers.in_threads(work, items, ahead=2 * self.config.learning.evaluation_batch)

    def validate(self, split: str = "val", pictures: int = 0) -> Validation | None:
        """Choose the p(actor) threshold of best joint mIoU, and score a split with it.

        Args:
          split: see `frames`.
          pictures: number of videos whose first key frame is drawn.

        Returns:
          The scores; None if the split is empty.
        """
        if split == "val" and not self.config.learning.val_fraction:
            return None  # no video is held out: the training split need not be read to see it
        confusions = {t: segmentation.Confusion(self.labels) for t in THRESHOLDS}
        collected = Tables(self.config.model.label_mode)
        measured: list[dict] = []
        shown: dict[str, Frame] = {}
        scored = self.scored(self.clips(split, measured))
        for frame, pairs in tqdm(scored, desc=split, unit="frame", leave=False):
            for threshold, confusion in confusions.items():
                confusion.add(*pairs[threshold])
            collected.add(frame)
            if len(shown) < pictures:
                shown.setdefault(frame.truth.video, frame)
        if not collected.names:
            return None
        scores = {t: c.metrics()["joint"]["miou"] for t, c in confusions.items()}
        best = max(scores, key=scores.__getitem__)
        detections, truth = collected.detections(), collected.ground_truth()
        return Validation(
            threshold=best,
            metrics={
                "segmentation": confusions[best].metrics(),
                **detection.metrics_of(detections, truth, self.labels),
                "calibration": calibration.metrics_of(detections, truth, self.labels),
            },
            confusion=confusions[best],
            losses={
                name: float(np.mean([values[name] for values in measured])) for name in measured[0]
            },
            detections=detections,
            truth=truth,
            pictures={
                f"{split}/{f.name}": pictures_of.draw(f, best, self.labels) for f in shown.values()
            },
        )

    def evaluate(self, split: str, threshold: float, output: str) -> dict:
        """Score a split, and write the scores with everything that they are computed from.

        Args:
          split: 'train' (without the validation videos), 'val' or 'test'.
          threshold: on p(actor), for the label maps.
          output: folder, replaced as a whole: `metrics.json`; `detections.npz`, every RoI;
            `instances.json`, COCO results of the instances with p(actor) >= FLOOR; `truth.json`;
            `label_maps/<VID>/<%05d>.png` and `label_truth/...`.

        Returns:
          The metrics, as in `metrics.json`.

        Raises:
          InputError: the split is empty, or something else than scores is at `output`.
        """
        check_place(output, _MARKS, "folder of scores")
        with whole_folder(output) as partial:
            return self._evaluate(split, threshold, partial)

    def _evaluate(self, split, threshold, partial):
        """Evaluate into a folder beside the final one."""
        confusion = segmentation.Confusion(self.labels)
        mode = self.config.model.label_mode
        collected, instances = Tables(mode), []
        recorded = Recorded(self.labels, threshold, joint=mode != "decoupled")
        work = functools.partial(self._write_frame, threshold, partial)
        # Closed, so that no thread writes on where this one is interrupted.
        with contextlib.closing(self._in_threads(work, enumerate(self.clips(split), 1))) as written:
            frames = tqdm(written, desc=split, unit="frame", total=self._total(split))
            for frame, pairs, found in frames:
                confusion.add(*pairs)
                collected.add(frame)
                instances += found
                masks = [entry["segmentation"] for entry in found]
                recorded.add(frame.truth, frame.instances, masks)
        if not collected.names:
            raise InputError(
                f"{self.manifest.directory}: no record in split '{split}' "
                f"(--val_fraction={self.config.learning.val_fraction})"
            )
        detections, truth = collected.detections(), collected.ground_truth()
        truth.save(os.path.join(partial, "truth.json"), self.labels)
        coco_results.write(os.path.join(partial, "instances.json"), instances)
        results = coco_results.Results.of_entries(instances, truth)
        with futures.ThreadPoolExecutor(1) as pool:
            # Compressing releases Python's lock. The others would take turns.
            saved = pool.submit(detections.save, os.path.join(partial, "detections.npz"))
            metrics = {
                "segmentation": confusion.metrics(),
                **detection.metrics_of(detections, truth, self.labels),
                "coco": coco_eval.metrics_of(results, truth),
                "best_masks": best_masks.metrics_of(results, truth),
                "calibration": calibration.metrics_of(detections, truth, self.labels),
                "score_threshold": float(threshold),
            }
            saved.result()
        over_time = recorded.metrics()
        if over_time:
            metrics["over_time"] = over_time
        metrics.update(self._zero_shot(detections, truth, metrics["per_pair_ap"]))
        tables.write_metrics(metrics, os.path.join(partial, "metrics.json"))
        return metrics

    def _zero_shot(self, detections, truth, per_pair_ap):
        """Compute the metrics of section 4.4: of every actor, and of the one held out."""
        metrics = {"zero_shot_actor_ap": zero_shot.actor_aps(per_pair_ap, self.labels)}
        learning = self.config.learning
        if learning.zero_shot_actor:
            actor = self.labels.actor_index(learning.zero_shot_actor)
            metrics["zero_shot"] = zero_shot.figures(
                *(detections, truth, self.labels, actor),
                per_pair_ap=per_pair_ap,
                seed=learning.seed,
            )
        return metrics

    def _write_frame(self, threshold, partial, numbered):
        """Write a frame's label maps; return it, its pairs of codes and its instances."""
        number, clip = numbered
        frame = clip()
        predicted, expected = self.label_map(frame, threshold), frame.truth.label_map
        for folder, image in (("label_maps", predicted), ("label_truth", expected)):
            write_png(os.path.join(partial, folder, f"{frame.name}.png"), image)
        height, width = frame.truth.native_size
        found = coco_results.entries(
            number,
            *(frame.instances[name] for name in ("boxes", "code", "score")),
            masks=[patch.rle(height, width) for patch in frame.patches],
        )
        return frame, segmentation.pairs(expected, predicted), found

    def _total(self, split):
        fraction = self.config.learning.val_fraction
        if split == "test" or (split == "train" and not fraction):
            return self.manifest.counts[split]["records"]
        return None

    def pictures(self, split: str, threshold: float, limit: int) -> dict[str, np.ndarray]:
        """Draw the first key frame of at most `limit` videos, by split/VID/frame."""
        images, seen = {}, set()
        for frame in self.frames(split) if limit else ():
            if frame.truth.video not in seen:
                seen.add(frame.truth.video)
                name = f"{split}/{frame.name}"
                images[name] = pictures_of.draw(frame, threshold, self.labels)
            if len(seen) == limit:
                break
        return images


def _frame(batch, outputs, row, directory):
    with records.naming(directory):
        return Frame.of(batch, outputs, row)


def write_png(path: str, image: np.ndarray) -> None:
    """Write an image, creating its folders."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not cv2.imwrite(path, image):
        raise InputError(f"{path}: cannot be written; is the disk full?")
