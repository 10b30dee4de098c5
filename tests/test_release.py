"""Reading a release: each form of its files, each trap of its layout, partial ones."""

import os
import shutil

import numpy as np
import pytest
from a2d_files import (
    grey_frames,
    mask,
    real,
    row,
    write_h5,
    write_images,
    write_mat,
    write_release,
    write_video,
)

from a2d_tf.core.errors import InputError
from a2d_tf.data.sources.release import Release
from a2d_tf.data.sources.source import usable_frames
from a2d_tf.data.sources.video_list import Video

SIZE = (20, 32)
A = mask(*SIZE, 2, 3, 9, 8)
# One adult, climbing.
FIELDS = dict(label_map=np.where(A, 11, 0), masks=[A], codes=[11], boxes=[[4, 3, 8, 9]])


def release_of(tmp_path):
    """One video 'v' of 9 frames whose frame 3 is annotated."""
    write_release(tmp_path, [row("v", *SIZE, 9, 1, 0)])
    write_mat(tmp_path / "Annotations/mat/v/00003.mat", **FIELDS)
    return Release(tmp_path)


def test_videoset_with_and_without_a_header_line(tmp_path):
    rows = [
        row("--h5fAKYurM", 320, 568, 181, 3, 0, label=43),
        row("x", 320, 426, 24, 1, 1),
    ]
    first = Video("--h5fAKYurM", 181, 3, "train", 320, 568)
    for header in (False, True):
        release = Release(write_release(tmp_path, rows, header))
        assert release.videos[0] == first
        assert [video.split for video in release.videos] == ["train", "test"]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"usage": None}, "line 1: usage ''"),
        ({"vid": "../v"}, "is not a valid file name"),
        ({"vid": "é" * 101}, "is not a valid file name"),
        ({"usage": 2}, "usage '2'"),
        ({"frames": 0}, "frames '0'"),
    ],
)
def test_bad_videoset_names_line_and_field(tmp_path, change, words):
    right = dict(vid="v", height=320, width=568, frames=9, annotated=1, usage=0)
    cells = [cell for cell in row(**{**right, **change}) if cell is not None]
    for rows, problem in (
        ([cells], words),
        ([row(**right), row(**right)], "line 2: vid 'v' is listed twice"),
        ([], "lists no videos"),
    ):
        with pytest.raises(InputError, match="videoset.csv.*" + problem):
            Release(write_release(tmp_path, rows))
    rest = row(**{**right, "vid": "w"})
    release = Release(write_release(tmp_path, [cells, rest]), on_error="skip")
    assert [video.vid for video in release.videos] == ["w"]
    assert len(release.skipped) == 1 and words in release.skipped[0]


def release_with_tests(tmp_path, rows, test_videos):
    root = write_release(tmp_path, rows)
    return Release(root, test_videos=test_videos, on_error="skip")


def test_a_named_test_video_that_is_listed_twice_stays_a_test_video(tmp_path):
    listed_twice = row("v", *SIZE, 9, 1, 0)
    rows = [listed_twice, row("w", *SIZE, 9, 1, 0), listed_twice]
    release = release_with_tests(tmp_path, rows, ["v"])
    assert [(video.vid, video.split) for video in release.videos] == [
        ("v", "test"),
        ("w", "train"),
    ]
    assert len(release.skipped) == 1 and "line 3: vid 'v'" in release.skipped[0]


def test_a_named_test_video_whose_row_is_malformed_is_left_out(tmp_path):
    malformed = row("v", *SIZE, 0, 1, 0)
    rows = [malformed, row("w", *SIZE, 9, 1, 0), row("x", *SIZE, 9, 1, 1)]
    release = release_with_tests(tmp_path, rows, ["v", "w"])
    assert [(video.vid, video.split) for video in release.videos] == [
        ("w", "test"),
        ("x", "train"),
    ]


def test_named_test_videos_that_are_all_malformed_are_not_replaced_by_others(tmp_path):
    malformed = row("v", *SIZE, 0, 1, 0)
    rows = [malformed, row("w", *SIZE, 9, 1, 0), row("x", *SIZE, 9, 1, 1)]
    with pytest.raises(InputError, match="--test_videos: .*line 1: frames '0'"):
        release_with_tests(tmp_path, rows, ["v"])


def test_annotated_frames_are_ascending_and_one_based(tmp_path):
    release = release_of(tmp_path)
    folder = tmp_path / "Annotations/mat/v"
    (folder / "00001.mat").touch()
    (folder / "._00002.mat").touch()  # macOS leaves these beside copied files
    assert release.annotated_frames("v") == (1, 3)
    (folder / "00000.mat").touch()
    with pytest.raises(InputError, match="00000.mat: .*1-based"):
        release.annotated_frames("v")


