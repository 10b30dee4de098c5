"""Confusion, precision, recall and kappa of frames, and two coders' tables."""

import json

import cv2
import numpy as np
import prediction_files
import pytest
from processes import complaint, run_a2d
from test_agreement import write_events

from a2d_tf.behaviour.frame_agreement import (
    FrameCounts,
    cohens_kappa,
)
from a2d_tf.behaviour.spans import TimeSpan
from a2d_tf.core.counts import Counts


def spans(*pairs):
    return [TimeSpan(*pair) for pair in pairs]


def test_kappa_is_the_agreement_beyond_chance():
    # Of 50 cases both say yes to 20 and no to 15: p_o = .7, p_e = .5.
    assert cohens_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    assert cohens_kappa(np.array([[1, 1], [1, 1]])) == 0
    assert cohens_kappa(np.diag([3, 4, 5])) == 1
    assert cohens_kappa(np.array([[0, 0], [0, 7]])) is None
    assert cohens_kappa(np.zeros((2, 2))) is None


def test_kappa_is_that_of_a_loop_over_frames():
    draw = np.random.default_rng(2)
    first, second = draw.integers(0, 4, (2, 500))
    second = np.where(draw.random(500) < 0.6, first, second)
    matrix = np.zeros((4, 4))
    for a, b in zip(first, second):
        matrix[a, b] += 1
    observed = sum(a == b for a, b in zip(first, second)) / 500
    expected = sum(sum(first == k) / 500 * sum(second == k) / 500 for k in range(4))
    kappa = (observed - expected) / (1 - expected)
    assert cohens_kappa(matrix) == pytest.approx(kappa, rel=1e-12)


def test_precision_and_recall_are_none_where_nothing_says_them():
    assert Counts(4, 2, 8).figures() == pytest.approx(
        {"precision": 25, "recall": 50, "f1": 100 / 3}
    )
    assert Counts(0, 0, 8).figures() == {"precision": 0, "recall": None, "f1": 0}
    assert Counts(4, 0, 0).figures() == {"precision": None, "recall": 0, "f1": 0}
    nothing = {"precision": None, "recall": None, "f1": None}
    assert Counts().figures() == nothing
    assert Counts(4, 2, 8) + Counts(1, 1, 0) == Counts(5, 3, 8)


def test_of_one_individual_each_frame_is_in_one_cell():
    counts = FrameCounts.empty(["run", "walk"])
    first = {"run": spans((0, 0.5)), "walk": spans((0.5, 0.8))}
    second = {"run": spans((0, 0.3)), "walk": spans((0.3, 0.6), (0.9, 1))}
    counts.add(first, second, TimeSpan(0, 1), fps=10)
    # run-run 3, run-walk 2, walk-walk 1, walk-none 2, none-none 1, none-walk 1
    assert counts.matrix.tolist() == [[3, 2, 0], [0, 1, 2], [0, 1, 1]]
    figures = counts.figures()
    assert figures["count"] == 10 and figures["names"] == ["run", "walk", "(none)"]
    run = figures["actions"]["run"]
    assert (run["precision"], run["recall"], run["f1"]) == (100, 60, 75)
    # of run and the rest: 3 and 5 agree, 2 do not
    assert run["kappa"] == pytest.approx((0.8 - 0.5) / 0.5)
    assert figures["kappa"] == pytest.approx((0.5 - 0.33) / 0.67)


def test_of_several_individuals_those_that_differ_share():
    counts = FrameCounts.empty(["run", "walk", "rest"])
    # Of three that run, one does in both; the others walk, rest or are not seen.
    first = {"run": spans((0, 1), (0, 1), (0, 1))}
    second = {"run": spans((0, 1)), "walk": spans((0, 1))}
    counts.add(first, second, TimeSpan(0, 1), fps=1)
    assert counts.matrix[0].tolist() == [1, 1, 0, 1] and counts.matrix[1:].sum() == 0
    counts = FrameCounts.empty(["run", "walk", "rest"])
    first = {"run": spans((0, 1)), "walk": spans((0, 1))}
    second = {"rest": spans((0, 1))}
    counts.add(first, second, TimeSpan(0, 1), fps=1)
    assert counts.matrix.tolist() == [
        [0, 0, 0.5, 0.5],
        [0, 0, 0.5, 0.5],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]


