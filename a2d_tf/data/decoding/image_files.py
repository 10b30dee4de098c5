"""Decode image files, pictures and PNGs of numbers, and check them."""

from __future__ import annotations

import contextlib
import io
import pathlib

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import Path
from a2d_tf.core.limits import MAX_PIXELS

# Steps between the grey levels to which OpenCV scales pixels of 1, 2 or 4 bits.
_STEPS = {"1": 255, "L;2": 85, "L;4": 17}
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")


def read_image(path: Path, remedy: str) -> np.ndarray:
    """Decode a PNG, JPEG, BMP, TIFF or WebP to RGB uint8 [H, W, 3].

    The image is turned as its EXIF data say; grey levels and 16 bits are converted.

    Args:
      path: the file.
      remedy: what the user can do about a broken file; error messages end with it.

    Raises:
      InputError: the image cannot be read, is truncated or too large, has several
        pages, or has 12 bits that are stored as 16.
    """
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); {remedy}"
        ) from error
    any_depth = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    pixels, image = decode_image(data, any_depth, path, remedy)
    if pixels.dtype != np.uint8:
        # The camera had up to 12 bits. A black picture has less than 8.
        if 1 << 8 <= pixels.max() < 1 << 12:
            bits = int(pixels.max()).bit_length()
            problem = f"16 bits, of which only {bits} are used"
            raise InputError(
                f"{path}: {problem}, so that it would be black; convert it to 8 bits"
            )
        pixels, _ = decode_image(data, cv2.IMREAD_COLOR, path, remedy)
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format in ("TIFF", "WEBP"):
        raise InputError(
            f"{path}: {pages} images in one file; save each as a separate file"
        )
    if image.format == "WEBP":  # OpenCV turns the other formats by itself
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def decode_image(
    data: bytes, flags: int, path: Path, remedy: str
) -> tuple[np.ndarray, ImageFile.ImageFile]:
    """Decode the bytes of a PNG, JPEG, BMP, TIFF or WebP by `cv2.imdecode`.

    Args:
      data: bytes of the file.
      flags: flags for `cv2.imdecode`, such as `cv2.IMREAD_COLOR`.
      path: the file, the beginning of error messages.
      remedy: what the user can do about a broken file, the end of error messages.

    Returns:
      (pixels as OpenCV decodes them: [H, W] or BGR [H, W, 3 or 4]; Pillow's image, of
      which only the header is read).

    Raises:
      InputError: the file has another format, is damaged or has more than MAX_PIXELS.
    """
    image = _read_header(data)
    pixels = None
    if image is not None and image.height * image.width <= MAX_PIXELS:
        if not _breaks_off(data, image.format):
            with contextlib.suppress(cv2.error):
                pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None or pixels is None:
        problem = f"not an image, truncated, or larger than {MAX_PIXELS} pixels"
        raise InputError(f"{path}: {problem}; {remedy}")
    return pixels, image


def _read_header(data: bytes) -> ImageFile.ImageFile | None:
    """Return Pillow's image of a file's bytes; None if the format is unknown."""
    # If a header is damaged, Pillow raises errors of many types.
    with contextlib.suppress(Exception):
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    return None


def _breaks_off(data: bytes, image_format: str | None) -> bool:
    """Return whether the end of a PNG or JPEG is missing.

    Such a file may decode nevertheless, with grey pixels in place of the rest.
    """
    if image_format == "PNG":
        return b"IEND" not in data
    if image_format in ("JPEG", "MPO"):
        end_of_image = data.rfind(b"\xff\xd9")
        start_of_scan = data.rfind(b"\xff\xda")
        return end_of_image < start_of_scan
    return False


def decode_png(
    data: bytes, path: Path, remedy: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode a PNG of numbers, such as a label map: grey levels, a palette, or colours.

    Args:
      data: bytes of the file.
      path: the file, the beginning of error messages.
      remedy: what the user can do about a broken file, the end of error messages.

    Returns:
      (pixels, indices). The pixels are grey levels as the file stores them, uint8 or
      uint16 [H, W], or colours, BGR or BGR and alpha [H, W, 3 or 4]. The indices are
      those of a palette, uint8 [H, W]; None without a palette.

    Raises:
      InputError: the file is no PNG, is damaged or has more than MAX_PIXELS.
    """
    pixels, header = decode_image(data, cv2.IMREAD_UNCHANGED, path, remedy)
    if header.format != "PNG":  # such as a JPEG, whose numbers are no longer the same
        raise InputError(f"{path}: not a PNG; {remedy}")
    # such as "L;4" or "RGB;16B": channels, and bits where not 8
    layout = str(header.tile[0][3])
    if layout.startswith(("RGB", "P")):
        indices = None
        if header.mode == "P":
            indices = np.array(header)
        return pixels, indices
    grey = pixels
    if pixels.ndim > 2:  # maybe with alpha
        grey = pixels[..., 0]
    return grey // _STEPS.get(layout, 1), None
