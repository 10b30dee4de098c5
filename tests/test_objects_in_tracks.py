"""Annotated objects that tracks of predictions find: by masks, by boxes, by frames."""

import csv
import json

import cv2
import numpy as np
import pytest
from prediction_files import write
from processes import complaint, run_a2d, succeeded

from a2d_tf.behaviour import objects_in_tracks
from a2d_tf.core.counts import Counts
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.own_labels.object_scores import ObjectScores, PairScores

LABELS = LabelSpace(("mouse", "wheel"), ("run", "rest"), (11, 12, 22))
SIZE = (48, 64)


def mask(y1, x1, y2, x2):
    """The RLE of a filled box."""
    filled = np.zeros(SIZE, bool)
    filled[y1:y2, x1:x2] = True
    return encode_mask(filled)


def truth_of(*objects, frames):
    """Make a truth of (frame, code, y1, x1, y2, x2, mask or None)."""
    return Truth(
        frames=np.array(frames),
        box_frame=[frames.index(frame) for frame, *_ in objects],
        boxes=[box for _, _, *box, _ in objects],
        codes=[code for _, code, *_ in objects],
        sizes=[SIZE for _ in frames],
        masks=[rle for *_, rle in objects],
    )


def bouts_of(rows):
    """One bout a row, whose mean score is half of that of the frame."""
    return [
        {
            "start_frame": row["frame"],
            "end_frame": row["frame"],
            "mean_score": row["score"] / 2,
        }
        for row in rows
    ]


def predict(folder, *rows, labels=LABELS, **facts):
    """Write a prediction of (frame, track, code, score, y1, x1, y2, x2) with masks.

    The network's own code in `detections.json` is another one.
    """
    detections = []
    tracks = {}
    for frame, number, code, score, *box in rows:
        y1, x1, y2, x2 = box
        bbox = [x1, y1, x2 - x1, y2 - y1]
        detection = {"image_id": frame, "category_id": 12, "score": 0.1, "bbox": bbox}
        detection |= {"track_id": number, "segmentation": mask(*box)}
        detections.append(detection)
        row = {"frame": frame, "category_id": code, "score": score, "bbox": bbox}
        tracks.setdefault(number, []).append(row)
    tracks = [
        {"track_id": number, "frames": of_track, "actions": bouts_of(of_track)}
        for number, of_track in tracks.items()
    ]
    described = dict(times=[0.1 * i for i in range(40)], until=4.0, **facts)
    described["labels"] = json.loads(labels.to_json())
    write(folder, [], overlay=0, **described)
    (folder / "tracks.json").write_text(json.dumps(tracks))
    lines = ",\n".join(json.dumps(detection) for detection in detections)
    (folder / "detections.json").write_text(f"[\n{lines}\n]\n")


def test_objects_are_found_by_the_label_of_the_track_and_by_masks(tmp_path):
    # The masks of frame 1 fill the boxes; that of frame 2 is a corner of its box, which
    # a finding that fills the box has an IoU of 0.25 with. Frame 3 has boxes alone.
    frames = ["a/00001", "a/00002", "a/00003"]
    truth = truth_of(
        ("a/00001", 11, 0, 0, 20, 20, mask(0, 0, 20, 20)),
        ("a/00001", 22, 20, 30, 40, 60, mask(20, 30, 40, 60)),
        ("a/00002", 11, 0, 0, 20, 20, mask(0, 0, 10, 10)),
        ("a/00003", 11, 0, 0, 20, 20, None),
        frames=frames,
    )
    predict(
        tmp_path / "a",
        (1, 1, 11, 0.9, 0, 0, 20, 18),
        (1, 2, 11, 0.8, 20, 30, 40, 60),
        (2, 1, 11, 0.9, 0, 0, 20, 20),
        (3, 1, 11, 0.9, 0, 0, 20, 20),
        (3, 0, 11, 0.9, 30, 30, 40, 40),
    )
    tracks = json.loads((tmp_path / "a/tracks.json").read_text())
    kept = [track for track in tracks if track["track_id"]]  # 0: followed by no track
    (tmp_path / "a/tracks.json").write_text(json.dumps(kept))
    scores = objects_in_tracks.score(truth, tmp_path, LABELS, tmp_path / "scores")
    assert scores.pairs == {
        "mouse-run": PairScores("mouse run", Counts(3, 2, 4), 1, {}, frames=3),
        "mouse-rest": PairScores("mouse rest", Counts(), 0, {}, frames=0),
        "wheel-rest": PairScores(
            "wheel rest", Counts(1, 0, 0), 1, {"mouse run": 1}, frames=1
        ),
    }
    assert scores.to_json()["behaviours"]["wheel-rest"] == {
        "name": "wheel rest",
        "frames": 1,
        "videos": 1,
        "instances": 1,
        "found": 0,
        "findings": 0,
        "taken_for": {"mouse run": 1},
    }
    assert ObjectScores.from_json(scores.to_json()) == scores
    assert (scores.videos, scores.frames) == (["a"], 3)
    assert scores.mistakes == {"a/00001": [[22, 11]], "a/00002": [[11, 0], [0, 11]]}
    answers = [[0.45, True], [0.4, False], [0.45, False], [0.45, True]]
    assert scores.answers == answers  # by the score of the bout
    path = str(tmp_path / "scores/track_maps/a/00003.png")
    label_map = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    assert label_map[:20, :20].min() == 11 and np.count_nonzero(label_map) == 400


