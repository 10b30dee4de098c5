"""Files read whole and written atomically: a reader finds the old file or the new one, no part."""

from __future__ import annotations

import json
import os
import pathlib
import re
import secrets
from typing import Any, BinaryIO, Callable, Union

from a2d_tf.core.errors import InputError
from a2d_tf.core.limits import MAX_NAME

Path = Union[str, os.PathLike]


def read_text(path: Path) -> str:
    """Read a UTF-8 text file, without a byte order mark.

    Raises:
      OSError: no such file, or it cannot be read.
      ValueError: no UTF-8.
    """
    return pathlib.Path(path).read_bytes().decode("utf-8-sig")


def read_json(path: Path) -> Any:
    """Read a JSON file; errors as of `read_text`, ValueError where it is no JSON."""
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def is_file_name(name: str) -> bool:
    """Whether a video may have this name, which becomes part of the paths of every output."""
    return (
        name not in ("", ".", "..")
        and not re.search(r"[/\\\x00-\x1f\x7f\ud800-\udfff]", name)
        and len(name.encode()) <= MAX_NAME
    )


def is_frame_name(name: str) -> bool:
    """Whether it is `<video>/<frame>`, as frames are named in files of truth and detections."""
    video, _, frame = name.rpartition("/")
    return is_file_name(video) and is_file_name(frame)


def check_inside(path: Path, folder: Path, remedy: str) -> None:
    """Raise InputError, which ends with the remedy, where a link leads a path out of the folder."""
    real, root = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath([real, root]) != root:
        raise InputError(f"{path}: a link that leads out of {folder}; {remedy}")


def write_file(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Create or replace a file: `write(file)` fills a temporary binary file beside it.

    Missing parent folders are made.

    Raises:
      InputError: the file cannot be written, or the path is of a folder, a pipe or a device.
    """
    path = os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path):  # /dev/null would be replaced
        raise InputError(f"{path}: a folder, a pipe or a device is there; name a file")
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


def write_text(path: Path, text: str) -> None:
    """Create or replace a UTF-8 text file; InputError where it cannot be written."""
    write_file(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: Any, sort_keys: bool = False) -> None:
    """Create or replace a JSON file, indented; InputError where it cannot be written."""
    text = json.dumps(value, indent=1, sort_keys=sort_keys, allow_nan=False)
    write_text(path, text + "\n")
