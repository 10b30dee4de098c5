"""Annotations of tools are matched to videos, frames and names."""

import dataclasses
import json
import pathlib
import shlex

import cv2
import numpy as np
import pytest
from a2d_files import grey_frames, moving_frames, write_images, write_video

from a2d_tf.annotations.documents.document import AnnotatedFrame, Document, ToolLabel
from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.annotations.documents.numbering import Numbering
from a2d_tf.annotations.labels.label_spaces import label_space_of
from a2d_tf.annotations.labels.names import NO_NAMES, Names
from a2d_tf.annotations.matching.find_videos import find_videos
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations
from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.annotations.readers.exports import Export
from a2d_tf.annotations.selection.misspellings import find_misspellings
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.segmentations import decode_parts

SQUARE = ([[2.0, 1.0, 6.0, 1.0, 6.0, 5.0, 2.0, 5.0]],)


def instance(label="cat-sit", **fields):
    return Instance(label=label, parts=SQUARE, where="a.json: annotations[0]", **fields)


def frame(
    video=None, number=1, size=(24, 32), instances=None, kind="video", path="task.json"
):
    instances = (instance(),) if instances is None else tuple(instances)
    numbering = Numbering(kind, "counted from 1")
    where = f"{path}: images[{number}]"
    return AnnotatedFrame(
        pathlib.PurePath(path), where, video, number, numbering, size, instances
    )


def document(*frames, path="task.json", **fields):
    return Document(pathlib.PurePath(path), "coco", frames, **fields)


def matched(folder, *documents, first_frame=None, video=None):
    """{video: sorted numbers} of documents, matched to the videos of a folder."""
    export = Export(pathlib.Path("x"), video)
    exports = [(export, documents)]
    annotations = find_videos(exports, VideoFolder.open(folder), first_frame)
    return {video: sorted(a.frames) for video, a in annotations.items()}


@pytest.fixture
def videos(tmp_path):
    """Write three videos and a folder of images, imgs/, from 00000.

    Clip 1.mp4 has 4 frames and far.mp4 5, both 32x24; wide.mp4 is 48x24.
    """
    folder = tmp_path / "videos"
    write_video(folder / "Clip 1.mp4", moving_frames(4, 24, 32, step=2))
    write_video(folder / "far.mp4", moving_frames(5, 24, 32, step=2))
    write_video(folder / "wide.mp4", moving_frames(4, 24, 48, step=2))
    (folder / "imgs").mkdir()
    for number in range(4):
        path = folder / "imgs" / f"{number:05d}.png"
        cv2.imwrite(str(path), np.full((10, 12, 3), number, np.uint8))
    return folder


def test_videos_by_the_name_in_the_file(videos):
    entry = document(frame("far", 2), frame("far", 5), frame("clip-1", 3))
    assert matched(videos, entry) == {"far": [2, 5], "Clip 1": [3]}
    # An unknown name stays, to be reported with the other files that are missing.
    assert matched(videos, document(frame("near"))) == {"near": [1]}
    with pytest.raises(InputError, match="is not a valid file name"):
        matched(videos, document(frame("../near")))


@pytest.mark.parametrize(
    "path, video",
    [
        ("exports/far/annotations/instances.json", "far"),
        ("far.zip/annotations.xml", "far"),
        ("far.mp4/a", "far"),
        ("far.part2.json", "far.part2"),  # the whole name goes before its beginning
        ("far.mp4.json", "far"),
    ],
)
def test_videos_by_the_path_of_the_export(videos, path, video):
    (videos / "far.part2.mp4").touch()
    assert matched(videos, document(frame(), path=path)) == {video: [1]}


def test_a_video_that_is_there_twice(videos):
    write_images(videos / "far", grey_frames(1, 24, 32))
    assert matched(videos, document(frame("wide"))) == {"wide": [1]}
    with pytest.raises(InputError, match="far and far.mp4"):
        matched(videos, document(frame("far")))


def test_a_name_differs_from_anothers_by_more_than_blanks(tmp_path):
    for name in ("clip_11", "M\u00e4use 1", "mouse (2)", "it's here", "GX 010001"):
        (tmp_path / f"{name}.mp4").touch()
    assert matched(tmp_path, document(frame("Ma\u0308use_1"))) == {"M\u00e4use 1": [1]}
    assert matched(tmp_path, document(frame("Mouse_2"))) == {"mouse (2)": [1]}
    assert matched(tmp_path, document(frame("its_here"))) == {"it's here": [1]}
    assert matched(tmp_path, document(frame("GX010001"))) == {"GX 010001": [1]}
    # is missing
    assert matched(tmp_path, document(frame("clip_1_1"))) == {"clip_1_1": [1]}


