"""Score a run: python -m a2d_tf.evaluate --workdir=RUN --records=RECORDS --split=test."""

import os

from absl import flags

from a2d_tf.core import errors
from a2d_tf.core.config import Config

_WORKDIR = flags.DEFINE_string("workdir", None, "run folder of a2d_tf.train")
_RECORDS = flags.DEFINE_string("records", None, "folder that tools/build_records.py made")
_SPLIT = flags.DEFINE_enum("split", "test", ["train", "val", "test"], "what to score")
_CHECKPOINT = Config.define_checkpoint()
_DEVICE = Config.define_device()
Config.define_flags(["inference", "compute"])


def main(argv):
    errors.require(argv, workdir=_WORKDIR.value, records=_RECORDS.value)
    from a2d_tf.core import devices
    from a2d_tf.data.manifest import Manifest
    from a2d_tf.evaluation.reports import tables
    from a2d_tf.evaluation.runner import Evaluator
    from a2d_tf.learning.runs import run_folder

    workdir = os.path.normpath(_WORKDIR.value)
    manifest = Manifest.load(_RECORDS.value)
    found = devices.prepare(_DEVICE.value)
    run = run_folder.load(workdir, Config.given_inference(), _CHECKPOINT.value)
    found.announce(run.config.compute.precision)
    run.check_records(manifest)
    best = "_best" if _CHECKPOINT.value == "best" else ""
    output = os.path.join(workdir, "evaluation", _SPLIT.value + best)
    metrics = Evaluator(run.network, run.config, manifest).evaluate(
        _SPLIT.value, run.config.inference.score_threshold, output
    )
    print(
        f"{run.checkpoint} on {_SPLIT.value}, "
        f"p(actor) >= {run.config.inference.score_threshold:g}"
    )
    print(tables.table(metrics))
    print(f"written to {output}")


def run():
    """Run the command with the words of the command line."""
    errors.run(main)


if __name__ == "__main__":
    run()
