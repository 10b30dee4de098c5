"""Score label maps or detections by the protocol of the paper's tables, or predictions over time.

  python tools/score.py segmentation --truth DIR --predicted DIR --output metrics.json
  python tools/score.py detection --truth COCO.json --predicted detections.npz --output metrics.json
  python tools/score.py detection --truth COCO.json --predicted results.json --output metrics.json
  python tools/score.py tracks --truth YOUTUBE_VIS.json --predicted PREDICTION --output metrics.json

Label maps are <VID>/<frame>.png: single-channel PNGs of codes, or RGB PNGs in the colours of the
label space. `--labels FILE.json` names a label space other than A2D's.

results.json is in COCO's results format, as other methods write it: a list of {"image_id",
"category_id" (the code of a pair), "score", "bbox" or "segmentation"}. It gives the joint figures
of the same protocol, COCO's AP of boxes and masks, and precision at IoU and mean IoU of the best
mask of each pair.

Predictions over time are folders of a2d_tf.predict, or a library of them; --predicted may be
repeated. They are scored in the frames that the truth annotates, videos going by their names: HOTA,
IDF1, STQ, AP of tubes and label changes (docs/scoring.md).

For a model trained without the action labels of an actor: --zero_shot_actor=cat, and the full
model's --full=FULL/detections.npz for the ratio of the two (Eq. 3).
"""

from __future__ import annotations

import os
import pathlib

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import check_inside
from a2d_tf.core.labels import A2D, LabelSpace
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
from a2d_tf.evaluation import track_metrics as over_time
from a2d_tf.evaluation.reports import tables

flags.DEFINE_string(
    "truth", None, "Folder of true label maps; COCO JSON of true boxes; YouTube-VIS JSON of tracks."
)
flags.DEFINE_multi_string(
    "predicted",
    None,
    "Folder of predicted label maps; detections.npz or COCO results (*.json); predictions of "
    "videos or libraries of them: tracks takes several.",
)
flags.DEFINE_string("output", None, "Metrics file (JSON, percent) to write.")
flags.DEFINE_string(
    "labels", None, "Label space (JSON); by default A2D's, for tracks that of the predictions."
)
flags.DEFINE_string("zero_shot_actor", None, "Actor whose action labels were withheld.")
flags.DEFINE_string("full", None, "detections.npz of the full model, for the zero-shot ratio.")
flags.DEFINE_integer("seed", 0, "Seed of the shuffles for zero-shot chance.")


def score_segmentation(
    truth: str | os.PathLike, predicted: str | os.PathLike, label_space: LabelSpace
) -> dict:
    """Score a folder of label maps against another.

    Raises:
      InputError: a folder or a prediction is missing, or a label map cannot be used.
    """
    truth, predicted = pathlib.Path(truth), pathlib.Path(predicted)
    for flag, folder in (("truth", truth), ("predicted", predicted)):
        if not folder.is_dir():
            raise InputError(f"--{flag}: {folder} is not a folder")
    # Copies made on a Mac have a ._NAME beside NAME.
    names = sorted(path.relative_to(truth) for path in truth.glob("*/[!.]*.png"))
    if not names:
        raise InputError(f"--truth: {truth} holds no label maps <VID>/<frame>.png")
    missing = [name for name in names if not (predicted / name).is_file()]
    if missing:
        raise InputError(
            f"{predicted / missing[0]}: missing; {len(missing)} of the {len(names)} frames of the "
            "truth have no prediction"
        )
    for folder in (truth, predicted):
        for name in names:  # a link to the truth would be a perfect prediction
            check_inside(folder / name, folder, "put the label map there")
    confusion = segmentation.Confusion(label_space)
    for name in names:
        maps = [
            segmentation.read_label_map(folder / name, label_space) for folder in (truth, predicted)
        ]
        try:
            confusion.update(*maps)
        except InputError as error:
            raise InputError(f"{truth / name} against {predicted / name}: {error}") from error
    return {"segmentation": confusion.metrics()}


