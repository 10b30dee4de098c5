"""Suite `prediction`: waiting times, as multiples of `import tensorflow` in the same round.

Every command is a process of its own, timed from outside, start and all. The network is that of
configs/mini.flags with random weights, or `--saved_model`; clips have 36 frames at 400x320. Of the
library the seconds a clip count.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import cv2

from a2d_tf.core.labels import A2D
from a2d_tf.data import mini as synthetic
from a2d_tf.model.network import Network
from a2d_tf.runs.loading import Run
from a2d_tf.serving import export_folder
from tools.benchmarks import measure, setups

_IMPORT = "import tensorflow"
_SIZE = (400, 320)  # width, height
_FRAMES, _CLIPS = 36, 20
_LEAST = 0.01  # seconds of the clip that make a prediction of one frame
_LOAD = "import sys; from a2d_tf.video.predictor import Predictor; Predictor.load(sys.argv[1])"


def run(options: dict) -> tuple[list[dict], dict]:
    """Return rows and details; `small`: some, of two clips of four frames, a small network."""
    small = options["small"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        count = 2 if small else _CLIPS
        clips = _clips(folder / "clips", count, 4 if small else _FRAMES)
        model = options["saved_model"] or _model(folder, small)
        commands = _commands(model, clips[0])
        candidates = {
            name: lambda words=words: _seconds(words, folder)
            for name, words in commands.items()
            if not small or name in (_IMPORT, "a clip", "a library")
        }
        results = measure.alternate(options["rounds"], candidates)
    rows = []
    for name, seconds in results.items():
        rows.append(measure.row(name, "s", seconds))
        times = [one / other for one, other in zip(seconds, results[_IMPORT])]
        rows.append(measure.row(name, f"times {_IMPORT}", times))
    each = [seconds / count for seconds in results["a library"]]
    rows.append(measure.row("a clip of a library", "s", each, results["a clip"]))
    return rows, results


def _commands(model, clip):
    """{name: words of Python's command line}."""
    predict = ["-m", "a2d_tf.predict", f"--saved_model={model}"]
    return {
        _IMPORT: ["-c", _IMPORT],
        "loading an export": ["-c", _LOAD, str(model)],
        "a frame of a clip": [*predict, f"--video={clip}", f"--end={_LEAST}", "--output={}/out"],
        "a clip": [*predict, f"--video={clip}", "--output={}/out"],
        "a library": [*predict, f"--video={clip.parent}", "--output={}/out"],
    }


def _seconds(words, folder):
    """Seconds of a command; {} is a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        words = [word.replace("{}", output) for word in words]
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *words],
            cwd=setups.ROOT,
            env=dict(os.environ, CUDA_VISIBLE_DEVICES=""),
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: status {done.returncode}: {done.stderr[-2000:]}")
    return seconds


def _clips(folder, count, length):
    """Make clips of the mini A2D at the size and length wanted; return their paths."""
    release = synthetic.make_release(folder / "mini", videos=max(count, 4), seed=0, workers=1)
    sources = sorted((release / "clips320H").glob("*.mp4"))[:count]
    for number, source in enumerate(sources):
        capture, frames = cv2.VideoCapture(str(source)), []
        while capture.grab():
            frames.append(cv2.resize(capture.retrieve()[1], _SIZE))
        path, codec = str(folder / f"{number:02d}.mp4"), cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(path, codec, 24, _SIZE)
        there_and_back = frames + frames[-2:0:-1]
        for index in range(length):
            writer.write(there_and_back[index % len(there_and_back)])
        writer.release()
    shutil.rmtree(folder / "mini")
    return sorted(folder.glob("*.mp4"))


def _model(folder, small):
    """Export a network with random weights; return its folder."""
    config = setups.read("mini", small).with_inference(score_threshold=0.5)
    facts = {
        "flow_method": "dis",
        "image_height": config.model.image_height,
        "image_width": config.model.image_width,
        "clip_stride": 1,
    }
    network = Network(config.model, A2D, config.compute)
    export_folder.export(Run(config, network, facts, "random"), str(folder / "model"))
    return folder / "model"
