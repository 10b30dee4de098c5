"""Reading a release: each trap of the layout, and each way a file can be broken."""

import shutil

import h5py
import numpy as np
import pytest
from a2d_files import (
    grey_frames,
    mask,
    real,
    row,
    small_release,
    write_mat,
    write_release,
    write_video,
)

from a2d_tf.data.release import Release, Video
from a2d_tf.errors import InputError
from a2d_tf.labels import A2D, LabelSpace

SIZE = (20, 32)
A, B = mask(*SIZE, 2, 3, 9, 8), mask(*SIZE, 5, 6, 20, 32)


def release_of(tmp_path, **kwargs):
    """One video 'v' of 9 frames whose frame 3 has the annotation of `write_mat(**kwargs)`."""
    write_release(tmp_path, [row("v", *SIZE, 9, 1, 0)])
    fields = {
        "label_map": np.where(B, 57, np.where(A, 11, 0)),
        "masks": [A, B],
        "codes": [11, 57],
        "boxes": [[4, 3, 8, 9], [7, 6, 32, 20]],
    }
    write_mat(tmp_path / "Annotations/mat/v/00003.mat", **{**fields, **kwargs})
    return Release(tmp_path)


@pytest.mark.parametrize("header", [False, True])
def test_videoset_with_and_without_a_header_line(tmp_path, header):
    rows = [row("--h5fAKYurM", 320, 568, 181, 3, 0, label=43), row("x", 320, 426, 24, 1, 1)]
    release = Release(write_release(tmp_path, rows, header))
    assert release.videos[0] == Video(
        "--h5fAKYurM", 43, "00:00:00", "00:00:01", 320, 568, 181, 3, 0
    )
    assert [release.split(video) for video in release.videos] == ["train", "test"]


def test_the_published_videoset(tmp_path):
    shutil.copy(real("a2d_videoset.csv"), tmp_path / "videoset.csv")
    videos = Release(tmp_path).videos
    assert len(videos) == 3782 and sum(video.usage for video in videos) == 746
    assert sum(video.annotated for video in videos) == 11926


@pytest.mark.parametrize("rows, words", [
    ([row("v", 320, 568, 9, 1, 0)[:8]], "line 1: 8 columns instead of 9"),
    ([row("v", 320, 568, 9, 1, 0), row("v", 320, 568, 9, 1, 1)], "'v' is also on line 1"),
    ([row("../v", 320, 568, 9, 1, 0)], "cannot be a file name"),
    ([row("a\\b", 320, 568, 9, 1, 0)], "cannot be a file name"),
    ([row("..", 320, 568, 9, 1, 0)], "cannot be a file name"),
    ([row("", 320, 568, 9, 1, 0)], "cannot be a file name"),
    ([row("v", 320, 568, 9, 1, 2)], "usage 2 is neither 0"),
    ([row("v", 320, "wide", 9, 1, 0)], "width 'wide' is not a whole number"),
    ([row("v", 320, 568, 0, 1, 0)], "frames is 0"),
    ([row("v", 320, 568, -4, 1, 0)], "frames '-4'"),
    ([], "lists no video"),
])  # fmt: skip
def test_bad_videoset_names_line_and_field(tmp_path, rows, words):
    with pytest.raises(InputError, match="videoset.csv.*" + words.replace("\\", "\\\\")):
        Release(write_release(tmp_path, rows))


def test_missing_or_binary_videoset(tmp_path):
    with pytest.raises(InputError, match="videoset.csv: no such file; --release"):
        Release(tmp_path)
    (tmp_path / "videoset.csv").write_bytes(b"\xff\xfe\x00\x01" * 9)
    with pytest.raises(InputError, match="videoset.csv: not a readable CSV"):
        Release(tmp_path)


def test_annotated_frames_are_ascending_and_one_based(tmp_path):
    release = release_of(tmp_path)
    folder = tmp_path / "Annotations/mat/v"
    (folder / "00001.mat").touch()
    (folder / "._00002.mat").touch()  # macOS leaves these beside copied files
    assert release.annotated_frames("v") == (1, 3)
    (folder / "00010.mat").touch()
    with pytest.raises(InputError, match="00010.mat: annotates frame 10, but videoset.csv .* 9"):
        release.annotated_frames("v")
    (folder / "00000.mat").touch()
    with pytest.raises(InputError, match="00000.mat: .*1-based"):
        release.annotated_frames("v")


