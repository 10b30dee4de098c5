"""Poses of DeepLabCut and SLEAP: the boxes of individuals, and damage."""

import sys

import h5py
import numpy as np
import pytest
from a2d_files import moving_frames, write_images, write_video
from pose_files import SCORER, deeplabcut_table, sleap_labels
from processes import run_python, succeeded
from test_annotation_formats import SIZE, left_out, open_source, read, write
from test_track_files import MICE, RESTING, check_error

from a2d_tf.annotations.readers import poses
from a2d_tf.core.errors import InputError

NAN = float("nan")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "clip.mp4", moving_frames(6, *SIZE, step=2))
    return folder


def individuals_of(documents):
    """{1-based number: {name of an individual: its box}} of documents."""
    frames = {}
    for document in documents:
        for frame in document.frames:
            boxes = {one.name: one.box for one in frame.instances}
            assert len(boxes) == len(frame.instances)
            frames[frame.number] = boxes
    return frames


def test_boxes_around_poses():
    """10 % of the longer side further out on each side; without a point, no box."""
    points = [
        [[10, 4], [NAN, 3], [30, 8]],
        [[NAN, NAN], [3, NAN], [NAN, 2]],
        [[NAN, NAN], [5, 7], [NAN, NAN]],
        [[5, 7], [5, 17], [5, 9]],
    ]
    boxes = poses.boxes_around(np.array(points))
    expected = [
        [8, 2, 24, 8],
        [NAN, NAN, NAN, NAN],
        [5, 7, 0, 0],
        [4, 6, 2, 12],
    ]
    np.testing.assert_allclose(boxes, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(poses.boxes_around(np.array(points[0])), boxes[0])


# DeepLabCut


FILE = f"clip{SCORER}_el"
# Columns of each individual: nose and tail, each of x, y and likelihood.
ANN = [10, 4, 0.99, 20, 8, 0.75]
BEA = [2.5, 2, 0.6, 6.5, 4, 0.8]
LOST = [NAN] * 6
ROWS = [
    [*ANN, *BEA],
    [*ANN, *LOST],
    [*LOST, *LOST],
    [*ANN, 2, 2, 0.9, 6, 4, 0.59],
]
BOX = [9, 3, 12, 6]  # of Ann
OF_BEA = [2.1, 1.6, 4.8, 2.8]


def test_individuals_of_deeplabcut_have_names_and_boxes(tmp_path):
    files = {f"{FILE}.csv": deeplabcut_table(ROWS)}
    documents = read(tmp_path, files, actor="mouse")
    frames = individuals_of(documents)
    assert sorted(frames) == [1, 2, 4]
    assert frames[1]["Ann"] == frames[2]["Ann"] == frames[4]["Ann"] == BOX
    assert frames[1]["Bea"] == pytest.approx(OF_BEA, abs=1e-12)
    assert {len(boxes) for boxes in frames.values()} == {1, 2}
    assert left_out(documents) == {
        "frames without poses, which the tool may have missed": 1,
        "poses of a single point, which have no box": 1,
    }
    instances = documents[0].frames[0].instances
    assert [(one.label, one.track) for one in instances] == [("mouse", 0), ("mouse", 1)]
    assert {frame.video for frame in documents[0].frames} == {"clip"}
    empty = read(tmp_path, files, actor="mouse", empty_frames=True)
    assert individuals_of(empty)[3] == {}


def test_one_animal_of_deeplabcut_has_no_name(tmp_path, videos):
    rows = [ANN, LOST, ANN]
    export = write(tmp_path / "dlc", {f"{FILE}.csv": deeplabcut_table(rows, (None,))})
    source = open_source(export, videos, options=MICE, names=RESTING)
    assert source.annotated_frames("clip") == (1, 3)
    annotation = source.read_annotation("clip", 3, SIZE)
    assert annotation.boxes.tolist() == [[3, 9, 9, 21]]
    assert annotation.tracks.tolist() == [0]


def test_points_of_the_scene_are_of_nobody(tmp_path):
    files = {f"{FILE}.csv": deeplabcut_table(ROWS[:1], ("Ann", "single"))}
    documents = read(tmp_path, files, actor="mouse")
    assert individuals_of(documents) == {1: {"Ann": BOX}}
    assert left_out(documents) == {"points of 'single', which are of the scene": 1}


def test_a_renamed_table_is_of_the_video_of_its_name(tmp_path, videos):
    export = write(tmp_path / "dlc", {"clip.csv": deeplabcut_table(ROWS)})
    source = open_source(export, videos, options=MICE, names=RESTING)
    assert source.annotated_frames("clip") == (1, 2, 4)


BROKEN = [
    ("", "no annotations in a known format"),
    ("scorer,x\n", "the columns have no bodyparts, coords"),
    (deeplabcut_table(ROWS)[:-20], "the row '3' has 8 values, and the columns are 12"),
    (
        deeplabcut_table(ROWS).replace("10.0", "ten"),
        "could not convert string to float: 'ten'",
    ),
    (
        deeplabcut_table(ROWS).replace("\n1,", "\nlabeled-data/clip/img1.png,"),
        "is no frame of a",
    ),
    (
        deeplabcut_table(ROWS).replace("coords,x,", "coords,u,"),
        "nose: 'x' is not listed; analyze",
    ),
    (deeplabcut_table([LOST * 2, LOST * 2]), "no pose has two points that were found"),
    (
        deeplabcut_table([[*LOST, *[200, 100, 1, 210, 90, 1]]]),
        "row 0: [199.0, 89.0, 12.0, 12.0]",
    ),
    (deeplabcut_table(ROWS * 2), "annotates frame 8, but"),
]


@pytest.mark.parametrize("text, named", BROKEN, ids=[named for _, named in BROKEN])
def test_broken_tables_have_one_clear_error(tmp_path, videos, text, named):
    check_error(tmp_path, videos, {f"{FILE}.csv": text}, named)


def test_poses_without_an_actor_ask_for_it(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, {f"{FILE}.csv": deeplabcut_table(ROWS)})
    assert f"{FILE}.csv: row 0: names no actor; say whose tracks" in str(caught.value)


STORE = """
import io, sys
import numpy as np
import pandas as pd

table = pd.read_csv(sys.argv[1], header=list(range(int(sys.argv[3]))), index_col=0)
if len(sys.argv) > 4:  # columns of two kinds are two blocks
    table[table.columns[0]] = table[table.columns[0]].astype("float32")
table.to_hdf(sys.argv[2], key="df_with_missing", format="table", mode="w")
"""


@pytest.mark.parametrize("individuals", [("Ann", "Bea"), (None,)])
@pytest.mark.parametrize("blocks", [1, 2])
def test_hdf5_of_pandas_says_the_same(tmp_path, pose_packages, individuals, blocks):
    rows = [row[: 6 * len(individuals)] for row in ROWS]
    text = deeplabcut_table(rows, individuals)
    levels = 3 + (individuals != (None,))
    path = write(tmp_path, {"x.csv": text}) / "x.csv"
    write(tmp_path / "export", {})
    stored = tmp_path / "export" / f"{FILE}.h5"
    more = ["float32"] * (blocks - 1)
    done = run_python(
        "-c", STORE, path, stored, levels, *more, PYTHONPATH=pose_packages
    )
    succeeded(done)
    documents = read(tmp_path, {}, actor="mouse")
    expected = read(tmp_path / "csv", {f"{FILE}.csv": text}, actor="mouse")
    assert individuals_of(documents) == individuals_of(expected)
    assert documents[0].left_out == expected[0].left_out


def test_damaged_hdf5_has_one_clear_error(tmp_path, pose_packages, videos):
    path = write(tmp_path, {"x.csv": deeplabcut_table(ROWS)}) / "x.csv"
    succeeded(
        run_python("-c", STORE, path, tmp_path / "x.h5", 4, PYTHONPATH=pose_packages)
    )
    content = (tmp_path / "x.h5").read_bytes()
    files = {f"{FILE}.h5": content[: len(content) // 2]}
    check_error(tmp_path, videos, files, f"{FILE}.h5: cannot be read (Unable to")
    program = content.replace(b"(lp0\n(VDLC", b"cos\nsyste\n")
    assert program != content
    check_error(tmp_path / "2", videos, {f"{FILE}.h5": program}, "contains os.syste")


# SLEAP


POINTS_OF_ANN = [[10, 4], [20, 8]]
POINTS_OF_BEA = [[2.5, 2], [6.5, 4]]
NOWHERE = [[NAN, NAN], [NAN, NAN]]
POSES = [
    (0, (0, POINTS_OF_ANN, False), (1, POINTS_OF_BEA, False)),
    (2, (0, POINTS_OF_ANN, False), (1, NOWHERE, False)),
    (5, (1, POINTS_OF_BEA, False)),
]


@pytest.mark.parametrize("name", ["labels.slp", "labels.analysis.h5"])
def test_tracks_of_sleap_have_names_and_boxes(tmp_path, sleap_io, videos, name):
    labels = sleap_labels(sleap_io, *POSES)
    export = write(tmp_path / "sleap", {})
    if name.endswith(".slp"):
        labels.save(str(export / name))
    else:
        sleap_io.save_analysis_h5(labels, str(export / name))
    source = open_source(export, videos, options=MICE, names=RESTING)
    assert {document.format for document in source.documents} == {"sleap"}
    frames = individuals_of(source.documents)
    assert sorted(frames) == [1, 3, 6] == list(source.annotated_frames("clip"))
    assert frames[1]["Ann"] == frames[3]["Ann"] == BOX
    assert frames[1]["Bea"] == frames[6]["Bea"] == pytest.approx(OF_BEA, abs=1e-12)
    assert [len(boxes) for boxes in frames.values()] == [2, 1, 1]
    assert source.read_annotation("clip", 1, SIZE).tracks.tolist() == [0, 1]


def test_corrections_in_sleap_replace_predictions(tmp_path, sleap_io):
    moved = [[12, 4], [22, 8]]
    frame = (0, (0, POINTS_OF_ANN, False), (0, moved, True), (None, [[1, 1]] * 2, True))
    path = write(tmp_path / "export", {}) / "clip.slp"
    sleap_labels(sleap_io, frame, (1,)).save(str(path))
    documents = read(tmp_path, {}, actor="mouse")
    assert individuals_of(documents) == {1: {"Ann": [11, 3, 12, 6]}}
    assert left_out(documents) == {
        "frames without poses, which the tool may have missed": 1,
        "poses of a single point, which have no box": 1,
    }


def test_the_video_of_sleaps_images_is_their_folder(tmp_path, sleap_io):
    write_images(tmp_path / "clip", moving_frames(2, *SIZE, step=2))
    files = sorted(map(str, (tmp_path / "clip").iterdir()))
    labels = sleap_labels(sleap_io, POSES[0], filename=files)
    labels.save(str(write(tmp_path / "export", {}) / "labels.slp"))
    (document,) = read(tmp_path, {}, actor="mouse")
    assert [(frame.video, frame.number) for frame in document.frames] == [("clip", 1)]


BROKEN_LABELS = [
    ([(0, (0, POINTS_OF_ANN, True), (0, POINTS_OF_BEA, True))], {}, "track 0 is in th"),
    ([(0, (0, NOWHERE, False))], {}, "no pose has two points that were found"),
    ([(9, (0, POINTS_OF_ANN, True))], {}, "annotates frame 10, but"),
    (POSES, {"filename": "other.mp4"}, "no other.*; it holds clip.mp4; add it"),
]


@pytest.mark.parametrize("frames, fields, named", BROKEN_LABELS)
def test_broken_labels_have_one_clear_error(
    tmp_path, sleap_io, videos, frames, fields, named
):
    path = write(tmp_path / "export", {}) / "labels.slp"
    sleap_labels(sleap_io, *frames, **fields).save(str(path))
    check_error(tmp_path, videos, {}, named)


def test_a_truncated_file_of_sleap(tmp_path, sleap_io, videos):
    sleap_labels(sleap_io, *POSES).save(str(tmp_path / "x.slp"))
    content = (tmp_path / "x.slp").read_bytes()
    files = {"labels.slp": content[: len(content) // 2]}
    check_error(tmp_path, videos, files, "labels.slp: cannot be read by sleap-io")


def test_sleap_io_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sleap_io", None)
    with h5py.File(write(tmp_path / "export", {}) / "clip.slp", "w") as hdf5:
        for name in ("metadata", "frames", "instances"):
            hdf5[name] = 0
    with pytest.raises(InputError) as caught:
        read(tmp_path, {}, actor="mouse")
    assert "clip.slp: SLEAP's files need sleap-io" in str(caught.value)
    assert "pip install 'a2d_tf[poses]'" in str(caught.value)
