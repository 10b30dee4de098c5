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
    """The type of the functions that make the files of an export in one format."""

    def __call__(
        self, video: TrackedVideo, *, masks: bool
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the (name, content) of each file of an export.

        Args:
          video: the tracks in the frames to export.
          masks: whether shapes are written as masks; otherwise as polygons. If the
            network predicted boxes alone, they are written as boxes.
        """


class FormatWriter(NamedTuple):
    """How a format of an annotation tool is written.

    Attributes:
      write: a function that makes the content of the files.
      suffix: the suffix of the only file; '' if the format is a folder of files.
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
    """Raise InputError unless the path of an export suits its format.

    It must end with .zip or with the suffix of the format. For a format of several
    files it must be a .zip or a folder.

    Args:
      output: the path, a value of --output.
      form: the name of the format, one of `WRITERS`.
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
    """Write the tracks of a video as an export for an annotation tool.

    The export is written completely or not at all. An existing file is replaced; a
    folder must be new or empty.

    Args:
      video: the tracks in the frames to export, as `keep_key_frames` or `select_frames`
        returns them.
      output: the path of a file, a .zip or a folder, which `check_output` has accepted.
      form: the name of the format, one of `WRITERS`.
      masks: whether shapes are written as masks; otherwise as polygons, or as boxes if
        the network predicted boxes alone.

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
