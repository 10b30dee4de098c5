"""Score a run: python -m a2d_tf.evaluate --workdir=RUN --records=RECORDS --split=test."""

import os

from absl import flags

from a2d_tf.core import shell
from a2d_tf.core.config import Config

_WORKDIR = flags.DEFINE_string("workdir", None, "run folder of a2d_tf.train")
_RECORDS = flags.DEFINE_string("records", None, "folder that tools/build_records.py made")
_SPLIT = flags.DEFINE_enum(
    "split", "test", ["train", "val", "test"], "videos to score; train leaves out those of val"
)
_CHECKPOINT = Config.define_checkpoint()
_DEVICE = Config.define_device()
Config.define_flags(["inference", "compute"])


def main(argv: list[str]) -> None:
    shell.require(argv, workdir=_WORKDIR.value, records=_RECORDS.value)
    # Late, because TensorFlow takes seconds to load: a mistyped flag should not wait for it.
    import a2d_tf
    from a2d_tf.core import devices
    from a2d_tf.data.manifest import Manifest
    from a2d_tf.learning.runs import run_folder

    workdir = os.path.normpath(_WORKDIR.value)
    manifest = Manifest.load(_RECORDS.value)
    device = devices.prepare(_DEVICE.value)
    run = run_folder.load(workdir, Config.given_inference(), _CHECKPOINT.value)
    device.announce(run.config.compute.precision)
    best = "_best" if _CHECKPOINT.value == "best" else ""
    output = os.path.join(workdir, "evaluation", _SPLIT.value + best)
    result = a2d_tf.metrics.evaluate(run, manifest, _SPLIT.value, output=output)
    threshold = run.config.inference.score_threshold
    print(f"{run.checkpoint} on {_SPLIT.value}, p(actor) >= {threshold:g}")
    print(a2d_tf.metrics.table(result))
    print(f"written to {output}")


run = shell.command(main)


if __name__ == "__main__":
    run()
