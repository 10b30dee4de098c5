"""One command from an export to a page: killed in training and given again; the words of scores."""

import json
import pathlib
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
from a2d_files import coloured_frames, write_video
from processes import ROOT, complaint, run_a2d
from test_mains import TINY

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation import metrics
from a2d_tf.evaluation.metrics import segmentation
from a2d_tf.evaluation.metrics.behaviours import Behaviours
from a2d_tf.paper import published

LABELS = LabelSpace(("mouse", "wheel"), ("run", "rest"), (11, 12, 22))
HERE, THERE = [0, 0, 20, 10], [30, 30, 50, 40]
SMALL = [*TINY, "--steps=12", "--checkpoint_every=1", "--init_rgb=", "--init_flow=", "--workers=1"]


def frame(truth, found):
    """A frame of [(code, box)], and of [(code, box, p(actor))] that were found, best first."""
    codes, boxes = zip(*truth)
    columns = zip(*found) if found else ((), np.zeros((0, 4)), ())
    named = zip(("code", "boxes", "class_scores"), map(np.array, columns))
    return types.SimpleNamespace(
        truth=types.SimpleNamespace(codes=np.array(codes), boxes=np.array(boxes)),
        instances=types.SimpleNamespace(**{"code": np.zeros(0, int), **dict(named)}),
    )


def behaviours(labels=LABELS):
    """The metric of four frames, three of them with a mouse that runs."""
    aps = {"per_actor_ap": {"1": 50.0, "2": 0.0}, "per_action_ap": {"1": 25.0, "2": 0.0}}
    aps["per_pair_ap"] = {"11": 20.0, "12": 0.0, "22": 0.0}
    split = metrics.Split(labels, 0.5, metrics={**aps, "per_pair_iou": {"11": 75.0}})
    metric = Behaviours(split)
    unsure = (11, HERE, 0.4)  # below the threshold, so that it answers for nothing
    metric.update(frame([(11, HERE)], [unsure, (12, HERE, 0.9), (11, HERE, 0.8)]))
    metric.update(frame([(11, HERE), (22, THERE)], [(11, HERE, 0.5), (12, [5, 0, 45, 10], 0.9)]))
    metric.update(frame([(11, HERE), (11, THERE)], [(22, THERE, 0.9), (11, HERE, 0.9)]))
    metric.update(frame([(22, THERE)], []))
    return {**split.metrics, **metric.result()}


def test_confusions_are_told_in_words():
    found = behaviours()
    assert found["behaviours"]["actor mouse"] == {"frames": 3, "ap": 50.0, "iou": None}
    assert found["behaviours"]["mouse-run"] == {"frames": 3, "ap": 20.0, "iou": 75.0}
    assert found["behaviours"]["mouse-rest"] == {"frames": 0, "ap": None, "iou": None}
    assert [(a, b, round(percent, 1)) for a, b, percent in found["confusions"]] == [
        ("wheel", None, 100.0),
        ("run", "rest", 66.7),
        ("mouse", "wheel", 33.3),
    ]
    text = metrics.table(found).splitlines()
    assert text[1].split() == ["frames", "AP", "IoU"]
    assert text[2].split() == ["actor", "mouse", "3", "50.0", "-"]
    assert text[-3:] == [
        "run taken for rest in 67 % of frames",
        "mouse taken for wheel in 33 % of frames",
        "wheel not found in 100 % of frames",
    ]
    assert "behaviours" not in behaviours(A2D)
    assert not metrics.scalars(found)


def test_own_labels_have_the_iou_of_each_class_and_no_published_rows():
    split = metrics.Split(LABELS)
    metric = segmentation.Segmentation(split)
    metric.confusions[split.threshold].update(
        np.array([[11, 11, 0, 0]]), np.array([[11, 12, 0, 0]])
    )
    found = metric.result()
    assert found["per_actor_iou"] == {"1": 100.0, "2": None}
    assert found["per_action_iou"] == {"1": 50.0, "2": None}
    assert found["per_pair_iou"] == {"11": 50.0, "12": None, "22": None}
    text = metrics.table(found)
    assert (
        text.startswith("segmentation, percent") and published.table(found, labels=LABELS) == text
    )
    assert "TSMT" in published.table(found)


@pytest.fixture
def words(tmp_path):
    """The flags of the command, for three videos of which two frames each are annotated."""
    images, annotations = [], []
    for number, action in enumerate(("run", "rest", "run")):
        write_video(tmp_path / f"videos/v{number}.mp4", coloured_frames(4, 64, 96, seed=number))
        for key in (2, 3):
            shape = {"segmentation": [[20, 10, 60, 10, 60, 40, 20, 40]], "image_id": len(images)}
            annotations.append({"actor": "mouse", "action": action, **shape})
            image = {"id": len(images), "file_name": f"v{number}/{key:05d}.png"}
            images.append({**image, "width": 96, "height": 64})
    export = {"images": images, "annotations": annotations}
    (tmp_path / "own.json").write_text(json.dumps(export))
    named = {"annotations": "own.json", "videos": "videos", "output": "out"}
    return [f"--{name}={tmp_path / value}" for name, value in named.items()]


def children(folder):
    """The processes that have a folder in their command line."""
    lines = (path.parent for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"))
    return [path for path in lines if str(folder).encode() in (path / "cmdline").read_bytes()]


@pytest.mark.slow
def test_killed_in_training_and_given_again(words, tmp_path):
    output = tmp_path / "out"
    command = [sys.executable, "-m", "a2d_tf", "start", *words, "--", *SMALL]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as killed:
        while killed.poll() is None and not list(output.glob("run/checkpoints/*.index")):
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        stages = [line.split()[0] for line in killed.stdout]
    assert stages == ["check", "records", "settings"]
    time.sleep(1)
    assert not children(output)
    done = run_a2d("start", *words, "--", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    stages = [line.split()[0] for line in lines[:5]]
    assert stages == ["records", "training", "scores", "browse", "videos"]
    assert "resuming at step" in (output / "logs/training.txt").read_text()
    assert "Who does what, percent" in lines and "What to do next:" in lines
    assert any(
        "predict " in line and line.endswith("--max_tracks=1 --overwrite --on_error=skip")
        for line in lines
    )
    page = output / "videos/index.html"
    assert lines[-1] == str(page) and page.read_text().count("trained on this video") == 2
    assert sorted(path.parent.name for path in page.parent.glob("*/*.html")) == ["v0", "v1", "v2"]


def test_a_flag_of_no_single_command(words):
    message = complaint(run_a2d("start", *words, "--", "--stpes=3"))
    assert "--stpes" in message
    # Its scores would be in a folder of their own.
    assert "--checkpoint" in complaint(run_a2d("start", *words, "--", "--checkpoint=best"))
    assert "--output" in complaint(run_a2d("start", *words[:2]))
    done = run_a2d("start", "--annotations=no.json", *words[1:])
    assert "no.json" in complaint(done)
    assert done.stderr.strip().endswith("run the same command again to resume")
