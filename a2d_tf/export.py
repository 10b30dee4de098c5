"""Export a run as a SavedModel, or pack it into a small folder.

  a2d export --workdir=RUN --output=DIR
  a2d export --pack --workdir=RUN --output=DIR

A packed model holds float16 weights, settings, scores and notes. `--model=DIR` of a2d
predict, a2d evaluate and a2d export takes the folder; a model in the package's folder
of models goes by its name there.
"""

from __future__ import annotations

import os
from typing import Any

from a2d_tf.core.command import command_flags, command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text
from a2d_tf.core.machine import devices
from a2d_tf.core.settings.config import Config
from a2d_tf.runs import model_source

FLAGS = command_line.Register()
_WORKDIR = command_flags.define_workdir(FLAGS)
_MODEL = command_flags.define_packed_model(FLAGS)
_OUTPUT = FLAGS.define_string(
    "output", None, "Folder to write; an older export or packed model is replaced."
)
_PACK = FLAGS.define_bool("pack", False, "Write a packed model, not a SavedModel.")
_NOTES = FLAGS.define_string(
    "notes",
    None,
    "With --pack: Markdown of data and intended uses, to store as card.md.",
)
_CHECKPOINT = command_flags.define_checkpoint(FLAGS)
_DEVICE = command_flags.define_device(FLAGS)
Config.define_flags(FLAGS, ["inference", "compute"])


def main(argv: list[str]) -> None:
    """Export or pack, as the flags say."""
    command_line.require(argv, output=_OUTPUT.value)
    source_flag, folder = model_source.of_flags(
        _CHECKPOINT.present, workdir=_WORKDIR.value, model=_MODEL.value
    )
    settings = Config.named_settings(FLAGS, "inference", "compute")
    if _PACK.value:
        if source_flag != "workdir":
            raise InputError("--pack packs a run; it needs --workdir")
        if settings:
            raise InputError(
                f"--{next(iter(settings))}: a packed model has the settings of its run;"
                " give it to the command that uses the model"
            )
        _pack(folder)
    else:
        if _NOTES.present:
            raise InputError("--notes are those of a packed model; they need --pack")
        _export(folder, settings)


def _export(folder: str, settings: dict[str, Any]) -> None:
    """Export a run or a packed model as a SavedModel."""
    from a2d_tf.runs import loading
    from a2d_tf.serving import exporter

    output = os.path.normpath(_OUTPUT.value)
    devices.prepare(_DEVICE.value)
    model = loading.load(folder, settings, _CHECKPOINT.value)
    exporter.export(model, output)
    threshold = model.config.inference.score_threshold
    print(f"{model.checkpoint}, p(actor) >= {threshold:g} -> {output}")


def _pack(workdir: str) -> None:
    """Pack a run."""
    notes = read_text(_NOTES.value) if _NOTES.value else ""
    from a2d_tf.runs import packing

    output = os.path.normpath(_OUTPUT.value)
    model = packing.pack(workdir, output, _CHECKPOINT.value, notes)
    print(f"{model.parameters} weights, {model.bytes / 1e6:.2f} MB -> {output}")


run = command_line.command(main, FLAGS)


if __name__ == "__main__":
    run()
