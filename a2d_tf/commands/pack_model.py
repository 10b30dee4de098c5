"""Pack a run into a small folder: float16 weights, settings, scores and notes.

  a2d pack-model --workdir=RUN --output=DIR

`--model=DIR` of a2d predict, a2d evaluate and a2d export takes the folder; a model in
the package's folder of models goes by its name there.
"""

from __future__ import annotations

import os

from a2d_tf.core import command_line
from a2d_tf.core.config import Config
from a2d_tf.core.files import read_text

FLAGS = command_line.Register()
_WORKDIR = FLAGS.define_string("workdir", None, "Run folder of a2d train.")
_OUTPUT = FLAGS.define_string(
    "output", None, "Folder to write; an older packed model is replaced."
)
_NOTES = FLAGS.define_string(
    "notes", None, "Markdown of data and intended uses, to store as card.md."
)
_CHECKPOINT = Config.define_checkpoint(FLAGS)


def main(argv: list[str]) -> None:
    command_line.require(argv, workdir=_WORKDIR.value, output=_OUTPUT.value)
    notes = read_text(_NOTES.value) if _NOTES.value else ""
    from a2d_tf.runs import loading

    output = os.path.normpath(_OUTPUT.value)
    facts = loading.pack(
        os.path.normpath(_WORKDIR.value), output, _CHECKPOINT.value, notes
    )
    print(f"{facts['parameters']} weights, {facts['bytes'] / 1e6:.2f} MB -> {output}")


run = command_line.command(main, FLAGS)
