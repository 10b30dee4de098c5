"""The score below which an answer is unsure, and how a page shows it."""

import json

import numpy as np
import prediction_files
import pytest

from a2d_tf.evaluation.unsure import unsure_below
from a2d_tf.video.pages.video_page import write_page


@pytest.mark.parametrize(
    "right, expected",
    [
        ([0, 0, 0, 1, 1, 1], 0.7),
        ([0, 0, 1, 0, 0, 1], 0.9),  # the right one among them is called wrong
        ([0, 0, 1, 1, 0, 1], 0.4),  # and here the wrong one right
        ([1, 1, 1, 0, 1, 1], 0),
        ([0, 0, 0, 0, 0, 0], 1),
    ],
)
def test_lower_scores_are_rather_wrong(right, expected):
    scores = np.array([0.1, 0.2, 0.4, 0.7, 0.8, 0.9])
    shuffled = [4, 1, 5, 0, 3, 2]
    found = unsure_below(
        scores[shuffled], np.array(right, bool)[shuffled], np.ones(len(scores))
    )
    assert found == expected


def test_each_answer_counts_by_its_time_and_equal_scores_alike():
    scores = np.array([0.1, 0.2, 0.2, 0.5])
    right = np.array([False, False, True, True])
    assert unsure_below(scores, right, np.array([1, 1, 3, 1])) == 0.2
    assert unsure_below(scores, right, np.array([1, 3, 1, 1])) == 0.5


def test_it_is_the_best_of_all_limits():
    draw = np.random.default_rng(1)
    scores = draw.random(60).round(2)
    right = draw.random(60) < scores
    seconds = draw.random(60)
    best = {}
    for limit in (*sorted(set(scores)), 1.0):
        said = scores >= limit
        best[limit] = seconds[said == right].sum()
    found = unsure_below(scores, right, seconds)
    assert 0 < found < 1 and best[found] == pytest.approx(max(best.values()))


def test_unsure_bouts_are_pale_and_their_seconds_are_said(tmp_path):
    held_out = {"videos": 2, "seconds": 4.0, "right": 3.0, "behaviours": {}}
    pages = []
    for more in ({}, {"unsure_below": 0.6}):
        prediction_files.write(tmp_path, overlay=0)
        path = tmp_path / "video.json"
        info = json.loads(path.read_text())
        path.write_text(json.dumps({**info, "held_out": {**held_out, **more}}))
        write_page(tmp_path)
        pages.append((tmp_path / "index.html").read_text())
    assert ";opacity:" not in pages[0] and "Unsure" not in pages[0]
    unsure = []
    for track in json.loads((tmp_path / "tracks.json").read_text()):
        unsure += [bout for bout in track["actions"] if bout["mean_score"] < 0.6]
    assert pages[1].count(";opacity:.35") == len(unsure) > 0
    for bout in unsure:
        assert f"{bout['action']} " in pages[1].split("Unsure, drawn pale: ")[1]
