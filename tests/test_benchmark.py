"""The benchmark runs and its file has the promised form; its figures are not judged here."""

import importlib.util
import json

import cv2
import pytest
from processes import run_tool

pytestmark = pytest.mark.slow


TORCH = all(importlib.util.find_spec(name) for name in ("torch", "torchvision"))
LIMITS = {
    "backbone": {
        "forward, 1 frame, of the peak": 0.8,
        "forward, 8 frames, of the peak": 0.9,
        "forward, 8 frames, norm folded for good, of the peak": 0.9,
        "training, 1 frame, of the peak": 0.78,
        "forward, 8 frames, bfloat16, by float32": 1.6,
        "training, 1 frame, recomputed, by kept": None,
        "training, memory of a further frame": 1,
        "training, memory of a further frame, recomputed": 1,
    },
    "evaluation": {
        "20 frames: label maps": 1,
        "20 frames: label maps, memory beyond reading": 1,
        "20 frames: label maps, loop": None,
        "4 frames: boxes of 30 RoIs each, naive loop": None,
        "20 frames: 20 instances each, pycocotools": None,
        "mini, a split: evaluate, of the network": 0.7,
        "mini, a split: validate, of the network": 0.7,
    },
    "learning": {},
    "launches": {},
    "library": {
        "1 clips with everything, a process each": None,
        "1 clips with everything": 1,
        "a long video": 1,
    },
    "nms": {
        "a frame, of the peak": None,
        "top-k and NMS of 50 boxes, 1 % of a frame": 1,
        "top-k and NMS of 50 boxes, tf.image.non_max_suppression": None,
    },
    "rcnn": {
        "inference, 10 detections, of the peak": None,
        "training, 8 RoIs, 2 masks, of the peak": None,
    },
    "roi_align": {
        "forward, copy of its data": None,
        "forward + backward, copy of its data": None,
        "gradient, runs with the same result": 1,
    },
    "scaling": {
        "training step, clips: seconds": 1,
        "training step, clips: megabytes": 1,
        "label maps scored, frames: seconds": 1,
        "label maps scored, frames: megabytes": 1,
        "boxes scored, frames: seconds": 1,
        "boxes scored, frames: megabytes": 1,
    },
    "starts": {
        "first frame of a video": 1,
        "clip, with everything": 1,
    },
    "step": {
        "mini (4 clips): step, of the peak": None,
        "mini (4 clips): towers, of the peak": None,
        "mini (4 clips): step, its parts added up": None,
        "mini (4 clips): step in bfloat16, by step": 1.6,
        "mini (4 clips): step, recomputed, by step": None,
        "mini (4 clips): input wait": 1,
    },
    "stream": {
        "mini: a frame, of the peak": None,
        "mini: two streams": 1,
        "mini: a frame, sliding": None,
        "mini: a frame, sliding, every RoI's action": None,
        "mini: a clip of 9 frames": 1,
        "mini: a frame, one temporal layer more": None,
    },
}
"""Suite -> {row that has a ratio on any machine: goal}."""

CHARTS = {
    "scaling": [
        "boxes_scored_frames.png",
        "label_maps_scored_frames.png",
        "training_step_clips.png",
    ],
    "step": ["roofline.png"],
}
PEERS = {
    "backbone": {"forward, 1 frame": 1, "forward, 8 frames": 1.2, "training, 1 frame": 1},
    "evaluation": {"4 frames: boxes of 30 RoIs each, torchvision loop": None},
    "learning": {"seed 0: box AP": 1, "seed 0: mask AP": 1, "training": None},
    "nms": {"top-k and NMS of 50 boxes, torchvision": None},
    "rcnn": {
        "inference, 10 detections": 1.35,
        "inference, 10 detections, bfloat16": 2.4,
        "training, 8 RoIs, 2 masks": 1.3,
    },
    "roi_align": {"forward": 5, "forward + backward": 10},
}
"""Suite -> {row that has a ratio where torch is installed: goal}."""


