"""Run a network over a split of the records and score it, at the videos' native size."""

import collections
import dataclasses
import itertools
import os
import shutil
from concurrent import futures

import cv2
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from a2d_tf.core import machine, visualize
from a2d_tf.core.errors import InputError
from a2d_tf.data import pipeline, records
from a2d_tf.evaluation import coco_eval, coco_results, detection, segmentation, zero_shot
from a2d_tf.evaluation.reports import tables
from a2d_tf.ops import masks as mask_ops

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Instances below this are no candidate for any threshold; more of them would cost mask rows.
FLOOR = 0.05


@dataclasses.dataclass(frozen=True)
class Frame:
    """The network's answer on one key frame, all boxes in native pixels (y1, x1, y2, x2).

    Attributes:
      truth: the record's `records.ClipTruth`.
      table: arrays of `inference.score_rois` over the valid RoIs, [R, ...].
      instances: arrays of `inference.select` over the detections, [N, ...], masks [N, m, m].
      rgb: uint8 [h, w, 3], the key frame as the network saw it, without padding.
      flow: float32 [h, w, 2].
    """

    truth: records.ClipTruth
    table: dict
    instances: dict
    rgb: np.ndarray
    flow: np.ndarray


@dataclasses.dataclass(frozen=True)
class Validation:
    """What the videos held out say of a network.

    Attributes:
      threshold: on p(actor), of best joint mIoU.
      metrics: as in `metrics.json`: segmentation with that threshold, detection, APs of classes.
      confusion: a `segmentation.Confusion`, with that threshold.
      losses: {name: mean over the batches} of what the Evaluator's `measure` says.
      detections, truth: as of `detection.evaluate`.
      pictures: {split/VID/frame: uint8 [H, 3 W, 3]}, truth | prediction | flow.
    """

    threshold: float
    metrics: dict
    confusion: segmentation.Confusion
    losses: dict
    detections: detection.Detections
    truth: detection.Truth
    pictures: dict