def score(folder, truth, predicted, *more):
    return run_a2d(
        "score",
        "bouts",
        f"--truth={truth}",
        f"--predicted={predicted}",
        f"--output={folder}/out.json",
        *more,
    )


def test_two_coders_are_compared(tmp_path):
    more = (("Media duration (s)", 10), ("FPS", 10))
    first = write_events(
        tmp_path / "first.tsv",
        ("a", "clip.mp4", "run", "STATE", 0, 5),
        ("a", "clip.mp4", "walk", "STATE", 5, 8),
        more=more,
    )
    second = write_events(
        tmp_path / "second.tsv",
        ("b", "clip.mp4", "run", "STATE", 0, 3),
        ("b", "clip.mp4", "walk", "STATE", 3, 6),
        ("b", "clip.mp4", "rest", "STATE", 9, 10),
        more=more,
    )
    done = score(tmp_path, first, second)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["frames"]["names"] == ["rest", "run", "walk", "(none)"]
    assert found["frames"]["confusion"] == [
        [0, 0, 0, 0],
        [0, 30, 20, 0],
        [0, 0, 10, 20],
        [10, 0, 0, 10],
    ]
    assert found["frames"]["kappa"] == pytest.approx((0.5 - 0.3) / 0.7)
    assert found["bouts"]["run"] == {"precision": 100, "recall": 100, "f1": 100}
    assert found["actions"]["run"]["agreed_seconds"] == 3
    assert found["left_out"] == found["not_coded"] == []
    assert "BORIS and second coder, 1 videos" in done.stdout
    assert "all                     -" not in done.stdout
    picture = cv2.imread(str(tmp_path / "out.png"))
    assert picture.shape[0] > 200
    alone = score(tmp_path, first, first)
    assert alone.returncode == 0
    assert json.loads((tmp_path / "out.json").read_text())["frames"]["kappa"] == 1


def test_coders_of_two_videos_are_told(tmp_path):
    row = ("a", "clip.mp4", "run", "STATE", 0, 5)
    paths = []
    for seconds in (10, 20):
        more = (("Media duration (s)", seconds),)
        paths.append(write_events(tmp_path / f"{seconds}.tsv", row, more=more))
    told = complaint(score(tmp_path, *paths))
    assert "'clip': coded in a video of 10.0 s and in one of 20.0 s" in told
    other = write_events(tmp_path / "other.tsv", ("a", "other.mp4", *row[2:]))
    assert "the second coder has no 'clip'" in complaint(
        score(tmp_path, paths[0], other)
    )
    told = complaint(score(tmp_path, paths[0], paths[0], "--min_bout=1"))
    assert "--min_bout, --merge_gap: are for predictions" in told


def test_short_bouts_of_a_prediction_do_not_count(tmp_path):
    # The dog runs at 1 to 1.7 s, between two walks.
    prediction_files.write(tmp_path / "library/clip", overlay=0)
    events = write_events(
        tmp_path / "events.tsv", ("day 1", "clip", "walking", "STATE", 0, 4)
    )
    agreed = []
    for more in ((), ("--merge_gap=0.8",), ("--min_bout=1.1",)):
        done = score(tmp_path, events, tmp_path / "library", *more)
        assert done.returncode == 0, done.stderr
        figures = json.loads((tmp_path / "out.json").read_text())["actions"]["walking"]
        agreed.append(figures["agreed_seconds"])
    assert agreed == pytest.approx([3.3, 4, 2.3])
