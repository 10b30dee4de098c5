"""Kill the long commands again and again: what they make must be the same.

  python tools/soak.py --workdir=work/soak

The commands are conversion, training, the prediction of a library, the way from an
export to a page, and both pipelines of Beam if it is installed. Each runs twice: once
undisturbed; and once killed at random moments, by SIGKILL with all its children, and
started again. Then the results of both are compared: records and predictions by byte,
weights to the bit, and TensorBoard's points, of which none may come twice. The status
is 1 if anything differs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from a2d_tf.core.command import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, read_text, write_text
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.read_records import read_records
from tools.benchmarks import processes

FLAGS = command_line.Register()
_WORKDIR = FLAGS.define_string(
    "workdir", None, "Folder that everything goes to; it is emptied."
)
_SEED = FLAGS.define_integer("seed", 0, "Seed of the moments.", 0)
_KILLS = FLAGS.define_integer("kills", 20, "How often to kill each command.", 0)
_VIDEOS = FLAGS.define_integer("videos", 24, "Clips of the mini A2D.", 6)
_STEPS = FLAGS.define_integer("steps", 400, "Training steps.", 1)

_SMALLEST = read_text(processes.ROOT / "tools/tiny.flags").splitlines()
_TINY = [line for line in _SMALLEST if line.startswith("--")]
_TINY += [
    "--norm=group_norm",
    "--flow_norm=same",
    "--mask_layers=1",
    "--anchor_sizes=8,16,24,32,48",
    "--test_proposals=30",
    "--proposals_before_nms=100",
    "--train_proposals=50",
    "--roi_samples=16",
    "--rpn_samples=32",
    "--batch_size=2",
    "--val_fraction=0.3",
    "--optimizer=adam",
    "--average_decay=0.9",
    "--log_every=3",
    "--checkpoint_every=5",
    "--validate_every=100",
    "--pictures=1",
]
_OF_TIME = ("run/clips_per_second", "run/step_ms", "run/wait_ms")


def survive(
    words: list[str],
    *,
    folder: str,
    kills: int = 0,
    longest: float = 0.0,
    moments: random.Random,
) -> None:
    """Run a command of a2d to its end, after it was killed a number of times.

    If it ends before a SIGKILL comes, its folder is removed, and it starts again.

    Args:
      words: words of the command, without `a2d`.
      folder: path of the folder that it makes.
      kills: number of SIGKILLs.
      longest: most seconds that it may run before a SIGKILL.
      moments: random generator that draws these seconds.

    Raises:
      InputError: the command failed by itself.
    """
    command = [sys.executable, "-m", "a2d_tf", *words]
    while kills:
        ended = processes.run(command, moments.uniform(0.5, longest))
        if ended.status is None:
            kills -= 1
        else:
            shutil.rmtree(folder, ignore_errors=True)
    ended = processes.run(command)
    if ended.status:
        raise InputError(f"{' '.join(words)}: {ended.cause}")


def files(folder: str) -> dict:
    """Return the digests of the files below a folder, {path in the folder: digest}."""
    digests = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file():
            digests[str(path.relative_to(folder))] = file_digest(path)
    return digests


def training(run: str) -> dict:
    """Return the values of a run's checkpoints and of its points in TensorBoard.

    The checkpoints are the newest and the best, if a validation chose one. Points that
    measure time are left out.

    Args:
      run: path of the run folder.

    Returns:
      {"KIND/TENSOR" or "WRITER TAG STEP": value}.

    Raises:
      InputError: a point is there twice.
    """
    import tensorflow as tf

    from tools.benchmarks import setups

    values: dict = {}
    kinds = ["checkpoints"]
    if os.path.isdir(os.path.join(run, "best")):  # not with few videos or steps
        kinds.append("best")
    for kind in kinds:
        reader = tf.train.load_checkpoint(os.path.join(run, kind))
        for name in reader.get_variable_to_shape_map():
            if "save_counter" not in name and "OBJECT_GRAPH" not in name:
                values[f"{kind}/{name}"] = _to_the_bit(reader.get_tensor(name))
    for writer, tag, step, value in setups.points(pathlib.Path(run, "tensorboard")):
        key = f"{writer} {tag} {step}"
        if key in values:
            raise InputError(f"{run}: {key} is there twice")
        if tag not in _OF_TIME:
            values[key] = value.SerializeToString()
    return values


def _to_the_bit(tensor):
    """Return a checkpoint's tensor so that equal means equal in every bit."""
    import numpy as np

    array = np.asarray(tensor)
    if array.dtype == object:  # text
        return array.item()
    return array.tobytes()


def start(folder: str) -> dict:
    """Return what two calls of `a2d start` must have in common: its training and files.

    Args:
      folder: path of the folder that it made.

    Returns:
      the values of its run, see `training`, and the digests of records and predictions.
    """
    values = training(os.path.join(folder, "run"))
    for name, digest in files(folder).items():
        if name.startswith(("records/", "videos/")):
            values[name] = digest
    return values