def test_no_other_video_is_taken_for_one_that_is_missing(tmp_path):
    for name in ("wt+", "temp5", "clip"):
        (tmp_path / f"{name}.mp4").touch()
    for name in ("wt-", "temp-5", "clip.2"):
        assert matched(tmp_path, document(frame(name))) == {name: [1]}
        with pytest.raises(
            InputError, match=r"does not name its video.*candidates: clip, temp5, "
        ):
            matched(tmp_path, document(frame(), path=f"{name}.xml"))


def test_videos_by_size_and_number_of_frames(videos, tmp_path):
    assert matched(videos, document(frame(), frame_count=4)) == {"Clip 1": [1]}
    assert matched(videos, document(frame(), frame_count=5)) == {"far": [1]}
    assert matched(videos, document(frame(size=(24, 48)), frame_count=4)) == {
        "wide": [1]
    }
    with pytest.raises(
        InputError, match="task.json: does not name its video, and 0 of those in"
    ):
        matched(videos, document(frame(), frame_count=6))
    with pytest.raises(InputError, match="candidates: Clip 1, far, imgs, wide; "):
        matched(videos, document(frame()))
    # The error has words for the shell that name a video of the folder and the file.
    (tmp_path / "an export.zip").touch()
    with pytest.raises(InputError) as caught:
        matched(
            videos, document(frame(), path=tmp_path / "an export.zip" / "task.json")
        )
    named = shlex.split(str(caught.value).partition("--annotations=")[2])[0]
    assert Export.parse(named) == Export(tmp_path / "an export.zip", "Clip 1")
    # Of two that fit, one is taken where another file names it.
    write_video(videos / "more.mp4", moving_frames(4, 24, 32, step=2))
    with pytest.raises(
        InputError, match="and 2 of those in .*candidates: Clip 1, more; "
    ):
        matched(videos, document(frame(), frame_count=4))
    pair = document(frame(), frame_count=4), document(frame("more", 2))
    assert matched(videos, *pair) == {"Clip 1": [1], "more": [2]}
    # Nor is one taken for two files.
    lost = [
        document(frame(number=3), frame_count=4, path=f"{name}.json") for name in "ab"
    ]
    with pytest.raises(
        InputError,
        match="a.json: does not name its video, and 0 of those in .*; likewise b.json;",
    ):
        matched(videos, *pair, *lost)


def test_videos_by_the_names_that_cvat_gives_to_downloads(videos):
    """As of `build_annotations_file_name` of CVAT 2.20, in lower case."""
    day = "annotations_2026_01_31_09_30_12"
    far = document(frame(), path=f"task_far.mp4_{day}_coco 1.0.zip/instances.json")
    clip = document(
        frame(number=2),
        path=f"project_clip 1_{day.replace('annotations', 'dataset')}_coco 1.0 (1)/a",
    )
    exports = [(Export(pathlib.Path("x")), [far, clip])]
    annotations = find_videos(exports, VideoFolder.open(videos))
    assert {video: list(a.frames) for video, a in annotations.items()} == {
        "far": [1],
        "Clip 1": [2],
    }
    (note,) = annotations["far"].notes
    assert "taken for annotations of 'far', by the name that CVAT gave" in note
    # Newer versions have the task's number there: no video is meant by it.
    write_video(videos / "25.mp4", moving_frames(4, 24, 32, step=2))
    for name in (f"task_25_{day}_coco 1.0.zip", "task_far.zip", f"task_fa_{day}_coco"):
        with pytest.raises(InputError, match="does not name its video"):
            matched(videos, document(frame(), path=f"{name}/a.json"))
    # The file's own word counts before.
    named = document(frame("wide"), path=f"task_far_{day}_coco 1.0.zip/a.json")
    assert matched(videos, named) == {"wide": [1]}
    (videos / "CLIP-1.mp4").touch()  # which is meant?
    with pytest.raises(InputError, match="does not name its video"):
        matched(videos, clip)


