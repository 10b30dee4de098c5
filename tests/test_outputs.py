"""The files of a prediction: contents for known instances, and use of memory."""

import csv
import dataclasses
import gc
import json
import os
import types

import cv2
import numpy as np
import pytest
from a2d_files import mask

from a2d_tf.behaviour import bouts, prediction_folder, time_budget
from a2d_tf.behaviour.predicted_tracks import read_tracked_video
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.video.frames.instances import Instances
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.outputs import output_folder, overlay, prediction_writer
from a2d_tf.video.outputs.track_rows import TrackRows

SIZE = (48, 64)
BOX, OTHER = [4, 8, 24, 40], [30, 2, 44, 12]


def frame(number, *instances, level=0, fps=10, **lost):
    """A grey VideoFrame with instances (id, code, score, box)."""
    ids, codes, scores, boxes = zip(*instances) if instances else [()] * 4
    masks = [mask(*SIZE, *box) for box in boxes]
    label_map = np.zeros(SIZE, np.uint8)
    for code, inside in zip(codes, masks):
        label_map[inside] = code
    codes, scores = np.array(codes, np.int64), np.array(scores)
    boxes, rles = (
        np.array(boxes, np.float32).reshape(-1, 4),
        [encode_mask(m) for m in masks],
    )
    actors, actions = (np.eye(n)[k - 1] for n, k in zip((7, 9), A2D.split(codes)))
    found = Instances(boxes, codes, scores, rles, label_map, actors, actions)
    image = np.full((*SIZE, 3), level, np.uint8)
    tracks = np.array(ids, np.int64)
    begin, end = (number - 1) / fps, number / fps
    return VideoFrame(number, begin, image, found, tracks, codes, scores, end, **lost)


def reader(fps=10, **facts):
    """A stand-in for the video's reader."""
    known = {
        "name": "my.mp4",
        "images": None,
        "length": None,
        "count": 9,
        "damaged": {1},
        "first_frame_time": 0.0,
        "fps_is_assumed": False,
    }
    known |= {"lasts": 9 / fps}
    return types.SimpleNamespace(**{**known, "fps": fps, "size": SIZE, **facts})


def write(folder, frames, fps=10, every=1, **facts):
    """A prediction of frames {number: instances}."""
    with output_folder.open_outputs(str(folder), reader(fps, **facts), every) as files:
        for number, instances in frames.items():
            files.add(frame(number, *instances, level=90, fps=fps), A2D)


def load(folder, name):
    return json.loads((folder / name).read_text())


FILM = {
    1: [(1, 17, 0.5, BOX)],
    2: [(2, 34, 0.25, OTHER), (1, 17, 0.75, BOX)],
    3: [(1, 18, 0.9, BOX)],
    4: [],
    5: [(1, 18, 0.7, BOX)],
    6: [(1, 17, 0.4, BOX)],
}
SUMMARY = [
    "track_id,actor,action,start_second,end_second,start_frame,end_frame,mean_score",
    "1,adult,running,0.0,0.2,1,2,0.625",
    "2,ball,flying,0.1,0.2,2,2,0.25",
    "1,adult,walking,0.2,0.5,3,5,0.8",
    "1,adult,running,0.5,0.6,6,6,0.4",
]


def test_what_the_video_is_and_who_did_what_from_when_to_when(tmp_path):
    write(tmp_path, FILM)
    assert (tmp_path / "summary.csv").read_text().splitlines() == SUMMARY
    video = load(tmp_path, "video.json")
    assert LabelSpace.from_fields(video.pop("labels")) == A2D
    file = {
        "name": "my.mp4",
        "images": None,
        "frames": 9,
        "fps": 10,
        "height": 48,
        "width": 64,
    }
    file |= {"seconds": 0.9, "times": [0, 0.1, 0.2, 0.3, 0.4, 0.5]}
    counts = {"unsure_frames": 0, "frames_with_extra": 0, "damaged_frames": 1}
    assert video == {**file, "every": 1, "begin": 0, "until": 0.6, **counts}
    assert "reports as damaged: 1." in (tmp_path / "index.html").read_text()
    write(tmp_path, FILM, length=8)  # read to its end, where the file claims more
    assert load(tmp_path, "video.json")["frames"] == 8
    write(tmp_path, {3: FILM[3], 4: []})  # a part of the video
    assert load(tmp_path, "video.json")["first_frame"] == 3


