"""Suite `prediction`: waiting times, as multiples of `import tensorflow` in the same
round.

Every command is a process of its own, timed from outside, start and all. The network is
the packed one, `mini`, or `--saved_model`; drawn clips have some 40 frames at 400x320.
Of the library the seconds a clip count. A packed model's export is kept since the first
round.
"""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile

from a2d_tf.data import mini_a2d
from tools.benchmarks import measure, processes

_IMPORT = "import tensorflow"
_LEAST = 0.01  # seconds of the clip that make a prediction of one frame
_LOAD = (
    "import sys; from a2d_tf.video.predictor import Predictor;"
    " Predictor.load(sys.argv[1])"
)


def run(options: dict) -> tuple[list[dict], dict]:
    """Return rows and details; `small`: some, of four clips."""
    small = options["small"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        count = 4 if small else 20
        release = mini_a2d.make_release(
            folder / "mini", videos=count, seed=0, workers=1
        )
        model = options["saved_model"] or folder / "model"
        if not options["saved_model"]:
            _seconds(
                ["-m", "a2d_tf", "export", "--model=mini", f"--output={model}"], folder
            )
        clip = min((release / "clips320H").glob("*.mp4"))
        further = ["--end=0.2"] if small else []
        commands = _commands(model, clip, further)
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


def _commands(model, clip, further):
    """{name: words of Python's command line}."""
    predict = ["-m", "a2d_tf.predict", f"--saved_model={model}", *further]
    return {
        _IMPORT: ["-c", _IMPORT],
        "loading an export": ["-c", _LOAD, str(model)],
        "loading a packed model": ["-c", _LOAD, "mini"],
        "a frame of a clip": [
            *predict,
            f"--video={clip}",
            f"--end={_LEAST}",
            "--output={}/out",
        ],
        "a clip": [*predict, f"--video={clip}", "--output={}/out"],
        "a library": [*predict, f"--video={clip.parent}", "--output={}/out"],
    }


def _seconds(words, folder):
    """Seconds of a command; {} is a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        words = [sys.executable, *(word.replace("{}", output) for word in words)]
        ended = processes.run(words, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    if ended.status:
        raise RuntimeError(f"{' '.join(words)}: {ended.cause}")
    return ended.seconds
