"""Suite `library`: seconds a clip of many short videos, and of a long one beside the bare network.

Clips of the mini A2D, enlarged to 400x320, predicted by `--saved_model`, by default a network of
configs/mini.flags with random weights. For short videos, a process each and all in one process, the
command is timed from outside, start and all. Of a long video the time from the first frame to the
written files counts, beside that of the same calls of `frame` and `key_frame` alone: nothing
decoded, no flow, no files.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import cv2

from a2d_tf.data import mini as synthetic
from a2d_tf.video import outputs
from tools.benchmarks import measure, setups

ROOT = pathlib.Path(__file__).resolve().parents[2]
_SIZE = (400, 320)  # width, height
FRAMES, _CLIPS = 36, 20
_EACH = 3  # clips a round that have a process each
_GOAL = 1.5  # seconds a clip, at most, with everything
_LONG, _LONG_GOAL = 600, 1.3  # frames of the long video; times the bare network, at most
_WAYS = {
    "with everything": tuple(outputs.KINDS),
    "without overlay": tuple(kind for kind in outputs.KINDS if kind not in ("overlay", "page")),
}


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: one clip of four frames, one way, the smallest network."""
    small = options["small"]
    count, each = (1, 1) if small else (_CLIPS, _EACH)
    ways = {"with everything": _WAYS["with everything"]} if small else _WAYS
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        films = clips(folder / "clips", count, 4 if small else FRAMES)
        saved = options["saved_model"] or model(folder, small)
        candidates = {}
        for way, kinds in ways.items():
            words = [f"--saved_model={saved}", f"--results={','.join(kinds)}"]
            candidates[way, "each"] = lambda words=words: _apart(words, films[:each], folder)
            candidates[way, "one"] = lambda words=words: _together(words, films, folder)
        (film,) = clips(folder / "long", 1, 8 if small else _LONG)
        long = _long(saved, film, folder)
        results = measure.alternate(options["rounds"], {**candidates, **long})
    rows = []
    for way in ways:
        ours, peer = results[way, "one"], results[way, "each"]
        name = f"{count} clips {way}"
        rows.append(
            measure.row(f"{name}, a process each", "s a clip", ours, peer, higher_is_better=False)
        )
    ours = results["with everything", "one"]
    rows.append(measure.limit_row(f"{count} clips with everything", "s a clip", ours, _GOAL))
    times = [a / b for a, b in zip(*(results[name] for name in long))]
    rows.append(measure.limit_row("a long video", "times the bare network", times, _LONG_GOAL))
    return rows, {f"{way}, {how}": seconds for (way, how), seconds in results.items()}


def _long(saved, film, folder):
    """{name: a candidate that returns seconds}: of a whole prediction, of the bare network."""
    from a2d_tf.core import devices
    from a2d_tf.video import streaming, video_files
    from a2d_tf.video.predictor import Predictor

    devices.prepare()
    predictor = Predictor.load(saved)
    facts, size = predictor.facts, video_files.Reader(film).size
    prepared = [moving[1:] for moving in streaming.moving(video_files.Reader(film), facts)]

    def whole():
        with tempfile.TemporaryDirectory(dir=folder) as output:
            began = time.perf_counter()
            streaming.predict(lambda: predictor, video_files.Reader(film), f"{output}/out")
            return time.perf_counter() - began

    def bare():
        began = time.perf_counter()
        ring = streaming.Ring(facts["frames"], facts["clip_stride"])
        for frame, flow in prepared:
            window = ring.push(predictor.frame(frame, flow))
            if window:
                predictor.outputs(window, size)
        return time.perf_counter() - began

    bare()
    return {("a long video", "whole"): whole, ("a long video", "bare"): bare}


def clips(folder: pathlib.Path, count: int, length: int) -> list[pathlib.Path]:
    """Clips of the mini A2D at the size and length wanted."""
    release = synthetic.make_release(folder / "mini", videos=max(count, 4), seed=0, workers=1)
    sources = sorted((release / "clips320H").glob("*.mp4"))[:count]
    for number, source in enumerate(sources):
        capture = cv2.VideoCapture(str(source))
        frames = []
        while capture.grab():
            frames.append(cv2.resize(capture.retrieve()[1], _SIZE))
        writer = cv2.VideoWriter(
            str(folder / f"{number:02d}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 24, _SIZE
        )
        for index in range(length):  # there and back, where the source is shorter
            place = index % max(2 * len(frames) - 2, 1)
            writer.write(frames[min(place, 2 * len(frames) - 2 - place)])
        writer.release()
    shutil.rmtree(folder / "mini")
    return sorted(folder.glob("*.mp4"))


def model(folder: pathlib.Path, small: bool) -> pathlib.Path:
    """A network with random weights, exported."""
    from a2d_tf.core.labels import A2D
    from a2d_tf.model.network import Network
    from a2d_tf.serving import export_folder
    from a2d_tf.training.run_folder import Run

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


def _command(words, video, folder):
    """Seconds of a prediction into a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "a2d_tf.predict", *words, f"--video={video}"]
            + [f"--output={output}/out"],
            cwd=ROOT,
            env=dict(os.environ, CUDA_VISIBLE_DEVICES=""),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return time.perf_counter() - began


def _apart(words, clips, folder):
    return sum(_command(words, clip, folder) for clip in clips) / len(clips)


def _together(words, clips, folder):
    return _command(words, clips[0].parent, folder) / len(clips)