def write_export(records: str, path: str) -> None:
    """Write the instances of records as annotations in `a2d records`' own format.

    Args:
      records: path of the folder of records.
      path: path of the JSON file to write.
    """
    images: list[dict] = []
    annotations = []
    manifest = Manifest.load(records)
    for split, _, truth in read_records(manifest, manifest.splits):
        height, width = truth.native_size
        image = {
            "id": len(images),
            "width": width,
            "height": height,
            "split": split,
            "file_name": f"{truth.name}.png",
        }
        images.append(image)
        for code, rle in zip(truth.codes.tolist(), truth.rles):
            actor, action = manifest.label_space.name(code).split("-")
            annotation = {
                "image_id": image["id"],
                "actor": actor,
                "action": action,
                "segmentation": {
                    "size": rle["size"],
                    "counts": rle["counts"].decode(),
                },
            }
            annotations.append(annotation)
    write_text(path, json.dumps({"images": images, "annotations": annotations}))


class Command(NamedTuple):
    """A command of a2d, and a function of what must be the same although it was killed.

    Attributes:
      name: name of the command, and of its folder.
      words: words of the command, without `a2d`; {} stands for its folder.
      result: takes the path of its folder, and returns the values to compare, {name:
        value}.
    """

    name: str
    words: list[str]
    result: Callable[[str], dict]


def commands(workdir: str) -> Iterator[Command]:
    """Yield the commands; later ones read what the earlier ones have made.

    Args:
      workdir: path of the folder of everything.
    """
    base = os.path.join(workdir, "tiny.flags")
    write_text(base, "\n".join(_TINY))
    release = os.path.join(workdir, "mini", "Release")
    videos = f"{release}/clips320H"
    records = output_folder(workdir, "whole", "conversion")
    run = output_folder(workdir, "whole", "training")
    steps = f"--steps={_STEPS.value}"

    conversion = [
        f"--release={release}",
        "--output={}",
        "--image_height=64",
        "--image_width=96",
        "--clip_frames=3",
        "--shard_videos=2",
    ]
    yield Command("conversion", ["records", *conversion, "--workers=2"], files)

    words = ["train", f"--flagfile={base}", f"--records={records}", "--workdir={}"]
    yield Command("training", [*words, steps], training)

    prediction = [f"--workdir={run}", f"--video={videos}", "--output={}"]
    yield Command("library", ["predict", *prediction], files)

    export = os.path.join(workdir, "export.json")
    write_export(records, export)
    own_videos = [
        f"--annotations={export}",
        f"--videos={videos}",
        "--output={}",
        "--",
        *_TINY,
        "--init_rgb=",
        "--init_flow=",
        steps,
        "--clip_frames=3",
        "--shard_videos=2",
    ]
    yield Command("start", ["start", *own_videos], start)

    after = f"--after={output_folder(workdir, 'whole', 'start')}"
    yield Command("second round", ["start", after, *own_videos], start)

    if importlib.util.find_spec("apache_beam") is None:
        print("Beam: not installed")
        return
    runner = [
        "--",
        "--runner=FnApiRunner",
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
    ]
    yield Command("Beam, records", ["on-beam", "records", *conversion, *runner], files)
    yield Command("Beam, library", ["on-beam", "predict", *prediction, *runner], files)


def output_folder(workdir: str, way: str, name: str) -> str:
    """Return the path of the folder that a command makes.

    The end of the path is the same for both ways, because pages show it.

    Args:
      workdir: path of the folder of everything.
      way: "whole" or "killed".
      name: name of the command.
    """
    return os.path.join(workdir, way, "out", name)


def main(argv: list[str]) -> None:
    """Run all commands undisturbed and killed, and compare the results.

    Args:
      argv: the program's name; any other word that is no flag is an error.

    Raises:
      InputError: results differ, or a command failed.
    """
    command_line.require(argv, workdir=_WORKDIR.value)
    workdir = os.path.abspath(_WORKDIR.value)
    moments = random.Random(_SEED.value)
    shutil.rmtree(workdir, ignore_errors=True)
    mini = ["mini", f"--output={workdir}/mini", f"--videos={_VIDEOS.value}"]
    survive(mini, folder=f"{workdir}/mini", moments=moments)
    same = True
    for command in commands(workdir):
        results = []
        seconds = 0.0
        for way, kills in (("whole", 0), ("killed", _KILLS.value)):
            folder = output_folder(workdir, way, command.name)
            began = time.monotonic()
            survive(
                [word.replace("{}", folder) for word in command.words],
                folder=folder,
                kills=kills,
                longest=seconds,
                moments=moments,
            )
            seconds = time.monotonic() - began
            results.append(command.result(folder))
        whole, killed = results
        keys = whole.keys() | killed.keys()
        differ = sorted(key for key in keys if whole.get(key) != killed.get(key))
        if differ or not keys:
            same = False
        print(
            f"{command.name}: killed {_KILLS.value} times,"
            f" {len(keys)} compared, {len(differ)} differ"
        )
        for key in differ:
            print(f"  {key}", flush=True)
    if not same:
        raise InputError(f"{workdir}: not the same after kills")


if __name__ == "__main__":
    command_line.run(main, FLAGS)
