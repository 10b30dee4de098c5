"""Measure this code against its peers and limits, in one run.

  python tools/benchmark.py --suite data --output data.json

A table of figures and ratios; the same in the JSON file. Competing things run in turn, round by
round, and what is given is the median, for machines drift. Leave the machine alone meanwhile.
Peers are there where requirements-bench.txt is installed.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # inherited by the workers

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.files import write_json

SUITES = {
    "backbone": "ResNet-101 with FPN, forward and training, against the peak and torch",
    "data": "conversion, the input pipeline, how flow is stored and computed",
    "evaluation": "2000 frames scored; a split evaluated and validated, beside the network alone",
    "learning": "COCO's AP of the detector and of torchvision's Mask R-CNN, trained alike",
    "launches": "kernels and copies of a training step on a GPU, counted without one",
    "library": "short videos by a2d_tf.predict, a process each and all in one; a long video",
    "nms": "from the proposal network's output to regions of interest",
    "rcnn": "the detector, inference and training, against torchvision's Mask R-CNN",
    "roi_align": "crops and their gradients, against torchvision's",
    "scaling": "time and memory against frames, instances, image area and video length",
    "starts": "what a user waits for, by `import tensorflow`",
    "step": "a training step of configs/mini.flags and of configs/a2d.flags, and its parts",
    "stream": "a video's frames one by one: two streams, one, and clips",
}
"""Name -> what it measures, by `tools.benchmarks.<name>.run`: {flag: value} -> (rows of
`measure.row`, dict of further figures)."""

_SUITE = flags.DEFINE_enum(
    "suite", None, sorted(SUITES), "; ".join(f"{name}: {what}" for name, what in SUITES.items())
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the figures.")
_OPTIONS = (
    flags.DEFINE_integer("rounds", 3, "Rounds, of whose figures the median counts.", 1),
    flags.DEFINE_bool("small", False, "All but data: sizes that show only that a suite works."),
    flags.DEFINE_string(
        "charts", None, "scaling, step: folder for a chart of each sweep; the roofline."
    ),
    flags.DEFINE_string(
        "saved_model", None, "library, starts: an export; by default the mini network at random."
    ),
    flags.DEFINE_integer("workers", os.cpu_count(), "data, step: processes that convert.", 1),
    flags.DEFINE_integer("videos", 48, "data: videos of the mini A2D made for it.", 2),
    flags.DEFINE_integer("clips", 64, "data: clips per round and part, beside conversion.", 1),
    flags.DEFINE_string("release", None, "data: a release to take instead."),
    flags.DEFINE_string(
        "records", None, "learning: folder of records, of the mini A2D at 128x160."
    ),
    flags.DEFINE_list("seeds", ["0", "1", "2"], "learning: of weights, order and sampling."),
    flags.DEFINE_integer("steps", 1500, "learning: of each training.", 1),
    flags.DEFINE_enum(
        "backbone",
        "resnet14",
        ["resnet14", "efficientnet_lite0"],
        "learning: from random weights, or from ImageNet's.",
    ),
    flags.DEFINE_list(
        "choices",
        [],
        "learning: further trainings with one choice of the other side: box_beta (of the actor "
        "head's smooth L1), initialisation, soft_masks; aligned, the peer with our RoIAlign.",
    ),
    flags.DEFINE_float(
        "step_clips_per_second",
        None,
        "data: clips a second that training takes; by default that of configs/mini.flags is timed.",
        0,
    ),
)


def main(argv: list[str]) -> None:
    command_line.require(argv, suite=_SUITE.value, output=_OUTPUT.value)
    # Imported now: a mistyped flag should not wait for TensorFlow.
    suite = importlib.import_module(f"tools.benchmarks.{_SUITE.value}")
    options = {flag.name: flag.value for flag in (*_OPTIONS, _OUTPUT)}
    rows, details = suite.run(options)
    from tools.benchmarks import measure

    machine = {**measure.machine(), "peak_gflops": measure.peak(options["small"])()}
    report = {"suite": _SUITE.value, "machine": machine, "rows": rows, "details": details}
    print(measure.table(rows))
    write_json(_OUTPUT.value, report)
    print(f"{_OUTPUT.value}: written")


if __name__ == "__main__":
    command_line.run(main)
