"""Video files decoded by PyAV: OpenCV's frames, a player's times, and exact seeking."""

import os
import shutil
import struct

import av
import cv2
import numpy as np
import pytest
from a2d_files import coloured_frames, encode_video

from a2d_tf.core import limits
from a2d_tf.core.errors import InputError
from a2d_tf.data.decoding import decoder, transport_stream, video_frames

COUNT = 30
# Seconds between frames, as a phone makes them where the light changes.
VARYING = np.cumsum([0, *[0.02, 0.1, 0.04, 0.3] * COUNT])[:COUNT]
# a key frame in eight, and frames that are sent out of order
GROUPS = {"g": "8", "bf": "2"}
FILMS = {  # name: (encoder, its options)
    "a.mp4": ("libx264", GROUPS),
    "a.mkv": ("libx264", GROUPS),
    "a.ts": ("libx264", GROUPS),
    "open.mkv": ("libx264", {"x264-params": "open-gop=1:keyint=8:bframes=3"}),
    "waves.mkv": ("libx264", {"x264-params": "intra-refresh=1:keyint=8"}),
    "waves.mp4": ("libx264", {"x264-params": "intra-refresh=1:keyint=8"}),
    "old.mp4": ("mpeg4", GROUPS),
    "old.avi": ("mpeg4", GROUPS),
    "b.avi": ("libx264", GROUPS),
    "b.mp4": ("libx265", {"x265-params": "log-level=none:keyint=8"}),
    "b.ts": ("libx265", {"x265-params": "log-level=none:keyint=8"}),
    "old.ts": ("mpeg4", GROUPS),
    "vp9.webm": ("libvpx-vp9", {"g": "8"}),
    "vp8.webm": ("libvpx", {"g": "8", "auto-alt-ref": "1", "lag-in-frames": "16"}),
}
SOUGHT = ("a.mp4", "a.mkv", "open.mkv", "waves.mkv", "waves.mp4", "b.mp4", "vp9.webm")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """name -> path of one of FILMS; `times` are those of its frames."""
    folder = tmp_path_factory.mktemp("films")

    def make(name, times=None, height=48, width=80):
        codec, options = FILMS[name]
        path = folder / f"{times is None}-{height}" / name
        if not path.exists():
            encode_video(
                path, coloured_frames(COUNT, height, width), codec, times, **options
            )
        return path

    return make


def by_opencv(path):
    """All frames, RGB."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    found = []
    while capture.grab():
        found.append(capture.retrieve()[1][..., ::-1])
    return found


def pictures(path, *where):
    """([seconds], [RGB])."""
    with decoder.Decoder(path, "") as video:
        found = [(picture.seconds, picture.rgb()) for picture in video.frames(*where)]
        assert not video.is_broken
    return [seconds for seconds, _ in found], [rgb for _, rgb in found]


def assert_same(ours, theirs):
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", FILMS)
def test_frames_are_opencvs(film, name):
    sizes = {"a.mp4": (62, 98), "vp9.webm": (63, 97)}  # odd ones
    path = film(name, None, *sizes.get(name, (48, 80)))
    seconds, rgb = pictures(path)
    assert_same(rgb, by_opencv(path))
    np.testing.assert_allclose(seconds, np.arange(COUNT) / 25, atol=0.002)


MATRICES = {
    "601": (6, 0.299, 0.114),
    "709": (1, 0.2126, 0.0722),
    "2020": (9, 0.2627, 0.0593),
}


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", [*MATRICES, "none"])
def test_colours_are_those_of_the_matrix_and_the_range_that_the_film_names(
    name, full, tmp_path
):
    """Y' = kr R + kg G + kb B; chroma: (B - Y') / (2 - 2 kb), (R - Y') / (2 - 2 kr)."""
    number, red, blue = MATRICES.get(name, (2, *MATRICES["601"][1:]))
    levels = (0, 255, 255) if full else (16, 219, 224)
    colours = np.array([[200, 60, 60], [40, 180, 90], [30, 60, 220]])
    path = str(tmp_path / "a.webm")
    with av.open(path, "w") as file:
        stream = file.add_stream("libvpx-vp9", 25, {"lossless": "1"})
        context = stream.codec_context
        context.height, context.width, context.pix_fmt = 32, 48, "yuv420p"
        context.colorspace, context.color_range = number, 1 + full
        for r, g, b in colours / 255:
            y = red * r + (1 - red - blue) * g + blue * b
            chroma = [(b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)]
            planes = np.empty(32 * 48 * 3 // 2, np.uint8)
            planes[: 32 * 48] = round(levels[0] + levels[1] * y)
            planes[32 * 48 :].reshape(2, -1)[:] = np.round(
                128 + levels[2] * np.c_[chroma]
            )
            picture = av.VideoFrame.from_ndarray(
                planes.reshape(48, 48), format="yuv420p"
            )
            picture.colorspace, picture.color_range = number, 1 + full
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    shown = np.array([frame[16, 24] for _, frame in video_frames.read(path)], int)
    np.testing.assert_allclose(shown, colours, atol=2)


def test_a_film_begins_at_zero_though_its_clock_does_not_or_there_is_none(tmp_path):
    path = encode_video(
        tmp_path / "late.mp4", coloured_frames(COUNT, 48, 80), "libx264", 3 + VARYING
    )
    np.testing.assert_allclose(pictures(path)[0], VARYING, atol=1e-4)
    path = encode_video(tmp_path / "a.h264", coloured_frames(5, 48, 80), "libx264")
    assert pictures(path)[0] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])


