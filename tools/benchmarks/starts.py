"""Suite `starts`: what a user waits for, as multiples of `import tensorflow` in the same round.

Every command is a process of its own, timed from outside, start and all. The network is that of
configs/mini.flags with random weights, or `--saved_model`; the clip has 36 frames at 400x320.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from a2d_tf.data import mini as synthetic
from a2d_tf.video import outputs
from tools.benchmarks import library, measure

_IMPORT = "import tensorflow"
_MOST = {  # times the import
    "first frame of a video": 2.4,
    "clip, with everything": 3.3,
}
_LEAST = 0.01  # seconds of the clip that make a prediction of one frame
_LOAD = "import sys; from a2d_tf.video.predictor import Predictor; Predictor.load(sys.argv[1])"


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: a clip of four frames, the smallest network, no training."""
    small = options["small"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (clip,) = library.clips(folder / "clips", 1, 4 if small else library.FRAMES)
        model = options["saved_model"] or library.model(folder, small)
        candidates = _commands(model, clip, folder)
        training = importlib.util.find_spec("tools.benchmarks.train_start")
        if training and not small:
            from tools.benchmarks import train_start

            records = _records(folder)
            candidates["training to its first step"] = lambda: train_start.measure(records)["whole"]
        results = measure.alternate(options["rounds"], candidates)
    return [_row(name, seconds, results[_IMPORT]) for name, seconds in results.items()], results


def _commands(model, clip, folder):
    """{name: a candidate that runs a command}."""
    predict = ["-m", "a2d_tf.predict"]
    words = [*predict, f"--saved_model={model}", f"--video={clip}", f"--results={_kinds()}"]
    commands = {
        _IMPORT: ["-c", _IMPORT],
        "--help": [*predict, "--help"],
        "a wrong flag": [*predict, "--saved_modle=x"],
        "loading an export": ["-c", _LOAD, str(model)],
        "first frame of a video": [*words, f"--end={_LEAST}"],
        "clip, with everything": words,
    }
    return {
        name: lambda name=name, command=command: _seconds(command, folder, name == "a wrong flag")
        for name, command in commands.items()
    }


def _kinds():
    return ",".join(outputs.KINDS)


def _seconds(words, folder, fails):
    """Seconds of a command of Python, which ends with an error if it `fails`."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        if any(word.startswith("--video=") for word in words):
            words = [*words, f"--output={output}/out"]
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *words],
            cwd=library.ROOT,
            env=dict(os.environ, CUDA_VISIBLE_DEVICES=""),
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - began
    if bool(done.returncode) != fails:
        raise RuntimeError(f"{' '.join(words)}: status {done.returncode}: {done.stderr[-2000:]}")
    return seconds


def _records(folder):
    """Records of a few clips of the mini A2D."""
    release = synthetic.make_release(folder / "mini", videos=8, seed=0, workers=1)
    words = [f"--release={release}", f"--output={folder / 'records'}"]
    subprocess.run(
        [sys.executable, "tools/build_records.py", *words],
        cwd=library.ROOT,
        check=True,
        capture_output=True,
    )
    return folder / "records"


def _row(name, seconds, imports):
    """A row in multiples of the import."""
    if name == _IMPORT:
        return measure.row(name, "s", seconds)
    times = [one / other for one, other in zip(seconds, imports)]
    if name in _MOST:
        return measure.limit_row(name, f"times {_IMPORT}", times, _MOST[name])
    return measure.row(name, f"times {_IMPORT}", times)
