"""Names of videos, in the forms in which files, folders and tools write them."""

from __future__ import annotations

import pathlib
import re
import unicodedata
from typing import NamedTuple

# Source: cvat-ai/cvat, `engine/utils.py` (`build_annotations_file_name`).
_DOWNLOAD = re.compile(
    r"(?:task|job|project)_(.+)_(?:annotations|dataset)_[0-9]{4}(?:_[0-9]{2}){5}_.+"
)


def name_of(file: str, is_folder: bool) -> str:
    """Return a video's name: that of its file without suffix, or that of its folder.

    Args:
      file: the name of the video file, or of the folder of images.
      is_folder: whether it is a folder of images, whose whole name counts.
    """
    return file if is_folder else pathlib.PurePath(file).stem


def name_of_path(path: pathlib.Path) -> str:
    """Return the name of an existing video file or folder of images."""
    return name_of(path.name, path.is_dir())


def name_in_download(file: str) -> str | None:
    """Return the name of a task from the name of a file that CVAT has exported.

    For example, the name in task_Clip 1_annotations_2026_01_31_09_30_12_coco 1.0.zip is
    'clip 1'.

    Args:
      file: the name of the file.

    Returns:
      the name in lower case, as most versions write it; None if the file has no such
      name, or if it has the task's number instead, as newer versions write.
    """
    parts = _DOWNLOAD.fullmatch(file.lower())
    if parts is None or parts[1].isdigit():
        return None
    return parts[1]


class NameForms(NamedTuple):
    """Two forms of a video's name that stay the same when a tool changes the name.

    Two names may mean one video if they have a form in common. Tools change case and
    separators, and macOS changes the form of accents. A plus is no separator. A
    separator between numbers and a minus sign are never left out, so that 1_1 is not
    11, and temp-5 is not temp5.

    Attributes:
      separated: the name in lower case with '_' for each run of separators.
      joined: the name in lower case without blanks, underscores, brackets and quotes.
    """

    separated: str
    joined: str

    @classmethod
    def of(cls, name: str) -> NameForms:
        """Return the two forms of a video's name.

        Args:
          name: the name, as a folder or a tool spells it.
        """
        text = unicodedata.normalize("NFC", name).lower()
        separated = re.sub(r"(?:[^\w+]|_)+", "_", text)
        omissible = r"[\s_()\[\]'\u2019]+"
        joined = re.sub(rf"(?<!\d){omissible}|{omissible}(?!\d)", "", text)
        return cls(separated, joined)
