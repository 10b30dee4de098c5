"""The names of videos: of files and folders, and as tools change them."""

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
    """Return the name of a video, as names of its frames contain it.

    A folder of images gives its whole name, a video file its name without the suffix.
    """
    return file if is_folder else pathlib.PurePath(file).stem


def name_of_path(path: pathlib.Path) -> str:
    """Return the name of a video that is there, by `name_of`."""
    return name_of(path.name, path.is_dir())


def name_in_download(file: str) -> str | None:
    """Return the name of a task in that of a file or folder that CVAT has exported.

    Such as 'clip 1' of 'task_Clip 1_annotations_2026_01_31_09_30_12_coco 1.0.zip', in
    lower case, as most versions write it. None if the file is called otherwise, or the
    name is a number: newer versions write that of the task, which names no video.
    """
    parts = _DOWNLOAD.fullmatch(file.lower())
    if parts is None or parts[1].isdigit():
        return None
    return parts[1]


class NameForms(NamedTuple):
    """Two forms of a name that are alike however a tool changed it.

    Tools change cases and separators, and macOS the form of accents. A plus is no
    separator, and what stands between numbers or is a minus is not left out: 1_1 is not
    11, nor is temp-5 temp5.

    Attributes:
      separated: with a single kind of separator.
      joined: without blanks, brackets and quotes.
    """

    separated: str
    joined: str

    @classmethod
    def of(cls, name: str) -> NameForms:
        """Return the forms of a name."""
        text = unicodedata.normalize("NFC", name).lower()
        separated = re.sub(r"(?:[^\w+]|_)+", "_", text)
        omissible = r"[\s_()\[\]'\u2019]+"
        joined = re.sub(rf"(?<!\d){omissible}|{omissible}(?!\d)", "", text)
        return cls(separated, joined)
