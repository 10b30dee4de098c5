"""Run a network over a split of the records and score it at the videos' native size."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures

import cv2
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from a2d_tf.core import machine
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.data import pipeline, records
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import box_data, coco_eval, coco_results, detection, segmentation, zero_shot
from a2d_tf.evaluation.further import best_masks, calibration
from a2d_tf.evaluation.over_time.recorded import Recorded
from a2d_tf.evaluation.reports import tables
from a2d_tf.model.network import Network
from a2d_tf.ops import masks as mask_ops
from a2d_tf.ops import visualize

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Least p(actor) of instances: below every threshold, yet it bounds the number of masks.
FLOOR = 0.05
_PAINTED = ("masks", "boxes", "score", "code")


@dataclasses.dataclass(frozen=True)
class Frame:
    """The network's outputs on one key frame; boxes are y1, x1, y2, x2 in native pixels.

    Attributes:
      truth: the record's ground truth.
      table: arrays of `classes.score_rois` over the valid RoIs, [R, ...].
      instances: arrays of `selection.select` over the detections, [N, ...], masks [N, m, m].
      rgb: uint8 [h, w, 3], the key frame as stored, without padding.
      flow: float32 [h, w, 2].
    """

    truth: records.ClipTruth
    table: dict
    instances: dict
    rgb: np.ndarray
    flow: np.ndarray

    @property
    def name(self) -> str:
        """`<VID>/<%05d>`."""
        return f"{self.truth.video}/{self.truth.frame:05d}"


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


class _Collector:
    """Collects what detection metrics need of each frame: whole frames would fill the memory."""

    def __init__(self, label_mode):
        self._fields = ["boxes", "actor_scores", "action_scores"]
        self._fields += ["joint_scores"] * (label_mode != "decoupled")
        self._fields += ["joint_boxes"] * (label_mode == "cartesian")
        self.names, self.tables, self._truths = [], [], []

    def add(self, frame):
        self.names.append(frame.name)
        self.tables.append({field: frame.table[field] for field in self._fields})
        self._truths.append(dataclasses.replace(frame.truth, label_map=None))

    def detections(self):
        """All RoIs as `box_data.Detections`; frees the tables."""

        def gather(field):
            # Popped, since the boxes of every pair of every RoI take gigabytes.
            values = np.concatenate([table.pop(field) for table in self.tables])
            return values[..., [1, 0, 3, 2]] if field.endswith("boxes") else values

        counts = [len(table["boxes"]) for table in self.tables]
        arrays = {field: gather(field) for field in self._fields}
        return box_data.Detections(self.names, np.repeat(np.arange(len(counts)), counts), **arrays)

    def ground_truth(self):
        """The `box_data.Truth` of the frames."""
        truths = self._truths
        counts = [len(truth.codes) for truth in truths]
        return box_data.Truth(
            self.names,
            np.repeat(np.arange(len(truths)), counts),
            np.concatenate([truth.boxes for truth in truths])[:, [1, 0, 3, 2]],
            np.concatenate([truth.codes for truth in truths]),
            sizes=[truth.native_size for truth in truths],
            masks=[
                {**rle, "counts": rle["counts"].decode()} for truth in truths for rle in truth.rles
            ],
        )


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
        self.labels, self._measures = network.labels, measure is not None
        given = config.inference.score_threshold
        floor = min(FLOOR, given) if given >= 0 else FLOOR
        settings = dataclasses.replace(config.inference, score_threshold=floor)
        names = network.features.input_names
        self._inputs = [*names, "size"]

        @tf.function(reduce_retracing=True)
        def run(batch):
            features = network.features({name: batch[name] for name in names})
            outputs = network.score_and_detect(batch["rgb"], features, batch["size"], settings)
            return outputs, measure(batch, features) if measure else {}

        self.run = run

    def frames(self, split: str, measured: list[dict] | None = None) -> Iterator[Frame]:
        """Yield each key frame of a split, in the records' order.

        Args:
          split: 'train' (without the validation videos), 'val' or 'test'.
          measured: list to which the values of `measure` on each batch are appended.
        """
        learning = self.config.learning
        batches = pipeline.evaluation(
            self.manifest,
            split,
            self.network.image_size,
            self.config.model.frames,
            batch_size=learning.evaluation_batch,
            max_instances=learning.max_instances,
            val_fraction=learning.val_fraction,
        )
        truths = self._truths(split)
        batches = iter(batches)
        while True:
            with records.naming(self.manifest.directory):
                batch = next(batches, None)
            if batch is None:
                return
            inputs = batch if self._measures else {name: batch[name] for name in self._inputs}
            outputs, values = self.run(inputs)
            if measured is not None:
                measured.append({name: float(value) for name, value in values.items()})
            outputs = tf.nest.map_structure(lambda x: x.numpy(), outputs)
            for i in range(len(batch["video"])):
                yield self._frame(next(truths), batch, outputs, i)

    def _truths(self, split):
        """Yield the ground truth of the records of `pipeline.evaluation`, in the same order."""
        keep = pipeline.split_filter(split, self.config.learning.val_fraction)
        for path in pipeline.split_shards(self.manifest, split):
            with records.naming(path):
                for serialized in records.read_shard(path):
                    truth = records.read_truth(serialized)
                    if bool(keep(tf.constant(truth.video))):
                        yield truth

    def _frame(self, truth, batch, outputs, i):
        size = batch["size"][i].numpy()
        ratio = np.tile(np.array(truth.native_size) / size, 2).astype(np.float32)
        valid = outputs["valid"][i]
        number = outputs["detections"]["num_detections"][i]
        table = {k: v[i][valid] for k, v in outputs["table"].items()}
        instances = {k: v[i][:number] for k, v in outputs["detections"].items() if v[i].ndim}
        for values in (table, instances):
            for name in values:
                if name.endswith("boxes"):
                    values[name] = values[name] * ratio
        middle = batch["rgb"].shape[1] // 2
        rgb = batch["rgb"][i, middle].numpy()[: size[0], : size[1]]
        flow = batch["flow"][i, middle].numpy()[: size[0], : size[1]]
        return Frame(truth, table, instances, rgb, flow)

    def label_map(self, frame: Frame, threshold: float) -> np.ndarray:
        """Paint a frame's label map at native size, of codes in the label space's dtype."""
        chosen = frame.instances["class_score"] >= threshold
        height, width = frame.truth.native_size
        if not chosen.any():
            return np.zeros((height, width), self.labels.code_dtype)
        parts = [frame.instances[name][chosen] for name in _PAINTED]
        painted = mask_ops.paint_one(*parts, height, width, self.config.inference.paint == "pixel")
        return painted.numpy().astype(self.labels.code_dtype)

    def label_maps(self, frame: Frame) -> Iterator[tuple[list[float], np.ndarray]]:
        """Yield (thresholds of THRESHOLDS, their common `label_map`), from the highest down.

        Instances come best first, so each threshold only paints those that it adds, most of them
        none: painting is slow.
        """
        scores, painted = frame.instances["class_score"], 0
        best = np.zeros(frame.truth.native_size, np.float32)
        labels = best.astype(np.int32)
        descending = sorted(THRESHOLDS, reverse=True)
        for number, same in itertools.groupby(descending, lambda t: np.count_nonzero(scores >= t)):
            if number > painted:
                added = [frame.instances[name][painted:number] for name in _PAINTED]
                best, labels = mask_ops.paint_over_one(
                    best, labels, *added, self.config.inference.paint == "pixel"
                )
                painted = number
            yield list(same), np.asarray(labels).astype(self.labels.code_dtype)

    def scored(
        self, frames: Iterable[Frame]
    ) -> Iterator[tuple[Frame, dict[float, segmentation.Confusion]]]:
        """Yield each frame in order with its confusion at each of THRESHOLDS.

        Host threads paint while the network processes the next clips.
        """

        def confusions(frame):
            at_threshold = {}
            for thresholds, label_map in self.label_maps(frame):
                confusion = segmentation.Confusion(self.labels)
                confusion.update(frame.truth.label_map, label_map)
                at_threshold.update(dict.fromkeys(thresholds, confusion))
            return at_threshold

        threads = machine.cores()
        waiting: collections.deque = collections.deque()
        with futures.ThreadPoolExecutor(threads) as pool:
            for frame in frames:
                waiting.append((frame, pool.submit(confusions, frame)))
                if len(waiting) > threads:
                    first, result = waiting.popleft()
                    yield first, result.result()
            for frame, result in waiting:
                yield frame, result.result()

    def masks(self, frame: Frame, chosen: np.ndarray | slice) -> np.ndarray:
        """Paste the masks of a frame's chosen instances (a NumPy index): bool [n, h, w], native."""
        height, width = frame.truth.native_size
        masks, boxes = (frame.instances[name][chosen] for name in ("masks", "boxes"))
        if not len(boxes):
            return np.zeros((0, height, width), bool)
        return mask_ops.paste(masks, boxes, height, width).numpy() >= 0.5

    def validate(self, split: str = "val", pictures: int = 0) -> Validation | None:
        """Choose the p(actor) threshold of best joint mIoU, and score a split with it.

        Args:
          split: see `frames`.
          pictures: number of videos whose first key frame is drawn.

        Returns:
          The scores; None if the split is empty.
        """
        confusions = {t: segmentation.Confusion(self.labels) for t in THRESHOLDS}
        collected = _Collector(self.config.model.label_mode)
        measured: list[dict] = []
        shown: dict[str, Frame] = {}
        frames = tqdm(self.frames(split, measured), desc=split, unit="frame", leave=False)
        for frame, frame_confusions in self.scored(frames):
            for threshold, confusion in confusions.items():
                confusion.merge(frame_confusions[threshold])
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
            pictures={f"{split}/{f.name}": self.picture(f, best) for f in shown.values()},
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
          InputError: the split is empty.
        """
        partial = f"{output}.partial"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            metrics = self._evaluate(split, threshold, partial)
            shutil.rmtree(output, ignore_errors=True)
            os.replace(partial, output)
        except OSError as error:
            raise InputError(f"{output}: cannot be written ({error.strerror})") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return metrics

    def _evaluate(self, split, threshold, partial):
        """Evaluate into a folder beside the final one."""
        confusion = segmentation.Confusion(self.labels)
        mode = self.config.model.label_mode
        collected, instances = _Collector(mode), []
        recorded = Recorded(self.labels, threshold, joint=mode != "decoupled")
        for frame in tqdm(self.frames(split), desc=split, unit="frame", total=self._total(split)):
            predicted, expected = self.label_map(frame, threshold), frame.truth.label_map
            confusion.update(expected, predicted)
            for folder, image in (("label_maps", predicted), ("label_truth", expected)):
                write_png(os.path.join(partial, folder, f"{frame.name}.png"), image)
            collected.add(frame)
            fields = (frame.instances[name] for name in ("boxes", "code", "score"))
            image_id = len(collected.names)
            found = coco_results.entries(image_id, *fields, masks=self.masks(frame, slice(None)))
            instances += found
            recorded.add(frame.truth, frame.instances, [row["segmentation"] for row in found])
        if not collected.names:
            raise InputError(
                f"{self.manifest.directory}: no record in split '{split}' "
                f"(--val_fraction={self.config.learning.val_fraction})"
            )
        detections, truth = collected.detections(), collected.ground_truth()
        detections.save(os.path.join(partial, "detections.npz"))
        truth.save(os.path.join(partial, "truth.json"), self.labels)
        path = os.path.join(partial, "instances.json")
        coco_results.write(path, instances)
        results = coco_results.Results.load(path, truth, self.labels)
        metrics = {
            "segmentation": confusion.metrics(),
            **detection.metrics_of(detections, truth, self.labels),
            "coco": coco_eval.metrics_of(results, truth),
            "best_masks": best_masks.metrics_of(results, truth),
            "calibration": calibration.metrics_of(detections, truth, self.labels),
            "score_threshold": float(threshold),
        }
        over_time = recorded.metrics()
        if over_time:
            metrics["over_time"] = over_time
        metrics["zero_shot_actor_ap"] = zero_shot.actor_aps(metrics["per_pair_ap"], self.labels)
        learning = self.config.learning
        if learning.zero_shot_actor:
            actor = self.labels.actor_index(learning.zero_shot_actor)
            metrics["zero_shot"] = zero_shot.figures(
                detections,
                truth,
                self.labels,
                actor,
                per_pair_ap=metrics["per_pair_ap"],
                seed=learning.seed,
            )
        tables.write_metrics(metrics, os.path.join(partial, "metrics.json"))
        return metrics

    def _total(self, split):
        fraction = self.config.learning.val_fraction
        if split == "test" or (split == "train" and not fraction):
            return self.manifest.counts[split]["records"]
        return None

    def pictures(self, split: str, threshold: float, limit: int) -> dict[str, np.ndarray]:
        """Draw `picture`s of the first key frame of at most `limit` videos, by split/VID/frame."""
        images, seen = {}, set()
        for frame in self.frames(split) if limit else ():
            if frame.truth.video not in seen:
                seen.add(frame.truth.video)
                images[f"{split}/{frame.name}"] = self.picture(frame, threshold)
            if len(seen) == limit:
                break
        return images

    def picture(self, frame: Frame, threshold: float) -> np.ndarray:
        """Draw a frame's truth, prediction and flow side by side: uint8 [H, 3 W, 3], native."""
        truth, instances = frame.truth, frame.instances
        height, width = truth.native_size
        rgb = cv2.resize(frame.rgb, (width, height))
        masks = records.decode_rles(truth.rles, height, width)
        left = visualize.draw_instances(
            rgb, truth.boxes, truth.codes, masks, label_space=self.labels
        )
        chosen = instances["class_score"] >= threshold
        boxes, codes = instances["boxes"][chosen], instances["code"][chosen]
        middle = visualize.draw_instances(
            rgb,
            boxes,
            codes,
            self.masks(frame, chosen),
            label_space=self.labels,
            scores=instances["score"][chosen],
        )
        flow = cv2.resize(visualize.flow_to_rgb(frame.flow), (width, height))
        return np.concatenate([left, middle, flow], axis=1)


def write_png(path: str, image: np.ndarray) -> None:
    """Write an image, creating its folders."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not cv2.imwrite(path, image):
        raise InputError(f"{path}: cannot be written; is the disk full?")
