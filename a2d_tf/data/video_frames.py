"""The frames of a video on disk: a video file, or a folder of images named by their
number.

Numbers are 1-based: `00001.png` is the first frame, or the second one where there is
`00000.png`. All frames of a video must be of one size.
"""

from __future__ import annotations

import collections
import contextlib
import io
import math
import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Union

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from a2d_tf.core.errors import MAX_PIXELS, InputError, join_names
from a2d_tf.data import decoder

Path = Union[str, os.PathLike]

VIDEOS = (
    ".mp4",
    ".avi",
    ".mov",
    ".mkv",
    ".webm",
    ".3gp",
    ".asf",
    ".flv",
    ".m2ts",
    ".m4v",
    ".mpeg",
    ".mpg",
    ".mts",
    ".mxf",
    ".ogv",
    ".ts",
    ".wmv",
)
"""Suffixes of the files in a folder that are videos."""
IMAGES = (".png", ".jpg", ".jpeg")
# between the grey levels that OpenCV makes of few bits
_STEPS = {"1": 255, "L;2": 85, "L;4": 17}
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_REMEDY = "restore it from the release"


def find(folder: Path, vid: str) -> pathlib.Path | None:
    """Return the path of `<vid>.mp4` (or another of `VIDEOS`, also as `.MP4` or `.Mp4`)
    in a folder of videos, else of the folder `<vid>`, else None.
    """
    folder = pathlib.Path(folder)
    for suffix in (*VIDEOS, *map(str.upper, VIDEOS), *map(str.title, VIDEOS)):
        if (folder / f"{vid}{suffix}").is_file():
            return folder / f"{vid}{suffix}"
    return folder / vid if (folder / vid).is_dir() else None