def test_the_nearest_answered_frame_stands_for_an_annotated_one(tmp_path):
    """Frames 1, 4, ... 118 are answered, each for three; 121 lies beyond them."""
    frames = [f"a/{number:05d}" for number in (2, 6, 121)]
    shape = (0, 0, 20, 20, None)
    truth = truth_of(*((name, 11, *shape) for name in frames), frames=frames)
    predict(tmp_path / "a", (1, 1, 11, 0.9, 0, 0, 20, 20), every=3)
    scores = objects_in_tracks.score(truth, tmp_path, LABELS, tmp_path / "scores")
    pair = scores.pairs["mouse-run"]
    assert (pair.frames, pair.counts.right, scores.frames) == (2, 1, 2)


@pytest.mark.parametrize(
    "facts", [{"first_frame": 31, "begin": 2.0}, {"begin": 3.0}], ids=["said", "rate"]
)
def test_frames_before_the_first_answered_one_do_not_count(tmp_path, facts):
    """Frames 31 to 70 are answered; the fixture has 10 frames a second.

    With a varying frame rate, frame 31 need not begin at 3 seconds.
    """
    frames = [f"a/{number:05d}" for number in (30, 31, 70, 71)]
    shape = (0, 0, 20, 20, None)
    truth = truth_of(*((name, 11, *shape) for name in frames), frames=frames)
    predict(tmp_path / "a", (31, 1, 11, 0.9, 0, 0, 20, 20), **facts)
    scores = objects_in_tracks.score(truth, tmp_path, LABELS, tmp_path / "scores")
    pair = scores.pairs["mouse-run"]
    assert (pair.frames, pair.counts.right, scores.frames) == (2, 1, 2)


def test_labels_of_the_prediction_are_matched_by_name(tmp_path):
    truth = truth_of(("a/00001", 12, 0, 0, 20, 20, None), frames=["a/00001"])
    fewer = LabelSpace(("mouse",), ("rest",), (11,))
    predict(tmp_path / "a", (1, 1, 11, 0.9, 0, 0, 20, 20), labels=fewer)
    scores = objects_in_tracks.score(truth, tmp_path, LABELS, tmp_path / "scores")
    assert scores.pairs["mouse-rest"].counts.right == 1
    other = LabelSpace(("cat",), ("rest",), (11,))
    predict(tmp_path / "a", labels=other)
    with pytest.raises(InputError, match="the annotations know no cat-rest"):
        objects_in_tracks.score(truth, tmp_path, LABELS, tmp_path / "scores")
    (tmp_path / "a/detections.json").unlink()
    with pytest.raises(InputError, match=r"detections.json: No such .* detections$"):
        objects_in_tracks.score(truth, tmp_path, LABELS, tmp_path / "scores")


def test_a_damaged_prediction_is_one_error(tmp_path):
    truth = truth_of(("a/00001", 11, 0, 0, 20, 20, None), frames=["a/00001"])
    row = (1, 1, 11, 0.9, 0, 0, 20, 20)
    predict(tmp_path / "a", row)
    whole = {
        path: path.read_text()
        for path in (tmp_path / "a/tracks.json", tmp_path / "a/detections.json")
    }
    for name, old, new, message in (
        (
            "detections.json",
            '"track_id": 1',
            '"track_id": 2',
            "detections.json: track 1 has no detection in frame 1; predict",
        ),
        (
            "detections.json",
            '"counts": "',
            '"counts": "5',
            r"detections.json: \[0\]: the RLE's 'counts' are corrupt.*; predict",
        ),
        (
            "tracks.json",
            '"category_id": 11',
            '"category_id": 99',
            r"tracks.json: \[0\].frames\[0\].category_id: 99 is not the code of a pair",
        ),
        (
            "tracks.json",
            '"bbox": [0, ',
            '"bbox": [',
            r"tracks.json: \[0\].frames\[0\].bbox: \[0, 20, 20\] is not \[x, y, width",
        ),
    ):
        path = tmp_path / "a" / name
        assert old in whole[path]
        path.write_text(whole[path].replace(old, new))
        with pytest.raises(InputError, match=message):
            objects_in_tracks.score(truth, tmp_path, LABELS, tmp_path / "scores")
        path.write_text(whole[path])
    objects_in_tracks.score(truth, tmp_path, LABELS, tmp_path / "scores")


def test_the_command_writes_a_table_and_a_picture(tmp_path):
    truth = truth_of(("a/00001", 11, 0, 0, 20, 20, None), frames=["a/00001"])
    truth.save(tmp_path / "truth.json", LABELS)
    (tmp_path / "labels.json").write_text(LABELS.to_json())
    predict(tmp_path / "library/a", (1, 1, 11, 0.9, 0, 0, 20, 20))
    words = [f"--truth={tmp_path / 'truth.json'}", f"--output={tmp_path / 's/m.json'}"]
    words.append(f"--labels={tmp_path / 'labels.json'}")
    done = run_a2d("score", "objects", *words, f"--predicted={tmp_path / 'library'}")
    assert (
        succeeded(done)
        == "mouse run: found in 1 of 1 frames of 1 video, no prediction of it is"
        " wrong.\n"
    )
    with open(tmp_path / "s/behaviours.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["behaviour"], rows[0]["f1"]) == ("mouse run", "100.0")
    assert cv2.imread(str(tmp_path / "s/confusion.png")) is not None
    done = run_a2d("score", "objects", *words, f"--predicted={tmp_path}")
    assert f"{tmp_path / 'a/video.json'}: No such file" in complaint(done)
