"""Open a video: a file, a folder of images or a camera."""

from __future__ import annotations

import os
import pathlib

from a2d_tf.core.errors import InputError
from a2d_tf.video.reading.camera_reader import CameraReader
from a2d_tf.video.reading.file_reader import REMEDY, FileReader
from a2d_tf.video.reading.image_reader import IMAGES, ImageReader, list_images
from a2d_tf.video.reading.reader import Reader


def open_video(path: str | os.PathLike[str], fps: float | None = None) -> Reader:
    """Open a video, and read its first frame.

    Args:
      path: path of a video file; or of a folder of images, which are ordered by the
        numbers in their names; or digits that name no file, the index of a camera.
      fps: number of frames a second of a folder of images; None to assume 25. Video
        files and cameras have their own rate.

    Returns:
      the reader of the video, whose `frames` may be called once.

    Raises:
      InputError: there is no such file or camera, no frame can be decoded, or an image
        is not a numbered frame.
    """
    source = pathlib.Path(path)
    reader: Reader
    if source.is_dir():
        reader = ImageReader(source, list_images(source), fps)
        remedy = f"use a folder of images ({', '.join(IMAGES)}), or a glob: '{path}/**'"
    elif source.exists():
        reader = FileReader(source)
        remedy = REMEDY
    elif str(path).isdigit():
        reader = CameraReader(source, int(str(path)))
        remedy = "use the index of a working camera that is not in use, or a file"
    else:
        raise InputError(
            f"{path}: no such video; --video takes a file, a folder of images or a"
            " camera (0)"
        )
    if not reader.read_first():
        raise InputError(f"{path}: no frames can be decoded; {remedy}")
    return reader
