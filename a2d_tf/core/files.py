"""Read text, CSV and arrays, and write files atomically.

A reader finds the old file or the new one, never a part.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pathlib
import re
import secrets
import zipfile
import zlib
from collections.abc import Iterable
from typing import Any, BinaryIO, Callable, Union

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.limits import MAX_NAME

Path = Union[str, os.PathLike]
UNREADABLE = (
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""The exceptions that h5py, NumPy and zipfile raise for a damaged file."""


def read_text(path: Path) -> str:
    """Read a text file in UTF-8; a byte order mark at its start is left out.

    Raises:
      InputError: the file is not UTF-8.
      OSError: the file cannot be read.
    """
    try:
        return pathlib.Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text ({error}); save it as UTF-8"
        ) from error


def read_csv(path: Path, remedy: str, count: int | None = None) -> list[list[str]]:
    """Read the rows of a CSV that `write_csv` wrote, without its header.

    Args:
      path: the file.
      remedy: what the user can do about a damaged file; the error message ends with it.
      count: number of rows that the file must have; None for any number.

    Returns:
      the text of each cell, row by row.

    Raises:
      InputError: the file is truncated, or a row has not a cell for each column.
      OSError: the file cannot be read.
    """
    text = read_text(path)
    if not text.endswith("\n"):
        raise InputError(f"{path}: truncated; {remedy}")
    try:
        header, *rows = csv.reader(io.StringIO(text, newline=""))
    except csv.Error as error:  # such as a NUL, in Python 3.10
        raise InputError(f"{path}: damaged ({error}); {remedy}") from error
    if count not in (None, len(rows)):
        raise InputError(f"{path}: truncated; {remedy}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InputError(
                f"{path}: row {number} has {len(row)} cells, not {len(header)};"
                f" {remedy}"
            )
    return rows


def cell_number(cell: str, path: Path, column: str, remedy: str) -> float:
    """Convert a cell of a CSV to a number.

    Args:
      cell: the cell's text.
      path: the file, for the error message.
      column: name of the cell's column, for the error message.
      remedy: what the user can do about a damaged file; the error message ends with it.

    Raises:
      InputError: the text is no number.
    """
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(
            f"{path}: {column} is {cell!r}, which is no number; {remedy}"
        ) from error


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file; pickled objects are refused.

    Returns:
      {name: array}.

    Raises:
      one of UNREADABLE: the file is missing, damaged or no .npz.
    """
    with np.load(path, allow_pickle=False) as entries:
        return dict(entries)


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file's content, in hexadecimal.

    Args:
      path: the file, which is read in blocks.
      algorithm: name of an algorithm of `hashlib`.

    Raises:
      OSError: the file cannot be read.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def is_file_name(name: str) -> bool:
    """Return whether a video may have this name, which is part of paths of outputs.

    It must have no slash or control character, and at most `MAX_NAME` bytes.
    """
    if name in ("", ".", "..") or re.search(r"[/\\\x00-\x1f\x7f\ud800-\udfff]", name):
        return False
    return len(name.encode()) <= MAX_NAME


def is_frame_name(name: str) -> bool:
    """Return whether a name is a frame's: '<video>/<frame>', as in detections.npz."""
    video, _, frame = name.rpartition("/")
    return is_file_name(video) and is_file_name(frame)


def write_file(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Create or replace a file atomically: readers find the old one or the new one.

    Missing parent folders are made. The content first goes to a temporary file beside
    `path`, which is then renamed.

    Args:
      path: the file.
      write: function that writes the content to the binary file that it is given.

    Raises:
      InputError: the file cannot be written, or the path is of a folder, a pipe or a
        device.
    """
    path = os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path):  # /dev/null would be replaced
        raise InputError(f"{path}: is a folder, a pipe or a device; choose a file name")
    # Process numbers alone may be the same on two machines that share a disk.
    temporary = f"{path}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                write(file)
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.remove(temporary)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Create or replace a file atomically; raise InputError as `write_file` does."""
    write_file(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Create or replace a UTF-8 file atomically; raise errors as `write_file` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, sort_keys: bool = False) -> None:
    """Create or replace an indented JSON file atomically.

    Args:
      path: the file.
      value: the content; NaN and infinity are refused.
      sort_keys: whether the fields of objects are sorted by name.

    Raises:
      InputError: the file cannot be written.
      ValueError: the content has a number that is not finite.
    """
    text = json.dumps(value, indent=1, sort_keys=sort_keys, allow_nan=False)
    write_text(path, text + "\n")


def write_csv(path: Path, rows: Iterable[Iterable[Any]], delimiter: str = ",") -> None:
    """Create or replace a CSV atomically; raise InputError as `write_file` does.

    Args:
      path: the file.
      rows: the cells of each row, the header first.
      delimiter: character between cells.
    """
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())