def test_no_annotation_is_an_error_only_where_some_are_promised(tmp_path):
    release = Release(write_release(tmp_path, [row("v", 9, 9, 9, 0, 0), row("w", 9, 9, 9, 3, 0)]))
    assert release.annotated_frames("v") == ()
    with pytest.raises(InputError, match="mat/w: no annotation here.* 3"):
        release.annotated_frames("w")


def test_annotation_of_two_instances(tmp_path):
    annotation = release_of(tmp_path).read_annotation("v", 3)
    assert annotation.label_map.shape == SIZE and annotation.label_map.dtype == np.uint8
    assert annotation.label_map[2, 3] == 11 and annotation.label_map[19, 31] == 57
    assert annotation.label_map[9, 3] == 0 and annotation.label_map[8, 7] == 57
    np.testing.assert_array_equal(annotation.masks, [A, B])
    assert annotation.masks.dtype == bool
    assert annotation.codes.tolist() == [11, 57] and annotation.codes.dtype == np.int32
    # x1..x2 of 4..8, counted from 1 and inclusive, are the columns 3..7: half-open 3, 8.
    assert annotation.boxes.tolist() == [[2, 3, 9, 8], [5, 6, 20, 32]]
    assert annotation.boxes.dtype == np.float32


def test_a_single_instance_comes_squeezed(tmp_path):
    one = dict(masks=[A], codes=[11], boxes=[[4, 3, 8, 9]])
    annotation = release_of(tmp_path, **one).read_annotation("v", 3)
    with h5py.File(tmp_path / "Annotations/mat/v/00003.mat") as file:
        assert file["reMask"].shape == (32, 20)
    np.testing.assert_array_equal(annotation.masks, [A])


@pytest.mark.parametrize("matlab", [True, False])
def test_a_frame_without_instances(tmp_path, matlab):
    none = dict(label_map=np.zeros(SIZE), masks=np.zeros((0, *SIZE)), codes=[], boxes=[])
    release = release_of(tmp_path, **none)
    if not matlab:  # as other writers leave empty arrays
        with h5py.File(tmp_path / "Annotations/mat/v/00003.mat", "r+") as file:
            for name, shape in (("id", (1, 0)), ("reBBox", (4, 0)), ("reMask", (0, 32, 20))):
                del file[name]
                file[name] = np.zeros(shape)
    annotation = release.read_annotation("v", 3)
    assert annotation.masks.shape == (0, *SIZE) and annotation.boxes.shape == (0, 4)
    assert annotation.codes.shape == (0,) and not annotation.label_map.any()


def test_boxes_are_cut_to_the_frame(tmp_path):
    release = release_of(tmp_path, boxes=[[-3, 0, 8, 9], [7, 6, 33, 99]])
    assert release.read_annotation("v", 3).boxes.tolist() == [[0, 0, 9, 8], [5, 6, 20, 32]]


def test_label_spaces_beyond_eight_bits(tmp_path):
    space = LabelSpace(tuple(f"x{i}" for i in range(40)), ("a", "b"), (11, 52, 402))
    release_of(tmp_path, codes=[402, 52], label_map=np.where(A, 402, 0))
    annotation = Release(tmp_path, space).read_annotation("v", 3)
    assert annotation.label_map.dtype == np.uint16 and annotation.label_map.max() == 402


@pytest.mark.parametrize("broken, words", [
    (dict(drop=["reMask"]), "'reMask': field missing"),
    (dict(drop=["id"]), "'id': field missing"),
    (dict(codes=[11, 57, 57]), "'reMask': has HDF5 shape \\(2, 32, 20\\), not \\(3, 32, 20\\)"),
    (dict(masks=[A], codes=[11, 57]), "'reMask': has HDF5 shape \\(32, 20\\)"),
    (dict(reBBox=np.ones((4, 3))), "'reBBox': has HDF5 shape \\(4, 3\\), not \\(4, 2\\)"),
    (dict(reBBox=np.full((4, 2), np.nan)), "'reBBox': a corner is not finite"),
    (dict(boxes=[[4, 3, 8, 9], [40, 6, 50, 20]]), "'reBBox': box .* of instance 2 leaves nothing"),
    (dict(boxes=[[8, 3, 4, 9], [7, 6, 32, 20]]), "'reBBox': box .* of instance 1 leaves nothing"),
    (dict(label_map=np.zeros((32, 20))), "'reS_id': has HDF5 shape \\(20, 32\\), not \\(32, 20\\)"),
    (dict(masks=[A, B & False]), "'reMask': the mask of instance 2 is empty"),
    (dict(codes=[11, 14]), "'id': code 14 is not in the label space"),
    (dict(codes=[0, 57]), "'id': code 0 is not"),
    (dict(codes=[11.5, 57]), "'id': code 11.5 is not"),
    (dict(label_map=np.where(A, 99, 0)), "'reS_id': code 99 is not"),
    (dict(id=np.array([[b"a", b"b"]])), "'id': not an array of numbers"),
])  # fmt: skip
def test_a_broken_annotation_names_file_and_field(tmp_path, broken, words):
    release = release_of(tmp_path, **broken)
    with pytest.raises(InputError, match="v/00003.mat: " + words):
        release.read_annotation("v", 3)


