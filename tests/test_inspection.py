"""Statistics of records: counts, anchors' recall; the report of the command."""

import collections
import json
import pathlib
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import tensorflow as tf
from processes import run_a2d, succeeded

from a2d_tf.core.errors import InputError
from a2d_tf.data import clip_records
from a2d_tf.data.clip_records import ClipTruth
from a2d_tf.data.record_folder import deviations, inspection
from a2d_tf.data.record_folder.inspection import Boxes, Summary
from a2d_tf.evaluation.reports import annotation_sheets
from a2d_tf.evaluation.reports.annotation_sheets import AnnotatedFrame

SIZES = ((8, 16), (32,), (64,), (128,), (256,))


def truth(video, boxes, codes, size=(100, 200)):
    """What one record says of its key frame."""
    boxes, label_map = np.float32(boxes).reshape(-1, 4), np.zeros(size, np.uint8)
    first, has_mask = (video, 1, "train", np.array([1])), np.ones(len(codes), bool)
    return ClipTruth(
        *first, size, (50, 100), boxes, np.int32(codes), [], label_map, has_mask
    )


def test_records_are_counted():
    train = Summary()
    train.add(truth("a", [[0, 0, 10, 20], [0, 0, 100, 200]], [16, 34]))
    train.add(truth("a", [[50, 50, 60, 60]], [16]))
    train.add(truth("b", [], [], (120, 90)))
    assert train.pair_videos == {16: {"a"}, 34: {"a"}}
    assert train.per_clip == {0: 1, 1: 1, 2: 1} and train.videos == {"a", "b"}
    assert train.counts() == "2 videos, 3 clips, 3 instances"


def test_boxes_are_those_of_the_canvas():
    """A frame of 128 x 256 fills the upper half of a canvas of 128 x 128."""
    boxes = Boxes((128, 128))
    boxes.add(truth("v", [[0, 0, 32, 32], [112, 0, 128, 16]], [11, 11], (128, 256)))
    assert boxes.sides() == pytest.approx([16, 8])
    # Centred at (8, 8) where an anchor is; the last centres are at 60 of 64 rows.
    np.testing.assert_allclose(boxes.overlaps(SIZES), [1, 1])


def test_the_contents_are_those_of_the_training_records(mini_records, monkeypatch):
    gathered = inspection.gather(mini_records, (64, 96))
    assert gathered.summaries["train"].clips == 12 and list(gathered.summaries) == [
        "train",
        "test",
    ]
    assert len(gathered.boxes.sides()) == sum(
        mini_records.counts["train"]["pairs"].values()
    )
    rgb = [
        clip_records.parse(tf.constant(serialized), 1)["rgb"][0].numpy().reshape(-1, 3)
        for shard in mini_records.shards("train")
        for serialized in clip_records.read_shard(shard)
    ]
    expected = np.concatenate(rgb).astype(np.float64).var(axis=0).mean() ** 0.5
    assert gathered.deviations.rgb == pytest.approx(expected, rel=1e-6)
    monkeypatch.setattr(Summary, "add", lambda self, truth: None)
    # no instance to learn
    with pytest.raises(InputError, match=mini_records.directory):
        inspection.gather(mini_records, (64, 96))


