"""Each video held out in turn: which, in what folds, and the table of their scores."""

import json
import types

import cv2
import numpy as np
import pytest
from a2d_files import small_release, write_release

from a2d_tf.commands import processes
from a2d_tf.core.config import ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.release import Release


@pytest.fixture(scope="module")
def leave_one_out(tool):
    return tool("a2d_tf.commands.leave_one_out")


def releases(labels, root):
    rows = [[f"v{i}", label, "0", "1", 48, 48, 5, 1, i % 2] for i, label in enumerate(labels)]
    write_release(root, rows)
    return Release(root)


def test_held_out_are_the_videos_of_actors_that_another_shows(leave_one_out, tmp_path):
    # Adult running and walking, a bird that flies, a dog that eats, adult crawling.
    release = releases([17, 19, 44, 73, 13], tmp_path)
    assert [video.vid for video in leave_one_out.held_out(release)] == ["v0", "v1", "v4"]
    assert [v.vid for v in leave_one_out.held_out(release, ["v4", "v0"])] == ["v0", "v4"]
    with pytest.raises(InputError, match="--videos=v2: .*v0, v1, v4"):
        leave_one_out.held_out(release, ["v0", "v2"])
    with pytest.raises(InputError, match="videoset.csv"):
        leave_one_out.held_out(releases([17, 44], tmp_path / "other"))


def test_the_report_has_mean_spread_and_all_frames_together(leave_one_out, tmp_path):
    """One class of truth but background: the first video is found, the second is not."""
    folds = {}
    for vid, found, miou in (("a", True, 100.0), ("b", False, 25.0)):
        truth = np.zeros((4, 4), np.uint8)
        truth[:2] = 11
        predicted = truth if found else np.zeros_like(truth)
        folds[vid] = tmp_path / vid
        for name, image in (("label_truth", truth), ("label_maps", predicted)):
            path = folds[vid] / name / vid / "00001.png"
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), image)
        scores = dict.fromkeys(("actor", "action", "joint"), {"miou": miou})
        (folds[vid] / "metrics.json").write_text(json.dumps({"segmentation": scores}))
    report = leave_one_out._report(folds, A2D)
    assert report["mean"]["joint"] == 62.5
    assert report["deviation"]["joint"] == pytest.approx(53.0330086)
    # Background 16 of 24 pixels, the actor 8 of 16.
    assert report["together"]["actor"] == pytest.approx(100 * (16 / 24 + 8 / 16) / 2)
    lines = [line.rsplit(maxsplit=3) for line in leave_one_out.table(report).splitlines()]
    assert lines[2] == ["a", "100.0", "100.0", "100.0"]
    assert lines[-1] == ["all frames together", "58.3", "58.3", "58.3"]


def test_trainings_of_other_flags_are_not_gone_on_with(tmp_path):
    path = tmp_path / "settings.flags"
    for seed in (1, 2):  # nothing has been trained yet
        processes.keep_settings(path, f"--seed={seed}")
    (tmp_path / "v0/run").mkdir(parents=True)
    (tmp_path / "v0/run/flags.txt").touch()
    processes.keep_settings(path, "--seed=2")
    with pytest.raises(InputError, match="settings.flags"):
        processes.keep_settings(path, "--seed=3")
    assert path.read_text() == "--seed=2"


def test_a_fold_is_trained_and_scored_once(leave_one_out, tmp_path, monkeypatch):
    """By stand-ins for the two mains, which leave what these do."""
    release, calls = Release(small_release(tmp_path / "Release")), []
    settings, folder = tmp_path / "settings.flags", tmp_path / "fold"
    model = ModelConfig(image_height=64, image_width=96)
    scored = folder / "run" / "evaluation" / "test"

    def call(command):
        calls.append(command)
        scored.mkdir(parents=True, exist_ok=True)
        name = "run/finished.json" if command[0] == "train" else "run/evaluation/test/metrics.json"
        threshold = leave_one_out._THRESHOLD.value
        (folder / name).write_text(json.dumps({"score_threshold": threshold}))

    monkeypatch.setattr(processes, "call_main", call)
    given = {"_WORKERS": 1, "_DEVICE": "cpu", "_THRESHOLD": 0.4, "_STRIDE": 2}
    for name, value in given.items():
        monkeypatch.setattr(leave_one_out, name, types.SimpleNamespace(value=value))
    for _ in range(2):
        assert leave_one_out._fold(release, release.videos[0], folder, settings, model) == scored
    common = [f"--records={folder}/records", f"--workdir={folder}/run", "--device=cpu"]
    assert calls == [
        ["train", *common, f"--flagfile={settings}", "--pictures=0"],
        ["evaluate", *common, "--split=test", "--score_threshold=0.4"],
    ]
    monkeypatch.setattr(leave_one_out, "_THRESHOLD", types.SimpleNamespace(value=0.5))
    leave_one_out._fold(release, release.videos[0], folder, settings, model)
    assert calls[2:] == [["evaluate", *common, "--split=test", "--score_threshold=0.5"]]
    manifest = Manifest.load(folder / "records")
    assert manifest.counts["test"]["videos"] == 1 and manifest.clip_frames == 3
    assert manifest.clip_stride == 2
