"""frames.csv: rows, columns and scores, by literals and by loops."""

import csv
import types

import numpy as np
import pytest
from test_outputs import BOX, FILM, OTHER, frame, reader, write

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.tracking.structures import Detection
from a2d_tf.tracking.track_labels import LabelReader
from a2d_tf.video.outputs import output_folder

ZOO = LabelSpace(
    actors=("dog", "mouse"),
    actions=("run", "rest"),
    codes=(11, 12, 22),
)


def rows_of(folder):
    with open(folder / "frames.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_has_the_label_of_the_track_and_the_score_of_each_behaviour(tmp_path):
    instances = [(2, 34, 0.25, OTHER), (0, 17, 0.9, BOX), (1, 17, 0.75, BOX)]
    with output_folder.open_outputs(str(tmp_path), reader()) as files:
        files.describe({}, {2: "Bo"})
        files.add(frame(1), A2D)
        files.add(frame(2, *instances), A2D)
    lines = (tmp_path / "frames.csv").read_text().splitlines()
    assert lines == [
        "frame,seconds,track_id,name,actor,action,"
        "climbing,crawling,eating,flying,jumping,rolling,running,walking,none",
        "2,0.1,1,,adult,running,0.0,0.0,0.0,0.0,0.0,0.0,0.75,0.0,0.0",
        "2,0.1,2,Bo,ball,flying,0.0,0.0,0.0,0.25,0.0,0.0,0.0,0.0,0.0",
    ]


def test_rows_are_those_of_the_tracks(tmp_path):
    write(tmp_path, FILM)
    rows = [(row["frame"], row["track_id"], row["action"]) for row in rows_of(tmp_path)]
    assert rows == [
        ("1", "1", "running"),
        ("2", "1", "running"),
        ("2", "2", "flying"),
        ("3", "1", "walking"),
        ("5", "1", "walking"),
        ("6", "1", "running"),
    ]


@pytest.mark.parametrize("joint", [False, True])
def test_scores_of_pairs_are_means_over_the_frames_around(joint):
    draw = np.random.default_rng(3)
    detections = []
    for index in range(4):
        actor_scores, action_scores = draw.uniform(size=(2, 2)).astype(np.float32)
        detections.append(Detection(index, 11, 0.5, actor_scores, action_scores))
    expected = np.zeros((2, 2))
    for actor, action in ((0, 0), (0, 1), (1, 1)):
        for detection in detections:
            score = float(detection.action_scores[action])
            if joint:
                score /= float(detection.action_scores.astype(float).sum())
            expected[actor, action] += float(detection.actor_scores[actor]) * score / 4
    track = types.SimpleNamespace(id=1, detections=detections)
    label = LabelReader(ZOO, 9, joint, None).read(track, 3)
    np.testing.assert_allclose(label.pair_scores, expected, rtol=1e-12)
    pair = ZOO.indices(label.code)
    assert label.pair_scores[pair] == pytest.approx(label.score, rel=1e-12)
