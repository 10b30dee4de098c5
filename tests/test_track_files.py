"""Tracks of trackers: MOT Challenge's files, and the labels of `yolo track`."""

import zipfile

import pytest
from a2d_files import moving_frames, write_video
from test_annotation_formats import SIZE, found, left_out, open_source, read, write

from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.labels.names import NO_NAMES, Names
from a2d_tf.core.errors import InputError
from a2d_tf.data.sources.source import usable_frames

MICE = ReadOptions(actor="mouse")
RESTING = Names({"mouse": ("mouse", "rest")})


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "clip.mp4", moving_frames(6, *SIZE, step=2))
    return folder


def frames_of(documents):
    """{1-based number: [(label, track, box)]} of documents."""
    frames = {}
    for document in documents:
        for frame in document.frames:
            assert frame.number not in frames
            frames[frame.number] = [
                (instance.label, instance.track, instance.box)
                for instance in frame.instances
            ]
    return frames


def test_rows_of_a_tracker_are_boxes_of_tracks(tmp_path):
    """As motchallenge.net has them; a score of 0 counts in a tracker's file."""
    rows = (
        "2, 1, 4.5, 2, 6, 8.25, 0.9, -1, -1, -1\n"
        "1,2,20,10,5,6,0,-1,-1,-1\n"
        "\n"
        "1,1,4,2,6,8,1,-1,-1,-1\n"
        "2,-1,9,9,3,3,0.4,-1,-1,-1\n"
    )
    documents = read(tmp_path, {"clip.txt": rows}, actor="mouse")
    assert frames_of(documents) == {
        1: [("mouse", 2, [20, 10, 5, 6]), ("mouse", 1, [4, 2, 6, 8])],
        2: [("mouse", 1, [4.5, 2, 6, 8.25]), ("mouse", None, [9, 9, 3, 3])],
    }
    assert left_out(documents) == {}


def test_a_ground_truth_ignores_a_conf_of_0_and_has_classes(tmp_path):
    rows = "1,1,4,2,6,8,1,2,0.5\n1,2,4,2,6,8,0,1,1\n1,3,5,5,9,9,1,1,1\n"
    files = {"clip/gt/gt.txt": rows, "clip/gt/labels.txt": "cat-sit\ndog\n"}
    files["clip/det/det.txt"] = "1,-1,4,2,6,8,0.3,-1,-1,-1\n"
    documents = read(tmp_path, files)
    assert frames_of(documents) == {
        1: [("dog", 1, [4, 2, 6, 8]), ("cat-sit", 3, [5, 5, 9, 9])]
    }
    assert left_out(documents) == {
        "rows with a conf of 0, which is to be ignored": 1,
        "files det.txt of detections without tracks": 1,
    }


@pytest.mark.parametrize(
    "columns, actor, label",
    [
        ("1,3,0.5", None, "3"),
        ("1,3,0.5", "mouse", "mouse"),
        ("1,-1,-1", "mouse", "mouse"),
        ("1,3,0.5,0.25", "mouse", "mouse"),  # world coordinates
    ],
)
def test_a_class_without_a_name(tmp_path, columns, actor, label):
    documents = read(tmp_path, {"clip.csv": f"1,1,4,2,6,8,{columns}"}, actor=actor)
    assert found(documents) == {(None, 1): [label]}


@pytest.mark.parametrize(
    "actor, rows, names",
    [
        ("guinea-pig", "1,1,4,2,6,8", ("guinea-pig", None)),
        (None, "1,1,4,2,6,8,1,1,1", ("cat", "sit")),
    ],
)
def test_a_hyphen_belongs_to_the_actor_that_the_user_says(tmp_path, actor, rows, names):
    files = {"clip/gt/gt.txt": rows, "clip/gt/labels.txt": "cat-sit"}
    (document,) = read(tmp_path, files, actor=actor)
    assert NO_NAMES.annotated_names(document.frames[0].instances[0]) == names


def test_numbers_of_frames_begin_where_the_user_says(tmp_path):
    files = {"clip.txt": "0,1,4,2,6,8,1\n5,1,4,2,6,8,1\n"}
    documents = read(tmp_path, files, actor="mouse", first_frame=0)
    assert sorted(frames_of(documents)) == [1, 6]


