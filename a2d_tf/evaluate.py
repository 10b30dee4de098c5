"""Score a run: a2d evaluate --workdir=RUN --records=RECORDS --split=test.

`--model=DIR --output=SCORES` scores a packed model (a2d export --pack) in place of
a run.
"""

import shlex

from a2d_tf.core.command import command_flags, command_line
from a2d_tf.core.machine import devices
from a2d_tf.core.settings.config import Config
from a2d_tf.runs import chosen_threshold, model_source, scores

FLAGS = command_line.Register()
_WORKDIR = command_flags.define_workdir(FLAGS)
_MODEL = command_flags.define_packed_model(FLAGS)
_OUTPUT = FLAGS.define_string(
    "output", None, "Folder for the scores; by default evaluation/ of the run."
)
_RECORDS = FLAGS.define_string("records", None, "Folder written by a2d records.")
_SPLIT = FLAGS.define_enum(
    "split", "test", ["train", "val", "test"], "Videos to score."
)
_TRUE_BOXES = FLAGS.define_bool(
    "true_boxes", False, "Also score the labels in the annotated boxes."
)
_CHECKPOINT = command_flags.define_checkpoint(FLAGS)
_DEVICE = command_flags.define_device(FLAGS)
Config.define_flags(FLAGS, ["inference", "compute"])


def main(argv: list[str]) -> None:
    """Score a run or a packed model, print the scores and where they are."""
    command_line.require(argv, records=_RECORDS.value)
    _, folder = model_source.of_flags(
        _CHECKPOINT.present, workdir=_WORKDIR.value, model=_MODEL.value
    )
    if _MODEL.value:  # a packed model has no folder of scores
        command_line.require(argv, output=_OUTPUT.value)
    from a2d_tf.data.record_folder.manifest import Manifest
    from a2d_tf.evaluation import scoring
    from a2d_tf.runs import loading

    manifest = Manifest.load(_RECORDS.value)
    gpus = devices.prepare(_DEVICE.value)
    model = loading.load(
        folder, Config.named_settings(FLAGS, "inference", "compute"), _CHECKPOINT.value
    )
    devices.announce(gpus, model.config.compute.precision)
    # The name of the scores in the run: those of the best weights are kept apart.
    name = _SPLIT.value
    if _CHECKPOINT.value == "best":
        name += "_best"
    output = _OUTPUT.value or str(scores.folder_of(folder, name))
    result = scoring.evaluate(
        model, manifest, _SPLIT.value, output=output, true_boxes=_TRUE_BOXES.value
    )
    threshold = model.config.inference.score_threshold
    print(f"{model.checkpoint} on {_SPLIT.value}, p(actor) >= {threshold:g}")
    choice = chosen_threshold.describe_choice(folder, threshold)
    if choice:
        print(choice)
    print(scoring.table(result))
    print(f"written to {output}")
    if not _OUTPUT.value:  # a2d browse reads the scores in the run's folder only
        words = shlex.join([f"--run={folder}", f"--records={_RECORDS.value}"])
        print(f"to view the frames, worst first: a2d browse {words} --split={name}")


run = command_line.command(main, FLAGS)


if __name__ == "__main__":
    run()
