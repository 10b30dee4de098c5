"""Whole and cut files, judged by their headers; those who really read the files are the oracles."""

import io

import cv2
import h5py
import numpy as np
import pytest
from a2d_files import mask, moving_frames, write_mat, write_video

from a2d_tf.data.intact import flaw


def of(data, suffix):
    return flaw(io.BytesIO(data), len(data), suffix)


@pytest.fixture(scope="module")
def mat(tmp_path_factory):
    size = (48, 64)
    inside = mask(*size, 5, 5, 30, 40)
    path = tmp_path_factory.mktemp("mat") / "00001.mat"
    noise = np.random.default_rng(0).normal(size=size)  # so that the file is more than a header
    write_mat(path, np.where(inside, 11, 0), [inside], [11], [[6, 6, 40, 30]], reS_id=noise)
    return path.read_bytes()


@pytest.fixture(scope="module")
def mp4(tmp_path_factory):
    path = tmp_path_factory.mktemp("mp4") / "v.mp4"
    return write_video(path, moving_frames(8, 64, 96, step=4)).read_bytes()


def opens(data, tmp_path):
    """Whether HDF5 opens it."""
    path = tmp_path / "f"
    path.write_bytes(data)
    try:
        with h5py.File(path, "r"):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("part", [1.0, 0.999, 0.5, 0.2, 0.02])
def test_annotations_as_hdf5_finds_them(mat, tmp_path, part):
    data = mat[: int(len(mat) * part)]
    assert opens(data, tmp_path) == (part == 1)
    assert (of(data, ".mat") == "") == (part == 1)


@pytest.mark.parametrize("libver", ["earliest", "v108", "latest"])
@pytest.mark.parametrize("block", [0, 512, 1024])
def test_superblocks_of_each_version(tmp_path, libver, block):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=block) as file:
        file["x"] = np.arange(5000)
    data = path.read_bytes()
    assert of(data, ".h5") == ""
    assert of(data[:-1], ".h5") == f"is cut off after {len(data) - 1} of {len(data)} bytes"
    assert not opens(data[:-1], tmp_path)


def test_annotations_of_no_known_kind(mat):
    assert of(b"<html>not found</html>", ".mat") == "is no HDF5 file"
    assert of(b"MATLAB 5.0 MAT-file".ljust(5000), ".mat") == "is no HDF5 file"
    assert of(b"", ".h5") == "is empty"
    assert of(b"", ".avi") == "is empty" and of(b"x", ".avi") == ""


@pytest.mark.parametrize("part", [1.0, 0.8, 0.5, 0.1])
def test_videos_as_their_decoder_finds_them(mp4, tmp_path, part):
    data = mp4[: int(len(mp4) * part)]
    (tmp_path / "v.mp4").write_bytes(data)
    assert cv2.VideoCapture(str(tmp_path / "v.mp4")).isOpened() == (part == 1)
    assert (of(data, ".mp4") == "") == (part == 1)


def box(kind, body, length=None):
    return (8 + len(body) if length is None else length).to_bytes(4, "big") + kind + body


def test_boxes_of_mp4():
    head, index, data = box(b"ftyp", b"isom"), box(b"moov", b"i" * 50), box(b"mdat", b"d" * 90)
    assert of(head + index + data, ".mp4") == of(head + data + index, ".mov") == ""
    long = box(b"mdat", (16 + 90).to_bytes(8, "big") + b"d" * 90, length=1)
    assert of(head + index + long, ".mp4") == ""
    assert of(head + long + index, ".mp4") == ""
    to_the_end = box(b"mdat", b"d" * 90, length=0)
    assert of(head + index + to_the_end, ".mp4") == ""
    # What follows the index and the frames is no matter, such as zeros.
    assert of(head + index + data + bytes(5), ".mp4") == ""
    for cut in (head, head + index, head + data, head + data + index[:-1], head + long[:-1]):
        assert of(cut, ".mp4") == f"is cut off after {len(cut)} bytes"
    assert of(b"<!DOCTYPE html>", ".mp4") == "is no MP4 file"
