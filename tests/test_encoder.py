"""Video files as they are written: played by others at the same times, in the same colours."""

import ctypes
import ctypes.util
import platform

import av
import cv2
import numpy as np
import pytest
from a2d_files import grey_frames, moving_frames

from a2d_tf.core.errors import InputError
from a2d_tf.video import video_files

SIZE = (48, 64)
ROUNDINGS = {"x86_64": (0x800, 0x400), "aarch64": (0x400000, 0x800000)}  # up, down, of fenv.h


def write(path, frames, times, fps=24.0):
    """The path of a film of RGB frames that are shown at `times`, seconds."""
    writer = video_files.Writer(path, fps, frames[0].shape[:2])
    for frame, seconds in zip(frames, times):
        writer.write(frame, seconds)
    writer.close()
    return path


def shown(path):
    """([seconds], [RGB]) of what a player shows."""
    with av.open(str(path)) as file:
        return tuple(
            zip(*((frame.time, frame.to_ndarray(format="rgb24")) for frame in file.decode()))
        )


def test_it_is_h264_for_every_player_with_the_index_in_front(tmp_path):
    path = write(tmp_path / "a.mp4", grey_frames(5, *SIZE), np.arange(5) / 24)
    with av.open(str(path)) as file:
        (stream,) = file.streams
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert not stream.codec_context.has_b_frames
        assert float(stream.average_rate) == pytest.approx(24) and stream.frames == 5
    data = path.read_bytes()
    assert data.index(b"ftyp") < data.index(b"moov") < data.index(b"mdat")


@pytest.mark.skipif(
    platform.machine() not in ROUNDINGS or not ctypes.util.find_library("m"),
    reason="the constants of fenv.h are those of glibc on two processors",
)
def test_no_pixel_depends_on_how_a_processor_rounds(tmp_path):
    frames, times = moving_frames(30, 90, 160, step=3), np.arange(30) / 24
    libm, films = ctypes.CDLL(ctypes.util.find_library("m")), []
    for rounding in (0, *ROUNDINGS[platform.machine()]):  # 0: to the nearest
        assert libm.fesetround(rounding) == 0
        try:
            path = write(tmp_path / f"{rounding}.mp4", frames, times)
        finally:
            libm.fesetround(0)
        films.append(np.array(shown(path)[1]))
    assert all(np.array_equal(film, films[0]) for film in films)


def test_frames_are_shown_at_their_times_from_the_first_one_on(tmp_path):
    times = 60 + np.cumsum([0, 0.02, 0.1, 0.04, 0.3, 1001 / 30000, 7])
    path = write(tmp_path / "a.mp4", grey_frames(7, *SIZE), times, fps=10)
    seconds, frames = shown(path)
    np.testing.assert_allclose(seconds, times - 60, atol=1e-5)
    assert [round(frame.mean(), -1) for frame in frames] == [10, 20, 30, 40, 50, 60, 70]
    with av.open(str(path)) as file:  # the last one lasts a tenth
        assert file.duration / av.time_base == pytest.approx(times[-1] - 60 + 0.1, abs=2e-3)


def test_a_frame_in_a_day_can_be_written(tmp_path):
    path = write(tmp_path / "a.mp4", grey_frames(3, *SIZE), [0, 1e5, 2e5], fps=1e-5)
    seconds, _ = shown(path)
    np.testing.assert_allclose(seconds, [0, 18_000, 36_000], atol=1)


def test_the_last_line_of_an_odd_frame_is_repeated(tmp_path, size=(47, 63)):
    frames = moving_frames(4, *size, 2)
    _, found = shown(write(tmp_path / "a.mp4", frames, range(4)))
    for frame, picture in zip(frames, found):
        assert picture.shape == (48, 64, 3)
        assert np.abs(picture[: size[0], : size[1]].astype(int) - frame).mean() < 4
        assert np.abs(picture[47].astype(int) - picture[46]).mean() < 4


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_colours_are_the_same_in_opencv_and_for_who_reads_the_tag(tmp_path, codec, monkeypatch):
    monkeypatch.setattr(video_files, "_CODECS", {codec: video_files._CODECS[codec]})
    colours = [(220, 30, 30), (30, 220, 30), (30, 30, 220), (128, 128, 128), (250, 250, 250)]
    frames = [np.full((*SIZE, 3), colour, np.uint8) for colour in colours]
    path = write(tmp_path / "a.mp4", frames, range(5))
    with av.open(str(path)) as file:
        assert file.streams.video[0].codec_context.name == {"libx264": "h264"}.get(codec, "vp9")
        assert {int(frame.colorspace) for frame in file.decode()} <= {5, 6}  # both are BT.601
    capture = cv2.VideoCapture(str(path))
    for colour in colours:
        picture = capture.read()[1][..., ::-1]
        np.testing.assert_allclose(picture.mean(axis=(0, 1)), colour, atol=5)


def test_where_nothing_can_be_written(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="a.mp4: cannot be written .No such file or directory"):
        write(tmp_path / "absent" / "a.mp4", grey_frames(2, *SIZE), range(2))
    monkeypatch.setattr(video_files, "_CODECS", {"one": {}, "other": {}})
    with pytest.raises(InputError, match="a.mp4: FFmpeg lacks one and other; install av by pip$"):
        video_files.Writer(tmp_path / "a.mp4", 24, SIZE)
