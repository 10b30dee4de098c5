"""Kill the long commands again and again: what they make must be the same.

  python tools/soak.py --workdir=work/soak

Conversion, training, evaluation, reproduction, the prediction of a library, and the same on Beam,
each run once undisturbed and once killed by SIGKILL at random moments and started again: with all
their children, but of Beam one worker process. Then what both left is compared: bytes of records
and of results, weights to the bit, TensorBoard's points, of which none may come twice. Ends with
status 1 where anything differs. Beam needs `pip install .[beam]`.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json, write_text

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder that everything goes to; is emptied.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments.", 0)
_KILLS = flags.DEFINE_list(
    "kills",
    "20,20,5,5,10,0",
    "How often to kill conversion, training, evaluation, reproduction, prediction and a worker of "
    "Beam's. With 0 a part is left out, but for what others need.",
)
_VIDEOS = flags.DEFINE_integer("videos", 24, "Clips of the mini A2D.", 6)
_STEPS = flags.DEFINE_integer("steps", 400, "Training steps.", 1)

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_TINY = """--image_height=64
--image_width=96
--backbone=resnet14
--width_multiplier=0.125
--norm=group_norm
--fpn_channels=16
--rpn_channels=16
--head_units=16
--mask_channels=16
--mask_layers=1
--anchor_sizes=8,16,24,32,48
--test_proposals=30
--proposals_before_nms=100
--roi_samples=16
--rpn_samples=32
--train_proposals=50
--batch_size=2
--val_fraction=0.3
--optimizer=adam
--average_decay=0.9
--log_every=3
--checkpoint_every=5
--validate_every=100
--roi_align_impl=auto
"""
_WORKER = b"apache_beam.runners.worker.sdk_worker_main"
_NEEDED = ("conversion", "training")  # by the parts after them
_OF_TIME = ("run/clips_per_second", "run/step_ms", "run/wait_ms")


def survive(
    words: list[str],
    folder: str,
    kills: int,
    longest: float,
    *,
    moments: random.Random,
    kill: Callable[[subprocess.Popen, random.Random], bool],
) -> None:
    """Run a command to its end, after so many SIGKILLs.

    Args:
      words: the command.
      folder: what it makes; one that ends before its SIGKILL came begins anew, without that.
      kills: how many; longest: seconds that it may run before one; moments: a random.Random.
      kill: `kill_all` or `kill_worker`.

    Raises:
      InputError: it failed by itself.
    """
    while kills:
        process = _start(words)
        try:
            process.wait(timeout=moments.uniform(0.5, longest))
            shutil.rmtree(folder, ignore_errors=True)
        except subprocess.TimeoutExpired:
            kills -= kill(process, moments)
            process.wait()
    with tempfile.TemporaryFile() as log:
        process = _start(words, log)
        if process.wait():
            log.seek(0)
            said = log.read()[-3000:].decode(errors="replace")
            raise InputError(f"{' '.join(words)}: status {process.returncode}\n{said}")


def kill_all(process: subprocess.Popen, moments: random.Random) -> bool:
    """Kill a command and its children; return whether that was done."""
    del moments
    os.killpg(process.pid, signal.SIGKILL)
    return True


def kill_worker(process: subprocess.Popen, moments: random.Random) -> bool:
    """Kill one of the worker processes that Beam started; return whether there was one."""
    workers = []
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            if os.getsid(int(place.name)) == process.pid and _WORKER in words:
                workers.append(int(place.name))
        except OSError:  # it has just ended
            pass
    if workers:
        os.kill(moments.choice(sorted(workers)), signal.SIGKILL)
    return bool(workers)


def _start(command, log=subprocess.DEVNULL):
    return subprocess.Popen(
        [sys.executable, *command], cwd=_ROOT, start_new_session=True, stdout=log, stderr=log
    )


def files(folder: str, but: Collection[str] = ()) -> dict[str, str]:
    """{name: digest} of the files below a folder, but for some names."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file() and path.name not in but
    }


def weights(run: str) -> dict[str, object]:
    """{tensor of the newest and of the best checkpoint: its bytes}."""
    import numpy as np
    import tensorflow as tf

    found = {}
    for kind in ("checkpoints", "best"):
        reader = tf.train.load_checkpoint(str(pathlib.Path(run, kind)))
        for name in reader.get_variable_to_shape_map():
            if "save_counter" not in name and "OBJECT_GRAPH" not in name:
                value = np.asarray(reader.get_tensor(name))
                found[f"{kind}/{name}"] = value.item() if value.dtype == object else value.tobytes()
    return found


