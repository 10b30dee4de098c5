"""YouTube-VIS's JSON: literals, and damaged files."""

import copy
import json

import pytest

from a2d_tf.annotations import read_youtube_vis as youtube_vis
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import AnnotatedFrame, Instance, ReadOptions
from a2d_tf.annotations.matching import Export, Matcher
from a2d_tf.core.errors import InputError

SQUARE = [[1, 1, 9, 1, 9, 7, 1, 7]]
RLE = {"size": [8, 10], "counts": [3, 4, 73]}
TEXT = {"size": [8, 10], "counts": "341l1"}
CONTENT = {
    "videos": [
        {"id": 4, "height": 8, "width": 10, "file_names": ["a/00000.jpg", "a/00005.jpg"]},
        {"id": 2, "height": 6, "width": 10, "file_names": [r"frames\b\00003.jpg"]},
    ],
    "categories": [{"id": 1, "name": "mouse-run"}, {"id": 2, "name": "mouse-rest"}],
    "annotations": [
        {"id": 11, "video_id": 4, "category_id": 1, "iscrowd": 1, "segmentations": [RLE, None]},
        {"id": 12, "video_id": 4, "category_id": 2, "segmentations": [SQUARE, []]},
        {"id": 13, "video_id": 2, "category_id": 2, "segmentations": [TEXT]},
    ],
}


def read(folder, content, **options):
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    assert youtube_vis.matches(content)
    return youtube_vis.read(path.name, content, Container(path), ReadOptions(**options))


def test_all_listed_frames_are_annotated_and_counted_from_zero(tmp_path):
    (document,) = read(tmp_path, CONTENT)
    first = Instance("mouse-run", (RLE,), "annotations[0].segmentations[0]", track=11)
    second = Instance("mouse-rest", (SQUARE,), "annotations[1].segmentations[0]", track=12)
    third = Instance("mouse-rest", (TEXT,), "annotations[2].segmentations[0]", track=13)
    assert document.frames == (
        AnnotatedFrame("a", 1, (8, 10), (first, second), "videos[0].file_names[0]"),
        AnnotatedFrame("a", 6, (8, 10), (), "videos[0].file_names[1]"),
        AnnotatedFrame("b", 4, (6, 10), (third,), "videos[1].file_names[0]"),
    )
    assert document.format == "youtube_vis" and document.numbering == "video"
    assert "clip/00005.jpg is frame 6" in document.explanation and document.left_out == {}


def test_images_counted_from_one_are_meant_by_their_own_numbers(tmp_path):
    content = copy.deepcopy(CONTENT)
    content["videos"][0]["file_names"] = ["a/00001.jpg", "a/00003.jpg"]
    (document,) = read(tmp_path, content)
    for folder, first in (("from 1", 1), ("from 0", 0)):
        for number in range(first, 7):
            (tmp_path / folder / "a").mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / "a" / f"{number:05d}.jpg").touch()
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "a.mp4").touch()

    def numbers(folder, first_frame=None):
        export = Export(tmp_path / "instances.json")
        return sorted(Matcher(tmp_path / folder, first_frame).match([(export, document)])["a"])

    assert numbers("from 1") == [1, 3] and numbers("from 0") == [2, 4]
    assert numbers("video") == [2, 4] and numbers("video", first_frame=1) == [1, 3]
    assert numbers("video", first_frame=0) == [2, 4]


def test_crowds_are_left_out_where_they_are_meant(tmp_path):
    (document,) = read(tmp_path, CONTENT, crowds=True)
    assert [len(frame.instances) for frame in document.frames] == [1, 0, 1]
    assert document.left_out == {"crowds": 1}


def test_annotations_without_ids_are_tracks_by_their_order(tmp_path):
    content = copy.deepcopy(CONTENT)
    for annotation in content["annotations"]:
        del annotation["id"]
    (document,) = read(tmp_path, content)
    assert [i.track for frame in document.frames for i in frame.instances] == [0, 1, 2]


@pytest.mark.parametrize(
    "path, value, message",
    [
        (("annotations",), None, "annotations: missing, or not a list"),
        (("categories",), None, "categories: missing"),
        (("videos", 0, "id"), 2, r"videos\[1\].id: 2 is also that of videos\[0\]"),
        (("videos", 0, "width"), 0, r"videos\[0\].width: 0 is no size"),
        (("videos", 0, "file_names"), None, r"videos\[0\].file_names: missing"),
        (
            ("videos", 0, "file_names"),
            ["a/1.jpg"],
            r"ns\[0\].segmentations: not a list of 1, one for",
        ),
        (
            ("videos", 0, "file_names", 1),
            "a/cat.jpg",
            r"videos\[0\].file_names\[1\]: 'a/cat.jpg' nam",
        ),
        (("videos", 0, "file_names", 1), 5, r"videos\[0\].file_names\[1\]: 5 names no frame"),
        (("videos", 0, "file_names", 1), "a/0.jpg", r"frame 1 of 'a' is also videos\[0\].file_n"),
        (("annotations", 1, "id"), 11, r"annotations\[1\].id: 11 is also that of annotations\[0\]"),
        (("annotations", 1, "video_id"), 9, r"annotations\[1\].video_id: 9 is not listed"),
        (
            ("annotations", 1, "category_id"),
            None,
            r"annotations\[1\].category_id: None is not listed",
        ),
        (
            ("annotations", 1, "segmentations"),
            None,
            r"annotations\[1\].segmentations: not a list of 2",
        ),
    ],
)
def test_damaged_files(tmp_path, path, value, message):
    content = copy.deepcopy(CONTENT)
    entry = content
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    with pytest.raises(InputError, match=f"instances.json: .*{message}"):
        read(tmp_path, content)


def test_a_list_of_no_frames_is_refused(tmp_path):
    content = {"videos": [{"id": 1, "file_names": []}], "categories": [], "annotations": []}
    with pytest.raises(InputError, match="instances.json: videos: no frame is listed"):
        read(tmp_path, content)


def test_other_files_are_not_taken_for_youtube_vis():
    others = [{"images": [], "annotations": []}, {"videos": {}}, {"videos": [3, {}]}, [], None]
    assert not any(map(youtube_vis.matches, others))
