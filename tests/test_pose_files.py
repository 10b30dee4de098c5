"""Poses of DeepLabCut and SLEAP: the boxes of individuals, and damage."""

import extra_packages
import numpy as np
import pytest
from a2d_files import moving_frames, write_video
from processes import run_python, succeeded
from test_annotation_formats import SIZE, left_out, open_source, read, write
from test_track_files import check_error

from a2d_tf.annotations import poses
from a2d_tf.annotations.document import ReadOptions
from a2d_tf.core.errors import InputError

NAN = float("nan")
MICE = ReadOptions(actor="mouse-rest")


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


SCORER = "DLC_resnet50_miceNov2shuffle1_50000"
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


def table(rows, individuals=("Ann", "Bea"), parts=("nose", "tail")):
    """A CSV as pandas writes DeepLabCut's; one animal alone has no individuals."""
    columns = []
    for individual in individuals:
        for part in parts:
            for coordinate in ("x", "y", "likelihood"):
                columns.append((SCORER, individual, part, coordinate))
    lines = []
    for level, names in zip(
        ("scorer", "individuals", "bodyparts", "coords"), zip(*columns)
    ):
        if level != "individuals" or individuals != (None,):
            lines.append(",".join((level, *names)))
    for number, row in enumerate(rows):
        cells = ["" if value != value else repr(float(value)) for value in row]
        lines.append(",".join((str(number), *cells)))
    return "\n".join(lines) + "\n"


def test_individuals_of_deeplabcut_have_names_and_boxes(tmp_path):
    files = {f"{FILE}.csv": table(ROWS)}
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
    export = write(tmp_path / "dlc", {f"{FILE}.csv": table(rows, (None,))})
    source = open_source(export, videos, options=MICE)
    assert source.annotated_frames("clip") == (1, 3)
    annotation = source.read_annotation("clip", 3, SIZE)
    assert annotation.boxes.tolist() == [[3, 9, 9, 21]]
    assert annotation.tracks.tolist() == [0]


def test_points_of_the_scene_are_of_nobody(tmp_path):
    files = {f"{FILE}.csv": table(ROWS[:1], ("Ann", "single"))}
    documents = read(tmp_path, files, actor="mouse")
    assert individuals_of(documents) == {1: {"Ann": BOX}}
    assert left_out(documents) == {"points of 'single', which are of the scene": 1}


def test_a_renamed_table_is_of_the_video_of_its_name(tmp_path, videos):
    export = write(tmp_path / "dlc", {"clip.csv": table(ROWS)})
    source = open_source(export, videos, options=MICE)
    assert source.annotated_frames("clip") == (1, 2, 4)


BROKEN = [
    ("", "no annotations in a known format"),
    ("scorer,x\n", "the columns have no bodyparts, coords"),
    (table(ROWS)[:-20], "the row '3' has 8 values, and the columns are 12"),
    (table(ROWS).replace("10.0", "ten"), "could not convert string to float: 'ten'"),
    (table(ROWS).replace("\n1,", "\nlabeled-data/clip/img1.png,"), "is no frame of a"),
    (table(ROWS).replace("coords,x,", "coords,u,"), "nose: 'x' is not listed; analyze"),
    (table([LOST * 2, LOST * 2]), "no pose has two points that were found"),
    (table([[*LOST, *[200, 100, 1, 210, 90, 1]]]), "row 0: [199.0, 89.0, 12.0, 12.0]"),
    (table(ROWS * 2), "annotates frame 8, but"),
]


@pytest.mark.parametrize("text, named", BROKEN, ids=[named for _, named in BROKEN])
def test_broken_tables_have_one_clear_error(tmp_path, videos, text, named):
    check_error(tmp_path, videos, {f"{FILE}.csv": text}, named)


def test_poses_without_an_actor_ask_for_it(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, {f"{FILE}.csv": table(ROWS)})
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


@pytest.fixture(scope="session")
def packages():
    return extra_packages.folder("poses")


@pytest.mark.parametrize("individuals", [("Ann", "Bea"), (None,)])
@pytest.mark.parametrize("blocks", [1, 2])
def test_hdf5_of_pandas_says_the_same(tmp_path, packages, individuals, blocks):
    rows = [row[: 6 * len(individuals)] for row in ROWS]
    text = table(rows, individuals)
    levels = 3 + (individuals != (None,))
    path = write(tmp_path, {"x.csv": text}) / "x.csv"
    write(tmp_path / "export", {})
    stored = tmp_path / "export" / f"{FILE}.h5"
    more = ["float32"] * (blocks - 1)
    done = run_python("-c", STORE, path, stored, levels, *more, PYTHONPATH=packages)
    succeeded(done)
    documents = read(tmp_path, {}, actor="mouse")
    expected = read(tmp_path / "csv", {f"{FILE}.csv": text}, actor="mouse")
    assert individuals_of(documents) == individuals_of(expected)
    assert documents[0].left_out == expected[0].left_out


def test_damaged_hdf5_has_one_clear_error(tmp_path, packages, videos):
    path = write(tmp_path, {"x.csv": table(ROWS)}) / "x.csv"
    succeeded(run_python("-c", STORE, path, tmp_path / "x.h5", 4, PYTHONPATH=packages))
    content = (tmp_path / "x.h5").read_bytes()
    files = {f"{FILE}.h5": content[: len(content) // 2]}
    check_error(tmp_path, videos, files, f"{FILE}.h5: not a table that pandas has")
    program = content.replace(b"(lp0\n(VDLC", b"cos\nsyste\n")
    assert program != content
    check_error(tmp_path / "2", videos, {f"{FILE}.h5": program}, "contains os.syste")
