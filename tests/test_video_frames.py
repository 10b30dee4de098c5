"""Frames of video files and of folders of images, whole and broken."""

import av
import cv2
import numpy as np
import pytest
from a2d_files import (
    encode_video,
    grey_frames,
    write_images,
    write_video,
    write_video_with_sound,
)
from PIL import Image

from a2d_tf.core.errors import InputError
from a2d_tf.data.decoding import decoder, image_files, video_frames, video_paths

SIZE = (32, 48)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_players_times_are_larger_where_a_film_begins_after_its_sound(
    suffix, tmp_path
):
    film = write_video_with_sound(tmp_path / f"a{suffix}", grey_frames(5, *SIZE), 0.52)
    assert video_frames.first_frame_time(film) == pytest.approx(0.52, abs=1e-3)
    expected = [0, 0.04, 0.08, 0.12, 0.16]
    np.testing.assert_allclose(video_frames.seconds(film), expected, atol=1e-3)


def test_films_and_images_without_sound_begin_at_once(tmp_path):
    film = write_video(tmp_path / "a.mp4", grey_frames(3, *SIZE))
    images = write_images(tmp_path / "b", grey_frames(3, *SIZE))
    assert (
        video_frames.first_frame_time(film)
        == video_frames.first_frame_time(images)
        == 0
    )


@pytest.mark.parametrize("kind", ["mp4", ".png", ".jpg"])
def test_frame_numbers_count_from_one(tmp_path, kind):
    if kind == "mp4":
        video = write_video(tmp_path / "v.mp4", grey_frames(9, *SIZE))
    else:
        video = write_images(tmp_path / "v", grey_frames(9, *SIZE), kind)
    found = dict(video_frames.read(video, [4, 1, 9, 4]))
    assert list(found) == [1, 4, 9]
    for number, frame in found.items():
        assert frame.shape == (*SIZE, 3) and frame.dtype == np.uint8
        assert abs(frame.mean() - 10 * number) < 3
    assert [number for number, _ in video_frames.read(video)] == list(range(1, 10))
    assert video_frames.count(video) == 9 and video_frames.size(video) == SIZE


def test_images_are_turned_as_their_exif_says_and_have_one_page(tmp_path):
    picture = Image.fromarray(np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3))
    exif, path = Image.Exif(), tmp_path / "1.webp"
    exif[274] = 6  # to be turned clockwise
    picture.save(path, exif=exif, lossless=True)
    turned = np.rot90(np.asarray(picture), -1)
    np.testing.assert_array_equal(image_files.read_image(path, ""), turned)
    picture.save(tmp_path / "1.tif", save_all=True, append_images=[picture])
    with pytest.raises(InputError, match="1.tif: 2 images in one file"):
        image_files.read_image(tmp_path / "1.tif", "")


def test_images_of_16_bits_but_not_of_a_cameras_12(tmp_path):
    levels = np.arange(0, 65536, 1024, np.uint16).reshape(8, 8)
    for suffix in (".png", ".tiff"):
        path = tmp_path / f"a{suffix}"
        cv2.imwrite(str(path), levels)
        np.testing.assert_array_equal(
            image_files.read_image(path, "x")[..., 0], levels >> 8
        )
        cv2.imwrite(str(path), levels >> 4)
        with pytest.raises(
            InputError, match=f"a{suffix}: 16 bits, of which only 12 are used, .*8 "
        ):
            image_files.read_image(path, "x")
        cv2.imwrite(str(path), levels >> 8)  # a fade from black
        assert not image_files.read_image(path, "x").any()


def test_a_video_file_is_found_before_a_folder_of_its_frames(tmp_path):
    assert video_paths.find(tmp_path, "-v") is None
    write_images(tmp_path / "-v", grey_frames(1, *SIZE))
    assert video_paths.find(tmp_path, "-v") == tmp_path / "-v"
    for suffix in (".webm", ".mp4"):  # the later is looked for earlier
        (tmp_path / f"-v{suffix}").touch()
        assert video_paths.find(tmp_path, "-v") == tmp_path / f"-v{suffix}"
    for name in ("GX010001.MP4", "clip.Mov"):  # as cameras name them
        (tmp_path / name).touch()
        assert video_paths.find(tmp_path, name.partition(".")[0]) == tmp_path / name


