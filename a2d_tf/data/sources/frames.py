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

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_bytes
from a2d_tf.core.limits import MAX_IMAGE_BYTES, MAX_PIXELS

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm")
IMAGES = (".png", ".jpg", ".jpeg")
# The formats of FFmpeg that hold frames. Others are playlists, which name further files and
# addresses to be opened, whatever a file is called.
_FORMATS = (
    "format_whitelist;asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,"
    "mxf,nut,ogg,rm,webm,yuv4mpegpipe"
)
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"  # libpng would also find a header further on
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
    with Capture(path, remedy) as capture:
        number = 0
        while capture.grab():
            number += 1
    return number


def size(path, remedy=_REMEDY):
    """(height, width) of the first frame."""
    _, frame = next(read(path, [1], remedy))
    return frame.shape[:2]


def files(path, suffixes=IMAGES):
    """The files that hold the frames: tuple of paths, of the video file itself or of the images."""
    path = pathlib.Path(path)
    if not path.is_dir():
        return (path,)
    # macOS leaves files with a leading dot beside copied ones.
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    return tuple(path / name for name in names if name.lower().endswith(suffixes))


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
        yield number, read_image(found[number], remedy), found[number]


def read_image(path, remedy):
    """Decode a PNG, JPEG, BMP, TIFF or WebP: BGR uint8 [H, W, 3].

    Raises:
      InputError: unreadable, truncated or too large; ends with the remedy.
    """
    try:
        data = read_bytes(path, MAX_IMAGE_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise InputError(f"{path}: cannot be read ({reason}); {remedy}") from error
    claimed, frame = claimed_size(data), None
    if claimed:
        check_size(path, *claimed, remedy)
    if claimed and not _torn(data):
        try:
            frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            pass  # reported below, like what it could not decode
    if frame is None:
        raise InputError(f"{path}: not a readable image, or truncated; {remedy}")
    return frame


def _torn(data):
    """Whether a PNG or a JPEG breaks off: it may decode, to grey where the rest is missing."""
    if data[:8] == _PNG[:8]:
        return b"IEND" not in data
    # A JPEG ends with a marker that comes after its last scan's.
    return data[:2] == b"\xff\xd8" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")


def claimed_size(data):
    """(height, width) that the header of an image claims; None where there is no known header."""
    try:
        if data[:16] == _PNG:
            return struct.unpack(">II", data[16:24])[::-1]
        if data[:2] == b"\xff\xd8":
            return _jpeg_size(data)
        if data[:2] == b"BM":
            old = struct.unpack("<I", data[14:18])[0] == 12
            width, height = struct.unpack("<HH" if old else "<ii", data[18 : 22 if old else 26])
            return abs(height), width
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff_size(data, "<" if data[:1] == b"I" else ">")
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
    except (struct.error, IndexError, KeyError):
        pass
    return None


def _jpeg_size(data):
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = struct.unpack(">BH", data[at + 1 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a start of frame
            return struct.unpack(">HH", data[at + 5 : at + 9])
        at += 1 if marker == 0xFF else 2 + length  # 0xFF pads
    return None


def _tiff_size(data, order):
    """From the first directory: of entries of 12 bytes, tag, type, count and value."""
    start = struct.unpack(order + "I", data[4:8])[0]
    values = {}
    for i in range(struct.unpack(order + "H", data[start : start + 2])[0]):
        at = start + 2 + 12 * i
        tag, kind = struct.unpack(order + "HH", data[at : at + 4])
        if tag in (256, 257):  # width and length, as 16 or 32 bits
            form, size = ("H", 2) if kind == 3 else ("I", 4)
            values[tag] = struct.unpack(order + form, data[at + 8 : at + 8 + size])[0]
    return values[257], values[256]


def _webp_size(data):
    form = data[12:16]
    if form == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif form == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", data[26:30]))
    return height, width


def _decode_video(path, wanted, remedy):
    """Yield (number, BGR frame, the file)."""
    with Capture(path, remedy) as capture:
        position = 0
        for number in itertools.count(1) if wanted is None else wanted:
            while position < number and capture.grab():
                position += 1
            if position < number and wanted is None:
                return
            frame = capture.retrieve() if position == number else None
            if frame is None:
                raise InputError(
                    f"{path}: decoding ends after {position} frames, but frame {number} is wanted; "
                    f"{remedy}"
                )
            yield number, frame, path


class Capture:
    """A video file that OpenCV could open, or a camera by its index, as a context that closes it.

    Raises:
      InputError: no such file, one that cannot be decoded, or one that claims frames beyond
        `limits.MAX_PIXELS`, at its start or further on; ends with the remedy.
    """

    def __init__(self, path, remedy):
        self._path, self._remedy = path, remedy
        if isinstance(path, int):
            self._capture = cv2.VideoCapture(path)
        else:
            self._capture = self._file(path)
        if not self._capture.isOpened():
            raise InputError(f"{path}: cannot be decoded (truncated, or no video); {remedy}")
        self._check()

    def _file(self, path):
        if not os.path.isfile(path):
            raise InputError(f"{path}: no such video; {self._remedy}")
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", _FORMATS)
        # FFmpeg would take every core, in each of many worker processes; and the start of a
        # relative path, such as http:, for a protocol.
        threads = [cv2.CAP_PROP_N_THREADS, cv2.getNumThreads()]
        return cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG, threads)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._capture.release()

    def get(self, name):
        """A property of cv2.VideoCapture."""
        return self._capture.get(name)

    def grab(self):
        """Go to the next frame; False where there is none."""
        grabbed = self._capture.grab()
        if grabbed:
            self._check()
        return grabbed

    def retrieve(self):
        """The frame, BGR uint8 [H, W, 3]; None where it cannot be decoded."""
        try:
            decoded, frame = self._capture.retrieve()
        except cv2.error:
            return None
        return frame if decoded else None

    def _check(self):
        height, width = (
            int(self._capture.get(name))
            for name in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
        )
        check_size(self._path, height, width, self._remedy)


def check_size(path, height, width, remedy):
    """InputError where an image claims no pixels, or more than there may be."""
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise InputError(
            f"{path}: claims {height}x{width} pixels (height x width), which is none or more than "
            f"{MAX_PIXELS}; {remedy}"
        )
