"""Read text, JSON and arrays, and write files and folders atomically.

A reader finds the old file or the new one, never a part.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import hashlib
import io
import json
import os
import pathlib
import re
import secrets
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Callable, Union

import numpy as np

from a2d_tf.core.errors import MAX_NAME, InputError, shown

Path = Union[str, os.PathLike]
_LOCK = "lock"  # of a process that is at work in a hidden folder
_LARGEST = 1e300  # of a JSON number, which can be NaN, infinite or of any length
_BUILT_IN = (
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
UNREADABLE = (*_BUILT_IN, zipfile.BadZipFile, zlib.error)
"""The exceptions that h5py, NumPy and zipfile raise for a damaged file."""


def read_text(path: Path) -> str:
    """Read a text file without a byte order mark; OSError, or InputError where it is
    not UTF-8.
    """
    try:
        return pathlib.Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text ({error}); save it as UTF-8"
        ) from error


def csv_of(path: Path, count: int | None = None) -> list[list[str]]:
    """Read the rows below the header of a CSV that `write_csv` wrote; `count`, if
    given, are there.

    Raises:
      InputError: the file is cut.
      OSError: it cannot be read.
    """
    text = read_text(path)
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    if not text.endswith("\n") or count not in (None, len(rows)):
        raise InputError(f"{path}: truncated; remove it, and predict again")
    return rows


def load_json(path: Path, kind: Any, remedy: str) -> Any:
    """Read a JSON file and check its fields; fields that `kind` does not name may be
    anything.

    Args:
      kind: what the file holds, as for `check_json`.
      remedy: what to do about a missing or damaged file; ends the error.

    Raises:
      InputError: no such file, or a damaged one; names file, field and remedy.
    """
    try:
        value = json.loads(pathlib.Path(path).read_bytes())
        check_json(value, kind)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {problem}; {remedy}") from error
    return value


def check_json(value: Any, kind: Any, where: str = "") -> None:
    """Check a value that was read from JSON.

    Args:
      kind: one of
        - a type; float takes any finite number, int and bool are apart;
        - [kind]: a list of such values;
        - {name: kind}: an object with these fields and perhaps others; 'name?' may be
          missing;
        - {str: kind}: an object with such values under any names;
        - (kind, ...): one of these; None is null;
        - a function that raises ValueError for a wrong value, as `kind_of` and those
          below return.
      where: the value's place in the file.

    Raises:
      ValueError: a value is missing or wrong; names its place, such as files[0].bytes.
    """
    wrong = False
    if isinstance(kind, tuple):
        for each in kind:
            with contextlib.suppress(ValueError):
                return check_json(value, each, where)
        wrong = True
    elif isinstance(kind, list):
        wrong = type(value) is not list
        for i, each in enumerate(() if wrong else value):
            check_json(each, kind[0], f"{where}[{i}]")
    elif isinstance(kind, dict):
        wrong, prefix = type(value) is not dict, f"{where}." if where else ""
        for name, each in () if wrong else kind.items():
            if name is str:
                for key, field in value.items():
                    check_json(field, each, f"{prefix}{shown(key)}")
            elif name.rstrip("?") in value or not name.endswith("?"):
                check_json(
                    value.get(name.rstrip("?")), each, f"{prefix}{name.rstrip('?')}"
                )
    elif kind is float:
        wrong = type(value) not in (int, float) or not -_LARGEST < value < _LARGEST
    elif isinstance(kind, type) or kind is None:
        wrong = type(value) is not kind if kind else value is not None
    else:
        try:
            kind(value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}" if where else str(error)) from error
    if wrong:
        raise ValueError(
            f"{where or 'content'}: {shown(value)} is missing or has the wrong type"
        )


def whole(least: int = 0, most: int = 2**53) -> Callable[[Any], None]:
    """Return a kind for `check_json`: whole numbers of a range."""
    return number(least, most, "an integer", (int,))


def number(
    least: float,
    most: float,
    what: str = "a number",
    types: tuple[type, ...] = (int, float),
) -> Callable[[Any], None]:
    """Return a kind for `check_json`: numbers of a range, of these types."""
    return kind_of(
        lambda value: type(value) in types and least <= value <= most,
        f"{what} from {least} to {most}",
    )


def one_of(*values: Any) -> Callable[[Any], None]:
    """Return a kind for `check_json`: one of these values."""
    what = f"{'one of ' * (len(values) > 1)}{', '.join(map(str, values))}"
    return kind_of(lambda value: value in values, what)


def kind_of(right: Callable[[Any], bool], what: str) -> Callable[[Any], None]:
    """Return a kind for `check_json`: values of which `right` is true; `what` names
    them.
    """

    def check(value: Any) -> None:
        if not right(value):
            raise ValueError(f"{shown(value)} is not {what}")

    return check


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file in hexadecimal, by an algorithm of `hashlib`."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz, none pickled; one of UNREADABLE where it is none,
    or damaged.
    """
    with np.load(path, allow_pickle=False) as entries:
        return dict(entries)