def test_a_video_that_is_shorter_than_asked_or_absent(tmp_path):
    path = write_video(tmp_path / "v.mp4", grey_frames(9, *SIZE))
    with pytest.raises(
        InputError, match="v.mp4: decoding ends after 9 frames.*; dig it out$"
    ):
        list(video_frames.read(path, [2, 12], "dig it out"))
    for name in ("u.MOV", "notes.txt", ".hidden.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "x").mkdir()
    for use in (video_frames.count, video_frames.size):
        with pytest.raises(InputError) as caught:
            use(tmp_path / "w.mp4", "dig it out")
        assert (
            str(caught.value)
            == f"{tmp_path}: no w.*; it holds u.MOV, v.mp4, x; dig it out"
        )


def flip_bit(film, box, offset, folder):
    """Write a film again, with a bit flipped behind the name of one of its boxes."""
    data = bytearray(film.read_bytes())
    data[data.index(box) + offset] ^= 1
    path = folder / f"flipped{offset}.mp4"
    path.write_bytes(data)
    return path


def test_a_frame_that_a_damaged_index_hides(tmp_path):
    options = {"x264-params": "bframes=2:b-adapt=0:scenecut=0"}
    film = encode_video(
        tmp_path / "a.mp4", grey_frames(30, *SIZE), "libx264", **options
    )
    # The third entry of `ctts`, each 8 bytes: two frames are 65536 units later.
    path = flip_bit(film, b"ctts", 4 + 8 + 2 * 8 + 5, tmp_path)
    with decoder.Decoder(path, "") as video:
        assert video.count == 30
        frames = list(video.frames())
    assert len(frames) == 28 and sum(frame.is_damaged for frame in frames) == 1
    with pytest.raises(InputError, match=r"flipped33.mp4: frame \d+ is damaged"):
        list(video_frames.read(path, range(1, 29)))


def test_a_film_whose_last_frame_has_no_duration_is_whole_but_for_it(tmp_path):
    film = encode_video(tmp_path / "a.mp4", grey_frames(20, *SIZE), "libx264")
    path = tmp_path / "b.mp4"
    with av.open(str(film)) as source, av.open(str(path), "w") as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                file.mux(packet)
    numbers = [number for number, _ in video_frames.read(path)]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) in (19, 20)


def test_a_film_of_which_no_frame_decodes(tmp_path):
    film = write_video(tmp_path / "a.mp4", grey_frames(30, *SIZE))
    path = tmp_path / "b.mp4"
    path.write_bytes(film.read_bytes().replace(b"stco", b"stcx"))
    with pytest.raises(InputError, match="b.mp4: decoding ends after 0 frames"):
        list(video_frames.read(path))


def test_a_folder_with_a_gap_or_another_size_or_nothing(tmp_path):
    folder = write_images(
        tmp_path / "v", [*grey_frames(4, *SIZE), *grey_frames(1, 32, 40)]
    )
    with pytest.raises(
        InputError, match="00005.png: frame 5 has 32x40 .* earlier frames 32x48; "
    ):
        list(video_frames.read(folder))
    (folder / "00003.png").unlink()
    assert video_frames.count(folder) == 2
    assert [number for number, _ in video_frames.read(folder, [2, 4])] == [2, 4]
    for numbers in ([2, 3], None):
        with pytest.raises(
            InputError,
            match=r"v: frame 3 \(00003.png\) is missing, the last frame is 5",
        ):
            list(video_frames.read(folder, numbers))
    with pytest.raises(
        InputError, match="no images .*.png, .jpg, .jpeg.* in this folder; restore"
    ):
        list(video_frames.read(tmp_path, [1]))


@pytest.mark.parametrize(
    "name, words",
    [
        ("frame1.jpg", "frame1.jpg: its name is not a number"),
        ("00001.JPEG", "00001.png: .* or is used twice"),
    ],
)
def test_names_of_images(tmp_path, name, words):
    folder = write_images(tmp_path / "v", grey_frames(2, *SIZE))
    for other in ("Thumbs.db", "._00001.png"):  # not frames, and left alone
        (folder / other).touch()
    assert video_frames.count(folder) == 2
    assert [path.name for path in video_paths.files(folder)] == [
        "00001.png",
        "00002.png",
    ]
    (folder / name).touch()
    with pytest.raises(InputError, match=words):
        video_frames.count(folder)
