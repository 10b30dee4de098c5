"""HOTA and IDF1 of random tracks, beside those of TrackEval.

TrackEval needs Python 3.12 and NumPy 2, so that another Python runs it, with packages
of its own.
"""

import functools
import json
import os
import shutil
import subprocess
import tempfile

import pytest
import track_cases
from processes import ROOT, run_python

from a2d_tf.core.labels import A2D
from a2d_tf.evaluation.metrics import hota
from a2d_tf.evaluation.metrics.tracks import TRACK_KINDS

REQUIREMENTS = ROOT / "tests" / "trackeval_requirements.txt"
PYTHONS = ("python3.12", "python3.13", "python3.14", "python3", "/usr/bin/python3")
SEEDS = range(20)

SCRIPT = """
import json, sys
import numpy as np
from trackeval.metrics import HOTA, Identity

def data(frames):
    true = [np.array(frame["true"], int) for frame in frames]
    predicted = [np.array(frame["predicted"], int) for frame in frames]
    ious = []
    for frame, rows, columns in zip(frames, true, predicted):
        iou = np.array(frame["iou"], float)
        ious.append(np.reshape(iou, (len(rows), len(columns))))
    return {
        "gt_ids": true,
        "tracker_ids": predicted,
        "similarity_scores": ious,
        "num_gt_dets": sum(map(len, true)),
        "num_tracker_dets": sum(map(len, predicted)),
        "num_gt_ids": 1 + int(np.concatenate(true).max(initial=-1)),
        "num_tracker_ids": 1 + int(np.concatenate(predicted).max(initial=-1)),
    }

def combined(metric, videos):
    results = {i: metric.eval_sequence(data(frames)) for i, frames in enumerate(videos)}
    return metric.combine_sequences(results)

figures = []
for videos in json.load(open(sys.argv[1])):
    hota = combined(HOTA(), videos)
    identity = combined(Identity({"PRINT_CONFIG": False}), videos)
    values = [np.mean(hota[name]) for name in ("HOTA", "DetA", "AssA", "LocA")]
    values += [identity[name] for name in ("IDF1", "IDP", "IDR")]
    figures.append([100 * float(value) for value in values])
json.dump(figures, open(sys.argv[2], "w"))
"""


def other_python():
    """The path and the version of a Python of at least 3.12; skips without one."""
    for name in PYTHONS:
        path = shutil.which(name)
        if not path:
            continue
        words = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(words, capture_output=True, text=True)
        version = done.stdout.strip()
        if not done.returncode and int(version.partition(".")[2]) >= 12:
            return path, version
    pytest.skip("TrackEval needs Python 3.12 or later, which is not here")


@functools.cache
def packages(version):
    """A folder of TrackEval and its dependencies; skips if pip cannot get them."""
    folder = ROOT / "work" / f"trackeval-{version}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
        options = ["--only-binary=:all:", f"--python-version={version}", "--no-compile"]
        options += ["--disable-pip-version-check", "--retries=1", "--timeout=20"]
        words = [*options, f"--target={partial}/new", "-r", REQUIREMENTS]
        done = run_python("-m", "pip", "install", *words)
        if done.returncode:
            problem = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
            pytest.skip(f"TrackEval cannot be installed here: {problem}")
        if not folder.is_dir():
            os.rename(f"{partial}/new", folder)
    return folder


def random_classes():
    """Lists of videos, each of the frames of one class that has truth."""
    cases = []
    for seed in SEEDS:
        videos = track_cases.random_videos(seed)
        for kind in TRACK_KINDS:
            for number in hota.figures_by_class(videos, kind, A2D):
                frames = [hota.of_class(video, kind, number, A2D) for video in videos]
                cases.append([of_video for of_video in frames if of_video])
    return cases


def as_json(frame):
    """A frame of a class, as the script reads it."""
    return {
        "true": frame.true_tracks.tolist(),
        "predicted": frame.predicted_tracks.tolist(),
        "iou": frame.iou.tolist(),
    }


def test_random_tracks_have_the_figures_of_trackeval(tmp_path):
    path, version = other_python()
    folder = packages(version)
    cases = random_classes()
    assert len(cases) > 100
    written = []
    for videos in cases:
        written.append([list(map(as_json, frames)) for frames in videos])
    (tmp_path / "cases.json").write_text(json.dumps(written))
    words = [path, "-c", SCRIPT, tmp_path / "cases.json", tmp_path / "figures.json"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert not done.returncode, done.stderr
    expected = json.loads((tmp_path / "figures.json").read_text())
    for videos, theirs in zip(cases, expected):
        ours = list(hota.class_figures(videos).values())
        assert ours == pytest.approx(theirs, abs=1e-9)
