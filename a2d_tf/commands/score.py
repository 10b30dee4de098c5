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
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.behaviour import objects_in_tracks
from a2d_tf.behaviour.comparison import Comparison
from a2d_tf.commands.scoring import bout_scores, box_scores, label_map_scores
from a2d_tf.core.command import command_flags, command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_bytes, write_json
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.boxes import instance_tables
from a2d_tf.evaluation.metrics import summaries
from a2d_tf.evaluation.own_labels import behaviour_files, sentences
from a2d_tf.tracking.bout_lengths import BoutLengths

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
FLAGS.define_string(
    "output", None, "JSON file in which the scores are written, in percent."
)
FLAGS.define_string(
    "labels",
    None,
    "JSON file with the list of all actors and actions; by default those of A2D.",
)
FLAGS.define_string(
    "zero_shot_actor",
    None,
    "Actor whose action labels the scored model was not trained with; by default there"
    " is none.",
)
FLAGS.define_string(
    "full",
    None,
    "detections.npz of the model that was trained with all labels, to compute the ratio"
    " of --zero_shot_actor; by default no ratio is computed.",
)
FLAGS.define_integer(
    "seed",
    0,
    "Random seed of the guessed actions that --zero_shot_actor is compared with.",
)
FLAGS.define_float(
    "fps",
    None,
    "Images a second of predicted folders of images; by default BORIS' rate.",
    1e-3,
    1e6,
)
_MIN_BOUT, _MERGE_GAP = command_flags.define_bout_lengths(FLAGS)


class _Scores(NamedTuple):
    """The scores of a method.

    Attributes:
      metrics: the contents of the metrics file.
      text: the text to print.
    """

    metrics: dict[str, Any]
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
    scores = _METHODS[method](label_space)
    write_json(FLAGS.output, scores.metrics, sort_keys=True)
    print(scores.text)


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


def _score_segmentation(label_space: LabelSpace) -> _Scores:
    metrics = label_map_scores.score(FLAGS.truth, FLAGS.predicted, label_space)
    return _Scores(metrics, summaries.table(metrics))


def _score_detection(label_space: LabelSpace) -> _Scores:
    if _are_coco_results():
        metrics = box_scores.score_results(FLAGS.truth, FLAGS.predicted, label_space)
    else:
        metrics = box_scores.score_detections(
            FLAGS.truth,
            FLAGS.predicted,
            label_space,
            zero_shot_actor=FLAGS.zero_shot_actor or "",
            full=FLAGS.full,
            seed=FLAGS.seed,
        )
    return _Scores(metrics, summaries.table(metrics))


def _score_objects(label_space: LabelSpace) -> _Scores:
    """Score the tracks of a library, and write tables beside the metrics file."""
    folder = pathlib.Path(FLAGS.output).parent
    truth = instance_tables.Truth.load(FLAGS.truth, label_space)
    scores = objects_in_tracks.score(truth, FLAGS.predicted, label_space, folder)
    behaviour_files.write(folder, scores.pairs, scores.mistakes, label_space)
    lines = sentences.of_pairs(scores.pairs, "frames").values()
    return _Scores(scores.to_json(), "\n".join(lines))


def _score_bouts(_: LabelSpace) -> _Scores:
    """Compare bouts, whose actions need no label space, and draw their confusion."""
    lengths = BoutLengths(_MIN_BOUT.value, _MERGE_GAP.value)
    comparison = bout_scores.compare(
        FLAGS.truth, FLAGS.predicted, fps=FLAGS.fps, lengths=lengths
    )
    second = "second coder" if os.path.isfile(FLAGS.predicted) else "predicted"
    _write_confusion(comparison, second)
    tables = [table.text() for table in comparison.tables(second)]
    return _Scores(dataclasses.asdict(comparison), "\n\n".join(tables))


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


_METHODS: dict[str, Callable[[LabelSpace], _Scores]] = {
    "segmentation": _score_segmentation,
    "detection": _score_detection,
    "objects": _score_objects,
    "bouts": _score_bouts,
}
"""{argument of the command: its method}."""

run = command_line.command(main, FLAGS)
