"""Files that releases have left: this code reads them, or refuses them by one command.

releases/VERSION.zip holds records, a run with its scores and an export, as
docs/releasing.md says.
"""

import json
import zipfile

import cv2
import numpy as np
import pytest
from processes import ROOT, complaint, run_a2d, succeeded

import a2d_tf

FILES = {
    "records": ("manifest.json", "a2d records"),
    "run": ("records.json", "a2d records, and train on them"),
    "export": ("a2d_tf.json", "a2d export"),
}
"""Folder: its file that says the format, and the end of the command that makes it
again.
"""


@pytest.fixture(
    params=sorted((ROOT / "tests/releases").glob("*.zip")), ids=lambda path: path.stem
)
def left(request, tmp_path):
    """The folder of a release's files, and an image for its network."""
    (tmp_path / "images").mkdir()
    cv2.imwrite(f"{tmp_path}/images/1.png", np.eye(64, 96, dtype=np.uint8) * 255)
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path)
    for folder, (name, _) in FILES.items():
        written = json.loads((tmp_path / folder / name).read_text())
        assert (written["schema"], written["written_by"]) == (4, request.param.stem)
    return tmp_path


def use(folder, name):
    """Call the command that reads the files of `folder` first; return how it ended."""
    if name == "export":
        words = [f"--video={folder}/images", f"--output={folder}/out", "--overwrite"]
        return run_a2d("predict", f"--saved_model={folder}/export", *words)
    given = [f"--records={folder}/records", f"--workdir={folder}/run", "--device=cpu"]
    return run_a2d("evaluate", *given, f"--output={folder}/scores")


def test_files_of_releases_are_read(left):
    for name in ("run", "export"):
        succeeded(use(left, name))
    ours, theirs = (
        np.load(left / x / "detections.npz") for x in ("scores", "run/evaluation/test")
    )
    assert sorted(ours) == sorted(theirs) and len(ours["boxes"])
    for name, values in theirs.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(
                ours[name], values, rtol=1e-3, atol=0.01, err_msg=name
            )
        else:
            np.testing.assert_array_equal(ours[name], values, err_msg=name)
    given = [f"--records={left}/records", f"--workdir={left}/run"]
    succeeded(run_a2d("train", f"--flagfile={left}/run/flags.txt", *given, "--steps=3"))
    assert (left / "run/checkpoints/ckpt-3.index").exists()


def test_files_of_other_formats_are_refused(left):
    reads = f"version {a2d_tf.__version__} reads format 4; "
    # which only a later version knows
    (left / "run/flags.txt").write_text("--later=1\n")
    for folder, (name, remedy) in FILES.items():
        path = left / folder / name
        fields = path.read_text()
        for other, whose in (
            ({"schema": 5, "written_by": "0.9.0"}, "format 5 of a2d_tf 0.9.0"),
            ({}, "format None of a2d_tf before its release"),
        ):
            path.write_text(json.dumps(other))
            said = complaint(use(left, folder))
            assert (
                f"{path}: {whose}; {reads}" in said
                and f"{remedy}, or use that version" in said
            )
        path.write_text(fields)


def test_a_readout_of_whole_boxes_is_refused(left):
    path = left / "run/flags.txt"
    path.write_text(path.read_text().replace("--readout=false", "--readout"))
    said = complaint(use(left, "run"))
    assert (
        f"{path}: a readout of a2d_tf 0.1.0; version {a2d_tf.__version__} reads" in said
    )
    assert "train again with a2d train, or use that version" in said
