"""HOTA and IDF1 against TrackEval, in packages of its own."""

import json
import os
import pathlib
import subprocess
import sys

import extra_packages
import numpy as np
import pytest
import track_cases

from a2d_tf.core.labels import A2D
from a2d_tf.evaluation.metrics import over_time as metrics

WORKER = pathlib.Path(__file__).resolve().with_name("trackeval_worker.py")
CASES = [track_cases.random_videos(seed)[0] for seed in range(10)]
NAMES = ("hota", "det_a", "ass_a", "loc_a", "idf1", "idp", "idr")


def sequence(video, actor=None):
    """A video for the worker: all objects, or those of an actor."""
    frames = []
    for frame in video:
        rows, columns = (
            np.flatnonzero((codes // 10 == actor) | (actor is None))
            for codes in (frame.truth.codes, frame.found.codes)
        )
        tracks = frame.truth.tracks[rows].tolist(), frame.found.tracks[columns].tolist()
        frames.append((*tracks, frame.iou[np.ix_(rows, columns)].tolist()))
    return frames


@pytest.fixture(scope="module")
def answers():
    """TrackEval's figures of each case, of all objects and of adults."""
    cases = [[sequence(v, actor) for v in videos] for actor in (None, 1) for videos in CASES]
    done = subprocess.run(
        # -S: without the packages of this environment.
        [sys.executable, "-S", str(WORKER)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(extra_packages.folder("oracles"))},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_all_objects_as_one_class(answers):
    ours = [metrics.metrics_of(videos, A2D)["any"] for videos in CASES]
    expected = answers[: len(CASES)]
    for figures, theirs in zip(ours, expected):
        assert [figures[name] for name in NAMES] == pytest.approx(theirs, abs=1e-9)
    # The cases are of all sorts.
    assert (np.ptp(expected, axis=0) > 5).all()


def test_one_class_of_several(answers):
    compared = 0
    for videos, theirs in zip(CASES, answers[len(CASES) :]):
        if any((frame.truth.codes // 10 == 1).any() for video in videos for frame in video):
            figures = metrics.of_classes(videos, "actor", A2D)[1]
            assert [figures[name] for name in NAMES] == pytest.approx(theirs, abs=1e-9)
            compared += 1
    assert compared > 5
