"""Suite `prediction`: waiting times, also as multiples of `import tensorflow`.

Every command is a process of its own, timed from outside with its start. A multiple
divides by the import of the same round. The network is the packed one, `mini`, or that
of `--saved_model`. The drawn clips have some 40 frames at 400x320. A library's time is
given for a clip. The export of the packed model is made in the first round and kept.
"""

from __future__ import annotations

import functools
import os
import pathlib
import statistics
import sys
import tempfile

from a2d_tf.data.mini import mini_a2d
from tools.benchmarks import measure, processes

_IMPORT = "import tensorflow"
_ONE_FRAME = 0.01  # seconds of the clip that hold only its first frame
_LOAD = (
    "import sys; from a2d_tf.video.predictors.predictor import Predictor;"
    " Predictor.load(sys.argv[1])"
)


def run(options: measure.Options) -> measure.Report:
    """Measure how long the commands of prediction take.

    Args:
      options: the options; `saved_model` is used, and `small` measures three commands
        only, on four clips.
    """
    small = options.small
    count = 4 if small else 20
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        release = mini_a2d.make_release(
            folder / "mini", videos=count, seed=0, workers=1
        )
        model = options.saved_model
        if not model:
            model = str(folder / "model")
            export = ["-m", "a2d_tf", "export", "--model=mini", f"--output={model}"]
            _seconds(export, folder)
        clip = min((release / "clips320H").glob("*.mp4"))
        candidates = {}
        for name, words in _commands(model, clip, small).items():
            if small and name not in (_IMPORT, "a clip", "a library"):
                continue
            candidates[name] = functools.partial(_seconds, words, folder)
        results = measure.alternate(options.rounds, candidates)
    rows = []
    for name, seconds in results.items():
        rows.append(measure.Row(name, "s", statistics.median(seconds)))
        multiples = []
        for command_seconds, import_seconds in zip(seconds, results[_IMPORT]):
            multiples.append(command_seconds / import_seconds)
        times = statistics.median(multiples)
        rows.append(measure.Row(name, f"times {_IMPORT}", times))
    library_clip = [seconds / count for seconds in results["a library"]]
    rows.append(
        measure.compare("a clip of a library", "s", library_clip, results["a clip"])
    )
    return measure.Report(rows, results)


def _commands(model, clip, small):
    """Return {name: words of Python's command line}."""
    predict = ["-m", "a2d_tf.predict", f"--saved_model={model}"]
    if small:
        predict.append("--end=0.2")
    return {
        _IMPORT: ["-c", _IMPORT],
        "loading an export": ["-c", _LOAD, str(model)],
        "loading a packed model": ["-c", _LOAD, "mini"],
        "a frame of a clip": [
            *predict,
            f"--video={clip}",
            f"--end={_ONE_FRAME}",
            "--output={}/out",
        ],
        "a clip": [*predict, f"--video={clip}", "--output={}/out"],
        "a library": [*predict, f"--video={clip.parent}", "--output={}/out"],
    }


def _seconds(words, folder):
    """Return the seconds of a command of Python; {} stands for a new folder."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = [sys.executable]
        command += [word.replace("{}", output) for word in words]
        ended = processes.run(command, env=environment)
    if ended.status:
        raise RuntimeError(f"{' '.join(command)}: {ended.cause}")
    return ended.seconds