def test_deviations_are_sampled_in_pixels_of_the_canvas(mini_records):
    height, width = 64, 96
    gathered = inspection.gather(mini_records, (height, width)).deviations
    sampled = deviations.sample_deviations(mini_records, (height, width))
    assert sampled == gathered
    stored = deviations.sample_deviations(mini_records)
    frames = [
        clip_records.parse(tf.constant(serialized), 1)["flow"][0].numpy()
        for shard in mini_records.shards("train")
        for serialized in clip_records.read_shard(shard)
    ]
    expected = np.reshape(frames, (-1, 2)).astype(np.float64).var(axis=0).mean() ** 0.5
    assert stored.flow == pytest.approx(expected, rel=1e-6)
    third = np.reshape(frames[::3], (-1, 2)).astype(np.float64)
    some = deviations.sample_deviations(mini_records, most=len(frames) // 3)
    assert some.flow == pytest.approx(third.var(axis=0).mean() ** 0.5, rel=1e-6)


def test_the_flow_beside_rgb_is_described():
    line = deviations.describe_flow(deviations.Deviations(60.0, 1.5), 16.0, 1.0)
    assert line == (
        "flow beside RGB: r = 0.4 with --flow_scale=16, of a deviation of 1.5 pixels;"
        " frozen batch norm is best at 1 (docs/training.md, flow beside RGB)"
    )
    line = deviations.describe_flow(deviations.Deviations(60.0, 1.5), 0.5, 128.0)
    assert line.startswith("flow beside RGB: r = 1.6 with --flow_scale=0.5, of")
    still = deviations.describe_flow(deviations.Deviations(60.0, 0.0), 16.0, 1.0)
    assert still == "flow beside RGB: nothing moves in the key frames"


class Inspection(NamedTuple):
    """What the command leaves: its lines, rows by (video, frame), its pictures."""

    lines: list
    rows: dict
    pictures: pathlib.Path


@pytest.fixture(scope="module")
def inspected(small_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspection")
    listed = folder / "new" / "list.json"
    words = ["--records", small_records, "--json", listed]
    words += ["--draw", folder / "draw", "--sheets", folder / "sheets"]
    lines = succeeded(run_a2d("inspect", *words)).splitlines()
    rows = {(row["video"], row["frame"]): row for row in json.loads(listed.read_text())}
    return Inspection(lines, rows, folder / "draw")


@pytest.mark.slow
def test_the_report_has_counts_of_each_split(inspected):
    assert inspected.lines[0] == (
        "train: 2 videos, 3 clips, 3 instances, 2 of 43 pairs"
    )
    assert "test: 1 videos, 1 clips, 1 instances, 1 of 43 pairs" in inspected.lines


@pytest.mark.slow
def test_the_list_has_a_row_for_each_record(inspected):
    assert set(inspected.rows) == {("-b", 1), ("-b", 8), ("--a", 3), ("c", 4)}
    assert inspected.rows["--a", 3]["instances"] == []
    row = inspected.rows["-b", 1]
    assert (row["split"], row["height"], row["width"]) == ("train", 32, 48)
    assert row["clip_frames"] == [1, 1, 1, 2, 3]


@pytest.mark.slow
def test_a_row_describes_each_instance(inspected):
    adult, ball = inspected.rows["-b", 1]["instances"]
    assert (adult["actor"], adult["action"], adult["code"]) == ("adult", "rolling", 16)
    assert adult["box"] == [8, 4, 24, 20] and adult["area"] == 16 * 16
    assert adult["flow_mean"] == [0, 0]  # the first frame of a video
    assert (adult["track"], ball["track"]) == (None, None)
    assert ball["code"] == 34 and ball["box"] == [20, 15, 40.5, 25.5]
    (moved,) = inspected.rows["c", 4]["instances"]
    np.testing.assert_allclose(moved["flow_mean"], [2, 0], atol=0.2)


@pytest.mark.slow
def test_each_record_has_a_picture_of_its_frame_flow_and_labels(inspected):
    names = sorted(path.name for path in inspected.pictures.iterdir())
    assert names == ["--a_00003.png", "-b_00001.png", "-b_00008.png", "c_00004.png"]
    picture = cv2.imread(str(inspected.pictures / "c_00004.png"))
    assert picture.shape == (320, 3 * 480, 3)
    frame, flow, labels = np.split(picture, 3, axis=1)
    # The ball's mask is green over the frame, the moving texture red, the label map
    # A2D's own.
    assert frame[180, 160].argmax() == 1
    assert flow[100, 240].argmax() == 2
    assert labels[180, 160].tolist() == [1, 205, 41] and not labels[40, 400].any()


@pytest.mark.slow
def test_the_annotated_frames_are_on_a_sheet(inspected):
    (sheet,) = (inspected.pictures.parent / "sheets").iterdir()
    picture = cv2.imread(str(sheet))
    # Four frames in a row. The last, of c, has a green mask.
    assert sheet.name == "1.png" and picture.shape[1] == 4 * 440
    blue, green, red = picture[:, 3 * 440 :].reshape(-1, 3).astype(int).T
    assert np.sum((green > 1.5 * red) & (green > 1.5 * blue)) > 1000


def chosen(**codes_of_frames):
    """Return {video: numbers of the chosen frames} of {video: codes of each frame}."""
    frames = []
    for video, codes in codes_of_frames.items():
        for number, code in enumerate(codes, 1):
            frames.append(AnnotatedFrame(video, number, frozenset({code})))
    numbers = collections.defaultdict(list)
    for frame in annotation_sheets.choose(frames):
        numbers[frame.video].append(frame.frame)
    return numbers


def test_a_sheet_shows_each_video_and_pair_and_frames_far_apart():
    # The only frame with pair 12 goes before others of its video.
    numbers = chosen(a=[11] * 40, b=[11] * 20 + [12] + [11] * 9, c=[11])
    assert numbers["b"][0] == 21 and numbers["c"] == [1]
    assert numbers["a"][:3] == [1, 40, 20]
    assert sum(map(len, numbers.values())) == 12
    many = chosen(**{f"v{n:02}": [11, 11] for n in range(70)})
    assert len(many) == 60 and set(map(len, many.values())) == {1}
