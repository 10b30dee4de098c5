"""Sources of frames: files, folders and cameras; video files as they are written."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from a2d_files import (
    encode_video,
    grey_frames,
    moving_frames,
    write_images,
    write_video,
)

from a2d_tf.core.errors import InputError
from a2d_tf.data.decoding import decoder
from a2d_tf.video.outputs import video_writer
from a2d_tf.video.reading import camera_reader, video_reader

# seconds, of frames at a varying rate
TIMES = np.cumsum([0, *[0.02, 0.1, 0.04, 0.3] * 6])[:24]


class Camera:
    """A stand-in for cv2.VideoCapture: a camera that is unplugged after six frames."""

    opened, released, retrieved = None, 0, []
    frames = grey_frames(6, 48, 64)

    def __init__(self, source, *_):
        Camera.opened, Camera.retrieved, self._number = source, [], 0

    def isOpened(self):
        return bool(self.frames)

    def get(self, what):
        return {
            cv2.CAP_PROP_FPS: 30.0,
            cv2.CAP_PROP_FRAME_COUNT: -1.0,
            cv2.CAP_PROP_FRAME_HEIGHT: 48.0,
            cv2.CAP_PROP_FRAME_WIDTH: 64.0,
        }[what]

    def grab(self):
        self._number += 1
        return self._number <= len(self.frames)

    def retrieve(self):
        Camera.retrieved.append(self._number - 1)
        return True, self.frames[self._number - 1]

    def release(self):
        Camera.released += 1


@pytest.fixture
def camera(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(camera_reader.cv2, "VideoCapture", Camera)
    return Camera


def levels(frames):
    return [None if frame is None else int(frame[0, 0, 0]) for frame in frames]


def test_a_camera_by_its_index_has_the_times_of_a_clock(camera, monkeypatch):
    clock = iter([100.0, 103.5, 103.75, 104.0, 104.25, 104.5])
    monkeypatch.setattr(camera_reader.time, "monotonic", lambda: next(clock))
    reader = video_reader.open_video("1")
    assert (camera.opened, reader.size, reader.fps, reader.count) == (
        1,
        (48, 64),
        30,
        None,
    )
    assert levels(reader.frames()) == [10, 20, 30, 40, 50, 60] and camera.released == 1
    assert [reader.seconds(i) for i in range(6)] == [0, 3.5, 3.75, 4, 4.25, 4.5]
    assert reader.seconds(6) == pytest.approx(4.5 + 1 / 30)


def test_a_reader_knows_the_name_the_images_and_in_the_end_the_length(tmp_path):
    folder = write_images(tmp_path / "clip.v2", grey_frames(11, 48, 64))
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"{int(path.stem)}.png")
    reader = video_reader.open_video(f"{folder}/")
    # in the order of their numbers
    names = tuple(f"{number}.png" for number in range(1, 12))
    assert (reader.name, reader.images, reader.length) == ("clip.v2", names, 11)
    assert levels(reader.frames()) == list(range(10, 120, 10))
    reader = video_reader.open_video(
        write_video(tmp_path / "my.mp4", grey_frames(4, 48, 64))
    )
    assert (reader.name, reader.images, reader.length) == ("my.mp4", None, None)
    assert len(list(reader.frames())) == reader.length == 4


@pytest.mark.parametrize("name", ["00001.jpg", "1.png", "background.png"])
def test_an_image_that_is_no_further_frame_is_refused(name, tmp_path):
    for each in ("00001.png", "00002.png", name):
        cv2.imwrite(str(tmp_path / each), np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(
        InputError, match=f"{name}.* are not two numbered frames; remove"
    ):
        video_reader.open_video(tmp_path)


def test_a_film_of_which_nothing_decodes_after_a_seek_is_as_long_as_before(
    tmp_path, monkeypatch
):
    film = encode_video(tmp_path / "a.mp4", grey_frames(25, 32, 48), "libx264")
    reader = video_reader.open_video(film)
    start = reader.index(0.8)
    monkeypatch.setattr(decoder.Decoder, "frames", lambda *_: iter(()))
    assert list(reader.frames(start=start)) == [None] * start
    assert reader.length == start == 20


def test_a_film_whose_size_changes_is_refused(tmp_path):
    film = tmp_path / "a.h264"
    for height in (48, 64):
        encode_video(tmp_path / "part.h264", moving_frames(3, height, 80, 2), "libx264")
        with open(film, "ab") as file:
            file.write((tmp_path / "part.h264").read_bytes())
    with pytest.raises(
        InputError, match="a.h264: frame 4 has 64x80 pixels, earlier ones 48x80; s"
    ):
        list(video_reader.open_video(film).frames())


@pytest.mark.parametrize("kind", ["camera", "folder", "file"])
def test_unwanted_frames_are_counted_and_not_read(kind, camera, tmp_path, monkeypatch):
    source = "0"
    if kind != "camera":
        monkeypatch.undo()
        frames = grey_frames(6, 48, 64)
        source = tmp_path / "film.mp4"
        if kind == "file":
            write_video(source, frames)
        else:
            source = write_images(tmp_path / "images", frames)
            (source / "00003.png").write_bytes(b"broken, and never opened")
    frames = levels(
        video_reader.open_video(source).frames(lambda index: index in (1, 4))
    )
    assert [frame is None for frame in frames] == [True, False, True, True, False, True]
    assert frames[1] == pytest.approx(20, abs=4.5) and frames[4] == pytest.approx(
        50, abs=4.5
    )
    if kind == "camera":
        assert camera.retrieved == [0, 1, 4]  # the first one tells the size


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_time_leads_to_the_frame_that_begins_then_or_next(tmp_path, codec):
    scene = list(np.stack(moving_frames(24, 48, 64, 2)))
    reader = video_reader.open_video(
        encode_video(tmp_path / "a.mp4", scene, codec, TIMES)
    )
    for seconds in (
        0,
        0.01,
        0.02,
        0.0207,
        1.0,
        TIMES[10],
        TIMES[10] + 0.001,
        TIMES[23],
        99,
    ):
        assert reader.index(seconds) == np.sum(
            TIMES < seconds - 1e-3 * (seconds in TIMES)
        )


def test_a_time_of_a_table_leads_to_its_frame(tmp_path):
    """Tables round to milliseconds; 29.97 frames a second begin between them."""
    times = np.arange(60) * 1001 / 30000
    scene = list(np.stack(moving_frames(60, 48, 64, 2)))
    film = encode_video(tmp_path / "a.mp4", scene, "libx264", times)
    reader = video_reader.open_video(film)
    assert [reader.index(round(time, 3)) for time in times] == list(range(60))


@pytest.mark.parametrize("fps", [1000, 1 / 600])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "b.ts"])
def test_very_fast_and_very_slow_films_last_as_long_as_they_do(tmp_path, name, fps):
    path, codec = tmp_path / name, "libx265" if name[0] == "b" else "libx264"
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, Fraction(fps).limit_denominator(1000))
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        for frame in moving_frames(12, 48, 64, 2):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
    reader = video_reader.open_video(path)
    assert reader.index(7 / fps) == 7
    assert len(list(reader.frames())) == 12
    assert (reader.fps, reader.lasts) == (pytest.approx(fps), pytest.approx(12 / fps))
    assert reader.seconds(7) == pytest.approx(7 / fps)


def write(path, frames, times, fps=24.0):
    """The path of a film of RGB frames that are shown at `times`, seconds."""
    writer = video_writer.Writer.open(path, fps, frames[0].shape[:2])
    for frame, seconds in zip(frames, times):
        writer.write(frame, seconds)
    writer.close()
    return path


def shown(path):
    """([seconds], [RGB]) of what a player shows."""
    with av.open(str(path)) as file:
        return tuple(
            zip(
                *(
                    (frame.time, frame.to_ndarray(format="rgb24"))
                    for frame in file.decode()
                )
            )
        )


def test_it_is_h264_for_every_player_with_the_index_in_front(tmp_path):
    path = write(tmp_path / "a.mp4", grey_frames(5, 48, 64), np.arange(5) / 24)
    with av.open(str(path)) as file:
        (stream,) = file.streams
        assert (
            stream.codec_context.name == "h264"
            and stream.codec_context.pix_fmt == "yuv420p"
        )
        assert not stream.codec_context.has_b_frames
        assert float(stream.average_rate) == pytest.approx(24) and stream.frames == 5
    data = path.read_bytes()
    assert data.index(b"ftyp") < data.index(b"moov") < data.index(b"mdat")


def test_frames_are_shown_at_their_times_from_the_first_one_on(tmp_path):
    times = 60 + np.cumsum([0, 0.02, 0.1, 0.04, 0.3, 1001 / 30000, 7])
    path = write(tmp_path / "a.mp4", grey_frames(7, 48, 64), times, fps=10)
    seconds, frames = shown(path)
    np.testing.assert_allclose(seconds, times - 60, atol=1e-5)
    assert [round(frame.mean(), -1) for frame in frames] == [10, 20, 30, 40, 50, 60, 70]
    with av.open(str(path)) as file:  # the last one lasts a tenth
        assert file.duration / av.time_base == pytest.approx(
            times[-1] - 60 + 0.1, abs=2e-3
        )


def test_the_last_line_of_an_odd_frame_is_repeated(tmp_path, size=(47, 63)):
    frames = moving_frames(4, *size, 2)
    _, found = shown(write(tmp_path / "a.mp4", frames, range(4)))
    for frame, picture in zip(frames, found):
        assert picture.shape == (48, 64, 3)
        assert np.abs(picture[: size[0], : size[1]].astype(int) - frame).mean() < 4
        assert np.abs(picture[47].astype(int) - picture[46]).mean() < 4


def test_colours_are_the_same_in_opencv_and_for_who_reads_the_tag(tmp_path):
    colours = [
        (220, 30, 30),
        (30, 220, 30),
        (30, 30, 220),
        (128, 128, 128),
        (250, 250, 250),
    ]
    frames = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    path = write(tmp_path / "a.mp4", frames, range(5))
    with av.open(str(path)) as file:
        # both are BT.601
        assert {int(frame.colorspace) for frame in file.decode()} <= {5, 6}
    capture = cv2.VideoCapture(str(path))
    for colour in colours:
        picture = capture.read()[1][..., ::-1]
        np.testing.assert_allclose(picture.mean(axis=(0, 1)), colour, atol=5)


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(
        InputError, match="a.mp4: .*cannot be written .No such file or directory"
    ):
        write(tmp_path / "absent" / "a.mp4", grey_frames(2, 48, 64), range(2))
    with pytest.raises(InputError, match="/dev/full: "):  # and no crash of FFmpeg
        writer = video_writer.Writer.open("/dev/full", 24, (48, 64))
        try:
            for number, frame in enumerate(grey_frames(9, 48, 64)):
                writer.write(frame, number)
        finally:
            writer.close()
    with pytest.raises(InputError, match="a.mp4: frames of 16x16400 pixels"):
        write(tmp_path / "a.mp4", [np.zeros((16, 16400, 3), np.uint8)], [0])
