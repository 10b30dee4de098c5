"""The mini A2D's identities on every frame, against its release and its drawings."""

import filecmp
import json
import pathlib
import subprocess
import sys

import h5py
import numpy as np
import pytest
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data import mini as synthetic

TOOL = pathlib.Path(__file__).resolve().parents[1] / "tools" / "make_mini_a2d.py"
VIDEOS, SEED = 3, 5


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a release with its tracks, made by the command."""
    output = tmp_path_factory.mktemp("mini")
    flags = f"--output={output}", f"--videos={VIDEOS}", f"--seed={SEED}", "--workers=1", "--tracks"
    done = subprocess.run([sys.executable, str(TOOL), *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{output / 'Release'} is ready",
        f"{output / 'tracks.json'} is ready",
    ]
    return output


@pytest.fixture(scope="module")
def document(made):
    return json.loads((made / "tracks.json").read_text())


def decoded(segmentation):
    """The mask of an RLE, or None; pycocotools wants bytes."""
    return segmentation and rle_tools.decode(segmentation).astype(bool)


def of_video(document, number):
    return [row for row in document["annotations"] if row["video_id"] == number]


class Drawn:
    """A scene of a frame with two figures, one with the first alone, and an empty one."""

    def __init__(self, video):
        del video

    def instances(self, index):
        first, second = np.zeros((2, 3, 4), bool)
        first[0, 1], second[1:, 2:] = True, True
        return [{0: first, 2: second}, {0: first}, {}][index]


def test_two_figures_by_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "Scene", Drawn)
    plans = [
        synthetic.VideoPlan(0, 0, "--abc", 0, 3, 3, (35, 16, 72), width=4),
        synthetic.VideoPlan(1, 0, "d", 1, 2, 3, (11, 12, 13), width=4),
    ]
    path = tmp_path / "new" / "tracks.json"
    assert synthetic.write_tracks(path, plans, 1) == path
    document = json.loads(path.read_text())
    size = {"height": 320, "width": 4}
    assert document["videos"] == [
        {
            "id": 1,
            **size,
            "length": 3,
            "file_names": ["--abc/00000.jpg", "--abc/00001.jpg", "--abc/00002.jpg"],
        },
        {"id": 2, **size, "length": 2, "file_names": ["d/00000.jpg", "d/00001.jpg"]},
    ]
    assert [category["id"] for category in document["categories"]] == list(A2D.codes)
    assert {"id": 35, "name": "ball-jumping"} in document["categories"]
    first = {"size": [3, 4], "counts": "318"}  # by columns: 3 off, 1 on, 8 off
    second = {"size": [3, 4], "counts": "7210"}  # 7, 2, 1, 2, the last as its difference to 2
    assert document["annotations"] == [
        {
            "id": 1,
            "track_id": 1,
            "video_id": 1,
            "category_id": 35,
            "iscrowd": 0,
            "segmentations": [first, first, None],
            "bboxes": [[1, 0, 1, 1], [1, 0, 1, 1], None],
            "areas": [1, 1, None],
        },
        {
            "id": 2,
            "track_id": 2,
            "video_id": 1,
            "category_id": 72,
            "iscrowd": 0,
            "segmentations": [second, None, None],
            "bboxes": [[2, 1, 2, 2], None, None],
            "areas": [4, None, None],
        },
        *(
            {
                "id": number,
                "track_id": number,
                "video_id": 2,
                "category_id": code,
                "iscrowd": 0,
                "segmentations": segmentations,
                "bboxes": boxes,
                "areas": areas,
            }
            for number, code, segmentations, boxes, areas in (
                (3, 11, [first, first], [[1, 0, 1, 1], [1, 0, 1, 1]], [1, 1]),
                (4, 13, [second, None], [[2, 1, 2, 2], None], [4, None]),
            )
        ),
    ]


def test_masks_are_those_of_the_release_on_annotated_frames(made, document):
    compared = 0
    for number, plan in enumerate(synthetic.plan(VIDEOS, SEED), 1):
        rows = of_video(document, number)
        for key in plan.keys:
            path = made / "Release" / "Annotations" / "mat" / plan.vid / f"{key:05d}.mat"
            with h5py.File(path, "r") as file:
                masks, codes = file["reMask"][()].reshape(-1, 400, 320), file["id"][0]
            shown = [row for row in rows if row["segmentations"][key - 1]]
            assert [row["category_id"] for row in shown] == codes.tolist()
            for row, mask in zip(shown, masks):
                np.testing.assert_array_equal(decoded(row["segmentations"][key - 1]), mask.T)
                compared += 1
    assert compared >= 3 * VIDEOS


def test_every_frame_has_every_figure_that_it_shows(monkeypatch):
    """With a threshold that hides figures on some frames."""
    plan = max(synthetic.plan(VIDEOS, SEED), key=lambda plan: len(plan.codes))
    whole = synthetic.video_tracks(plan)
    least = int(np.median([row["areas"] for row in whole]))
    monkeypatch.setattr(synthetic, "MIN_VISIBLE", least)
    rows, scene = synthetic.video_tracks(plan), synthetic.Scene(plan)
    assert {len(row[name]) for row in rows for name in synthetic.PER_FRAME} == {plan.frames}
    of_figure = {row["category_id"]: row for row in rows}
    hidden = 0
    for index in range(plan.frames):
        owners = scene.owners(index)
        for figure, code in enumerate(plan.codes, 1):
            visible = owners == figure
            mask, box, area = (
                of_figure[code][name][index] if code in of_figure else None
                for name in synthetic.PER_FRAME
            )
            if visible.sum() < least:
                assert mask is box is area is None
                hidden += 1
                continue
            np.testing.assert_array_equal(decoded(mask), visible)
            y, x = np.nonzero(visible)
            assert box == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
            assert area == len(x)
    assert 0 < hidden < plan.frames * len(plan.codes)


def test_the_release_is_the_same_without_tracks(made, tmp_path):
    release, plain = made / "Release", synthetic.make_release(tmp_path, VIDEOS, SEED, workers=1)
    files = sorted(p.relative_to(plain) for p in plain.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(release) for p in release.rglob("*") if p.is_file())
    assert filecmp.cmpfiles(release, plain, files, shallow=False)[0] == files
    assert [p.name for p in tmp_path.iterdir()] == ["Release"]


def test_workers_do_not_change_a_byte(made, tmp_path):
    plans = synthetic.plan(VIDEOS, SEED)
    path = synthetic.write_tracks(tmp_path / "tracks.json", plans, workers=2)
    assert path.read_bytes() == (made / "tracks.json").read_bytes()


def test_a_file_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "Scene", Drawn)
    with pytest.raises(InputError, match="a folder, a pipe or a device is there"):
        synthetic.write_tracks(tmp_path, [], 1)
    assert list(tmp_path.iterdir()) == []