def test_tracks_hold_the_same_and_every_frame(tmp_path):
    write(tmp_path, FILM)
    first, second = load(tmp_path, "tracks.json")
    stretch = {"start_second": 0.1, "end_second": 0.2, "start_frame": 2, "end_frame": 2}
    stretch["mean_score"] = 0.25
    action = {"category_id": 34, "actor": "ball", "action": "flying", **stretch}
    row = {"frame": 2, "category_id": 34, "score": 0.25, "bbox": [2, 30, 10, 14]}
    one = {
        "track_id": 2,
        "actor": "ball",
        **stretch,
        "actions": [action],
        "frames": [row],
    }
    assert second == one
    assert first["track_id"] == 1 and (first["start_second"], first["end_second"]) == (
        0,
        0.6,
    )
    assert first["mean_score"] == pytest.approx((0.5 + 0.75 + 0.9 + 0.7 + 0.4) / 5)
    rows = [row for row in csv.DictReader(SUMMARY) if row["track_id"] == "1"]
    assert len(rows) == len(first["actions"]) == 3
    for action, row in zip(first["actions"], rows):
        assert {name: str(action[name]) for name in list(row)[1:]} == dict(
            list(row.items())[1:]
        )
    assert [row["frame"] for row in first["frames"]] == [1, 2, 3, 5, 6]


def test_a_limit_of_individuals_is_said_with_the_frames_in_which_it_cut(tmp_path):
    with output_folder.open_outputs(str(tmp_path), reader()) as files:
        files.describe({"max_tracks": "1"}, {})
        for number, extra in enumerate((0, 2, 1), 1):
            files.add(dataclasses.replace(frame(number), extra=extra), A2D)
    facts = prediction_folder.read_video_info(tmp_path)
    assert (facts.max_tracks, facts.frames_with_extra, facts.unsure_frames) == (
        "1",
        2,
        0,
    )
    write(
        tmp_path,
        {**FILM, 7: [(0, 17, 0.3, BOX)], 8: [(0, 17, 0.3, BOX), (1, 17, 0.9, OTHER)]},
    )
    assert prediction_folder.read_video_info(tmp_path).unsure_frames == 1