@pytest.mark.parametrize("path", ["clip.txt", "clip.csv", "clip/gt/gt.txt", "CLIP.TXT"])
def test_the_path_names_the_video(tmp_path, videos, path):
    export = write(tmp_path / "mot", {path: "2,1,4,2,6,8,1\n"})
    if path == "CLIP.TXT":
        with pytest.raises(InputError, match="CLIP.TXT: does not name its video"):
            open_source(export, videos, options=MICE, names=RESTING)
        return
    source = open_source(export, videos, options=MICE, names=RESTING)
    assert source.annotated_frames("clip") == (2,)
    annotation = source.read_annotation("clip", 2, SIZE)
    assert annotation.boxes.tolist() == [[2, 4, 10, 10]]
    assert annotation.tracks.tolist() == [1] and not annotation.masks.any()


def test_a_task_of_cvat_in_motchallenges_layout(tmp_path, videos):
    """As on docs.cvat.ai: a zip, here named after the video."""
    with zipfile.ZipFile(tmp_path / "clip.zip", "w") as archive:
        archive.writestr("gt/gt.txt", "1,1,4,2,6,8,1,2,0.86014\n4,1,5,2,6,8,1,2,1.0\n")
        archive.writestr("gt/labels.txt", "cat-run\ndog-sit\n")
        archive.writestr("img1/frame_000000.PNG", b"PNG")
    source = open_source(tmp_path / "clip.zip", videos)
    assert source.annotated_frames("clip") == (1, 4)
    annotation = source.read_annotation("clip", 1, SIZE)
    assert [source.label_space.name(code) for code in annotation.codes] == ["dog-sit"]


def test_tables_beside_an_export_are_no_tracks(tmp_path):
    files = {
        "clip.txt": "1,1,4,2,6,8,1\n",
        "notes.txt": "1,2,3\n",
        "weights.csv": "animal,grams,a,b,c,d\n1,2,3,4,5,6\n",
        "task.xml": "<annotation/>",
    }
    documents = read(tmp_path, files, actor="mouse")
    assert frames_of(documents) == {1: [("mouse", 1, [4, 2, 6, 8])]}
    assert left_out(documents) == {"files in other formats (task.xml)": 1}


BROKEN = [
    ("clip.txt", "1,1,4,2,6,8,1\n1,1,5,2,6,8,1", "line 2: track 1 is in this frame"),
    ("clip.txt", "1,1,4,2,6,8,1\n2,1,4,2", "line 2: '2,1,4,2' is not frame,id,left"),
    ("clip.txt", "1,1,4,2,6,8,1\n1.5,1,4,2,3,4,5", "clip.txt: line 2: invalid literal"),
    ("clip.txt", "1,1,40,30,6,8,1", "line 1: [40.0, 30.0, 6.0, 8.0] is not [x, y"),
    ("clip.txt", "1,1,4,2,0,8,1", "line 1: [4.0, 2.0, 0.0, 8.0] is not [x, y"),
    ("clip.txt", "7,1,4,2,6,8,1", "clip.txt: annotates frame 7, but"),
    ("clip.txt", "0,1,4,2,6,8,1", "clip.txt: frame 0: frame 0 is invalid; numbering"),
    ("clip9.txt", "1,1,4,2,6,8,1", "clip9.txt: does not name its video, and 0 of"),
]


@pytest.mark.parametrize("path, rows, named", BROKEN, ids=[row[-1] for row in BROKEN])
def test_broken_tracks_have_one_clear_error(tmp_path, videos, path, rows, named):
    check_error(tmp_path, videos, {path: rows}, named)


def check_error(tmp_path, videos, files, named):
    """Check that reading files of tracks ends in one line with these words."""

    def fail(path, error):
        raise error

    export = write(tmp_path / "export", files)
    with pytest.raises(InputError) as caught:
        source = open_source(export, videos, options=MICE, names=RESTING)
        for video in source.videos:
            for number in usable_frames(source, video, fail):
                source.read_annotation(video.vid, number, SIZE)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_tracks_without_an_actor_ask_for_it(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, {"clip.txt": "1,1,4,2,6,8,1\n"})
    assert str(caught.value) == (
        f"{tmp_path}/export/clip.txt: line 1: names no actor; say whose tracks these"
        " are, as in --actor=mouse, or pass --labels of one actor; with a2d start after"
        " --: -- --actor=mouse"
    )


def tracked(number, box, confidence=None, track=None):
    """A line as `yolo track` writes it (ultralytics `Results.save_txt`)."""
    line = (number, *box)
    line += (confidence,) * (confidence is not None)
    line += () if track is None else (track,)
    return ("%g " * len(line)).rstrip() % line + "\n"


