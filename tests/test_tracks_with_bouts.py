"""From tracks and poses of each tool and times of BORIS to records, in one command."""

import json

import numpy as np
import pytest
from a2d_files import encode_video
from pose_files import deeplabcut_table, sleap_labels
from processes import run_python, succeeded
from test_annotation_formats import write
from test_coding import FRAMES, TIMES, events
from test_track_files import tracked

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import clip_records

HEIGHT, WIDTH = FRAMES[0].shape[:2]
# Corners x1, y1, x2, y2 of two mice in each frame; Bea is lost in the third one.
ANN = [(4 + frame, 8, 14 + frame, 20) for frame in range(10)]
BEA = [(40 - frame, 24, 50 - frame, 36) for frame in range(10)]
LOST = 2
# Ann runs in frames 1 to 3 and rests in 4 to 6; Bea rests in 1 to 6.
CODED = [
    ("Ann", "run", "START", "0"),
    ("Bea", "rest", "START", "0"),
    ("Ann", "run", "STOP", "0.3"),
    ("Ann", "rest", "START", "0.3"),
    ("Ann", "rest", "STOP", "0.6"),
    ("Bea", "rest", "STOP", "0.6"),
]
TWO = ["mouse-run", "mouse-rest"]
EXPECTED = {
    1: TWO,
    2: TWO,
    3: ["mouse-run"],
    **dict.fromkeys((4, 5, 6), ["mouse-rest", "mouse-rest"]),
}


def shown(frame):
    """[(number of the track, corners)] of a frame, counted from 0."""
    tracks = [(1, ANN[frame]), (2, BEA[frame])]
    return tracks[:1] if frame == LOST else tracks


def mot():
    rows = []
    for frame in range(10):
        for track, (x1, y1, x2, y2) in shown(frame):
            rows.append(f"{frame + 1},{track},{x1},{y1},{x2 - x1},{y2 - y1},1,-1,-1,-1")
    return {"yard.txt": "\n".join(rows)}


def yolo():
    files = {}
    for frame in range(10):
        lines = []
        for track, (x1, y1, x2, y2) in shown(frame):
            x, width = (x1 + x2) / 2 / WIDTH, (x2 - x1) / WIDTH
            y, height = (y1 + y2) / 2 / HEIGHT, (y2 - y1) / HEIGHT
            lines.append(tracked(0, (x, y, width, height), track=track))
        files[f"labels/yard_{frame + 1}.txt"] = "".join(lines)
    return files


def deeplabcut():
    rows = []
    for frame in range(10):
        row = []
        for x1, y1, x2, y2 in (ANN[frame], BEA[frame]):
            row += [x1, y1, 0.9, x2, y2, 0.8]
        if frame == LOST:
            row[6:] = [float("nan")] * 6
        rows.append(row)
    return {"yard.csv": deeplabcut_table(rows)}


def check_records(folder, margin, *words, **environment):
    """Make records of tracks in `folder`; their boxes are `margin` further out."""
    encode_video(folder / "videos" / "yard.mp4", FRAMES, "libx264", TIMES)
    done = run_python(
        "-m",
        "a2d_tf",
        "records",
        f"--annotations={folder / 'export'}",
        f"--videos={folder / 'videos'}",
        f"--bouts={events(folder / 'e.tsv', CODED)}",
        f"--output={folder / 'records'}",
        "--clip_frames=1",
        "--workers=1",
        *words,
        **environment,
    )
    succeeded(done)
    labels = LabelSpace.from_json(folder / "records" / "labels.json")
    names = {}
    for shard in folder.glob("records/*.tfrecord"):
        for record in clip_records.read_shard(shard):
            truth = clip_records.read_truth(record)
            names[truth.frame] = [labels.name(code) for code in truth.codes]
            corners = np.array([corners for _, corners in shown(truth.frame - 1)])
            expected = corners[:, [1, 0, 3, 2]] + np.array([-1, -1, 1, 1]) * margin
            np.testing.assert_allclose(truth.boxes, expected, atol=1e-3)
            assert not truth.has_mask.any()
    assert names == EXPECTED
    manifest = json.loads((folder / "records" / "manifest.json").read_text())
    assert manifest["bout_seconds"] == {"rest": 0.45, "run": 0.3}


@pytest.mark.slow
@pytest.mark.parametrize("files", [mot(), yolo()], ids=["mot", "yolo"])
def test_tracks_have_the_actions_of_the_subjects_that_the_user_names(tmp_path, files):
    write(tmp_path / "export", files)
    subjects = json.dumps({"Ann": "1", "Bea": "2"})
    check_records(tmp_path, 0, f"--subjects={subjects}", "--actor=mouse")


@pytest.mark.slow
def test_individuals_of_deeplabcut_have_their_actions(tmp_path):
    write(tmp_path / "export", deeplabcut())
    one_actor = {"actors": ["mouse"], "actions": ["rest", "run"]}
    path = write(tmp_path, {"mouse.json": one_actor}) / "mouse.json"
    check_records(tmp_path, 1.2, f"--labels={path}")


@pytest.mark.slow
def test_individuals_of_sleap_have_their_actions(tmp_path, pose_packages, sleap_io):
    frames = []
    for frame in range(10):
        drawn = []
        for track, (x1, y1, x2, y2) in shown(frame):
            drawn.append((track - 1, [[x1, y1], [x2, y2]], False))
        frames.append((frame, *drawn))
    labels = sleap_labels(sleap_io, *frames, filename="/home/me/yard.mp4")
    labels.save(str(write(tmp_path / "export", {}) / "labels.slp"))
    check_records(tmp_path, 1.2, "--actor=mouse", PYTHONPATH=pose_packages)