def score_detection(
    truth: str,
    predicted: str,
    label_space: LabelSpace,
    *,
    zero_shot_actor: str | None = None,
    full: str | None = None,
    seed: int = 0,
) -> dict:
    """Score `detections.npz` or COCO results against COCO JSON of the ground truth.

    Args:
      truth, predicted: paths.
      label_space: of both.
      zero_shot_actor: name of the actor whose action labels were withheld.
      full: path of the full model's `detections.npz`.
      seed: of the shuffles for chance.

    Raises:
      InputError: a file or an option cannot be used.
    """
    if full and not zero_shot_actor:
        raise InputError("--full needs --zero_shot_actor, the actor whose figures are compared")
    if predicted.endswith(".json"):
        if zero_shot_actor:
            raise InputError(
                "--zero_shot_actor needs --predicted=detections.npz: COCO results have no action "
                "scores to compare with chance; see zero_shot_actor_ap for their APs"
            )
        ground_truth = box_data.Truth.load(truth, label_space, with_masks=True)
        results = coco_results.Results.load(predicted, ground_truth, label_space)
        metrics = detection.metrics_of_results(results, ground_truth, label_space)
        metrics["coco"] = coco_eval.metrics_of(results, ground_truth)
        metrics["best_masks"] = best_masks.metrics_of(results, ground_truth)
    else:
        ground_truth = box_data.Truth.load(truth, label_space)
        detections = box_data.Detections.load(predicted)
        full_detections = box_data.Detections.load(full) if full else None
        metrics = detection.metrics_of(detections, ground_truth, label_space)
        metrics["calibration"] = calibration.metrics_of(detections, ground_truth, label_space)
        if zero_shot_actor:
            metrics["zero_shot"] = zero_shot.figures(
                detections,
                ground_truth,
                label_space,
                label_space.actor_index(zero_shot_actor),
                per_pair_ap=metrics["per_pair_ap"],
                seed=seed,
                full=full_detections,
            )
    metrics["zero_shot_actor_ap"] = zero_shot.actor_aps(metrics["per_pair_ap"], label_space)
    return metrics


def score_tracks(truth: str, predicted: list[str], label_space: LabelSpace | None) -> dict:
    """Score predictions of videos over time, and print what was not scored.

    Args:
      truth: path of YouTube-VIS's JSON.
      predicted: folders of predictions, or of libraries.
      label_space: of both; by default that of the predictions.

    Raises:
      InputError: a file cannot be used, or the two sides do not match.
    """
    # Late: it loads what decodes videos.
    from a2d_tf.video import scoring

    annotated = scoring.Truth(truth)
    videos, label_space, notes = scoring.read(annotated, scoring.folders(predicted), label_space)
    for note in notes:
        print(note)
    return {"over_time": over_time.metrics_of(videos, label_space)}


def main(argv: list[str]) -> None:
    """Run the command."""
    args = flags.FLAGS
    if len(argv) != 2 or argv[1] not in ("segmentation", "detection", "tracks"):
        raise InputError(
            "the first word must be segmentation, detection or tracks, and the only one"
        )
    for name in ("truth", "predicted", "output"):
        if not args[name].value:
            raise InputError(f"--{name} is missing")
    for name in ("zero_shot_actor", "full"):
        if argv[1] != "detection" and args[name].present:
            raise InputError(f"--{name}: {argv[1]} does not use it; leave it out")
    label_space = LabelSpace.from_json(args.labels) if args.labels else None
    if argv[1] == "tracks":
        metrics = score_tracks(args.truth, args.predicted, label_space)
        tables.write_metrics(metrics, args.output)
        print(tables.over_time(metrics["over_time"]))
        return
    predicted, *others = args.predicted
    if others:
        raise InputError(f"--predicted={others[0]}: one too many; only tracks takes several")
    if argv[1] == "segmentation":
        metrics = score_segmentation(args.truth, predicted, label_space or A2D)
    else:
        metrics = score_detection(
            args.truth,
            predicted,
            label_space or A2D,
            zero_shot_actor=args.zero_shot_actor,
            full=args.full,
            seed=args.seed,
        )
    tables.write_metrics(metrics, args.output)
    print(tables.table(metrics))


run = command_line.command(main)


if __name__ == "__main__":
    run()
