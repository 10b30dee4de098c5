"""Start the commands of a clone that is not installed."""

import importlib
import pathlib
import sys


def run(path: str) -> None:
    """Run the command of `a2d_tf.commands` that has the name of this file of tools/."""
    path = pathlib.Path(path).resolve()
    sys.path.insert(0, str(path.parents[1]))
    importlib.import_module(f"a2d_tf.commands.{path.stem}").run()