@pytest.mark.parametrize("name", FILMS)
def test_seconds_are_those_of_the_file_and_decoding_may_begin_anywhere(film, name):
    times = None if name.endswith("avi") else VARYING
    path = film(name, times)
    seconds, rgb = pictures(path)
    if times is not None:
        # Matroska counts milliseconds
        np.testing.assert_allclose(seconds, times, atol=0.0006)
    with decoder.Decoder(path, "") as video:
        timeline = video.timeline(1e9)
        assert video.fps != 25 or not name.endswith("mp4")
    np.testing.assert_array_equal(timeline.seconds, seconds)
    assert (len(timeline.stamps) > 0) == (name in SOUGHT)
    for first in (0, 1, 7, 8, 9, *range(COUNT // 2, COUNT + 1)):
        later, frames_later = pictures(path, first, timeline)
        assert later == seconds[first:]
        for one, other in zip(frames_later, rgb[first:]):
            np.testing.assert_array_equal(one, other)


def test_a_film_trimmed_without_encoding_begins_within_a_group(film, tmp_path):
    path = tmp_path / "trimmed.mp4"
    with av.open(str(film("a.mp4"))) as source, av.open(str(path), "w") as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            # as by ffmpeg -ss 0.2 -c copy: frames before it get negative times
            if packet.size:
                packet.pts, packet.dts = (
                    stamp - round(0.2 / packet.time_base)
                    for stamp in (packet.pts, packet.dts)
                )
                packet.stream = stream
                file.mux(packet)
    seconds, rgb = pictures(path)
    assert_same(rgb, pictures(film("a.mp4"))[1][5 : 5 + len(rgb)])
    with decoder.Decoder(path, "") as video:
        assert video.count is None  # it claims the frames before the cut, too
        timeline = video.timeline(0.6)
    # by FFmpeg's version
    assert len(timeline.seconds) == len(rgb) and len(rgb) in (24, 25)
    assert timeline.seconds[:15].tolist() == seconds[:15]
    assert_same(pictures(path, 12, timeline)[1], rgb[12:])


@pytest.mark.parametrize("name", ["a.ts", "b.ts", "old.ts"])
def test_a_stream_that_was_cut_begins_with_its_first_key_frame_and_others_may_follow(
    film, name, tmp_path
):
    data, (_, whole) = film(name).read_bytes(), pictures(film(name))
    cut, joined = tmp_path / "cut.ts", tmp_path / "joined.ts"
    cut.write_bytes(data[188 * 30 :])
    joined.write_bytes(data + data[188 * 30 :])
    seconds, rgb = pictures(cut)
    assert 8 <= len(rgb) < COUNT
    assert_same(rgb, whole[-len(rgb) :])
    np.testing.assert_allclose(seconds, np.arange(len(rgb)) / 25, atol=1e-9)
    seconds, both = pictures(joined)
    assert_same(both, whole + rgb)
    np.testing.assert_allclose(seconds, np.arange(len(both)) / 25, atol=1e-9)
    for path, frames_there in ((cut, rgb), (joined, both)):
        with decoder.Decoder(path, "") as video:
            timeline = video.timeline(0.9)
        for first in (3, len(frames_there) - 1):
            assert_same(pictures(path, first, timeline)[1], frames_there[first:])


ENCODERS_OF_STREAMS = {
    "h264": ("libx264", GROUPS),
    "hevc": ("libx265", {"x265-params": "log-level=none:keyint=8"}),
    "mpeg2": ("mpeg2video", GROUPS),
}


@pytest.fixture(scope="module", params=ENCODERS_OF_STREAMS)
def films_to_join(request, tmp_path_factory):
    """(suffix, start in seconds) -> a film of 14 or, if it starts later, 10 frames."""
    codec, options = ENCODERS_OF_STREAMS[request.param]
    folder = tmp_path_factory.mktemp(request.param)

    def make(suffix, start=0.0):
        count = 10 if start else 14
        frames = coloured_frames(count, 120, 160)
        times = start + np.arange(count) / 25
        path = folder / f"{start}{suffix}"
        return encode_video(path, frames, codec, times, ticks=25, **options)

    return make


def damaged_frames(path):
    with decoder.Decoder(path, "") as video:
        return [i for i, frame in enumerate(video.frames()) if frame.is_damaged]


def first_stamp(path):
    """Seconds on the film's own clock."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        return float(stream.start_time * stream.time_base)


@pytest.mark.parametrize("pause", [-0.2, 0.0, 5.0])
def test_films_joined_in_a_transport_stream_are_whole(films_to_join, pause, tmp_path):
    """The second film's clock starts anew, goes on, or goes on after a pause."""
    first = films_to_join(".ts")
    # Encoders that reorder frames delay the first film, which would begin below 0.
    delay = first_stamp(first) - first_stamp(films_to_join(".ts", 1.0)) + 1
    second = films_to_join(".ts", 14 / 25 + delay + pause)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes() + first.read_bytes())
    assert damaged_frames(joined) == []
    seconds, rgb = pictures(joined)
    parts = [pictures(path)[1] for path in (first, second, first)]
    assert_same(rgb, parts[0] + parts[1] + parts[2])
    second_start = 14 / 25 + max(0, pause)
    expected = [*np.arange(14) / 25, *(second_start + np.arange(24) / 25)]
    np.testing.assert_allclose(seconds, expected, atol=1e-6)
    assert len(list(video_frames.read(joined))) == 38


def largest_later_frame(data):
    """Range of the packets of a transport stream with its largest frame but one."""
    starts = []
    for i in range(len(data) // 188):
        packet = data[188 * i :]
        if packet[1] == 0x41 and packet[2] == 0:  # a frame of film 256 begins
            starts.append(i)
    _, *sizes = np.diff([*starts, len(data) // 188])
    start = starts[1 + int(np.argmax(sizes))]
    return range(start, start + max(sizes))


def test_a_frame_cut_before_a_join_is_damaged(films_to_join, tmp_path):
    data = films_to_join(".ts").read_bytes()
    cut = tmp_path / "cut.ts"
    packets = largest_later_frame(data)
    assert len(packets) > 3
    cut.write_bytes(data[: 188 * packets[2]] + data)
    assert len(damaged_frames(cut)) > 0


def test_a_frame_that_lost_packets_before_a_join_is_damaged(films_to_join, tmp_path):
    data = films_to_join(".ts").read_bytes()
    lossy = tmp_path / "lossy.ts"
    packets = largest_later_frame(data)
    whole_frame = data[: 188 * packets.stop]
    middle = 188 * packets[1]
    lossy.write_bytes(whole_frame[:middle] + whole_frame[middle + 188 :] + data)
    assert len(damaged_frames(lossy)) > 0


def test_films_joined_in_a_program_stream_keep_every_frame(films_to_join, tmp_path):
    film = films_to_join(".mpg")
    joined = tmp_path / "joined.mpg"
    joined.write_bytes(film.read_bytes() * 2)
    assert_same(pictures(joined)[1], pictures(film)[1] * 2)


def test_damaged_frames_are_told_and_not_learned_from(film, tmp_path):
    for name in FILMS:
        with decoder.Decoder(film(name), "") as video:
            assert not any(picture.is_damaged for picture in video.frames())
    data = bytearray(film("a.mp4", None, 240, 320).read_bytes())
    for place in range(data.index(b"mdat") + 2000, len(data) - 3000, 900):
        data[place] ^= 8
    flipped, lost = tmp_path / "flipped.mp4", tmp_path / "lost.ts"
    flipped.write_bytes(data)
    data = film("b.ts", None, 240, 320).read_bytes()
    rows = [data[i : i + 188] for i in range(0, len(data), 188)]
    lost.write_bytes(b"".join(row for i, row in enumerate(rows) if i % 50 != 49))
    for path in (flipped, lost):
        with decoder.Decoder(path, "") as video:
            told = [i for i, x in enumerate(video.frames(), 1) if x.is_damaged]
        assert len(told) > 2
        more = len(told) - 1
        message = (
            f"{path.name}: frame {told[0]} is damaged, and {more} frames after it;"
            " re-encode"
        )
        with pytest.raises(InputError, match=message):
            list(video_frames.read(path, [told[0] + 1], "re-encode it"))


@pytest.mark.parametrize(
    "matrix, turn",
    [
        ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, 3)),
        ((-1, 0, 0, -1), lambda rgb: np.rot90(rgb, 2)),
        ((0, -1, 1, 0), np.rot90),
        ((0.02, -1, 1, 0.02), np.rot90),  # as an editor rounds it
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), lambda rgb: rgb.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda rgb: np.rot90(rgb, 2).transpose(1, 0, 2)),
    ],
)
def test_a_film_is_turned_as_its_camera_was(film, tmp_path, matrix, turn):
    data = bytearray(film("a.mp4").read_bytes())
    place = data.index(b"tkhd") + 44
    a, b, c, d = (round(x * 2**16) for x in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    ours = pictures(path)[1]
    if np.linalg.det(np.reshape(matrix, (2, 2))) == 1:  # OpenCV mirrors nothing
        assert_same(ours, by_opencv(path))
    assert_same(ours, [turn(rgb) for rgb in pictures(film("a.mp4"))[1]])
    assert video_frames.size(path) == ours[0].shape[:2]


def test_neither_titles_nor_names_of_files_matter(film, tmp_path, monkeypatch):
    path = tmp_path / "title.mp4"
    # no UTF-8
    path.write_bytes(film("a.mp4").read_bytes().replace(b"Lavf", b"L\xe9vf"))
    assert_same(pictures(path)[1], pictures(film("a.mp4"))[1])
    monkeypatch.chdir(tmp_path)
    for name in ("http:/a.mp4", "concat:a.mp4", "a%03d.mp4", "-i.mp4"):
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        shutil.copy(film("a.mp4"), name)
        assert video_frames.count(name) == COUNT


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
        (
            "v=0\ns={}\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96"
            " H264/90000\n"
        ),
        None,
    ],
)
def test_playlists_and_music_are_no_videos(film, tmp_path, text):
    path = tmp_path / "list.mp4"
    if text:  # FFmpeg itself would follow the first two
        path.write_text(text.format(film("a.ts")))
    else:
        with av.open(str(path), "w") as file:
            stream = file.add_stream("aac", rate=44100)
            sound = av.AudioFrame.from_ndarray(
                np.zeros((2, 1024), np.float32), "fltp", "stereo"
            )
            sound.sample_rate = 44100
            file.mux(stream.encode(sound))
            file.mux(stream.encode(None))
    with pytest.raises(
        InputError, match="list.mp4: cannot be decoded .*; re-encode it$"
    ):
        decoder.Decoder(path, "re-encode it")