def is_file_name(name: str) -> bool:
    """Return whether a video may have this name, which becomes part of paths of
    outputs.
    """
    return (
        name not in ("", ".", "..")
        and not re.search(r"[/\\\x00-\x1f\x7f\ud800-\udfff]", name)
        and len(name.encode()) <= MAX_NAME
    )


def is_frame_name(name: str) -> bool:
    """Return whether a name is `<video>/<frame>`, as in files of truth and
    detections.
    """
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
    """Create or replace a file; errors as of `write_file`."""
    write_file(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Create or replace a UTF-8 text file; errors as of `write_file`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, sort_keys: bool = False) -> None:
    """Create or replace a JSON file, indented; InputError where it cannot be
    written.
    """
    text = json.dumps(value, indent=1, sort_keys=sort_keys, allow_nan=False)
    write_text(path, text + "\n")


def write_csv(path: Path, rows: Iterable[Iterable[Any]], delimiter: str = ",") -> None:
    """Create or replace a CSV; InputError where it cannot be written."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def check_place(
    place: str, marks: Sequence[str] = (), kind: str = "an empty folder"
) -> None:
    """Check that `place` is free, an empty folder, or a folder of the same kind to
    replace.

    Args:
      marks: files that every such folder has; empty if nothing may be replaced.
      kind: what messages call such a folder.

    Raises:
      InputError: something else is there.
    """
    known = marks and all(os.path.isfile(os.path.join(place, name)) for name in marks)
    empty = os.path.isdir(place) and not os.listdir(place)
    if os.path.lexists(place) and not known and not empty:
        raise InputError(
            f"{place}: already exists and is not {kind}; use another --output"
        )


@contextlib.contextmanager
def hidden_folder(parent: str, prefix: str) -> Iterator[tuple[str, bool]]:
    """Yield a new folder, removed at the end, and whether it is the only one in use in
    `parent`.

    Folders of killed processes are removed: nobody holds the lock in them.

    Raises:
      OSError: it cannot be made.
    """
    parent = os.path.abspath(parent)  # as mkdtemp names folders from Python 3.12 on
    pattern = os.path.join(glob.escape(parent), f"{prefix}*", _LOCK)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as own:
        new, lock, alone = os.path.join(own, "new_lock"), os.path.join(own, _LOCK), True
        with locked(new):
            os.rename(new, lock)  # held before others can find it
            with locked(lock, wait=False) as lockless:
                for other in [] if lockless else glob.glob(pattern):
                    with locked(other, wait=False) as left:
                        if left:
                            shutil.rmtree(os.path.dirname(other), ignore_errors=True)
                    alone = alone and (left or other == lock)
            yield own, alone


@contextlib.contextmanager
def whole_folder(place: str, replace: bool = True) -> Iterator[str]:
    """Yield an empty folder that afterwards takes `place`; after an error nothing has
    changed.

    Args:
      place: path; replace: whether a folder there is replaced, else it must be empty.

    Raises:
      InputError: it cannot be written.
    """
    parent = os.path.dirname(os.path.abspath(place))
    if os.path.ismount(place):
        raise InputError(
            f"{place}: a mount point, which cannot be replaced; use a folder in it"
        )
    if not replace:
        check_place(place)
    try:
        os.makedirs(parent, exist_ok=True)
        with hidden_folder(parent, ".partial-") as (partial, _):
            new = os.path.join(partial, "new")
            os.mkdir(new)
            yield new
            if replace:
                replace_folder(new, place, os.path.join(partial, "old"))
            else:
                os.replace(new, place)
    except OSError as error:
        raise InputError(f"{place}: cannot be written ({error})") from error


def replace_folder(new: str, place: str, old: str) -> None:
    """Move folder `new` to `place`, and what is there to `old`; undo that if it
    fails.
    """
    if os.path.isdir(place):
        os.replace(place, old)
    try:
        os.replace(new, place)
    except OSError:
        if os.path.isdir(old):
            os.replace(old, place)
        raise


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file, and yield whether this process holds it; with `wait` it
    always does.

    The file is made if missing, and stays. Where the file system has no locks, each
    process holds it. InputError where the file cannot be made.
    """
    import fcntl  # late: Windows has none

    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        file = open(path, "ab")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    with file:
        held = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            held = False
        except OSError:
            pass  # such as ENOLCK of a network file system
        yield held
