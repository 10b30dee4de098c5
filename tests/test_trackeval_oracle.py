"""HOTA and IDF1 against TrackEval, assignments against SciPy's, in packages of their own."""

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
from a2d_tf.evaluation.tracks import assign

WORKER = pathlib.Path(__file__).resolve().with_name("trackeval_worker.py")
CASES = [track_cases.random_videos(seed)[0] for seed in range(10)]
NAMES = ("hota", "det_a", "ass_a", "loc_a", "idf1", "idp", "idr")


def matrices():
    rng = np.random.default_rng(0)
    sizes = [(1, 1), *rng.integers(1, 12, (40, 2)).tolist()]
    return [np.round(rng.normal(size=size), int(rng.integers(0, 4))) for size in sizes]


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
    """What TrackEval says of each case, of all objects and of adults; what SciPy assigns."""
    cases = [[sequence(v, actor) for v in videos] for actor in (None, 1) for videos in CASES]
    given = {"cases": cases, "scores": [scores.tolist() for scores in matrices()]}
    done = subprocess.run(
        # -S: without the packages of this environment.
        [sys.executable, "-S", str(WORKER)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(extra_packages.folder("oracles"))},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_all_objects_as_one_class(answers):
    ours = [metrics.metrics_of(videos, A2D)["any"] for videos in CASES]
    expected = answers["figures"][: len(CASES)]
    for figures, theirs in zip(ours, expected):
        assert [figures[name] for name in NAMES] == pytest.approx(theirs, abs=1e-9)
    # The cases are of all sorts.
    assert (np.ptp(expected, axis=0) > 5).all()


def test_one_class_of_several(answers):
    compared = 0
    for videos, theirs in zip(CASES, answers["figures"][len(CASES) :]):
        if any((frame.truth.codes // 10 == 1).any() for video in videos for frame in video):
            figures = metrics.of_classes(videos, "actor", A2D)[1]
            assert [figures[name] for name in NAMES] == pytest.approx(theirs, abs=1e-9)
            compared += 1
    assert compared > 5


def test_assignments(answers):
    for scores, total in zip(matrices(), answers["totals"]):
        rows, columns = assign(scores)
        assert len({*rows.tolist()}) == len({*columns.tolist()}) == len(rows)
        assert len(rows) == min(scores.shape)
        assert scores[rows, columns].sum() == pytest.approx(total)
