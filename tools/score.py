"""Score label maps or detections by the protocol of the paper's tables.

  python tools/score.py segmentation --truth DIR --predicted DIR --output metrics.json
  python tools/score.py detection --truth COCO.json --predicted detections.npz --output metrics.json

Label maps lie at <VID>/<frame>.png: single-channel PNGs of codes, or RGB PNGs in the colours of the
label space. `--labels FILE.json` names a label space other than A2D.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from absl import flags

from a2d_tf import errors
from a2d_tf.errors import InputError
from a2d_tf.evaluation import detection, report, segmentation, zero_shot
from a2d_tf.labels import A2D, LabelSpace

flags.DEFINE_string("truth", None, "Folder of true label maps, or COCO JSON of true boxes.")
flags.DEFINE_string("predicted", None, "Folder of predicted label maps, or detections.npz.")
flags.DEFINE_string("output", None, "The metrics file (JSON, percent) to write.")
flags.DEFINE_string("labels", None, "Label space (JSON); A2D by default.")


def score_segmentation(truth, predicted, label_space):
    """Metrics of two folders of label maps.

    Raises:
      InputError: a folder or a prediction is missing, or a label map cannot be used.
    """
    truth, predicted = pathlib.Path(truth), pathlib.Path(predicted)
    for flag, folder in (("truth", truth), ("predicted", predicted)):
        if not folder.is_dir():
            raise InputError(f"--{flag}: {folder} is not a folder")
    names = sorted(path.relative_to(truth) for path in truth.glob("*/*.png"))
    if not names:
        raise InputError(f"--truth: {truth} holds no label maps <VID>/<frame>.png")
    missing = [name for name in names if not (predicted / name).is_file()]
    if missing:
        raise InputError(
            f"{predicted / missing[0]}: missing; {len(missing)} of the {len(names)} frames of the "
            "truth have no prediction"
        )
    confusion = segmentation.Confusion(label_space)
    for name in names:
        maps = [segmentation.read_label_map(folder / name, label_space)
                for folder in (truth, predicted)]  # fmt: skip
        try:
            confusion.update(*maps)
        except InputError as error:
            raise InputError(f"{truth / name} against {predicted / name}: {error}") from error
    return {"segmentation": confusion.metrics()}


def score_detection(truth, predicted, label_space):
    """Metrics of `detections.npz` against COCO JSON; InputError where either cannot be used."""
    truth = detection.Truth.load(truth, label_space)
    metrics = detection.evaluate(detection.Detections.load(predicted), truth, label_space)
    metrics["zero_shot_actor_ap"] = zero_shot.actor_aps(metrics["per_pair_ap"], label_space)
    return metrics


COMMANDS = {"segmentation": score_segmentation, "detection": score_detection}


def main(argv):
    args = flags.FLAGS
    if len(argv) != 2 or argv[1] not in COMMANDS:
        raise InputError("the first word must be segmentation or detection, and the only one")
    for name in ("truth", "predicted", "output"):
        if not args[name].value:
            raise InputError(f"--{name} is missing")
    label_space = LabelSpace.from_json(args.labels) if args.labels else A2D
    metrics = COMMANDS[argv[1]](args.truth, args.predicted, label_space)
    report.write_metrics(metrics, args.output)
    print(report.table(metrics))


if __name__ == "__main__":
    errors.run(main)
