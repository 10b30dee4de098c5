"""The inspector's text, chart and pictures, as a user calls it."""

import json

import cv2
import numpy as np
import pytest
from processes import complaint, run_tool

from a2d_tf.commands.inspect_records import describe
from a2d_tf.core.labels import A2D
from a2d_tf.data.records import ClipTruth


@pytest.fixture(scope="module")
def built(small_records):
    """3 training clips and a test clip, 4 instances."""
    return small_records


def inspect(*words):
    return run_tool("inspect_records", *words)


def test_a_chart_and_its_text(built, tmp_path):
    out = tmp_path / "new" / "chart.png"
    anchors = "--anchors=8+16,32,64,128,256", "--anchors=24,32,64,128,256"
    done = inspect("--records", built, "--chart", out, *anchors)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "train: 2 videos, 3 clips, 3 instances, 2 of 43 pairs"
    assert lines[1] == "  frames, height x width (videos): 64x96 (2)"
    assert lines[2].startswith("  most instances: adult-rolling 2, ball-flying 1, ")
    assert "test: 1 videos, 1 clips, 1 instances, 1 of 43 pairs" in lines
    assert "all videos: 6 to 8 frames, median 6" in lines
    assert [line for line in lines if line.startswith("anchors")] == [
        "anchors 8+16,32,64,128,256: 1014 on 48x48",
        "anchors 24,32,64,128,256: 582 on 48x48",
    ]
    assert cv2.imread(str(out)).shape[0] > 900
    assert [path.name for path in out.parent.iterdir()] == ["chart.png"]


@pytest.mark.slow
def test_list_and_pictures(built, tmp_path):
    out, draw = tmp_path / "new" / "list.json", tmp_path / "draw"
    done = inspect("--records", built, "--json", out, "--draw", draw)
    assert done.returncode == 0, done.stderr
    rows = {(r["video"], r["frame"]): r for r in json.loads(out.read_text())}
    assert set(rows) == {("-b", 1), ("-b", 8), ("--a", 3), ("c", 4)}
    assert rows["--a", 3]["instances"] == []
    first = rows["-b", 1]
    assert (first["split"], first["height"], first["width"]) == ("train", 32, 48)
    assert first["clip_frames"] == [1, 1, 1, 2, 3]
    adult, ball = first["instances"]
    assert (adult["actor"], adult["action"], adult["code"]) == ("adult", "rolling", 16)
    assert adult["box"] == [8, 4, 24, 20] and adult["area"] == 16 * 16
    assert adult["flow_mean"] == [0, 0]  # the first frame of a video
    assert (adult["track"], ball["track"]) == (None, None)
    assert ball["code"] == 34 and ball["box"] == [20, 15, 40.5, 25.5]
    (moved,) = rows["c", 4]["instances"]
    np.testing.assert_allclose(moved["flow_mean"], [2, 0], atol=0.2)
    names = sorted(path.name for path in draw.iterdir())
    assert names == ["--a_00003.png", "-b_00001.png", "-b_00008.png", "c_00004.png"]
    picture = cv2.imread(str(draw / "c_00004.png"))
    assert picture.shape == (320, 3 * 480, 3)
    frame, flow, labels = np.split(picture, 3, axis=1)
    # The ball's mask is green over the frame, the moving texture red, the label map A2D's own.
    assert frame[180, 160].argmax() == 1
    assert flow[100, 240].argmax() == 2
    assert labels[180, 160].tolist() == [1, 205, 41] and not labels[40, 400].any()


def test_identities_of_the_instances():
    clip = {
        "rgb": np.zeros((1, 4, 6, 3), np.uint8),
        "flow": np.zeros((1, 4, 6, 2), np.float32),
        "boxes": np.array([[0, 0, 2, 2], [1, 1, 4, 6], [0, 2, 4, 4]], np.float32),
        "codes": np.array([16, 34, 16], np.int32),
        "masks": np.ones((3, 4, 6), np.uint8),
    }
    sizes, native = ((4, 6), (8, 12))
    boxes, label_map = 2 * clip["boxes"], np.zeros(native, np.uint8)

    def tracks(identities):
        labels = (boxes, clip["codes"], [], label_map)
        truth = ClipTruth("v", 1, "train", np.array([1]), native, sizes, *labels, tracks=identities)
        return [found["track"] for found in describe(clip, truth, A2D)["instances"]]

    assert tracks(np.array([7, -1, 0])) == [7, None, 0]
    assert tracks(None) == [None, None, None]


@pytest.mark.slow
def test_one_split_up_to_a_limit(built, tmp_path):
    out = tmp_path / "list.json"
    done = inspect("--records", built, "--json", out, "--split=train", "--limit=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("train: ") and "\ntest:" not in done.stdout
    rows = json.loads(out.read_text())
    assert [(r["video"], r["frame"]) for r in rows] == [("-b", 1), ("-b", 8)]


def test_what_cannot_be_written_is_one_clear_line(built, tmp_path):
    (tmp_path / "file").write_text("")
    done = inspect("--records", built, "--chart", tmp_path / "file" / "x")
    assert str(tmp_path / "file") in complaint(done) and "--chart" in complaint(done)
