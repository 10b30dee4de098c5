"""Export a run as a SavedModel: python -m a2d_tf.export --workdir=RUN --output=DIR.

With `--version=N` the SavedModel is `DIR/N`, for TensorFlow Serving.
"""

import os

from absl import flags, logging

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config
from a2d_tf.pretrained import packed

_WORKDIR = flags.DEFINE_string("workdir", None, "run folder of a2d_tf.train")
_MODEL = flags.DEFINE_string(
    "model", None, "packed model in place of a run: a name, or a folder of tools/pack_model.py"
)
_OUTPUT = flags.DEFINE_string("output", None, "folder of the SavedModel; replaces an older one")
_CHECKPOINT = Config.define_checkpoint()
_DEVICE = Config.define_device()
_VERSION = flags.DEFINE_integer(
    "version",
    None,
    "write DIR/<version>; TensorFlow Serving takes the highest version",
    lower_bound=1,
)
Config.define_flags(["inference", "compute"])


def main(argv: list[str]) -> None:
    command_line.require(argv, output=_OUTPUT.value)
    packed.check_sources(_CHECKPOINT.present, workdir=_WORKDIR.value, model=_MODEL.value)
    from a2d_tf.serving import export_folder
    from a2d_tf.training import run_folder

    # TensorFlow logs the name of the temporary folder.
    logging.set_verbosity(logging.WARNING)
    output = export_folder.place_of(os.path.normpath(_OUTPUT.value), _VERSION.value)
    devices.prepare(_DEVICE.value)
    inference = Config.given("inference", "compute")
    folder = packed.folder_of(_WORKDIR.value, _MODEL.value)
    run = run_folder.load(folder, inference, _CHECKPOINT.value)
    export_folder.export(run, output)
    print(f"{run.checkpoint}, p(actor) >= {run.config.inference.score_threshold:g} -> {output}")


run = command_line.command(main)


if __name__ == "__main__":
    run()