def test_videos_that_the_user_names(videos, tmp_path):
    assert Export.parse("far=task.zip") == Export(pathlib.Path("task.zip"), "far")
    with pytest.raises(InputError, match="'sub/far' is not a valid video name"):
        Export.parse("sub/far=task.zip")
    assert Export.parse("task.zip") == Export(pathlib.Path("task.zip"))
    (tmp_path / "a=b.zip").touch()
    odd = str(tmp_path / "a=b.zip")
    assert Export.parse(odd) == Export(pathlib.Path(odd))
    for name in ("far", "far.MP4"):
        assert matched(videos, document(frame("near")), video=name) == {"far": [1]}
    assert matched(videos, document(frame("../near")), video="far") == {"far": [1]}
    with pytest.raises(InputError, match="belong to videos near, wide"):
        matched(videos, document(frame("near"), frame("wide")), video="far")
    with pytest.raises(InputError, match="nowhere: no such folder; --videos"):
        VideoFolder.open(tmp_path / "nowhere")


def test_a_file_of_labelme_is_named_after_its_frame(tmp_path):
    for name in ("00001", "00002"):
        write_video(tmp_path / f"{name}.mp4", moving_frames(4, 24, 32, step=2))
    of_frame = document(frame(None, 2, kind="names"), path="labelme/00001/00002.json")
    export = Export(pathlib.Path("labelme/00001"))
    for kind, video in (("labelme", "00001"), ("coco", "00002")):
        entry = dataclasses.replace(of_frame, format=kind)
        annotations = find_videos([(export, [entry])], VideoFolder.open(tmp_path))
        assert list(annotations) == [video]


@pytest.mark.parametrize("folder", [".zip", ".json"])
def test_a_folder_may_have_the_name_of_a_suffix(videos, folder):
    for path, found in ((f"{folder}/far.json", True), (f"{folder}/task.json", False)):
        entry = document(frame(), path=path)
        if found:
            assert matched(videos, entry) == {"far": [1]}
        else:
            with pytest.raises(InputError, match="task.json: does not name its video"):
                matched(videos, entry)


def test_positions_of_images_in_a_task_tell_frames_of_whole_videos_alone(videos):
    whole = document(frame("imgs", 3, kind="images"), frame_count=4)
    assert matched(videos, whole) == {"imgs": [3]}
    for count in (3, None):
        part = document(frame("imgs", 3, kind="images"), frame_count=count)
        with pytest.raises(
            InputError, match="has 4 frames.*export it as 'CVAT for images 1.1'"
        ):
            matched(videos, part)


def test_images_numbered_from_zero(videos):
    named = document(*(frame("imgs", number, kind="names") for number in (0, 3)))
    assert matched(videos, named) == {"imgs": [1, 4]}
    assert matched(videos, document(frame("imgs", 3))) == {"imgs": [3]}
    named = document(frame("far", 0, kind="names"))
    with pytest.raises(
        InputError, match=r"images\[0\]: frame 0 is invalid.*--first_frame=0"
    ):
        matched(videos, named)
    assert matched(videos, named, first_frame=0) == {"far": [1]}
    # a folder tells its first by itself
    from_one = document(frame("imgs", 1, kind="names"))
    assert matched(videos, from_one, first_frame=1) == {"imgs": [2]}


def test_a_frame_that_is_annotated_twice(videos):
    first, other = (
        document(frame("far", 2)),
        document(frame("far", 2, path="other.json")),
    )
    assert matched(videos, first, other) == {"far": [2]}  # an export and its project
    other = document(
        frame("far", 2, instances=[instance("cat-run")], path="other.json")
    )
    for video in (None, "far"):
        words = (
            r"images\[2\]: frame 2 of 'far' is also in task.json.*; remove the older"
            r" export"
        )
        with pytest.raises(InputError, match=words):
            matched(videos, first, other, video=video)


@pytest.mark.parametrize(
    "given, expected",
    [
        (instance("cat", action="run"), ("cat", "run")),
        (instance("x-y", action="run"), ("x-y", "run")),
        (instance("thing", actor="dog", action="run"), ("dog", "run")),
        (instance("rat", action="run"), ("mouse", "run")),
        (instance("R1"), ("mouse", "rest")),
        (instance("R1", action="run"), ("mouse", "rest")),
        (instance(" cat - sit "), ("cat", "sit")),
        (instance("le\u0301rot", action="e\u0301 "), ("l\u00e9rot", "\u00e9")),
        (instance("cat", action="__undefined__"), None),
        (instance("cat", actor="__undefined__", action="run"), ("cat", "run")),
        (instance("cat"), None),
    ],
)
def test_actors_and_actions(tmp_path, given, expected):
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"rat": ["mouse ", None], " R1": ["mouse", "rest"]}))
    assert Names.load(path).pair(given) == expected


