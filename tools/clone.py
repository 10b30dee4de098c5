"""Start the commands of a clone that is not installed."""

from __future__ import annotations

import importlib
import pathlib
import sys


def run(module: str) -> None:
    """Run a command, such as `a2d_tf.commands.doctor`, of the clone of this file."""
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
    importlib.import_module(module).run()
