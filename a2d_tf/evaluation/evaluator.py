"""Run a network over a split of the records and score it at the videos' native size."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator
from concurrent import futures
from typing import NamedTuple

from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json, write_text
from a2d_tf.core.folders import check_output_folder, whole_folder
from a2d_tf.core.machine import workers
from a2d_tf.core.settings.config import Config
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.evaluation.boxes.instance_tables import Results, Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.frames.collected_frames import Collected
from a2d_tf.evaluation.frames.evaluated_frames import Frame
from a2d_tf.evaluation.frames.label_maps import write_maps
from a2d_tf.evaluation.frames.network_frames import FrameMaker, NetworkFrames
from a2d_tf.evaluation.frames.painted_maps import label_map, label_maps
from a2d_tf.evaluation.metrics import segmentation
from a2d_tf.evaluation.metrics.metric import SplitData
from a2d_tf.evaluation.metrics.registry import METRICS, figures_at, results
from a2d_tf.evaluation.own_labels import behaviour_files
from a2d_tf.evaluation.own_labels.object_scores import pairs_of_metrics
from a2d_tf.model.network import Network
from a2d_tf.runs import chosen_threshold, scores

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""The thresholds of p(actor) among which a validation chooses."""
FLOOR = 0.05
"""The least p(actor) of an instance.

It is below every threshold, yet high enough to limit the number of masks.
"""
_MARKS = (scores.METRICS, scores.TRUTH)  # a folder of scores has these


class _WrittenFrame(NamedTuple):
    """A frame whose label maps are written.

    Attributes:
      frame: the frame.
      entries: its instances as entries of COCO's results.
    """

    frame: Frame
    entries: list[dict]


@dataclasses.dataclass(frozen=True)
class Validation:
    """The scores of a network on the videos that a training holds out.

    Attributes:
      frames: the number of key frames that were scored.
      threshold: the least p(actor) of an instance that counts, chosen by
        `chosen_threshold.choose` as the best one in these frames.
      figures: {threshold: figure in percent}, for each of THRESHOLDS the figure by
        which the threshold is chosen, such as the joint mIoU, see
        `registry.figures_at`.
      metrics: the contents of a `metrics.json`, without the metrics that are too slow
        for a validation: segmentation at the chosen threshold, detection, the AP of
        each class.
      pictures: {"<split>/<VID>/<frame>": RGB uint8 [H, 3 W, 3]}, the true instances,
        the predicted ones and the optical flow of a key frame side by side.
    """

    frames: int
    threshold: float
    figures: dict[float, float]
    metrics: dict
    pictures: dict

    @property
    def score(self) -> float:
        """The figure that validations maximize, at the chosen threshold, in percent.

        It is the joint mIoU, or the F1 of boxes if there are no label maps. A training
        keeps the weights whose validation has the highest one.
        """
        return self.figures[self.threshold]


