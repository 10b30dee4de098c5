"""The names of videos: of files and folders, and as tools change them."""

from __future__ import annotations

import pathlib
import re
import unicodedata
from typing import NamedTuple


def name_of(file: str, is_folder: bool) -> str:
    """Return the name of a video, as names of its frames contain it.

    A folder of images gives its whole name, a video file its name without the suffix.
    """
    return file if is_folder else pathlib.PurePath(file).stem


def name_of_path(path: pathlib.Path) -> str:
    """Return the name of a video that is there, by `name_of`."""
    return name_of(path.name, path.is_dir())


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
