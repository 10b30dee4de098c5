"""One command runs a row on two folds: boxes alone, every frame annotated, resumed."""

import json
import pathlib
from typing import NamedTuple

import numpy as np
import pytest
from a2d_files import moving_frames, write_video
from processes import complaint, run_a2d
from test_mains import TINY

from a2d_tf.core.errors import InputError
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.paper.folds import read_folds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three videos; a and b are folds of their own, c is for training."""
    folder = tmp_path_factory.mktemp("data")
    images, annotations = [], []
    for name in "abc":
        write_video(folder / "videos" / f"{name}.mp4", moving_frames(4, 48, 64, step=2))
        for number in (1, 2, 3, 4):
            image = {"id": len(images) + 1, "file_name": f"{name}/{number:06}.png"}
            images.append({**image, "width": 64, "height": 48})
            facts = {"track_id": 0, "action": "walk"}
            shape = {
                "bbox": [4 + 2 * number, 6, 30, 36],
                "segmentation": [],
                "attributes": facts,
            }
            annotations.append(
                {"image_id": image["id"], "category_id": 1, "id": image["id"], **shape}
            )
    content = {"images": images, "annotations": annotations}
    content["categories"] = [{"id": 1, "name": "person"}]
    (folder / "boxes.json").write_text(json.dumps(content))
    (folder / "folds.csv").write_text("video,source,fold\na,x,A\nb,y,B\n")
    return folder


def reproduce(data, work, *words):
    (work / "tiny.flags").write_text("\n".join(TINY))
    flags = [
        f"--base={work}/tiny.flags",
        f"--workdir={work}",
        f"--folds={data}/folds.csv",
    ]
    flags += [
        f"--annotations={data}/boxes.json",
        f"--videos={data}/videos",
        "--runs=full",
    ]
    train = (
        "use_mask=false",
        "steps=2",
        "pictures=0",
        "val_fraction=0",
        "score_threshold=0.01",
    )
    done = run_a2d(
        "reproduce", *flags, *(f"--train=--{flag}" for flag in train), *words
    )
    return done


class Folds(NamedTuple):
    """What both calls of the command leave.

    Attributes:
      folder: its working folder.
      stdout: of the second call.
      had_other_fold: whether the first call, of fold A, made fold B.
    """

    folder: pathlib.Path
    stdout: str
    had_other_fold: bool


@pytest.fixture(scope="module")
def folds(data, tmp_path_factory):
    """Fold A, and then, by a second call, all of them."""
    folder = tmp_path_factory.mktemp("folds")
    done = reproduce(data, folder, "--test_folds=A")
    assert done.returncode == 0, done.stderr
    had_other_fold = (folder / "fold_B").exists()
    done = reproduce(data, folder)
    assert done.returncode == 0, done.stderr
    return Folds(folder, done.stdout, had_other_fold)


def evaluation_of(folds, fold):
    return folds.folder / f"fold_{fold}" / "seed0" / "full" / "evaluation" / "test"


def metrics_of(folds, fold):
    return json.loads((evaluation_of(folds, fold) / "metrics.json").read_text())


def test_a_fold_that_is_done_is_not_trained_again(folds):
    assert not folds.had_other_fold
    assert folds.stdout.count("a2d train ") == 1


@pytest.mark.parametrize("fold", ["A", "B"])
def test_a_fold_tests_its_videos_and_learns_from_all_others(folds, fold):
    counts = Manifest.load(folds.folder / f"fold_{fold}" / "records").counts
    assert (counts["train"]["videos"], counts["test"]["videos"]) == (2, 1)
    truth = json.loads((evaluation_of(folds, fold) / "truth.json").read_text())
    assert {image["file_name"][0] for image in truth["images"]} == {fold.lower()}
    metrics = metrics_of(folds, fold)
    assert metrics["score_threshold"] == 0.01
    assert metrics["video_map"]["frames"] == 4


def test_the_report_has_means_and_deviations_over_the_folds(folds):
    report = (folds.folder / "report.md").read_text()
    assert report in folds.stdout
    assert "published" not in report and "mIoU" not in report
    lines = report.partition("Percent.\n\n")[2].splitlines()
    heads = lines[0].split(" | ")
    row = lines[2].split(" | ")
    assert row[:2] == ["| full", "2"]
    actors = []
    frames = []
    for metrics in (metrics_of(folds, "A"), metrics_of(folds, "B")):
        actors.append(metrics["detection"]["actor"])
        frames.append(metrics["video_map"]["joint"]["frame_map50"])
    for name, values in (("actor mAP", actors), ("frame-mAP .5", frames)):
        expected = f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"
        assert row[heads.index(name)] == expected


def test_other_folds_need_another_folder(data, folds):
    other = folds.folder / "other.csv"
    other.write_text("video,fold\na,A\nc,A\nb,B\n")
    done = reproduce(data, folds.folder, f"--folds={other}")
    assert "settings.json" in complaint(done)


def test_mistakes(data, tmp_path):
    (tmp_path / "wrong.csv").write_text("video,set\na,A\n")
    (tmp_path / "latin.csv").write_bytes("video,fold\nBär,A\n".encode("latin-1"))
    for flag in (f"--folds={tmp_path}/wrong.csv", f"--folds={tmp_path}/latin.csv"):
        assert flag in complaint(reproduce(data, tmp_path, flag))
    folds = tmp_path / "twice.csv"
    folds.write_text("video,fold\na,1\nb,1 \n a,2\n")
    with pytest.raises(InputError, match="twice.csv: 'a' is there twice; expected"):
        read_folds(str(folds))
    folds.write_text("video,fold\na,1\nb,1 \n c,2\n")
    assert read_folds(str(folds)) == {"1": ["a", "b"], "2": ["c"]}
    said = complaint(reproduce(data, tmp_path, "--test_folds=A,Z"))
    assert "has the folds 'A', 'B'; use a CSV" in said
    # A video that is not there is found before the first fold is trained.
    (tmp_path / "gone.csv").write_text("video,fold\na,A\nd,B\n")
    done = reproduce(data, tmp_path, f"--folds={tmp_path}/gone.csv")
    assert done.returncode == 1 and "'d'" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("fold_*/seed*"))
