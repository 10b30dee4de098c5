"""Score a run: python -m a2d_tf.evaluate --workdir=RUN --records=RECORDS --split=test.

`--model=DIR --output=SCORES` scores a packed model (tools/pack_model.py) in place of a run.
"""

import os
import shlex

from absl import flags

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config
from a2d_tf.pretrained import packed

_WORKDIR = flags.DEFINE_string("workdir", None, "run folder of a2d_tf.train")
_MODEL = flags.DEFINE_string(
    "model", None, "packed model in place of a run: a name, or a folder of tools/pack_model.py"
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "folder of the scores, replaced as a whole; by default evaluation/<split> of the run folder",
)
_RECORDS = flags.DEFINE_string("records", None, "folder that tools/build_records.py made")
_SPLIT = flags.DEFINE_enum(
    "split", "test", ["train", "val", "test"], "videos to score; train leaves out those of val"
)
_CHECKPOINT = Config.define_checkpoint()
_DEVICE = Config.define_device()
Config.define_flags(["inference", "compute"])


def main(argv: list[str]) -> None:
    command_line.require(argv, records=_RECORDS.value)
    packed.check_sources(_CHECKPOINT.present, workdir=_WORKDIR.value, model=_MODEL.value)
    if _MODEL.value:  # which has no folder of scores
        command_line.require(argv, output=_OUTPUT.value)
    import a2d_tf
    from a2d_tf.data.manifest import Manifest
    from a2d_tf.training import run_folder

    manifest = Manifest.load(_RECORDS.value)
    gpus = devices.prepare(_DEVICE.value)
    inference = Config.given("inference", "compute")
    folder = packed.folder_of(_WORKDIR.value, _MODEL.value)
    run = run_folder.load(folder, inference, _CHECKPOINT.value)
    devices.announce(gpus, run.config.compute.precision)
    name = _SPLIT.value + ("_best" if _CHECKPOINT.value == "best" else "")
    workdir = os.path.normpath(_WORKDIR.value or "")
    output = _OUTPUT.value or os.path.join(workdir, "evaluation", name)
    result = a2d_tf.metrics.evaluate(run, manifest, _SPLIT.value, output=output)
    threshold = run.config.inference.score_threshold
    print(f"{run.checkpoint} on {_SPLIT.value}, p(actor) >= {threshold:g}")
    print(a2d_tf.metrics.table(result, labels=manifest.label_space))
    print(f"written to {output}")
    if not _OUTPUT.value:
        words = shlex.join([f"--run={workdir}", f"--records={_RECORDS.value}"])
        line = f"the frames, worst first: python tools/browse.py {words} --split={name}"
        print(command_line.as_installed(line))


run = command_line.command(main)


if __name__ == "__main__":
    run()
