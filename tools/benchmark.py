"""Measure this code against its peers and limits, in one run.

  python tools/benchmark.py --suite detector --output detector.json

Competitors run in turn, round by round, because machines drift; the figures are
medians. Run nothing else meanwhile. Peers run if requirements-bench.txt is installed.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # inherited by the workers

from a2d_tf.core.command import command_line
from a2d_tf.core.files import write_json

SUITES = {
    "detector": (
        "inference and training of the detector, beside torchvision's Mask R-CNN"
    ),
    "learning": (
        "COCO's AP of the detector and of torchvision's Mask R-CNN, trained alike"
    ),
    "prediction": (
        "a start, a frame, a clip and a library of clips, by `import tensorflow`"
    ),
}
"""{name of a suite: what it measures}.

The function `run` of `tools.benchmarks.NAME` takes `measure.Options` and returns a
`measure.Report`.
"""

FLAGS = command_line.Register()
_SUITE = FLAGS.define_enum(
    "suite",
    None,
    sorted(SUITES),
    "; ".join(f"{name}: {what}" for name, what in SUITES.items()),
)
_OUTPUT = FLAGS.define_string("output", None, "JSON file for the figures.")
_ROUNDS = FLAGS.define_integer(
    "rounds", 3, "Rounds, of whose figures the median counts; learning: seeds.", 1
)
_SMALL = FLAGS.define_bool("small", False, "Sizes that show only that a suite works.")
_SAVED_MODEL = FLAGS.define_string(
    "saved_model", None, "prediction: an export; by default that of --model=mini."
)
_RECORDS = FLAGS.define_string(
    "records", None, "learning: folder of records, of the mini A2D at 128x160."
)
_STEPS = FLAGS.define_integer("steps", 1500, "learning: of each training.", 1)


def main(argv: list[str]) -> None:
    """Measure the suite of the flags, print its table and write its JSON file.

    Args:
      argv: the program's name; any other word that is no flag is an error.
    """
    command_line.require(argv, suite=_SUITE.value, output=_OUTPUT.value)
    # Imported now: a mistyped flag should not wait for TensorFlow.
    from tools.benchmarks import measure

    suite = importlib.import_module(f"tools.benchmarks.{_SUITE.value}")
    options = measure.Options(
        rounds=_ROUNDS.value,
        small=_SMALL.value,
        saved_model=_SAVED_MODEL.value or "",
        records=_RECORDS.value or "",
        steps=_STEPS.value,
    )
    report = suite.run(options)
    machine = {**measure.machine(), "peak_gflops": measure.peak(options.small)()}
    fields = {
        "suite": _SUITE.value,
        "machine": machine,
        "rows": [row._asdict() for row in report.rows],
        "details": report.details,
    }
    print(measure.table(report.rows))
    write_json(_OUTPUT.value, fields)
    print(f"{_OUTPUT.value}: written")


if __name__ == "__main__":
    command_line.run(main, FLAGS)