BOX = (0.5, 0.25, 0.25, 0.5)
CORNERS = (0.25, 0.25, 0.75, 0.25, 0.75, 1)
TRACKED = {
    "labels/clip_1.txt": tracked(0, BOX, track=1) + tracked(2, BOX, track=14),
    "labels/clip_4.txt": tracked(0, BOX, 0.875, 1) + tracked(0, BOX),
}
WHOLE = [0.375, 0, 0.25, 0.5]


def test_labels_of_yolo_track_are_tracks(tmp_path):
    """Frames count from 1; a box that the tracker did not follow has no track."""
    documents = read(tmp_path, {f"runs/track/exp/{k}": v for k, v in TRACKED.items()})
    assert len(documents) == 1  # tracks are those of one file
    assert frames_of(documents) == {
        1: [("0", 1, WHOLE), ("2", 14, WHOLE)],
        4: [("0", 1, WHOLE), ("0", None, WHOLE)],
    }
    assert [frame.video for frame in documents[0].frames] == ["clip", "clip"]


@pytest.mark.parametrize("folder", ["", "runs/exp/", "runs/exp/labels/"])
def test_data_yaml_names_the_classes_of_yolo_track(tmp_path, folder):
    files = {f"runs/exp/{name}": text for name, text in TRACKED.items()}
    yaml = {f"{folder}data.yaml": "names: [cat, dog, mouse]"}
    documents = read(tmp_path, {**files, **yaml})
    assert [document.format for document in documents] == ["yolo"]
    labels = [[label for label, *_ in frame] for frame in frames_of(documents).values()]
    assert labels == [["cat", "mouse"], ["cat", "cat"]]


def test_one_actor_of_yolo_track(tmp_path):
    assert found(read(tmp_path, TRACKED, actor="mouse")) == {
        ("clip", 1): ["mouse", "mouse"],
        ("clip", 4): ["mouse", "mouse"],
    }


@pytest.mark.parametrize(
    "numbers, points, track",
    [
        (CORNERS, 3, None),
        ((*CORNERS, 3), 3, 3),
        ((*CORNERS, 0.5, 0.75), 4, None),
        ((*CORNERS, 0.5, 0.75, 12), 4, 12),
        ((0.25, 0.25, 0.75, 1, 0.75, 0), 3, None),
    ],
)
def test_a_polygon_may_end_with_its_track(tmp_path, numbers, points, track):
    (document,) = read(tmp_path, {"labels/clip_1.txt": tracked(0, numbers)})
    (instance,) = document.frames[0].instances
    assert (len(instance.parts[0][0]) // 2, instance.track) == (points, track)
    assert instance.box is None


def test_text_files_beside_labels_are_left_out(tmp_path):
    files = {**TRACKED, "labels/classes.txt": "cat", "labels/clip_5.txt": ""}
    documents = read(tmp_path, files)
    assert sorted(frames_of(documents)) == [1, 4, 5]
    assert left_out(documents) == {"text files without boxes and polygons": 1}


BROKEN_LABELS = [
    (tracked(0, BOX, track=3) * 2, "clip_1.txt: line 2: track 3 is in this frame"),
    (tracked(0, (*CORNERS, 0, 1), 0.5, 2), "a polygon ends with a confidence and a"),
    (tracked(0, BOX, 0.5), "line 1: '0 0.5 0.25 0.25 0.5 0.5' is not a class with"),
    (tracked(0, BOX, track=3) + "nan", "clip_1.txt: line 2"),
    (tracked(0, (2.5, 2.5, 0.25, 0.5), track=3), "clip_1.txt: line 1: [2.375, 2.25"),
]


def test_labels_of_cvats_yolo_have_no_numbers_of_frames(tmp_path, videos):
    """It writes frame_000000.txt, or the names of the images, and obj.names."""
    files = {"obj_train_data/frame_000000.txt": tracked(0, BOX), "obj.names": "cat"}
    check_error(tmp_path, videos, files, "000000.txt: is named as in CVAT; export")


@pytest.mark.parametrize("text, named", BROKEN_LABELS)
def test_broken_labels_have_one_clear_error(tmp_path, videos, text, named):
    check_error(tmp_path, videos, {"labels/clip_1.txt": text}, named)


def test_labels_of_frames_that_the_video_lacks(tmp_path, videos):
    files = {"labels/clip_9.txt": tracked(0, BOX, track=1)}
    check_error(tmp_path, videos, files, "annotates frame 9, but")
