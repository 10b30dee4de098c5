"""Start the commands of a clone that is not installed."""

from __future__ import annotations

import importlib
import pathlib
import sys


def run(path: str) -> None:
    """Run the command of `a2d_tf.commands` that has the name of this file of tools/."""
    file = pathlib.Path(path).resolve()
    sys.path.insert(0, str(file.parents[1]))
    importlib.import_module(f"a2d_tf.commands.{file.stem}").run()
