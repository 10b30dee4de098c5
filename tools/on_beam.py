"""Run a2d_tf.commands.on_beam in a clone that is not installed."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from a2d_tf.commands.on_beam import run

if __name__ == "__main__":
    run()
