"""Score label maps, detections, tracked objects or bouts.

  a2d score segmentation --truth DIR --predicted DIR --output metrics.json
  a2d score detection --truth COCO.json --predicted detections.npz --output metrics.json
  a2d score detection --truth COCO.json --predicted results.json --output metrics.json
  a2d score objects --truth COCO.json --predicted LIBRARY --output metrics.json
  a2d score bouts --truth events.tsv --predicted LIBRARY --output metrics.json
  a2d score bouts --truth events.tsv --predicted other.tsv --output metrics.json

Label maps and detections are scored by the protocol of the paper's tables.

Label maps are <VID>/<frame>.png: single-channel PNGs of codes, or RGB PNGs in the
colours of the label space. `--labels FILE.json` names a label space other than A2D's.

results.json is in COCO's results format, as other methods write it: a list of
{"image_id", "category_id" (the code of a pair), "score", "bbox" or "segmentation"}. It
gives the joint figures of the same protocol, and COCO's AP of boxes and masks.

Objects says which annotated instances the tracks of predictions find, as pages show
it. COCO.json is truth.json of a2d evaluate. Beside the metrics file it writes
behaviours.csv, confusion.png and label maps of the tracks.

Bouts compares events of BORIS (tabular or aggregated, or its project) with predictions,
or with the events of a second coder in other.tsv.

--zero_shot_actor=cat scores a model that was trained without the action labels of cats;
--full=FULL/detections.npz, of the full model, gives the ratio of the two (Eq. 3).
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.behaviour import (
    agreement,
    bouts,
    coder_agreement,
    objects_in_tracks,
    prediction_folder,
)
from a2d_tf.behaviour.comparison import Comparison
from a2d_tf.core.command import command_flags, command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_bytes, write_json
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation import behaviour_files, box_data, label_maps, scored_rois
from a2d_tf.evaluation.metrics import (
    behaviour_counts,
    registry,
    segmentation,
    summaries,
)
from a2d_tf.evaluation.metrics.metric import PIXELS, RESULTS, ROIS, SplitData
from a2d_tf.tracking.bout_lengths import BoutLengths

if TYPE_CHECKING:
    from a2d_tf.evaluation.evaluated_frames import Frame

FLAGS = command_line.Register()
FLAGS.define_string(
    "truth", None, "Folder of label maps, COCO JSON of boxes, or events of BORIS."
)
FLAGS.define_string(
    "predicted",
    None,
    "Folder of label maps; detections.npz or COCO results (.json); library; or"
    " events of a second coder.",
)
FLAGS.define_string("output", None, "Metrics file (JSON, percent) to write.")
FLAGS.define_string("labels", None, "Label space (JSON); by default A2D's.")
FLAGS.define_string("zero_shot_actor", None, "Actor whose action labels were withheld.")
FLAGS.define_string(
    "full", None, "detections.npz of the full model, for the zero-shot ratio."
)
FLAGS.define_integer("seed", 0, "Random seed for zero-shot chance.")
FLAGS.define_float(
    "fps",
    None,
    "Images a second of predicted folders of images; by default BORIS' rate.",
    1e-3,
    1e6,
)
_MIN_BOUT, _MERGE_GAP = command_flags.define_bout_lengths(FLAGS)


class _LabelMapFrame(NamedTuple):
    """All that a metric that needs PIXELS reads of an `evaluated_frames.Frame`."""

    pixel_counts: dict[float, segmentation.PixelCounts]


def score_segmentation(truth: str, predicted: str, label_space: LabelSpace) -> dict:
    """Score a folder of label maps against another.

    Raises:
      InputError: a folder or a prediction is missing, or a label map cannot be used.
    """
    # Copies made on a Mac have a ._NAME beside NAME.
    paths = pathlib.Path(truth).glob("*/[!.]*.png")
    names = sorted(path.relative_to(truth) for path in paths)
    if not names:
        raise InputError(f"--truth: {truth} contains no label maps <VID>/<frame>.png")
    split = SplitData()
    metrics = [metric(label_space) for metric in registry.computable(PIXELS)]
    for name in names:
        true_path = pathlib.Path(truth, name)
        predicted_path = pathlib.Path(predicted, name)
        try:
            true_map = label_maps.read_label_map(true_path, label_space)
            predicted_map = label_maps.read_label_map(predicted_path, label_space)
            counts = segmentation.count_pixels(true_map, predicted_map)
            frame = _LabelMapFrame({split.threshold: counts})
            for metric in metrics:
                metric.update(cast("Frame", frame))
        except (InputError, OSError) as error:
            raise InputError(f"{true_path}, {predicted_path}: {error}") from error
    scores = registry.results(metrics, split)
    if not scores:
        raise InputError(f"--truth: no label map in {truth} shows an object")
    return scores


def score_results(truth: str, predicted: str, label_space: LabelSpace) -> dict:
    """Score COCO results against COCO JSON of the ground truth.

    Raises:
      InputError: a file cannot be used.
    """
    true_boxes = box_data.Truth.load(truth, label_space)
    results = box_data.Results.load(predicted, true_boxes, label_space)
    split = SplitData(truth=true_boxes, results=results)
    metrics = [metric(label_space) for metric in registry.computable(RESULTS)]
    return registry.results(metrics, split)


def score_detections(
    truth: str,
    predicted: str,
    label_space: LabelSpace,
    *,
    zero_shot_actor: str = "",
    full: str | None = None,
    seed: int = 0,
) -> dict:
    """Score `detections.npz` against COCO JSON of the ground truth.

    Args:
      zero_shot_actor: the actor whose action labels were withheld; '' for none.
      full: path of the full model's `detections.npz`, to compare with.
      seed: for the zero-shot chance.

    Raises:
      InputError: a file or an option cannot be used.
    """
    split = SplitData(
        truth=box_data.Truth.load(truth, label_space),
        rois=scored_rois.ScoredRois.load(predicted),
        zero_shot_actor=zero_shot_actor,
        seed=seed,
        full=scored_rois.ScoredRois.load(full) if full else None,
    )
    metrics = [metric(label_space) for metric in registry.computable(ROIS)]
    return registry.results(metrics, split)


def score_objects(
    truth: str, predicted: str, label_space: LabelSpace, output: str
) -> dict:
    """Score the tracks of a library, and write further tables beside the metrics file.

    Raises:
      InputError: a file cannot be used, or a video has no prediction.
    """
    folder = pathlib.Path(output).parent
    metrics = objects_in_tracks.score(
        box_data.Truth.load(truth, label_space), predicted, label_space, folder
    )
    behaviour_files.write(folder, metrics, label_space)
    return metrics


def score_bouts(
    truth: str, predicted: str, fps: float | None, lengths: BoutLengths
) -> Comparison:
    """Compare coded bouts with those of predictions, or of a second coder.

    Args:
      truth: a file of coded times.
      predicted: a library or a prediction; or a file of coded times.
      fps: as for `agreement.compare` and `coder_agreement.compare_coders`.
      lengths: how short predicted bouts and their gaps may be.

    Raises:
      InputError: a file cannot be used, or the two do not fit each other.
    """
    if os.path.isfile(predicted):
        if not lengths.are_unlimited:
            raise InputError(
                f"--min_bout, --merge_gap: are for predictions, and {predicted} is a"
                " file of coded times"
            )
        return coder_agreement.compare_coders(
            bout_files.read(truth), bout_files.read(predicted), fps
        )
    folders = prediction_folder.folders_of([predicted])
    observations = bout_files.read(truth)
    return agreement.compare(observations, bouts.read_all(folders), fps, lengths)


class _Scored(NamedTuple):
    """The scores of a method: the contents of the metrics file, and their text."""

    metrics: dict
    text: str


def main(argv: list[str]) -> None:
    """Score by the method of the command line; write the metrics and print them."""
    if len(argv) != 2 or argv[1] not in _METHODS:
        raise InputError(
            "expected one argument: segmentation, detection, objects or bouts"
        )
    method = argv[1]
    command_line.require(
        [], truth=FLAGS.truth, predicted=FLAGS.predicted, output=FLAGS.output
    )
    _check_flags(method)
    label_space = A2D
    if FLAGS.labels:
        label_space = LabelSpace.from_json(FLAGS.labels)
    scored = _METHODS[method](label_space)
    write_json(FLAGS.output, scored.metrics, sort_keys=True)
    print(scored.text)


def _check_flags(method: str) -> None:
    """Raise InputError if a flag is for another method."""
    for flag in (FLAGS["fps"], _MIN_BOUT, _MERGE_GAP):
        if flag.value and method != "bouts":
            raise InputError(f"--{flag.name} is for bouts")
    if FLAGS.full or FLAGS.zero_shot_actor:
        reads_rois = method == "detection" and not _are_coco_results()
        if not reads_rois or not FLAGS.zero_shot_actor:
            raise InputError(
                "--zero_shot_actor, and --full with it, need a detections.npz"
            )


def _are_coco_results() -> bool:
    """Return whether --predicted is a file of COCO results, not a detections.npz."""
    return FLAGS.predicted.endswith(".json")


def _segmentation(label_space: LabelSpace) -> _Scored:
    metrics = score_segmentation(FLAGS.truth, FLAGS.predicted, label_space)
    return _Scored(metrics, summaries.table(metrics))


def _detection(label_space: LabelSpace) -> _Scored:
    if _are_coco_results():
        metrics = score_results(FLAGS.truth, FLAGS.predicted, label_space)
    else:
        metrics = score_detections(
            FLAGS.truth,
            FLAGS.predicted,
            label_space,
            zero_shot_actor=FLAGS.zero_shot_actor or "",
            full=FLAGS.full,
            seed=FLAGS.seed,
        )
    return _Scored(metrics, summaries.table(metrics))


def _objects(label_space: LabelSpace) -> _Scored:
    metrics = score_objects(FLAGS.truth, FLAGS.predicted, label_space, FLAGS.output)
    return _Scored(metrics, "\n".join(behaviour_counts.sentences(metrics).values()))


def _bouts(_: LabelSpace) -> _Scored:
    """Compare bouts, whose actions need no label space, and draw their confusion."""
    lengths = BoutLengths(_MIN_BOUT.value, _MERGE_GAP.value)
    comparison = score_bouts(FLAGS.truth, FLAGS.predicted, FLAGS.fps, lengths)
    second = "second coder" if os.path.isfile(FLAGS.predicted) else "predicted"
    _write_confusion(comparison, second)
    tables = [table.text() for table in comparison.tables(second)]
    return _Scored(dataclasses.asdict(comparison), "\n\n".join(tables))


def _write_confusion(comparison: Comparison, second: str) -> None:
    """Write the confusion matrix of frames as a picture beside the metrics file."""
    from a2d_tf.evaluation.reports import charts

    picture = charts.confusion(
        np.array(comparison.frames["confusion"]),
        comparison.frames["names"],
        title="Frames",
        columns=second,
    )
    write_bytes(pathlib.Path(FLAGS.output).with_suffix(".png"), picture)


_METHODS: dict[str, Callable[[LabelSpace], _Scored]] = {
    "segmentation": _segmentation,
    "detection": _detection,
    "objects": _objects,
    "bouts": _bouts,
}
"""{argument of the command: what scores by it}"""

run = command_line.command(main, FLAGS)
