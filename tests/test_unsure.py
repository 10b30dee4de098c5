"""The score below which an answer is unsure, and how a page shows it."""

import dataclasses
import json

import browsers
import numpy as np
import prediction_files
import pytest
from test_page import HELPERS, parts

from a2d_tf.evaluation.own_labels.object_scores import ObjectScores
from a2d_tf.evaluation.own_labels.unsure import unsure_below
from a2d_tf.video.library.library_page import write_library_page
from a2d_tf.video.pages.video_page import write_page

HELD_OUT = {"videos": 2, "frames": 40, "behaviours": {}}


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
        np.tile(scores[shuffled], 4),
        right=np.tile(np.array(right, bool)[shuffled], 4),
        seconds=np.ones(24),
    )
    assert found == expected


def test_each_answer_counts_by_its_time_and_equal_scores_alike():
    scores = np.tile([0.1, 0.2, 0.2, 0.5], 5)
    right = np.tile([False, False, True, True], 5)
    assert unsure_below(scores, right, np.tile([1, 1, 3, 1], 5)) == 0.2
    assert unsure_below(scores, right, np.tile([1, 3, 1, 1], 5)) == 0.5


def test_twenty_answers_of_tracks_are_enough():
    answers = [[0.25, False], [0.57123456, True]] * 10
    scores = ObjectScores([], 0, {}, {}, answers)
    assert scores.unsure_below() == 0.5712
    assert dataclasses.replace(scores, answers=answers[1:]).unsure_below() is None
    assert dataclasses.replace(scores, answers=[]).unsure_below() is None


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


def write(folder, **of_model):
    """Write a prediction by a model that knows this of its labels, and its page."""
    prediction_files.write(folder, overlay=0, held_out={**HELD_OUT, **of_model})
    write_page(folder)
    return folder / "index.html"


@pytest.mark.parametrize(
    "of_model, sentence",
    [
        ({}, ""),
        ({"unsure_below": None}, "Fewer than 20 labels could be compared"),
        ({"unsure_below": 0}, "no label is called unsure"),
        ({"unsure_below": 0.6}, "bouts with a score below 0.6: in videos held out"),
    ],
)
def test_a_page_says_which_labels_are_unsure(tmp_path, of_model, sentence):
    text = write(tmp_path, **of_model).read_text()
    has_limit = of_model.get("unsure_below") is not None
    assert sentence in text
    assert ("not how often that is right.</p>" in text) == (sentence == "")
    assert ("<th>unsure s</th>" in text) == ('name="limit"' in text) == has_limit


def test_a_slider_moves_the_limit_and_the_tables_follow(tmp_path):
    """Below .6 are the bouts of cat (.5) and of ball (.25 and .3); dog has .6 to .9."""
    page = write(tmp_path / "clip", unsure_below=0.6)
    script = """
    const pale = () => document.querySelectorAll('.pale').length;
    const sums = () => [...document.querySelector('tbody').rows].map(
      row => row.cells[2].innerText + ' ' + row.cells[7].innerText);
    const tables = [pale(), sums(), $('usual').disabled];
    choose({limit: 0.75});
    const more = [pale(), sums(), $('usual').disabled, $('below').innerText];
    $('usual').click();
    return [tables, more, [pale(), sums(), $('usual').disabled]];
    """
    tables, more, again = browsers.run(page, HELPERS + script)
    flying_and_rolling = ["flying 0.80", "rolling 1.00"]
    assert tables == [
        3,
        [*flying_and_rolling, "running 0.20", "running 0.00", "walking 0.00"],
        True,
    ]
    assert more == [
        5,
        [*flying_and_rolling, "running 0.20", "running 0.50", "walking 2.30"],
        False,
        "0.75",
    ]
    assert again == tables


def test_the_page_of_a_library_counts_unsure_seconds_apart(tmp_path):
    write(tmp_path / "clip", unsure_below=0.65)
    write_library_page(tmp_path, parts(tmp_path), {})
    text = (tmp_path / "index.html").read_text()
    assert text.count('<td data-sum="unsure">0.50</td>') == 2  # #1's dog running, .6
    folder = json.loads((tmp_path / "clip/part.json").read_text())
    assert [totals[0][-1] for _, _, totals in folder["sums"]] == [0.8, 1, 0.2, 0.5, 0]
