"""The frames of a video on disk: a video file, or a folder of images named by their number.

Numbers are 1-based: `00001.png` is the first frame. A size that a file claims is checked before
memory is taken for it, and all frames of a video must be of one size.
"""

import itertools
import os
import pathlib
import re
import struct

import cv2
import numpy as np

from a2d_tf.errors import InputError

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm")
IMAGES = (".png", ".jpg", ".jpeg")
_MAX_PIXELS = 8192 * 8192  # four times 8K; a larger claim is a damaged file
_REMEDY = "restore it from the release"


def find(folder, vid):
    """Where the frames of a video are.

    Args:
      folder: folder of the videos.
      vid: name of one of them.

    Returns:
      Path of `<vid>.mp4` (or another of `VIDEOS`), else of the folder `<vid>`, else None.
    """
    folder = pathlib.Path(folder)
    for suffix in VIDEOS:
        if (folder / f"{vid}{suffix}").is_file():
            return folder / f"{vid}{suffix}"
    return folder / vid if (folder / vid).is_dir() else None


def read(path, numbers=None, remedy=_REMEDY):
    """Decode frames in one pass that stops after the last wanted one.

    Args:
      path: a video file, or a folder of images.
      numbers: the wanted 1-based numbers, in any order; by default all frames there are.
      remedy: what the user can do about a broken file; ends each message.

    Yields:
      (number, RGB uint8 [H, W, 3]), ascending.

    Raises:
      InputError: a wanted frame is absent, cannot be decoded, or is of another size than those
        before it.
    """
    path, size = pathlib.Path(path), None
    wanted = None if numbers is None else sorted(set(numbers))
    decode = _decode_images if path.is_dir() else _decode_video
    for number, frame, file in decode(path, wanted, remedy):
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            raise InputError(
                f"{file}: frame {number} has {frame.shape[0]}x{frame.shape[1]} pixels (height x "
                f"width), those before it {size[0]}x{size[1]}; {remedy}"
            )
        yield number, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def count(path, remedy=_REMEDY):
    """How many frames there are, whatever the file claims.

    Args:
      path: a video file, which is decoded to its end, or a folder of images.
      remedy: see `read`.

    Returns:
      The number of frames that decode; of a folder, the last number without a gap before it.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return sum(number == i for i, number in enumerate(images(path, remedy), 1))
    with _Capture(path, remedy) as capture:
        number = 0
        while capture.grab():
            number += 1
    return number


def size(path, remedy=_REMEDY):
    """(height, width) of the first frame."""
    _, frame = next(read(path, [1], remedy))
    return frame.shape[:2]


def files(path):
    """The files that hold the frames: tuple of paths, of the video file itself or of the images."""
    path = pathlib.Path(path)
    if not path.is_dir():
        return (path,)
    # macOS leaves files with a leading dot beside copied ones.
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    return tuple(path / name for name in names if name.lower().endswith(IMAGES))


def images(folder, remedy=_REMEDY):
    """The numbered images of a folder: {1-based number: path}, ascending.

    Raises:
      InputError: an image whose name is no 1-based number, two of one number, or none at all.
    """
    found = {}
    for path in files(folder):
        number = int(path.stem) if re.fullmatch(r"[0-9]{1,9}", path.stem) else 0
        if number == 0:
            raise InputError(
                f"{path}: frames are named by their number from 1 on, such as 00001.png; rename or "
                "remove it"
            )
        if number in found:
            raise InputError(
                f"{path}: {found[number].name} is frame {number} too; remove one of them"
            )
        found[number] = path
    if not found:
        raise InputError(f"{folder}: no image ({', '.join(IMAGES)}) in this folder; {remedy}")
    return dict(sorted(found.items()))


def _decode_images(folder, wanted, remedy):
    """Yield (number, BGR frame, its file)."""
    found = images(folder, remedy)
    last = max(found)
    for number in range(1, last + 1) if wanted is None else wanted:
        if number not in found:
            raise InputError(
                f"{folder}: frame {number} ({number:05d}{IMAGES[0]}) is missing, the last one here "
                f"is {last}; {remedy}"
            )
        yield number, _decode_image(found[number], remedy), found[number]


def _decode_image(path, remedy):
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    claimed = _claimed_size(data)
    if claimed:
        _check_size(path, *claimed, remedy)
    # One that breaks off may decode, to grey where the rest is missing. A PNG ends with IEND, a
    # JPEG with a marker that comes after its last scan's.
    jpeg_ends = data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    torn = not jpeg_ends if data[:2] == b"\xff\xd8" else b"IEND" not in data
    frame = None
    if claimed and not torn:
        try:
            frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            pass  # reported below, like what it could not decode
    if frame is None:
        raise InputError(f"{path}: not a readable PNG or JPEG image, or truncated; {remedy}")
    return frame


def _claimed_size(data):
    """(height, width) that the header of a PNG or JPEG claims; None where there is no header."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])[::-1]
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = struct.unpack(">BH", data[at + 1 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a start of frame
            return struct.unpack(">HH", data[at + 5 : at + 9])
        at += 1 if marker == 0xFF else 2 + length  # 0xFF pads
    return None


def _decode_video(path, wanted, remedy):
    """Yield (number, BGR frame, the file)."""
    with _Capture(path, remedy) as capture:
        position = 0
        for number in itertools.count(1) if wanted is None else wanted:
            while position < number and capture.grab():
                position += 1
            if position < number and wanted is None:
                return
            decoded, frame = capture.retrieve() if position == number else (False, None)
            if not decoded:
                raise InputError(
                    f"{path}: decoding ends after {position} frames, but frame {number} is wanted; "
                    f"{remedy}"
                )
            yield number, frame, path


class _Capture:
    """A video file that OpenCV could open, as a context that closes it."""

    def __init__(self, path, remedy):
        if not path.is_file():
            raise InputError(f"{path}: no such video; {remedy}")
        # FFmpeg would take every core, in each of many worker processes.
        threads = [cv2.CAP_PROP_N_THREADS, cv2.getNumThreads()]
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, threads)
        if not self._capture.isOpened():
            raise InputError(f"{path}: cannot be decoded (truncated, or no video); {remedy}")
        height, width = cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH
        _check_size(path, int(self._capture.get(height)), int(self._capture.get(width)), remedy)

    def __enter__(self):
        return self._capture

    def __exit__(self, *_):
        self._capture.release()


def _check_size(path, height, width, remedy):
    if not 0 < height * width <= _MAX_PIXELS:
        raise InputError(
            f"{path}: claims {height}x{width} pixels (height x width), which is none or more than "
            f"{_MAX_PIXELS}; {remedy}"
        )
