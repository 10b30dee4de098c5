"""Compare each stage with an independent implementation of it, and write the table of differences.

  python tools/parity.py --output=docs/parity.md

The oracles are those of the tests; torchvision and EfficientNet-Lite0 are compared where
requirements-bench.txt is installed. Ends with status 1 if a bound is exceeded.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))  # the oracles
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import flags, logging

from a2d_tf.core import command_line
from a2d_tf.core.files import write_text

_PARTS = ("operations", "networks", "results")
_OUTPUT = flags.DEFINE_string("output", None, "Markdown file to write; by default only printed.")
_PART = flags.DEFINE_multi_enum("part", list(_PARTS), _PARTS, "What to compare; by default all.")

_INTRODUCTION = """# Parity

Ours beside independent implementations, on random inputs and random weights: the largest
difference found, and the bound at which `tools/parity.py`, which makes this page, fails. The tests
hold most of these too. [evidence.md](evidence.md) says what that shows and what it does not.
"""


def main(argv: list[str]) -> int:
    """Run the command; returns the exit status."""
    command_line.require(argv)
    # Imported now: a mistyped flag should not wait for TensorFlow.
    from a2d_tf.core import devices
    from tools.benchmarks import peers
    from tools.parities import comparison

    logging.set_verbosity(logging.WARNING)
    devices.prepare("cpu")
    rows = []
    with contextlib.redirect_stdout(io.StringIO()):  # what is compared has much to say
        for part in _PART.value:
            rows += importlib.import_module(f"tools.parities.{part}").compare()
    text = comparison.table(rows)
    print(text)
    if _OUTPUT.value:
        import tensorflow as tf

        versions = {"tensorflow": tf.__version__, **peers.versions()}
        named = ", ".join(f"{name} {version}" for name, version in versions.items())
        write_text(_OUTPUT.value, f"{_INTRODUCTION}\nBy {named}, on a CPU:\n\n{text}\n")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    command_line.run(main)
