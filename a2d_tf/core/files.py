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
    """Read a text file; a byte order mark is left out.

    Raises:
      InputError: the file is not UTF-8.
      OSError: it cannot be read.
    """
    try:
        return pathlib.Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text ({error}); save it as UTF-8"
        ) from error


def read_csv(path: Path, remedy: str, count: int | None = None) -> list[list[str]]:
    """Read the rows below the header of a CSV that `write_csv` wrote.

    Args:
      remedy: what to do about a damaged file; ends the error.
      count: the number of rows that there must be; by default any.

    Raises:
      InputError: the file is truncated, or a row has not a cell for each column.
      OSError: it cannot be read.
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
    """Return the number in a cell of a CSV.

    Args:
      path, column: of the cell, for the error.
      remedy: what to do about a damaged file; ends the error.

    Raises:
      InputError: it is no number.
    """
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(
            f"{path}: {column} is {cell!r}, which is no number; {remedy}"
        ) from error


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz, none of them pickled.

    Raises:
      one of UNREADABLE: the file is missing, damaged or no .npz.
    """
    with np.load(path, allow_pickle=False) as entries:
        return dict(entries)


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file in hexadecimal, by an algorithm of `hashlib`."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def is_file_name(name: str) -> bool:
    """Return whether a video may have this name, which is part of paths of outputs."""
    if name in ("", ".", "..") or re.search(r"[/\\\x00-\x1f\x7f\ud800-\udfff]", name):
        return False
    return len(name.encode()) <= MAX_NAME


def is_frame_name(name: str) -> bool:
    """Return whether a name is `<video>/<frame>`, as in `detections.npz`."""
    video, _, frame = name.rpartition("/")
    return is_file_name(video) and is_file_name(frame)


def write_file(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Create or replace a file: `write(file)` fills a temporary binary file beside it.

    Missing parent folders are made.

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
    """Create or replace a file; raise errors as `write_file` does."""
    write_file(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Create or replace a UTF-8 text file; raise errors as `write_file` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, sort_keys: bool = False) -> None:
    """Create or replace an indented JSON file; raise errors as `write_file` does."""
    text = json.dumps(value, indent=1, sort_keys=sort_keys, allow_nan=False)
    write_text(path, text + "\n")


def write_csv(path: Path, rows: Iterable[Iterable[Any]], delimiter: str = ",") -> None:
    """Create or replace a CSV; raise errors as `write_file` does."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())
