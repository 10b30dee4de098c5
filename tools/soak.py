"""Kill the long commands again and again: what they make must be the same.

  python tools/soak.py --workdir=work/soak

Conversion, training, the prediction of a library, the way from an export to a page, and
both pipelines of Beam where it is installed: each run once undisturbed and once killed
by SIGKILL with all its children at random moments, and started again. Then the results
of both are compared: records and predictions by byte, weights to the bit, TensorBoard's
points, of which none may come twice. The command ends with status 1 if anything
differs.
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, read_text, write_text
from a2d_tf.data import inspection
from a2d_tf.data.manifest import Manifest
from tools.benchmarks import processes

FLAGS = command_line.Register()
_WORKDIR = FLAGS.define_string(
    "workdir", None, "Folder that everything goes to; is emptied."
)
_SEED = FLAGS.define_integer("seed", 0, "Of the moments.", 0)
_KILLS = FLAGS.define_integer("kills", 20, "How often to kill each command.", 0)
_VIDEOS = FLAGS.define_integer("videos", 24, "Clips of the mini A2D.", 6)
_STEPS = FLAGS.define_integer("steps", 400, "Training steps.", 1)

_TINY = [
    line
    for line in read_text(processes.ROOT / "tools/tiny.flags").split()
    if "=" in line
]
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
    words: list[str], folder: str, kills: int, longest: float, moments: random.Random
) -> None:
    """Run a command of a2d to its end, after so many SIGKILLs.

    Args:
      folder: what it makes; one that ends before its SIGKILL came begins anew, without
        that.
      longest: seconds that it may run before a SIGKILL; moments: the generator.

    Raises:
      InputError: it failed by itself.
    """
    command = [sys.executable, "-m", "a2d_tf", *words]
    while kills:
        if processes.run(command, moments.uniform(0.5, longest)).status is None:
            kills -= 1
        else:
            shutil.rmtree(folder, ignore_errors=True)
    ended = processes.run(command)
    if ended.status:
        raise InputError(f"{' '.join(words)}: {ended.cause}")


def files(folder: str) -> dict:
    """Return {name: digest} of the files below a folder."""
    return {
        str(path.relative_to(folder)): file_digest(path)
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


def training(run: str) -> dict:
    """Return {tensor of the newest and of the best checkpoint, or point of TensorBoard:
    value}.

    Left out is what a clock says.

    Raises:
      InputError: a point that is there twice.
    """
    import numpy as np
    import tensorflow as tf

    from tools.benchmarks import setups

    found: dict = {}
    for kind in ("checkpoints", "best"):
        reader = tf.train.load_checkpoint(str(pathlib.Path(run, kind)))
        for name in reader.get_variable_to_shape_map():
            if "save_counter" not in name and "OBJECT_GRAPH" not in name:
                value = np.asarray(reader.get_tensor(name))
                found[f"{kind}/{name}"] = (
                    value.item() if value.dtype == object else value.tobytes()
                )
    for writer, tag, step, value in setups.points(pathlib.Path(run, "tensorboard")):
        key = f"{writer} {tag} {step}"
        if key in found:
            raise InputError(f"{run}: {key} is there twice")
        if tag not in _OF_TIME:
            found[key] = value.SerializeToString()
    return found


def start(folder: str) -> dict:
    """Return what must be the same of all that `a2d start` makes."""
    names = ("records/", "videos/")
    found = {name: one for name, one in files(folder).items() if name.startswith(names)}
    return {**found, **training(os.path.join(folder, "run"))}


def write_export(records: str, path: str) -> None:
    """Write the instances of records as annotations in the own format of `a2d
    records`.
    """
    images: list[dict] = []
    annotations = []
    manifest = Manifest.load(records)
    for split, _, truth in inspection.read(manifest, manifest.splits):
        height, width = truth.native_size
        image = {"id": len(images), "width": width, "height": height, "split": split}
        images.append({**image, "file_name": f"{truth.name}.png"})
        for code, rle in zip(truth.codes.tolist(), truth.rles):
            actor, action = manifest.label_space.name(code).split("-")
            shape = {"size": rle["size"], "counts": rle["counts"].decode()}
            named = {"image_id": image["id"], "actor": actor, "action": action}
            annotations.append({**named, "segmentation": shape})
    write_text(path, json.dumps({"images": images, "annotations": annotations}))


def commands(workdir: str) -> Iterator[tuple[str, list[str], Callable[[str], dict]]]:
    """Yield a name, the words with {} for a folder of its own, and what must be the
    same of that.

    Later commands read what the earlier ones have made.
    """
    base = os.path.join(workdir, "tiny.flags")
    write_text(base, "\n".join(_TINY))
    release = os.path.join(workdir, "mini", "Release")
    records = os.path.join(workdir, "whole", "out", "conversion")
    run = os.path.join(workdir, "whole", "out", "training")
    sizes = (
        "--image_height=64 --image_width=96 --clip_frames=3 --shard_videos=2".split()
    )
    convert = [f"--release={release}", "--output={}", *sizes]
    train = ["train", f"--flagfile={base}", f"--records={records}", "--workdir={}"]
    videos = f"--video={release}/clips320H"
    predict = [f"--workdir={run}", videos, "--output={}"]
    yield "conversion", ["records", *convert, "--workers=2"], files
    yield "training", [*train, f"--steps={_STEPS.value}"], training
    yield "library", ["predict", *predict], files
    export = os.path.join(workdir, "export.json")
    write_export(records, export)
    own = [
        f"--annotations={export}",
        f"--videos={release}/clips320H",
        "--output={}",
        "--",
    ]
    own += [
        *_TINY,
        "--init_rgb=",
        "--init_flow=",
        f"--steps={_STEPS.value}",
        *sizes[2:],
    ]
    yield "start", ["start", *own], start
    after = f"--after={os.path.join(workdir, 'whole', 'out', 'start')}"
    yield "second round", ["start", after, *own], start
    if importlib.util.find_spec("apache_beam") is None:
        return print("Beam: not installed")
    runner = ["--", "--runner=FnApiRunner", "--direct_running_mode=multi_processing"]
    runner += ["--direct_num_workers=2"]
    yield "Beam, records", ["on-beam", "records", *convert, *runner], files
    yield "Beam, library", ["on-beam", "predict", *predict, *runner], files


def main(argv: list[str]) -> None:
    command_line.require(argv, workdir=_WORKDIR.value)
    workdir = os.path.abspath(_WORKDIR.value)
    moments = random.Random(_SEED.value)
    shutil.rmtree(workdir, ignore_errors=True)
    mini = ["mini", f"--output={workdir}/mini", f"--videos={_VIDEOS.value}"]
    survive(mini, f"{workdir}/mini", 0, 0, moments)
    same = True
    for name, command, result in commands(workdir):
        ends = []
        seconds = 0.0
        for way, kills in (("whole", 0), ("killed", _KILLS.value)):
            # The last two names are in pages.
            folder = os.path.join(workdir, way, "out", name)
            began = time.monotonic()
            words = [word.replace("{}", folder) for word in command]
            survive(words, folder, kills, seconds, moments)
            seconds = time.monotonic() - began
            ends.append(result(folder))
        keys = {**ends[0], **ends[1]}
        differ = sorted(key for key in keys if ends[0].get(key) != ends[1].get(key))
        same = same and bool(keys) and not differ
        print(
            f"{name}: killed {_KILLS.value} times, {len(keys)} compared, {len(differ)}"
            " differ"
        )
        for key in differ:
            print(f"  {key}", flush=True)
    if not same:
        raise InputError(f"{workdir}: not the same after kills")


if __name__ == "__main__":
    command_line.run(main, FLAGS)
