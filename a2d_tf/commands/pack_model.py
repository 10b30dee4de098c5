"""Pack a run into a small folder: float16 weights, settings, scores and notes.

  python tools/pack_model.py --workdir=RUN --output=DIR

`--model=DIR` of a2d_tf.predict, a2d_tf.evaluate and a2d_tf.export takes the folder; a model in the
package's folder of models goes by its name there.
"""

from __future__ import annotations

import os

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.config import Config
from a2d_tf.core.files import read_text

_WORKDIR = flags.DEFINE_string("workdir", None, "Run folder of a2d_tf.train.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write; an older packed model is replaced.")
_NOTES = flags.DEFINE_string(
    "notes", None, "Markdown to keep as card.md: the data, what it is for and not for."
)
_CHECKPOINT = Config.define_checkpoint()


def main(argv: list[str]) -> None:
    command_line.require(argv, workdir=_WORKDIR.value, output=_OUTPUT.value)
    notes = read_text(_NOTES.value) if _NOTES.value else ""
    from a2d_tf.training import run_folder

    output = os.path.normpath(_OUTPUT.value)
    facts = run_folder.pack(os.path.normpath(_WORKDIR.value), output, _CHECKPOINT.value, notes)
    print(f"{facts['parameters']} weights, {facts['bytes'] / 1e6:.2f} MB -> {output}")


run = command_line.command(main)
