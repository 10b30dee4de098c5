"""The table and the confusion matrix of a user's own behaviours."""

import csv
import json

import cv2
from test_start import LABELS, behaviours

from a2d_tf.evaluation.own_labels import behaviour_files, coded_seconds_report
from a2d_tf.evaluation.own_labels.behaviour_files import ConfusionMatrix
from a2d_tf.evaluation.own_labels.coded_seconds import CodedSeconds
from a2d_tf.evaluation.own_labels.object_scores import pairs_of_metrics


def test_an_instance_is_in_one_cell_and_sums_are_those_of_the_sentences():
    metrics = behaviours()
    pairs = pairs_of_metrics(metrics)
    matrix = ConfusionMatrix.of(pairs, metrics["mistakes"], LABELS)
    assert matrix.names == ["mouse run", "mouse rest", "wheel rest", "(none)"]
    assert matrix.counts.tolist() == [
        [3, 0, 1, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 2],
        [0, 2, 0, 0],
    ]
    for i, name in enumerate(("mouse-run", "mouse-rest", "wheel-rest")):
        row = metrics["behaviours"][name]
        assert matrix.counts[i].sum() == row["instances"]
        assert matrix.counts[:, i].sum() == row["findings"]


def test_files_beside_the_scores(tmp_path):
    metrics = behaviours()
    pairs = pairs_of_metrics(metrics)
    behaviour_files.write(tmp_path, pairs, metrics["mistakes"], LABELS)
    with open(tmp_path / "behaviours.csv", encoding="utf-8", newline="") as file:
        rows = {
            row.pop("behaviour"): list(row.values()) for row in csv.DictReader(file)
        }
    # frames, instances, found, findings, precision, recall, F1
    assert rows["mouse run"] == ["3", "4", "3", "3", "100.0", "75.0", "85.714"]
    assert rows["mouse rest"] == ["0", "0", "0", "2", "0.0", "", "0.0"]
    assert rows["wheel rest"][1:] == ["2", "0", "1", "0.0", "0.0", "0.0"]
    assert cv2.imread(str(tmp_path / "confusion.png")) is not None


def test_scores_of_coded_seconds_have_a_picture(tmp_path):
    scores = CodedSeconds.count(
        ["run", "rest", "dig"],
        videos=["a", "a", "b"],
        seconds=[1, 2, 3],
        coded=[0, 0, 1],
        predicted=[0, 2, 1],
    )
    coded_seconds_report.write(tmp_path, scores)
    fields = json.loads((tmp_path / "scores.json").read_text())
    assert fields["behaviours"][0] == {
        "name": "run",
        "coded": 3.0,
        "predicted": 1.0,
        "right": 1.0,
        "videos": 1,
        "confused": {"dig": 2.0},
    }
    assert fields["videos"][0] == {"name": "a", "coded": 3.0, "right": 1.0}
    table = (tmp_path / "scores.csv").read_text().splitlines()
    assert table[:2] == ["behaviour,coded,predicted,right,videos", "run,3.0,1.0,1.0,1"]
    assert cv2.imread(str(tmp_path / "confusion.png")) is not None
