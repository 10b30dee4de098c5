"""The inspector's text, chart and pictures, as a user calls it."""

import json
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
from a2d_files import small_release

from a2d_tf.data import convert
from a2d_tf.data.sources.release import Release

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The records of the small release: 3 training clips and a test clip, 4 instances."""
    folder = tmp_path_factory.mktemp("small")
    release = small_release(folder / "Release")
    settings = convert.ConversionSettings(image_height=48, image_width=48, shard_videos=1)
    convert.convert(Release(release), folder / "records", settings, workers=1)
    return folder / "records"


def inspect(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "inspect_records.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


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


def test_list_pictures_and_chart_in_one_go(built, tmp_path):
    outputs = {"json": "list.json", "draw": "draw", "chart": "chart.png"}
    arguments = [f"--{flag}={tmp_path / name}" for flag, name in outputs.items()]
    done = inspect("--records", built, "--split=test", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("test: 1 videos, 1 clips") and "\ntrain:" not in done.stdout
    (row,) = json.loads((tmp_path / "list.json").read_text())
    assert (row["video"], row["frame"], row["split"]) == ("c", 4, "test")
    (path,) = (tmp_path / "draw").iterdir()
    frame, flow, labels = np.split(cv2.imread(str(path)), 3, axis=1)
    # The ball's mask is green over the frame, the moving texture red, the label map A2D's own.
    assert frame[180, 160].argmax() == 1
    assert flow[100, 240].argmax() == 2
    assert labels[180, 160].tolist() == [1, 205, 41] and not labels[40, 400].any()


def test_what_cannot_be_written_is_one_clear_line(built, tmp_path):
    (tmp_path / "file").write_text("")
    for flag in ("json", "chart", "draw"):
        path = tmp_path / "file" / "x"
        done = inspect("--records", built, f"--{flag}", path)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert done.stderr.startswith("error: ") and "cannot" in done.stderr
        assert str(tmp_path / "file") in done.stderr and f"--{flag}" in done.stderr