@pytest.mark.parametrize("suite", LIMITS)
def test_small_suite(suite, tmp_path):
    output, charts = tmp_path / "report.json", tmp_path / "charts"
    words = f"--suite={suite} --output={output} --small --rounds=1 --charts={charts}".split()
    done = run_tool("benchmark", *words)
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    assert set(report) == {"suite", "machine", "rows", "details"} and report["suite"] == suite
    assert report["machine"]["peak_gflops"] > 0
    rows = {row["name"]: row for row in report["rows"]}
    assert len(rows) == len(report["rows"])
    for row in rows.values():
        assert set(row) == {"name", "unit", "ours", "peer", "ratio", "goal"}
        assert f"{row['name']}, {row['unit']} " in done.stdout
        assert (row["peer"] is None) == (row["ratio"] is None)
        if row["peer"] is not None:
            quotients = [row["ours"] / row["peer"], row["peer"] / row["ours"]]
            assert row["ratio"] in [pytest.approx(quotient) for quotient in quotients]
    for name, goal in LIMITS[suite].items():
        assert rows[name]["ratio"] > 0 and rows[name]["goal"] == goal
    for name, goal in PEERS.get(suite, {}).items():
        if TORCH:
            assert rows[name]["ratio"] > 0 and rows[name]["goal"] == goal
        else:
            assert name not in rows or rows[name]["peer"] is None
    made = sorted(path.name for path in charts.glob("*"))
    assert made == CHARTS.get(suite, [])
    assert all(cv2.imread(str(charts / name)).shape == (400, 900, 3) for name in made)


def test_suite_data(tmp_path):
    output = tmp_path / "data.json"
    done = run_tool(
        "benchmark",
        "--suite=data",
        "--output",
        output,
        "--rounds=1",
        "--videos=2",
        "--workers=1",
        "--clips=4",
        "--step_clips_per_second=20",
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    assert set(report) == {"suite", "machine", "rows", "details"} and report["suite"] == "data"
    assert report["machine"]["cores"] >= 1
    rows = {row["name"]: row for row in report["rows"]}
    for row in rows.values():
        assert set(row) == {"name", "unit", "ours", "peer", "ratio", "goal"}
        assert row["name"] in done.stdout
        assert (row["peer"] is None) == (row["ratio"] is None)
    for what in ("frames", "frames and truth"):
        rate = rows[f"conversion / {what}, 1 workers"]
        assert rate["goal"] == 0.9 and rate["ratio"] == pytest.approx(rate["ours"] / rate["peer"])
        cost = rows[f"conversion / {what}, processor time"]
        assert cost["goal"] == 0.9 and cost["ratio"] == pytest.approx(cost["peer"] / cost["ours"])
    fed = rows["mini pipeline (128x160, T=3): training batches"]
    assert fed["peer"] == 20 and fed["ratio"] == pytest.approx(fed["ours"] / 20)
    for stage, goal in (("decoded", 150), ("decoded, resized in the graph", 60)):
        feed = rows[f"clips of 8 frames (256x320): {stage}"]
        assert feed["peer"] == goal and feed["ratio"] == pytest.approx(feed["ours"] / goal)
    parts = report["details"]["bytes_per_clip"]
    assert sum(parts.values()) < 2 * parts["all"] < 2.1 * (sum(parts.values()) - parts["all"])
    ways = report["details"]["flow_storage"]
    assert set(ways) == {
        "ours",
        "PNG 8 bit",
        "PNG 8 bit +-20",
        "JPEG q95 +-20",
        "PNG 16 bit x64",
        "float16 zlib",
    }
    assert ways["float16 zlib"]["mean_error"] < ways["ours"]["mean_error"]
    assert ways["ours"]["mean_error"] < ways["JPEG q95 +-20"]["mean_error"]
    methods = report["details"]["flow_methods"]
    assert {"dis", "farneback"} <= set(methods)
    assert all(figures["gain_percent"] > 0 for figures in methods.values())


def test_wrong_flags_end_with_one_clear_line(tmp_path):
    for arguments, words in (
        (["--suite=data"], "--output is missing"),
        (["--suite=nonsense", "--output=x"], "suite"),
    ):
        done = run_tool("benchmark", *arguments)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