def test_a_label_space_tells_where_an_actor_with_a_hyphen_ends():
    known = LabelSpace(("polar-bear", "polar"), ("rest", "bear"), (11, 12, 22))
    assert Names().pair(instance("polar-bear-rest")) == ("polar", "bear-rest")
    assert Names(label_space=known).pair(instance("polar-bear-rest")) == (
        "polar-bear",
        "rest",
    )
    assert Names(label_space=known).pair(instance("polar-bear")) == ("polar", "bear")
    assert Names(label_space=known).pair(instance("grey-wolf-rest")) == (
        "grey",
        "wolf-rest",
    )
    known = LabelSpace(("a", "a-b"), ("b-c", "c"), (11, 22))
    assert Names(label_space=known).pair(instance("a-b-c")) is None  # it may be either


def test_a_task_that_was_exported_again(videos):
    old = document(frame("far", 2), frame("far", 3), path="old.zip/a.xml", task=7)
    frames = (frame("far", number, path="new.zip/a.xml") for number in (2, 3))
    again = document(*frames, path="new.zip/a.xml", task=7)
    assert matched(videos, old, again) == {"far": [2, 3]}
    corrected = document(frame("far", 2), path="new.zip/a.xml", task=7)
    for video in (None, "far"):
        words = "new.zip/a.xml: task 7 is also in old.*remove the older"
        with pytest.raises(InputError, match=words):
            matched(videos, old, corrected, video=video)
    # or CVAT's COCO, which has no number of the task
    job = dict(path="new.json", frame_range=range(9))
    emptied, old_job = (
        document(frame("far", 2), **job),
        document(*old.frames, frame_range=range(9)),
    )
    with pytest.raises(
        InputError, match="new.json: 'far' is also in task.json, with other frames"
    ):
        matched(videos, old_job, emptied)
    more = document(frame("far", 4), **job)
    assert matched(videos, old_job, more) == {"far": [2, 3, 4]}
    elsewhere = document(frame("wide", 2), path="b.xml", task=7)  # another server's
    assert matched(videos, old, elsewhere) == {"far": [2, 3], "wide": [2]}


SPACE = LabelSpace(("cat", "dog"), ("run", "sit"), (11, 22))


@pytest.mark.parametrize(
    "labels, names, words",
    [
        (
            ["cat", "dog", "cat", "cat-sit"],
            Names(),
            r"labels 'cat' \(2\), 'dog' \(1\);",
        ),
        (
            ["cat-run", "cat-sit"],
            Names(label_space=SPACE),
            "cat-sit is not in the label space",
        ),
        (["cat-sit", "Cat-sit"], Names(), "'Cat' is 'cat' elsewhere"),
        (
            ["cat-run", "cat-Sit"],
            Names(label_space=SPACE, grows=True),
            "'Sit' is 'sit' elsewhere",
        ),
    ],
)
def test_labels_that_make_no_label_space(labels, names, words):
    with pytest.raises(InputError, match=rf"^a.json: annotations\[0\]: .*{words}"):
        label_space_of(map(instance, labels), names)
    assert label_space_of(map(instance, ["cat-run", "dog-sit"]), Names()) == SPACE
    assert label_space_of([instance("cat-run")], Names(label_space=SPACE)) is SPACE


def test_a_label_space_that_grows_has_new_labels_behind_its_own():
    names = Names(label_space=SPACE, grows=True)
    assert label_space_of([instance("dog-sit")], names) is SPACE
    grown = label_space_of(map(instance, ["cat-nap", "ape-run"]), names)
    assert (grown.actors, grown.actions) == (
        ("cat", "dog", "ape"),
        ("run", "sit", "nap"),
    )
    assert grown.codes == (11, 13, 22, 31)


@pytest.mark.parametrize(
    "label, pair",
    [
        ("polar-bear-run", ("polar-bear", "run")),
        ("polar-bear-nap", ("polar-bear", "nap")),
        ("brown-bear-nap", ("brown", "bear-nap")),  # at the first hyphen
    ],
)
def test_a_new_action_of_a_known_actor_with_a_hyphen(label, pair):
    known = LabelSpace(("polar-bear",), ("run",), (11,))
    assert Names(label_space=known, grows=True).pair(instance(label)) == pair