class Evaluator:
    """Scores a network on splits of the records, in validations and in `a2d evaluate`.

    The weights of the network may change between calls. The records may have more
    labels than the network: objects with these count as missed.

    Args:
      network: the network, whose labels are all among those of the records.
      config: the settings of the run: size of the input, batch, inference, training.
      manifest: the manifest of the records to read.
    """

    def __init__(self, network: Network, config: Config, manifest: Manifest) -> None:
        self.network = network
        self.config = config
        self.manifest = manifest
        self.labels = manifest.label_space
        self.network_frames = NetworkFrames(network, config, manifest, FLOOR)
        # Threads work on frames while the network processes the next batch.
        self._ahead = 2 * config.training.evaluation_batch

    def scored(self, frame_makers: Iterable[FrameMaker]) -> Iterator[Frame]:
        """Make frames in threads, and count the pixels of their label maps.

        They are counted at each threshold of p(actor) from .1 to .9 (THRESHOLDS).

        Args:
          frame_makers: functions that return a frame each, of `NetworkFrames.makers`.

        Yields:
          each frame in order; its `pixel_counts` are filled if its true label map is
          complete.
        """

        def score(make_frame: FrameMaker) -> Frame:
            frame = make_frame()
            if frame.truth.is_complete:
                for painted in label_maps(frame, THRESHOLDS, self.labels):
                    counts = segmentation.count_pixels(
                        frame.truth.label_map, painted.label_map
                    )
                    for threshold in painted.thresholds:
                        frame.pixel_counts[threshold] = counts
            return frame

        yield from workers.in_threads(score, frame_makers, self._ahead)

    def _split_data(
        self,
        threshold: float,
        rois: ScoredRois,
        truth: Truth,
        instances: Results | None = None,
    ) -> SplitData:
        """Return the data of a split from which metrics compute their results.

        Args:
          threshold: the least p(actor) of an instance in label maps and tracks.
          rois: every RoI of the split.
          truth: the true instances of the split.
          instances: the predicted instances; None in a validation.
        """
        return SplitData(
            threshold=threshold,
            joint=self.network.label_mode.is_joint,
            truth=truth,
            rois=rois,
            results=instances,
            zero_shot_actor=self.config.training.zero_shot_actor,
            seed=self.config.training.seed,
        )

    def validate(
        self, split: str = "val", pictures: int = 0, most: int | None = None
    ) -> Validation | None:
        """Choose the best threshold of p(actor) for a split, and score the split at it.

        A training calls this from time to time; nothing is written.

        Args:
          split: "train" (without the validation videos), "val" or "test".
          pictures: number of videos of which the first key frame is drawn.
          most: number of frames to score, the first ones of the split; None for all.

        Returns:
          the scores; None if the split is empty.
        """
        if split == "val" and not self.config.training.val_fraction:
            # no video is held out: the training split need not be read to see it
            return None
        collected = Collected(self.network.label_mode.columns)
        metrics = [metric(self.labels) for metric in METRICS if metric.validates]
        pictured: dict[str, Frame] = {}  # by video
        scored = self.scored(itertools.islice(self.network_frames.makers(split), most))
        for frame in progress_bar(scored, desc=split, unit="frame", leave=False):
            for metric in metrics:
                metric.update(frame)
            collected.add(frame)
            if len(pictured) < pictures:
                pictured.setdefault(frame.truth.video, frame)
        if not collected.truths:
            return None
        figures = figures_at(metrics, THRESHOLDS)
        threshold = chosen_threshold.choose(figures)
        data = self._split_data(threshold, collected.rois(), collected.truth())
        drawn = {}
        for frame in pictured.values():
            picture = frame.picture(threshold, self.labels)
            drawn[f"{split}/{frame.truth.name}"] = picture
        return Validation(
            frames=len(collected.truths),
            threshold=threshold,
            figures=figures,
            metrics=results(metrics, data),
            pictures=drawn,
        )

    def evaluate(
        self,
        split: str,
        threshold: float,
        output: str,
        notes: dict | None = None,
        origin: dict | None = None,
        *,
        true_boxes: bool = False,
    ) -> dict:
        """Score a split; write the scores and all that they are computed from.

        The folder gets `metrics.json`, all figures; `truth.json`, the true instances as
        COCO JSON; `detections.npz`, every RoI (see `ScoredRois`); `instances.json`, the
        instances as COCO results, those with a p(actor) of .05 (FLOOR) or more, or of
        the threshold if that is lower; `label_maps/<VID>/<frame>.png`, the predicted
        label maps; `label_truth/<VID>/<frame>.png`, the true ones of frames whose every
        instance has a mask; `origin.json`, if there is an `origin`; and with labels
        other than A2D's `behaviours.csv` and `confusion.png`.

        Args:
          split: "train" (without the validation videos), "val" or "test".
          threshold: the least p(actor) of an instance in label maps and tracks.
          output: the folder to write; an older folder of scores is replaced as a whole.
          notes: further fields of `metrics.json`.
          origin: the contents of `origin.json`, which say from what the scores come,
            see `runs.scores.origin`; None for no such file.
          true_boxes: whether the network also labels the true boxes, and these labels
            are scored, too.

        Returns:
          the contents of `metrics.json`.

        Raises:
          InputError: the split is empty, or something else than scores is at `output`.
        """
        check_output_folder(output, _MARKS, "a folder of scores")
        with whole_folder(output) as partial:
            if origin is not None:
                write_json(os.path.join(partial, scores.ORIGIN), origin)
            frame_makers = self.network_frames.makers(split, true_boxes)
            folder_path = pathlib.Path(partial)
            return self._evaluate(split, frame_makers, threshold, folder_path, notes)

    def _evaluate(
        self,
        split: str,
        frame_makers: Iterable[FrameMaker],
        threshold: float,
        folder: pathlib.Path,
        notes: dict | None,
    ) -> dict:
        """Score frames, and write the files of `evaluate` into a temporary folder."""
        collected = Collected(self.network.label_mode.columns)
        metrics = [metric(self.labels) for metric in METRICS]
        instances: list[dict] = []

        def write_frame(numbered: tuple[int, FrameMaker]) -> _WrittenFrame:
            """Write a frame's label maps, and count its pixels.

            They are also counted at the default threshold, at which networks compare.
            """
            number, make_frame = numbered
            frame = make_frame()
            prediction = label_map(frame, threshold, self.labels)
            truth = None
            if frame.truth.is_complete:
                truth = frame.truth.label_map
                for counted in {threshold, chosen_threshold.DEFAULT}:
                    painted = prediction
                    if counted != threshold:
                        painted = label_map(frame, counted, self.labels)
                    counts = segmentation.count_pixels(truth, painted)
                    frame.pixel_counts[counted] = counts
            write_maps(folder, frame.truth.name, truth=truth, prediction=prediction)
            return _WrittenFrame(frame, frame.entries(number))

        total = self.manifest.counts[split]["records"] if split == "test" else None
        frames = workers.in_threads(
            write_frame, enumerate(frame_makers, 1), self._ahead
        )
        # Closed, so that the threads stop writing when this loop is interrupted.
        with contextlib.closing(frames):
            for written in progress_bar(frames, desc=split, unit="frame", total=total):
                collected.add(written.frame)
                instances += written.entries
                for metric in metrics:
                    metric.update(written.frame)
        if not collected.truths:
            raise InputError(
                f"{self.manifest.directory}: no records in split '{split}' "
                f"(--val_fraction={self.config.training.val_fraction})"
            )
        rois = collected.rois()
        truth = collected.truth()
        truth.save(folder / scores.TRUTH, self.labels)
        write_text(folder / "instances.json", json.dumps(instances))
        coco_results = Results.of_entries(instances, truth)
        data = self._split_data(threshold, rois, truth, coco_results)
        with futures.ThreadPoolExecutor(1) as pool:
            # Compressing releases Python's lock. The others would take turns.
            saved = pool.submit(rois.save, folder / "detections.npz")
            figures = results(metrics, data)
            saved.result()
        figures.update(notes or {}, score_threshold=float(threshold))
        if "behaviours" in figures:
            pairs = pairs_of_metrics(figures)
            behaviour_files.write(folder, pairs, figures["mistakes"], self.labels)
        write_json(folder / scores.METRICS, figures, sort_keys=True)
        return figures