def test_claims_of_too_many_pixels_take_no_memory(film, tmp_path, monkeypatch):
    shown = coloured_frames(3, 48, 80)
    path = encode_video(tmp_path / "a.mjpeg", shown, "mjpeg", strict="unofficial")
    data, place = bytearray(path.read_bytes()), 0
    while (place := data.find(b"\xff\xc0", place + 1)) > 0:
        data[place + 5 : place + 9] = struct.pack(">HH", 60_000, 60_000)
    path.write_bytes(data)
    with pytest.raises(InputError, match="a.mjpeg: "):
        list(video_frames.read(path, [1]))
    monkeypatch.setattr(limits, "MAX_PIXELS", 48 * 80 - 1)
    with pytest.raises(
        InputError, match="a.mp4: size 48x80 .* more than 3839 pixels; re-encode it$"
    ):
        decoder.Decoder(film("a.mp4"), "re-encode it")


def stream_packet(counter, begins, filling):
    """A packet of MPEG-TS of film 256; `filling` bytes are no content."""
    head = bytes([0x47, (0x40 if begins else 0) | 1, 0, 0x30 | counter])
    field = bytes([filling, *[0] * filling])
    header = bytes([0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1, 0])
    return (head + field + header).ljust(188, b"\xff")[:188]


@pytest.mark.parametrize("filling, is_join", [(20, True), (183, False), (165, False)])
def test_a_packet_that_is_too_short_for_a_time_is_no_join(tmp_path, filling, is_join):
    packets = [stream_packet(counter, True, 20) for counter in range(3)]
    packets.append(stream_packet(9, True, filling))
    field = bytearray(packets[3])
    field[5] = 0x40  # a key frame
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join([*packets[:3], bytes(field)]))
    (gap,) = transport_stream.find_gaps(path, 256)
    assert gap == (3 * 188, is_join, False)
