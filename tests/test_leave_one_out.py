"""Each video held out in turn: which, in what folds, and the table of their scores."""

import csv
import json
import pathlib

import cv2
import numpy as np
import pytest
from a2d_files import small_release, write_release
from processes import run_tool
from test_mains import TINY

from a2d_tf.commands import leave_one_out
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data.mini import synthetic
from a2d_tf.data.sources.release import Release


def releases(labels, root):
    rows = [[f"v{i}", label, "0", "1", 48, 48, 5, 1, i % 2] for i, label in enumerate(labels)]
    write_release(root, rows)
    return Release(root)


def test_held_out_are_the_videos_of_actors_that_another_shows(tmp_path):
    # Adult running and walking, a bird that flies, a dog that eats, adult crawling.
    videos = leave_one_out.held_out(releases([17, 19, 44, 73, 13], tmp_path))
    assert [video.vid for video in videos] == ["v0", "v1", "v4"]


def test_without_a_second_video_of_any_actor_there_is_nothing_to_hold_out(tmp_path):
    with pytest.raises(InputError, match="videoset.csv: no actor of two videos or more"):
        leave_one_out.held_out(releases([17, 44], tmp_path))


def test_a_fold_links_to_the_release_and_tests_one_video(tmp_path):
    release = Release(small_release(tmp_path / "Release"))
    vid = release.videos[0].vid
    for _ in range(2):  # the second time it goes on
        leave_one_out.split_release(release, vid, tmp_path / "fold")
    fold = Release(tmp_path / "fold", follow_links=True)
    assert {v.vid: v.usage for v in fold.videos} == {
        v.vid: int(v.vid == vid) for v in release.videos
    }
    assert fold.frames_path(vid).exists()
    with open(tmp_path / "fold" / "videoset.csv") as file:
        assert [len(row) for row in csv.reader(file)] == [9] * len(release.videos)


def test_the_report_has_mean_spread_and_all_frames_together(tmp_path):
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
    text = leave_one_out.table(report)
    assert text.splitlines()[2] == "| a | 100.0 | 100.0 | 100.0 |"
    assert text.splitlines()[-1] == "| all frames together | 58.3 | 58.3 | 58.3 |"


@pytest.mark.slow
def test_two_folds_by_the_command_once_each(tmp_path):
    source = pathlib.Path(synthetic.make_release(tmp_path, 4, seed=0, workers=1))
    rows = list(csv.reader(open(source / "videoset.csv")))
    for row, label in zip(rows, (11, 12, 44, 73)):
        row[1] = label
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (source / "videoset.csv").write_text(text)
    (tmp_path / "tiny.flags").write_text("\n".join(TINY))
    words = [f"--release={source}", f"--base={tmp_path}/tiny.flags", f"--workdir={tmp_path}/loo"]
    done = run_tool(
        "leave_one_out", *words, "--workers=1", "--", "--steps=1", "--temporal_layers=0"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "loo" / "leave_one_out.json").read_text())
    assert set(report["videos"]) == {rows[0][0], rows[1][0]}
    assert "| mean | " in done.stdout and done.stdout.count("a2d_tf.train ") == 2
    again = run_tool(
        "leave_one_out", *words, "--workers=1", "--", "--steps=1", "--temporal_layers=0"
    )
    assert again.returncode == 0 and "a2d_tf.train " not in again.stdout