class Evaluator:
    """Scores a network, whose weights may change between calls.

    Args:
      network: a Network.
      config: a Config.
      manifest: of the records.
      measure: callable in a graph, (batch, its `Network.features`) -> {name: scalar}, that
        `validate` averages over the batches; or None.
    """

    def __init__(self, network, config, manifest, measure=None):
        self.network, self.config, self.manifest = network, config, manifest
        self.labels = network.labels
        given = config.inference.score_threshold
        floor = min(FLOOR, given) if given >= 0 else FLOOR
        settings = dataclasses.replace(config.inference, score_threshold=floor)
        self.run = tf.function(network.inference(settings), reduce_retracing=True)

        @tf.function(reduce_retracing=True)
        def run_and_measure(batch):
            inputs = {name: batch[name] for name in network.features.input_names}
            features = network.features(inputs)
            outputs = network.instances(batch["rgb"], features, batch["size"], settings)
            return outputs, measure(batch, features)

        self._run_and_measure = run_and_measure if measure else None

    def frames(self, split, measured=None):
        """Yield a `Frame` for each key frame of a split, in the records' order.

        Args:
          split: 'train' (without the validation videos), 'val' or 'test'.
          measured: a list that gets what `measure` says of each batch, {name: float}.
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
        names = ["rgb", "size"] + ["flow"] * self.config.model.use_flow
        batches = iter(batches)
        while True:
            with records.naming(self.manifest.directory):
                batch = next(batches, None)
            if batch is None:
                return
            if measured is None:
                outputs = self.run({name: batch[name] for name in names})
            else:
                outputs, values = self._run_and_measure(batch)
                measured.append({name: float(value) for name, value in values.items()})
            outputs = tf.nest.map_structure(lambda x: x.numpy(), outputs)
            for i in range(len(batch["video"])):
                yield self._frame(next(truths), batch, outputs, i)

    def _truths(self, split):
        """The truth of the records that `pipeline.evaluation` yields, in the same order."""
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

    def label_map(self, frame, threshold):
        """The painted map of a frame at its native size, codes in the label space's dtype."""
        chosen = frame.instances["class_score"] >= threshold
        height, width = frame.truth.native_size
        if not chosen.any():
            return np.zeros((height, width), self.labels.code_dtype)
        parts = [frame.instances[name][chosen] for name in ("masks", "boxes", "score", "code")]
        painted = mask_ops.paint_one(*parts, height, width, self.config.inference.paint == "pixel")
        return painted.numpy().astype(self.labels.code_dtype)

    def label_maps(self, frame):
        """Yield (thresholds of the grid, what `label_map` makes of each of them).

        From the highest one down: each paints the instances that it adds over those of the one
        before, since they come best first. Most add none, and painting is dear.
        """
        scores, painted = frame.instances["class_score"], 0
        names = ("masks", "boxes", "score", "code")
        best = np.zeros(frame.truth.native_size, np.float32)
        labels = best.astype(np.int32)
        descending = sorted(THRESHOLDS, reverse=True)
        for number, same in itertools.groupby(descending, lambda t: np.count_nonzero(scores >= t)):
            if number > painted:
                more = [frame.instances[name][painted:number] for name in names]
                best, labels = mask_ops.paint_over_one(
                    best, labels, *more, self.config.inference.paint == "pixel"
                )
                painted = number
            yield list(same), np.asarray(labels).astype(self.labels.code_dtype)

    def scored(self, frames):
        """Yield each `Frame` in order with its {threshold of the grid: Confusion}.

        Painting is the host's work: threads do it while the network answers the next clips.
        """

        def confusions(frame):
            found = {}
            for thresholds, label_map in self.label_maps(frame):
                confusion = segmentation.Confusion(self.labels)
                confusion.update(frame.truth.label_map, label_map)
                found.update(dict.fromkeys(thresholds, confusion))
            return found

        threads, waiting = machine.cores(), collections.deque()
        with futures.ThreadPoolExecutor(threads) as pool:
            for frame in frames:
                waiting.append((frame, pool.submit(confusions, frame)))
                if len(waiting) > threads:
                    first, result = waiting.popleft()
                    yield first, result.result()
            for frame, result in waiting:
                yield frame, result.result()

    def masks(self, frame, chosen):
        """Masks of some of a frame's instances at its native size.

        Args:
          frame: a Frame.
          chosen: which of its N instances, an index for NumPy.

        Returns:
          bool [n, h, w].
        """
        height, width = frame.truth.native_size
        masks, boxes = (frame.instances[name][chosen] for name in ("masks", "boxes"))
        if not len(boxes):
            return np.zeros((0, height, width), bool)
        return mask_ops.paste(masks, boxes, height, width).numpy() >= 0.5

    def validate(self, split="val", pictures=0):
        """Choose the p(actor) threshold of best joint mIoU, and score a split with it.

        Args:
          split: as of `frames`; pictures: of how many videos to draw the first key frame.

        Returns:
          a Validation; None where the split is empty.
        """
        confusions = {t: segmentation.Confusion(self.labels) for t in THRESHOLDS}
        names, frame_tables, truths, shown = [], [], [], {}
        measured = [] if self._run_and_measure else None
        frames = tqdm(self.frames(split, measured), desc=split, unit="frame", leave=False)
        for frame, seen in self.scored(frames):
            truth = frame.truth
            for threshold, confusion in confusions.items():
                confusion.merge(seen[threshold])
            names.append(f"{truth.video}/{truth.frame:05d}")
            frame_tables.append({field: frame.table[field] for field in self._fields()})
            truths.append(dataclasses.replace(truth, label_map=None))
            if len(shown) < pictures:
                shown.setdefault(truth.video, frame)
        if not names:
            return None
        scores = {t: c.metrics()["joint"]["miou"] for t, c in confusions.items()}
        best = max(scores, key=scores.get)
        found, truth = self._detections(names, frame_tables), self._truth(names, truths)
        return Validation(
            best,
            {
                "segmentation": confusions[best].metrics(),
                **detection.evaluate(found, truth, self.labels),
            },
            confusions[best],
            {name: float(np.mean([v[name] for v in measured])) for name in (measured or [{}])[0]},
            found,
            truth,
            {self._tag(split, frame): self.picture(frame, best) for frame in shown.values()},
        )

    @staticmethod
    def _tag(split, frame):
        return f"{split}/{frame.truth.video}/{frame.truth.frame:05d}"

    def evaluate(self, split, threshold, output):
        """Score a split and write everything that the score is made of.

        Args:
          split: 'train' (without the validation videos), 'val' or 'test'.
          threshold: on p(actor), for the label maps.
          output: folder, replaced as a whole: `metrics.json`; `detections.npz`, every RoI;
            `instances.json`, COCO results of the instances with p(actor) >= FLOOR; `truth.json`;
            `label_maps/<VID>/<%05d>.png` and `label_truth/...`.

        Returns:
          the metrics, as in `metrics.json`.

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
        """`evaluate`, into a folder beside the place of the result."""
        confusion = segmentation.Confusion(self.labels)
        names, frame_tables, truths, instances = [], [], [], []
        for frame in tqdm(self.frames(split), desc=split, unit="frame", total=self._total(split)):
            truth = frame.truth
            name = f"{truth.video}/{truth.frame:05d}"
            predicted = self.label_map(frame, threshold)
            confusion.update(truth.label_map, predicted)
            for folder, image in (("label_maps", predicted), ("label_truth", truth.label_map)):
                write_png(os.path.join(partial, folder, f"{name}.png"), image)
            names.append(name)
            # Only what the score needs: the rest of a whole split would fill the memory.
            frame_tables.append({field: frame.table[field] for field in self._fields()})
            truths.append(dataclasses.replace(truth, label_map=None))
            instances += coco_results.entries(
                len(names),
                *(frame.instances[name] for name in ("boxes", "code", "score")),
                self.masks(frame, slice(None)),
            )
        if not names:
            raise InputError(
                f"{self.manifest.directory}: no record in split '{split}' "
                f"(--val_fraction={self.config.learning.val_fraction})"
            )
        found = self._detections(names, frame_tables)
        truth = self._truth(names, truths)
        found.save(os.path.join(partial, "detections.npz"))
        truth.save(os.path.join(partial, "truth.json"), self.labels)
        place = os.path.join(partial, "instances.json")
        coco_results.write(place, instances)
        results = coco_results.Results.load(place, truth, self.labels)
        metrics = {
            "segmentation": confusion.metrics(),
            **detection.evaluate(found, truth, self.labels),
            "coco": coco_eval.evaluate(results, truth),
            "score_threshold": float(threshold),
        }
        metrics["zero_shot_actor_ap"] = zero_shot.actor_aps(metrics["per_pair_ap"], self.labels)
        learning = self.config.learning
        if learning.zero_shot_actor:
            actor = self.labels.actor_index(learning.zero_shot_actor)
            metrics["zero_shot"] = zero_shot.figures(
                found, truth, self.labels, actor, metrics["per_pair_ap"], learning.seed
            )
        tables.write_metrics(metrics, os.path.join(partial, "metrics.json"))
        return metrics

    def _total(self, split):
        fraction = self.config.learning.val_fraction
        if split == "test" or (split == "train" and not fraction):
            return self.manifest.counts[split]["records"]
        return None

    def _fields(self):
        """What of a frame's table `detection.Detections` takes."""
        mode = self.config.model.label_mode
        fields = ["boxes", "actor_scores", "action_scores"]
        fields += ["joint_scores"] * (mode != "decoupled") + ["joint_boxes"] * (mode == "cartesian")
        return fields

    def _detections(self, names, frame_tables):
        def gather(key):
            # Popped: boxes of every pair of every RoI are gigabytes, and need not be there twice.
            values = np.concatenate([table.pop(key) for table in frame_tables])
            return values[..., [1, 0, 3, 2]] if key.endswith("boxes") else values

        rows = [len(table["boxes"]) for table in frame_tables]
        arrays = {field: gather(field) for field in self._fields()}
        return detection.Detections(names, np.repeat(np.arange(len(names)), rows), **arrays)

    def _truth(self, names, truths):
        counts = [len(truth.codes) for truth in truths]
        boxes = np.concatenate([truth.boxes for truth in truths])[:, [1, 0, 3, 2]]
        codes = np.concatenate([truth.codes for truth in truths])
        masks = [
            {**rle, "counts": rle["counts"].decode()} for truth in truths for rle in truth.rles
        ]
        return detection.Truth(
            names,
            np.repeat(np.arange(len(names)), counts),
            boxes,
            codes,
            sizes=[truth.native_size for truth in truths],
            masks=masks,
        )

    def pictures(self, split, threshold, limit):
        """Truth | prediction | flow of the first key frame of so many videos of the split.

        Returns:
          {split/VID/frame: uint8 [H, 3 W, 3]}.
        """
        images, seen = {}, set()
        for frame in self.frames(split) if limit else ():
            if frame.truth.video not in seen:
                seen.add(frame.truth.video)
                images[self._tag(split, frame)] = self.picture(frame, threshold)
            if len(seen) == limit:
                break
        return images

    def picture(self, frame, threshold):
        """One frame's truth, prediction and flow side by side: uint8 [H, 3 W, 3], native size."""
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


def write_png(path, image):
    """Write an image, and the folders it lies in."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not cv2.imwrite(path, image):
        raise InputError(f"{path}: cannot be written; is the disk full?")