def test_detections_and_label_maps_are_named_by_the_frames_of_the_video(tmp_path):
    write(tmp_path, {11: FILM[1], 14: FILM[2]}, every=3)
    capture = cv2.VideoCapture(str(tmp_path / "overlay.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10 / 3, rel=1e-3)
    results = load(tmp_path, "detections.json")
    found = [
        (r["image_id"], r["track_id"], r["category_id"], r["score"]) for r in results
    ]
    assert found == [(11, 1, 17, 0.5), (14, 2, 34, 0.25), (14, 1, 17, 0.75)]
    assert results[0]["bbox"] == [8, 4, 32, 20]
    assert results[0]["segmentation"] == encode_mask(mask(*SIZE, *BOX))
    maps = sorted(path.name for path in (tmp_path / "label_maps").iterdir())
    assert maps == ["00011.png", "00014.png"]
    codes = cv2.imread(str(tmp_path / "label_maps" / "00014.png"), cv2.IMREAD_UNCHANGED)
    assert (codes[10, 20], codes[35, 5], codes[0, 0]) == (17, 34, 0)
    rows = (tmp_path / "summary.csv").read_text().splitlines()
    assert rows[1].startswith("1,adult,running,1.0,1.4,11,14")


def test_tracks_are_let_go_when_they_have_ended(tmp_path):
    with output_folder.open_outputs(str(tmp_path), reader()) as files:
        for number in range(1, 61):
            # somebody else every third frame
            instances = [(number // 3 + 1, 17, 0.5, BOX)]
            ended = [] if number % 3 else [number // 3]
            files.add(frame(number, *instances, ended=ended), A2D)
            gathered = sum(isinstance(x, TrackRows) for x in gc.get_objects())
            assert gathered <= 2
    tracks = load(tmp_path, "tracks.json")
    assert [track["track_id"] for track in tracks] == list(range(1, 22))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        prediction_folder.RESULTS
    )


def test_a_lost_track_rests_and_what_is_of_no_track_is_in_the_detections_alone(
    tmp_path,
):
    with output_folder.open_outputs(str(tmp_path), reader()) as files:
        for number in range(1, 13):
            seen = [(1, 17, 0.5, BOX)] if number in (1, 2, 12) else []
            resting = [1] if number == 5 else []
            files.add(frame(number, *seen, (0, 77, 0.25, OTHER), resting=resting), A2D)
    (track,) = load(tmp_path, "tracks.json")
    assert [row["frame"] for row in track["frames"]] == [1, 2, 12]
    assert (track["start_second"], track["end_second"], track["mean_score"]) == (
        0,
        1.2,
        0.5,
    )
    spans = [(a["start_second"], a["end_second"]) for a in track["actions"]]
    assert spans == [(0, 0.2), (1.1, 1.2)]
    made = (tmp_path / "summary.csv").read_text().splitlines()[1:]
    assert made == [
        "1,adult,running,0.0,0.2,1,2,0.5",
        "1,adult,running,1.1,1.2,12,12,0.5",
    ]
    results = load(tmp_path, "detections.json")
    assert [(r["image_id"], r["track_id"]) for r in results] == [
        *((1, 1), (1, 0), (2, 1)),
        *((number, 0) for number in range(2, 12)),
        *((12, 1), (12, 0)),
    ]
    (row,) = time_budget.rows(bouts.read_all([tmp_path]))
    assert row[6:9] == (0.3, 1.0, 2)
    (found,) = read_tracked_video(tmp_path).tracks
    assert [shape.frame for shape in found.shapes] == [1, 2, 12]


@pytest.mark.parametrize("name", ["index.html", "video.json", "label_maps/VID/1.png"])
def test_files_of_the_users_own_stay(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="use another --output"):
        write(tmp_path, {1: []})
    assert (tmp_path / name).read_text() == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]


def test_two_predictions_do_not_replace_each_other(tmp_path):
    one, many = str(tmp_path / "one"), str(tmp_path / "library/a")
    with output_folder.open_outputs(one, reader()) as files:
        with pytest.raises(InputError, match="one: another process is writing to it"):
            with output_folder.open_outputs(one, reader()):
                pass
        files.add(frame(1), A2D)
    assert (tmp_path / "one/video.json").exists()
    with output_folder.open_library_outputs(
        many, reader(), record={"every": 1}
    ) as files:
        files.add(frame(1), A2D)
        with output_folder.open_library_outputs(
            many, reader(), record={"every": 1}
        ) as other:
            other.add(frame(1), A2D)
    with pytest.raises(
        InputError, match="a: another process has meanwhile written other results"
    ):
        with output_folder.open_library_outputs(
            many, reader(), record={"every": 2}
        ) as files:
            files.add(frame(1), A2D)
            with output_folder.open_library_outputs(
                many, reader(), record={"every": 3}
            ) as other:
                other.add(frame(1), A2D)
    assert load(tmp_path / "library/a", prediction_folder.RECORD_FILE)["every"] == 3
    assert os.listdir(tmp_path / "library") == ["a"]


def test_an_earlier_prediction_is_replaced_and_what_a_killed_one_left_removed(tmp_path):
    write(tmp_path, FILM)
    # of a library, which would take it for its own
    (tmp_path / prediction_folder.RECORD_FILE).write_text("{}")
    (tmp_path / f"{output_folder.HIDDEN}0").mkdir()
    (tmp_path / f"{output_folder.HIDDEN}0/lock").touch()
    (tmp_path / "mine.txt").touch()
    write(tmp_path, {1: []})
    assert load(tmp_path, "tracks.json") == load(tmp_path, "detections.json") == []
    assert (tmp_path / "summary.csv").read_text().splitlines() == SUMMARY[:1]
    assert len(list((tmp_path / "label_maps").iterdir())) == 1
    assert {path.name for path in tmp_path.iterdir()} == {
        *prediction_folder.RESULTS,
        "mine.txt",
    }
    (tmp_path / "label_maps").rename(tmp_path / "elsewhere")
    (tmp_path / "label_maps").symlink_to(tmp_path / "elsewhere")
    write(tmp_path, {1: [], 2: []})  # the link is replaced, not what it leads to
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1
    assert len(list((tmp_path / "label_maps").iterdir())) == 2


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise InputError("overlay.mp4: cannot be written (No space left on device)")

    for place in (overlay.Writer, "close"), (prediction_writer, "write_json"):
        with (
            monkeypatch.context() as patched,
            pytest.raises(InputError, match="No space"),
        ):
            patched.setattr(*place, full)
            write(tmp_path, FILM)
        assert not any(tmp_path.iterdir())


def test_files_are_closed_if_a_later_one_cannot_be_opened(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(overlay.Writer, "open", full)
    with pytest.raises(InputError, match="No space") as raised:
        write(tmp_path, FILM)
    assert raised.tb  # whose frames hold the files
    descriptors = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    paths = [os.readlink(path) for path in descriptors if os.path.islink(path)]
    assert not [path for path in paths if str(tmp_path) in path]
