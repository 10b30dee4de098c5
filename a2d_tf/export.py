"""Export a run as a SavedModel: a2d export --workdir=RUN --output=DIR."""

import os

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config
from a2d_tf.runs import packed

FLAGS = command_line.Register()
_WORKDIR = FLAGS.define_string("workdir", None, "Run folder of a2d train.")
_MODEL = FLAGS.define_string(
    "model", None, "Packed model: a name, or a folder of a2d pack-model."
)
_OUTPUT = FLAGS.define_string(
    "output", None, "Folder for the SavedModel; an older one is replaced."
)
_CHECKPOINT = Config.define_checkpoint(FLAGS)
_DEVICE = Config.define_device(FLAGS)
Config.define_flags(FLAGS, ["inference", "compute"])


def main(argv: list[str]) -> None:
    command_line.require(argv, output=_OUTPUT.value)
    _, folder = packed.source(
        _CHECKPOINT.present, workdir=_WORKDIR.value, model=_MODEL.value
    )
    from a2d_tf.runs import loading
    from a2d_tf.serving import export_folder

    output = os.path.normpath(_OUTPUT.value)
    devices.prepare(_DEVICE.value)
    run = loading.load(
        folder, Config.given(FLAGS, "inference", "compute"), _CHECKPOINT.value
    )
    export_folder.export(run, output)
    print(
        f"{run.checkpoint}, p(actor) >= {run.config.inference.score_threshold:g} ->"
        f" {output}"
    )


run = command_line.command(main, FLAGS)


if __name__ == "__main__":
    run()
