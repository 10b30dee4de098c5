"""Read a folder of images as the frames of a video."""

from __future__ import annotations

import functools
import pathlib
import re
from collections.abc import Generator, Sequence

from a2d_tf.core.errors import InputError
from a2d_tf.data.decoding import image_files, video_paths
from a2d_tf.video.reading.reader import Picture, Reader

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class ImageReader(Reader):
    """Reader of a folder of images, of which each is a frame.

    Args:
      path: path of the folder.
      paths: paths of the images, in the order of the frames.
      fps: number of images a second; None to assume 25.
    """

    def __init__(
        self,
        path: pathlib.Path,
        paths: Sequence[pathlib.Path],
        fps: float | None = None,
    ) -> None:
        super().__init__(path)
        self.fps_is_assumed = fps is None
        if fps is not None:
            self._stated_fps = fps
        self._paths = paths
        self.count = len(paths)
        self.length = len(paths)
        self.images = tuple(path.name for path in paths)

    def seconds(self, index: int) -> float:
        """Return the time at which an image is shown: its index divided by the rate.

        Args:
          index: 0-based index of the image; beyond the last image, the result is its
            end.
        """
        return min(index, len(self._paths)) / self.fps

    def _open(self, start: int) -> Generator[Picture, None, None]:
        for path in self._paths:
            yield functools.partial(
                image_files.read_image, path, "remove or replace it"
            )


def list_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """List the images of a folder in the order of the numbers in their names.

    Returns:
      the paths of the images; files of other kinds are left out.

    Raises:
      InputError: the names of two images differ in more than their numbers, so they are
        not frames of one video.
    """
    paths = sorted(video_paths.files(folder, IMAGES), key=_by_number)
    for path, next_path in zip(paths, paths[1:]):
        parts = _by_number(path)
        next_parts = _by_number(next_path)
        # A name of one part has no number.
        if parts == next_parts or (len(parts) == 1) != (len(next_parts) == 1):
            raise InputError(
                f"{folder}: {path.name} and {next_path.name} are not two numbered"
                " frames; remove what is no frame"
            )
    return paths


def _by_number(path: pathlib.Path) -> list[str | int]:
    """Return the sort key of a name without its suffix, by which 2 is before 10."""
    # Every second part is a number.
    parts: list[str | int] = [*re.split("([0-9]+)", path.stem)]
    for i in range(1, len(parts), 2):
        parts[i] = int(parts[i])
    return parts