def read(
    path: Path, numbers: Iterable[int] | None = None, remedy: str = _REMEDY
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (1-based number, RGB uint8 [H, W, 3]) of frames, ascending, in one pass.

    Args:
      path: a video file, or a folder of images.
      numbers: which frames, in any order; by default all there are.
      remedy: what the user can do about a broken file; ends each message.

    Raises:
      InputError: the file or one of these frames is absent, cannot be decoded, is of
        another size than those before it, or is damaged, or one before it is, which it
        may refer to.
    """
    path = pathlib.Path(path)
    size: tuple[int, int] | None = None
    ascending = None if numbers is None else sorted(set(numbers))
    if ascending == []:
        return
    if path.is_dir():
        decoded = _decode_images(path, images(path, remedy), ascending, remedy)
    else:
        decoded = _decode_video(path, ascending, remedy)
    for number, frame, file in decoded:
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            sizes = (
                f"{frame.shape[0]}x{frame.shape[1]} pixels, earlier frames"
                f" {size[0]}x{size[1]}"
            )
            raise InputError(f"{file}: frame {number} has {sizes}; {remedy}")
        yield number, frame


def count(path: Path, remedy: str = _REMEDY) -> int:
    """Count the frames that decode, whatever the file claims; of a folder, those
    before a gap.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return sum(number == i for i, number in enumerate(images(path, remedy), 1))
    with _opened(path, remedy) as video:
        return sum(1 for _ in video.frames())


def seconds(path: Path, remedy: str = _REMEDY) -> np.ndarray:
    """Return when a player shows each frame, float64 [N]; images come 25 a second."""
    path = pathlib.Path(path)
    if path.is_dir():
        return np.arange(count(path, remedy)) / decoder.DEFAULT_FPS
    with _opened(path, remedy) as video:
        return video.timeline(math.inf).seconds


def size(path: Path, remedy: str = _REMEDY) -> tuple[int, int]:
    """Return (height, width) of the first frame."""
    _, frame = next(read(path, [1], remedy))
    height, width, _ = frame.shape
    return height, width


def files(path: Path, suffixes: tuple[str, ...] = IMAGES) -> tuple[pathlib.Path, ...]:
    """List the files that hold the frames: the video file itself, or the images in a
    folder.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        return (path,)
    # macOS leaves files with a leading dot beside copied ones.
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    return tuple(path / name for name in names if name.lower().endswith(suffixes))


def begins_with_zero(path: Path) -> bool:
    """Return whether this is a folder of images whose first is numbered 0."""
    return any(re.fullmatch("0+", file.stem) for file in files(path))


def images(folder: Path, remedy: str = _REMEDY) -> dict[int, pathlib.Path]:
    """List the numbered images of a folder: {1-based number: path}, ascending.

    Raises:
      InputError: an image whose name is no number, two of one number, or none at all.
    """
    numbered: dict[int, pathlib.Path] = {}
    first = 0 if begins_with_zero(folder) else 1
    for path in files(folder):
        number = (
            int(path.stem) + 1 - first if re.fullmatch(r"[0-9]{1,9}", path.stem) else 0
        )
        if number == 0 or numbered.setdefault(number, path) != path:
            problem = "its name is not a number, or is used twice"
            raise InputError(
                f"{path}: {problem}; number the images from 00001{IMAGES[0]}"
            )
    if not numbered:
        raise InputError(
            f"{folder}: no images ({', '.join(IMAGES)}) in this folder; {remedy}"
        )
    return dict(sorted(numbered.items()))


def _decode_images(folder, numbered, numbers, remedy):
    """Yield (number, RGB frame, its file)."""
    last = max(numbered)
    for number in range(1, last + 1) if numbers is None else numbers:
        if number not in numbered:
            name = f"frame {number} ({number:05d}{IMAGES[0]})"
            raise InputError(
                f"{folder}: {name} is missing, the last frame is {last}; {remedy}"
            )
        yield number, read_image(numbered[number], remedy), numbered[number]


def _opened(path, remedy):
    """Open a video file; of one that is missing, the InputError lists what is in its
    folder.
    """
    if not path.exists():
        others = path.parent.glob("[!.]*")
        there = sorted(
            x.name for x in others if x.is_dir() or x.suffix.lower() in VIDEOS
        )
        raise InputError(
            f"{path.parent}: no {path.stem}.*; it holds {join_names(there)}; {remedy}"
        )
    return decoder.Decoder(path, remedy)


def _decode_video(path, numbers, remedy):
    """Yield (number, RGB frame, the file)."""
    position, ahead = 0, collections.deque(numbers or ())
    with _opened(path, remedy) as video:
        pictures = video.frames()
        for position, picture in enumerate(pictures, 1):
            if picture.is_damaged:
                more = sum(other.is_damaged for other in pictures)
                problem = f"frame {position} is damaged, and {more} frames after it"
                raise InputError(f"{path}: {problem}; {remedy}")
            if numbers is None or position == ahead[0]:
                yield position, picture.rgb(), path
                if ahead and ahead.popleft() == numbers[-1]:
                    return
    if ahead or (numbers is None and video.is_broken):
        before = f", before frame {ahead[0]}" if ahead else ""
        problem = f"decoding ends after {position} frames{before}"
        raise InputError(f"{path}: {problem}; {remedy}")


def read_image(path: Path, remedy: str) -> np.ndarray:
    """Decode a PNG, JPEG, BMP, TIFF or WebP to RGB uint8 [H, W, 3], turned as its EXIF
    says.

    Raises:
      InputError: unreadable, truncated, too large, of several pages, or of 12 bits
        stored as 16; ends with the remedy.
    """
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); {remedy}"
        ) from error
    frame, image = decode_image(
        data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, path, remedy
    )
    if frame.dtype != np.uint8:
        # of a camera of 12 bits; a black picture has less
        if 1 << 8 <= frame.max() < 1 << 12:
            problem = f"16 bits, of which only {int(frame.max()).bit_length()} are used"
            raise InputError(
                f"{path}: {problem}, so that it would be black; convert it to 8 bits"
            )
        frame, _ = decode_image(data, cv2.IMREAD_COLOR, path, remedy)
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format in ("TIFF", "WEBP"):
        raise InputError(
            f"{path}: {pages} images in one file; save each as a separate file"
        )
    if (
        image.format == "WEBP"
        and image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    ):
        # OpenCV turns the other formats by itself.
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def decode_image(
    data: bytes, flags: int, path: Path, remedy: str
) -> tuple[np.ndarray, ImageFile.ImageFile]:
    """Decode the bytes of a PNG, JPEG, BMP, TIFF or WebP by `cv2.imdecode` with these
    flags.

    Returns:
      (the pixels as OpenCV has them; Pillow's image, which has read nothing but the
      header).

    Raises:
      InputError: another format, damaged, or of more than MAX_PIXELS; begins with the
        path and ends with the remedy.
    """
    pixels = None
    # Of a damaged header, Pillow raises whatever its parser met.
    with contextlib.suppress(Exception):
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        # A PNG or JPEG that breaks off may decode, to grey where the rest is missing.
        is_torn = (image.format == "PNG" and b"IEND" not in data) or (
            image.format in ("JPEG", "MPO")
            and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
        )
        if not is_torn and image.height * image.width <= MAX_PIXELS:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        problem = f"not an image, truncated, or larger than {MAX_PIXELS} pixels"
        raise InputError(f"{path}: {problem}; {remedy}")
    return pixels, image


def decode_png(
    data: bytes, path: Path, remedy: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode a PNG of numbers: of grey levels, of a palette's indices, or of colours.

    Returns:
      (grey levels uint8 or uint16 [H, W], or else colours [H, W, 3 or 4], BGR and
      alpha; the indices uint8 [H, W] of a palette, None where there is none).
    """
    image, header = decode_image(data, cv2.IMREAD_UNCHANGED, path, remedy)
    if header.format != "PNG":  # such as a JPEG, whose numbers are no longer the same
        raise InputError(f"{path}: not a PNG; {remedy}")
    # such as "L;4" or "RGB;16B": channels, and bits where not 8
    layout = str(header.tile[0][3])
    if layout.startswith(("RGB", "P")):
        return image, np.array(header) if header.mode == "P" else None
    grey = image if image.ndim == 2 else image[..., 0]  # maybe with alpha
    return grey // _STEPS.get(layout, 1), None