def test_annotations_beyond_the_end_and_fewer_than_promised_are_left_out(tmp_path):
    rows = [row("v", 9, 9, 9, 0, 0), row("w", 9, 9, 9, 3, 0)]
    release = Release(write_release(tmp_path, rows))
    for name in ("00003.mat", "00010.mat"):
        path = tmp_path / "Annotations/mat/w" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    skipped: list = []
    keys = [
        usable_frames(release, v, lambda *item: skipped.append(item))
        for v in release.videos
    ]
    assert keys == [(), (3,)]
    assert [path.name for path, _ in skipped] == ["00010.mat", "w"]


def test_the_published_list_and_its_two_videos_annotated_elsewhere_than_at_sixths(
    tmp_path,
):
    shutil.copy(real("a2d_videoset.csv"), tmp_path / "videoset.csv")
    release = Release(tmp_path)
    tests = [video for video in release.videos if video.split == "test"]
    assert len(release.videos) == 3782 and len(tests) == 746
    assert sum(video.annotated for video in release.videos) == 11926
    for vid, numbers in (("5kMTHwjy6Z8", (60, 70, 80)), ("KVOXdI4vSDE", (1, 5, 10))):
        release.annotation_source(vid).mkdir(parents=True)
        for number in numbers:
            release.annotation_path(vid, number).touch()
        assert release.annotated_frames(vid) == numbers


@pytest.mark.parametrize(
    "place", ["Release", "Release/Annotations", ".", "text_annotations"]
)
@pytest.mark.parametrize("relative", [False, True])
def test_annotations_with_instances_are_found(tmp_path, monkeypatch, place, relative):
    root = write_release(tmp_path / "Release", [row("-v", *SIZE, 9, 1, 0)])
    path = tmp_path / place / "a2d_annotation_with_instances" / "-v" / "00003.h5"
    write_h5(path, **FIELDS, instances=[0])
    monkeypatch.chdir(root)
    release = Release("." if relative else root)
    assert release.annotated_frames("-v") == (3,)
    assert os.path.samefile(release.annotation_path("-v", 3), path)
    annotation = release.read_annotation("-v", 3)
    np.testing.assert_array_equal(annotation.masks, [A])
    assert annotation.boxes.tolist() == [
        [2, 3, 9, 8]
    ] and annotation.codes.tolist() == [11]


def test_mat_goes_before_h5_unless_another_folder_is_chosen(tmp_path):
    release_of(tmp_path)
    other = tmp_path / "a2d_annotation_with_instances"
    for number in (3, 6):
        write_h5(other / "v" / f"{number:05d}.h5", **FIELDS, instances=[0])
    release = Release(tmp_path)
    assert release.annotated_frames("v") == (3,)
    assert release.annotation_path("v", 3) == tmp_path / "Annotations/mat/v/00003.mat"
    chosen = Release(tmp_path, annotations=other)
    assert chosen.annotated_frames("v") == (3, 6)
    assert chosen.annotation_path("v", 3) == other / "v" / "00003.h5"


def test_frames_come_from_videos_or_images(tmp_path):
    release = release_of(tmp_path)
    write_images(tmp_path / "pngs320H" / "v", grey_frames(9, *SIZE), ".jpg")
    assert release.frames_path("v") == tmp_path / "pngs320H" / "v"
    annotation = tmp_path / "Annotations/mat/v/00003.mat"
    pictures = [tmp_path / "pngs320H" / "v" / f"{i:05d}.jpg" for i in range(1, 10)]
    assert release.files("v") == (*pictures, annotation)
    # goes before
    path = write_video(tmp_path / "clips320H/v.mp4", grey_frames(9, *SIZE))
    assert release.frames_path("v") == path
    assert (
        release.files("v") == (path, annotation) and release.annotation_text("v") == ""
    )


def test_a_list_chooses_videos(small_copy, tmp_path):
    root = small_copy
    chosen = tmp_path / "have.txt"
    chosen.write_text("c\r\n\n  -b \n")
    release = Release(root, videos=chosen)
    assert [video.vid for video in release.videos] == ["-b", "c"]
    for text, words in (
        ("-b\n\n# c\n", "'# c' is not in .*videoset"),
        ("\n", "lists no videos"),
    ):
        chosen.write_text(text)
        with pytest.raises(InputError, match=f"have.txt: {words}"):
            Release(root, videos=chosen)