def test_a_huge_claim_is_refused_before_it_is_read(tmp_path):
    release = release_of(tmp_path)
    path = tmp_path / "Annotations/mat/v/00003.mat"
    for field, shape in (("reMask", (2, 10**6, 10**6)), ("reS_id", (10**6, 10**7)),
                         ("id", (1, 10**12)), ("reBBox", (4, 10**12))):  # fmt: skip
        release_of(tmp_path)
        with h5py.File(path, "r+") as file:
            del file[field]
            file.create_dataset(field, shape, np.uint8, chunks=(1,) * len(shape))
        with pytest.raises(InputError, match=f"'{field}'"):
            release.read_annotation("v", 3)


@pytest.mark.parametrize("content", [
    b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x01IM" + bytes(300),
    b"not a mat file\n",
    b"",
], ids=["v5", "text", "empty"])  # fmt: skip
def test_files_that_are_not_hdf5(tmp_path, content):
    release = release_of(tmp_path)
    (tmp_path / "Annotations/mat/v/00003.mat").write_bytes(content)
    with pytest.raises(InputError, match="00003.mat: not a readable HDF5 file; .*-v7.3"):
        release.read_annotation("v", 3)


def test_a_truncated_annotation(tmp_path):
    release = release_of(tmp_path)
    path = tmp_path / "Annotations/mat/v/00003.mat"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="00003.mat"):
        release.read_annotation("v", 3)


def test_frame_numbers_count_from_one(tmp_path):
    write_release(tmp_path, [row("v", 32, 48, 9, 1, 0)])
    write_video(tmp_path / "clips320H/v.mp4", grey_frames(9, 32, 48))
    frames = dict(Release(tmp_path).read_frames("v", [4, 1, 9, 4]))
    assert list(frames) == [1, 4, 9]
    for number, frame in frames.items():
        assert frame.shape == (32, 48, 3) and frame.dtype == np.uint8
        assert abs(frame.mean() - 10 * number) < 3


def test_frames_are_rgb(tmp_path):
    write_release(tmp_path, [row("v", 32, 48, 3, 1, 0)])
    red = np.zeros((32, 48, 3), np.uint8)
    red[..., 0] = 220
    write_video(tmp_path / "clips320H/v.mp4", [red] * 3)
    ((_, frame),) = Release(tmp_path).read_frames("v", [2])
    assert frame[..., 0].mean() > 200 and frame[..., 1:].max() < 30


def test_broken_videos_are_named(tmp_path):
    write_release(tmp_path, [row("v", 32, 48, 12, 1, 0)])
    release = Release(tmp_path)
    with pytest.raises(InputError, match="v.mp4: no such video"):
        list(release.read_frames("v", [1]))
    path = write_video(tmp_path / "clips320H/v.mp4", grey_frames(9, 32, 48))
    with pytest.raises(InputError, match="v.mp4: decoding ends after 9 frames, but frame 12 .* 12"):
        list(release.read_frames("v", [2, 12]))
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"not a video", b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="v.mp4: cannot be decoded"):
            list(release.read_frames("v", [1]))


def test_real_clips():
    release = Release(real("real_clips/Release"))
    assert len(release.videos) == 10
    for video in release.videos:
        frames = release.annotated_frames(video.vid)
        assert len(frames) == video.annotated == 5
        for number, frame in release.read_frames(video.vid, frames[:2]):
            annotation = release.read_annotation(video.vid, number, frame.shape[:2])
            (box,), (inside,) = annotation.boxes, annotation.masks
            rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
            assert box.tolist() == [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
            assert set(np.unique(annotation.label_map[inside])) == {annotation.codes[0]}
            assert annotation.codes[0] == video.label and video.label in A2D.codes


def test_the_small_release_of_these_tests_is_whole(tmp_path):
    release = Release(small_release(tmp_path / "Release"))
    keys = {video.vid: release.annotated_frames(video.vid) for video in release.videos}
    assert keys == {"-b": (1, 8), "--a": (3,), "c": (4,)}
    assert release.read_annotation("c", 4).codes.tolist() == [34]
