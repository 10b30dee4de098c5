"""Score label maps or detections by the protocol of the paper's tables.

  python tools/score.py segmentation --truth DIR --predicted DIR --output metrics.json
  python tools/score.py detection --truth COCO.json --predicted detections.npz --output metrics.json
  python tools/score.py detection --truth COCO.json --predicted results.json --output metrics.json
  python tools/score.py bouts --truth events.tsv --predicted LIBRARY --output metrics.json

Label maps are <VID>/<frame>.png: single-channel PNGs of codes, or RGB PNGs in the colours of the
label space. `--labels FILE.json` names a label space other than A2D's.

results.json is in COCO's results format, as other methods write it: a list of {"image_id",
"category_id" (the code of a pair), "score", "bbox" or "segmentation"}. It gives the joint figures
of the same protocol, and COCO's AP of boxes and masks.

events.tsv holds the aggregated events of BORIS; their bouts are compared with those of predictions.

For a model trained without the action labels of an actor: --zero_shot_actor=cat, and the full
model's --full=FULL/detections.npz for the ratio of the two (Eq. 3).
"""

from __future__ import annotations

import pathlib
import types

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation import box_data, label_maps
from a2d_tf.evaluation import metrics as registry
from a2d_tf.evaluation.metrics import segmentation
from a2d_tf.video import predictions
from a2d_tf.video.views import agreement, bouts

flags.DEFINE_string(
    "truth",
    None,
    "Folder of true label maps; COCO JSON of true boxes; or BORIS' aggregated events.",
)
flags.DEFINE_string(
    "predicted",
    None,
    "Folder of predicted label maps; detections.npz or COCO results (*.json); or a prediction or "
    "library of them.",
)
flags.DEFINE_string("output", None, "Metrics file (JSON, percent) to write.")
flags.DEFINE_string("labels", None, "Label space (JSON); by default A2D's.")
flags.DEFINE_string("zero_shot_actor", None, "Actor whose action labels were withheld.")
flags.DEFINE_string("full", None, "detections.npz of the full model, for the zero-shot ratio.")
flags.DEFINE_integer("seed", 0, "Seed of the shuffles for zero-shot chance.")


def score_segmentation(truth: str, predicted: str, label_space: LabelSpace) -> dict:
    """Score a folder of label maps against another.

    Raises:
      InputError: a folder or a prediction is missing, or a label map cannot be used.
    """
    folders = [pathlib.Path(truth), pathlib.Path(predicted)]
    # Copies made on a Mac have a ._NAME beside NAME.
    names = sorted(path.relative_to(truth) for path in folders[0].glob("*/[!.]*.png"))
    if not names:
        raise InputError(f"--truth: {truth} holds no label maps <VID>/<frame>.png")
    split = registry.Split(label_space)
    metrics = [metric(split) for metric in registry.registered("segmentation")]
    for name in names:
        try:
            maps = [label_maps.read_label_map(folder / name, label_space) for folder in folders]
            frame = types.SimpleNamespace(pairs=segmentation.pairs(*maps))
            for metric in metrics:
                metric.update(frame)
        except (InputError, OSError) as error:
            raise InputError(f"{folders[0] / name}, {folders[1] / name}: {error}") from error
    if not (found := registry.results(metrics, split)):
        raise InputError(f"--truth: no label map in {truth} shows an object")
    return found


def score_detection(
    truth: str, predicted: str, split: registry.Split, full: str | None = None
) -> dict:
    """Score `detections.npz` or COCO results against COCO JSON of the ground truth.

    `split` has the label space, the actor held out and the seed; the boxes are added. `full` is the
    path of the full model's `detections.npz`.

    Raises:
      InputError: a file or an option cannot be used.
    """
    split.truth = box_data.Truth.load(truth, split.labels)
    if predicted.endswith(".json"):
        split.results = box_data.Results.load(predicted, split.truth, split.labels)
    else:
        split.detections = box_data.Detections.load(predicted)
        split.full = box_data.Detections.load(full) if full else None
    return registry.results([each(split) for each in registry.registered("detection")], split)


def main(argv: list[str]) -> None:
    args = flags.FLAGS
    if len(argv) != 2 or argv[1] not in ("segmentation", "detection", "bouts"):
        raise InputError(
            "the first word must be segmentation, detection or bouts, and the only one"
        )
    _, command = argv
    command_line.require([], truth=args.truth, predicted=args.predicted, output=args.output)
    has_actions = command == "detection" and not args.predicted.endswith(".json")
    if (args.full or args.zero_shot_actor) and not (has_actions and args.zero_shot_actor):
        raise InputError("--zero_shot_actor, and --full beside it, are for a detections.npz")
    if command == "bouts":
        folders = predictions.folders_of([args.predicted])
        metrics = agreement.compare(agreement.read_boris(args.truth), bouts.read_all(folders))
        write_json(args.output, metrics, sort_keys=True)
        return print(agreement.table(metrics).text())
    label_space = LabelSpace.from_json(args.labels) if args.labels else A2D
    if command == "segmentation":
        metrics = score_segmentation(args.truth, args.predicted, label_space)
    else:
        actor = args.zero_shot_actor or ""
        split = registry.Split(label_space, zero_shot_actor=actor, seed=args.seed)
        metrics = score_detection(args.truth, args.predicted, split, args.full)
    write_json(args.output, metrics, sort_keys=True)
    print(registry.table(metrics, labels=label_space))


run = command_line.command(main)