def test_an_empty_place_of_a_known_actors_action_is_no_new_action():
    known = LabelSpace(("guinea",), ("run",), (11,))
    names = Names(label_space=known, grows=True)
    annotated = dataclasses.replace(instance("guinea-pig"), action="")
    assert names.annotated_names(annotated) == ("guinea-pig", None)


@pytest.mark.parametrize("text", ["{", '{"rat": ["mouse"]}', '{"rat": ["mouse", ""]}'])
def test_broken_files_of_names(tmp_path, text):
    path = tmp_path / "names.json"
    path.write_text(text)
    with pytest.raises(InputError, match="names.json: "):
        Names.load(path)


def test_parts_are_joined_and_scaled():
    square = [[2, 1, 6, 1, 6, 5, 2, 5]]
    rle = {"size": [10, 10], "counts": [90, 5, 5]}  # rows 0 to 4 of the last column
    mask = decode_parts([square, rle], (10, 10), (10, 10))
    assert mask.sum() == 16 + 5 and mask[1:5, 2:6].all() and mask[:5, 9].all()
    double = decode_parts([square, rle], (10, 10), (20, 30))
    assert (
        double[2:10, 6:18].all()
        and double[:10, 27:].all()
        and double.sum() == 8 * 12 + 10 * 3
    )
    relative = decode_parts(
        [[[0.2, 0.1, 0.6, 0.1, 0.6, 0.5, 0.2, 0.5]]], (1, 1), (20, 30)
    )
    assert relative.sum() == 8 * 12 and relative[2:10, 6:18].all()
    # A part that covers no pixel is lost in the others, and an error alone.
    sliver = [[3.1, 3.1, 3.2, 3.1, 3.2, 3.2]]
    assert decode_parts([square, sliver], (10, 10), (10, 10)).sum() == 16
    with pytest.raises(InputError, match="the mask is empty"):
        decode_parts([sliver], (10, 10), (10, 10))


def doubted(uses, listed=(), names=NO_NAMES):
    """The notes of {video: labels of its frames} of a file that lists some labels."""
    videos = {}
    for vid, labels in uses.items():
        frames = {}
        for n, label in enumerate(labels, 1):
            frames[n] = frame(vid, n, instances=[instance(label)])
        videos[vid] = VideoAnnotations(frames)
    return [*find_misspellings(videos, names, [document(tool_labels=listed)])]


def test_names_like_others_that_are_used_more_are_doubted():
    run, sit = ["mouse-run"] * 30, ["mouse-sit"] * 9
    (note,) = doubted({"a": [*run, "mouse-runn"], "b": ["mouse-sit"]})
    assert (
        note
        == "a.json: annotations[0]: action 'runn' (instances: 1, first in frame 31 of"
        " 'a'): did you mean 'run'?"
    )
    (note,) = doubted(
        {"a": run, "b": [*sit, "mouze-sit", "mouze-sit"], "c": ["mouze-run"]}
    )
    assert (
        "actor 'mouze' (instances: 3, first in frame 10 of 'b'): did you mean 'mouse'?"
        in note
    )
    # In as many videos; of other letters; told apart by a number; or of another length.
    assert not doubted({"a": ["mouse-runn"] * 9, "b": [*run, "mouse-runn"], "c": run})
    assert not doubted({"a": [*run, "mouse-rest"], "b": ["horse-rut"]})
    assert not doubted({"a": ["mouse1-run"] * 20, "b": ["mouse2-run"]})
    assert not doubted({"a": ["male-run"] * 20, "b": ["female-run"]})


def test_names_that_the_tool_does_not_list_are_doubted():
    listed = [
        ToolLabel("mouse", action=action) for action in ("run", "rest", "__undefined__")
    ]
    labels = {"a": ["mouse-runn"] * 30, "b": ["mouse-run"] * 40}
    (note,) = doubted(labels, listed)
    assert (
        "'runn' (instances: 30, first in frame 1 of 'a') is not in the tool's own list"
        in note
    )
    assert note.endswith("list: did you mean 'run'?")
    (note,) = doubted({"a": ["cat-run"]}, listed)
    assert "actor 'cat' (instances: 1" in note and "did you mean 'mouse'?" in note
    named = Names({"rat-run": ("cat", "run")})
    assert doubted({"a": ["rat-run"]}, [ToolLabel("rat-run")], named) == []
    # An action that is free text is listed nowhere.
    assert doubted({"a": ["mouse-runn", "cat-sit"]}, [*listed, ToolLabel("cat")]) == []