def points(run: str) -> dict[tuple, float]:
    """{(writer, tag, step): value} of what TensorBoard shows, but for what a clock says.

    Raises:
      InputError: a point that is there twice.
    """
    import tensorflow as tf

    found = {}
    for path in sorted(pathlib.Path(run, "tensorboard").rglob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                key = path.parent.name, value.tag, event.step
                if value.tag in _OF_TIME or value.tag.startswith("_hparams_"):
                    continue
                if key in found:
                    raise InputError(f"{path}: {key} is there twice")
                found[key] = value.tensor.SerializeToString()
    return found


def figures(workdir: str) -> dict[str, str]:
    """{run: its metrics} of a reproduction."""
    found = sorted(pathlib.Path(workdir).glob("seed*/*/evaluation/test/metrics.json"))
    return {str(path.relative_to(workdir)): path.read_text() for path in found}


def parts(workdir: str, steps: int) -> list[tuple]:
    """[(name, command with {} for a folder of its own, what it makes, that -> what must be the same
    of it)], in order.
    """
    base = os.path.join(workdir, "tiny.flags")
    write_text(base, _TINY)
    release = os.path.join(workdir, "mini", "Release")
    records = os.path.join(workdir, "conversion", "undisturbed")
    trained = os.path.join(workdir, "training", "undisturbed")
    return [
        (
            "conversion",
            [
                "tools/build_records.py",
                f"--release={release}",
                "--output={}",
                *"--image_height=64 --image_width=96 --clip_frames=3".split(),
                *"--workers=2 --shard_videos=2".split(),
            ],
            "{}",
            files,
        ),
        (
            "training",
            [
                "-m",
                "a2d_tf.train",
                f"--flagfile={base}",
                f"--records={records}",
                "--workdir={}",
                f"--steps={steps}",
                "--pictures=1",
            ],
            "{}",
            lambda run: {**weights(run), **points(run)},
        ),
        (
            "evaluation",
            ["-m", "a2d_tf.evaluate", f"--workdir={trained}", f"--records={records}"],
            os.path.join(trained, "evaluation"),
            files,
        ),
        (
            "reproduction",
            [
                "tools/reproduce.py",
                f"--base={base}",
                "--workdir={}",
                "--mini_videos=12",
                "--runs=full,no_flow",
                f"--train=--steps={steps // 8}",
                "--train=--pictures=0",
            ],
            "{}",
            figures,
        ),
        *_libraries(os.path.join(release, "clips320H"), trained),
    ]


def _libraries(videos, run):
    """The parts that predict a library of videos by a run."""
    words = [f"--workdir={run}", f"--video={videos}", "--output={}/library"]
    workers = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    beam = ["predict", *words, "--", "--runner=FnApiRunner", *workers]
    return [
        ("prediction", ["-m", "a2d_tf.predict", *words], "{}", files),
        ("beam", ["tools/on_beam.py", *beam], "{}", files),
    ]


def main(argv: list[str]) -> None:
    command_line.require(argv, workdir=_WORKDIR.value)
    try:
        kills = [int(number) for number in _KILLS.value]
    except ValueError:
        kills = []
    if len(kills) != 6:
        raise InputError(f"--kills={','.join(_KILLS.value)}: six whole numbers are needed")
    workdir, moments = os.path.abspath(_WORKDIR.value), random.Random(_SEED.value)
    shutil.rmtree(workdir, ignore_errors=True)
    mini = ["tools/make_mini_a2d.py", f"--output={workdir}/mini", f"--videos={_VIDEOS.value}"]
    survive(mini, f"{workdir}/mini", 0, 0, moments=moments, kill=kill_all)
    report, differ = {}, []
    for (name, command, makes, result), number in zip(parts(workdir, _STEPS.value), kills):
        if not number and name not in _NEEDED:
            continue
        ends, seconds = [], 0.0
        for way, count in (("undisturbed", 0), ("killed", number)):
            folder = os.path.join(workdir, name, way)
            words, made = [word.format(folder) for word in command], makes.format(folder)
            shutil.rmtree(made, ignore_errors=True)
            began = time.monotonic()
            kill = kill_worker if name == "beam" else kill_all
            survive(words, made, count, seconds, moments=moments, kill=kill)
            seconds = time.monotonic() - began
            ends.append(result(made))
        same = ends[0] == ends[1] and bool(ends[0])
        if not same:
            differ.append(name)
        keys = [key for key in {**ends[0], **ends[1]} if ends[0].get(key) != ends[1].get(key)]
        report[name] = {"kills": number, "compared": len(ends[0]), "differ": sorted(map(str, keys))}
        print(
            f"{name}: killed {number} times at work, {len(ends[0])} results compared, "
            f"{len(keys)} differ",
            flush=True,
        )
    write_json(os.path.join(workdir, "soak.json"), report)
    if differ:
        raise InputError(f"{', '.join(differ)}: not the same after kills; see {workdir}/soak.json")


if __name__ == "__main__":
    command_line.run(main)
