"""Export of the tracks of a video to annotation tools: a file, a zip or a folder.

An export is written completely or not at all.
"""

from __future__ import annotations

import pathlib
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol

from a2d_tf.annotations.writers import coco, cvat, labelme, masks
from a2d_tf.annotations.writers.tracked_video import TrackedVideo
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_file
from a2d_tf.core.folders import whole_folder


class Write(Protocol):
    """The type of the functions that make the files of an export."""

    def __call__(
        self, video: TrackedVideo, *, masks: bool
    ) -> Iterator[tuple[str, bytes]]:
        """Yield (name in a zip or folder, content) of each file.

        Args:
          video: the tracks.
          masks: whether shapes are masks; otherwise polygons. Without masks in the
            video they are boxes.
        """


class FormatWriter(NamedTuple):
    """The writer of a format.

    Attributes:
      write: makes the files.
      suffix: the suffix of the file; '' if the format is a folder of files.
    """

    write: Write
    suffix: str


WRITERS = {
    "cvat": FormatWriter(cvat.write, ".xml"),
    "coco": FormatWriter(coco.write, ".json"),
    "labelme": FormatWriter(labelme.write, ""),
    "masks": FormatWriter(masks.write, ""),
}


def check_output(output: str, form: str) -> None:
    """Raise InputError unless a path suits a format.

    It must end with .zip or with the suffix of the format. For a format of several
    files it must be a .zip or a folder.

    Args:
      output: the path.
      form: one of `WRITERS`.
    """
    suffix = pathlib.PurePath(output).suffix.lower()
    format_suffix = WRITERS[form].suffix
    if suffix == ".zip":
        return
    if format_suffix:
        suits = suffix == format_suffix
        needed = f"a {format_suffix}"
    else:
        suits = suffix not in (".json", ".xml")
        needed = "a folder"
    if not suits:
        raise InputError(f"--output={output}: --format={form} needs {needed} or a .zip")


def save(video: TrackedVideo, output: str, form: str, *, masks: bool = False) -> None:
    """Write an export. An existing file is replaced; a folder must be new or empty.

    Args:
      video: the tracks in the frames to write, see `keep_key_frames` and
        `select_frames`.
      output: the path of a file, a zip or a folder, see `check_output`.
      form: one of `WRITERS`.
      masks: whether shapes are masks; otherwise polygons.

    Raises:
      InputError: the format cannot represent the video, or the folder is not empty.
    """
    writer = WRITERS[form]
    files = writer.write(video, masks=masks)

    def write_zip(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files:
                archive.writestr(name, content)

    if output.lower().endswith(".zip"):
        write_file(output, write_zip)
    elif writer.suffix:
        ((_, content),) = files
        write_file(output, lambda file: file.write(content))
    else:
        with whole_folder(output, replace=False) as folder:
            for name, content in files:
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
