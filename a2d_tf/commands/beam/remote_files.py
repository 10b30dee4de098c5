"""Files that Beam's file systems reach, and their copies on this machine.

A path with a scheme, `gs://bucket/videos`, is a URL here. TensorFlow and the decoders
read and write local files: inputs are copied into a folder of this machine, outputs out
of it. Other paths are on a disk that all workers mount; they are used without a copy.
"""

from __future__ import annotations

import glob
import hashlib
import os
import pathlib
import posixpath
import re
import shutil
from collections.abc import Callable, Iterable
from concurrent import futures
from typing import Any

from a2d_tf.core.errors import InputError
from a2d_tf.core.locks import locked

_TRANSFERS = 16  # files that are copied at once


def _systems():
    from apache_beam.io.filesystems import FileSystems  # here, because Beam is an extra

    return FileSystems


def join(folder: str, *names: str) -> str:
    return _systems().join(folder, *names)


def read(path: str) -> bytes:
    """Read a file, whatever its suffix says of compression."""
    with _systems().open(path, compression_type="uncompressed") as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    with _systems().create(path, compression_type="uncompressed") as file:
        file.write(data)


def delete(paths: Iterable[str], more: str = "") -> None:
    """Delete files; `more` is a pattern that follows each path."""
    # Beam takes them for patterns
    _systems().delete([_escaped(path) + more for path in paths])


def _escaped(path):
    """A URL or a path that as a glob is only itself."""
    scheme, separator, rest = path.rpartition("://")
    return f"{scheme}{separator}{glob.escape(rest)}"


def listing(url: str) -> tuple[str, dict[str, Any]]:
    """List the files below a URL, or itself, or those that it matches as a glob.

    Returns:
      (a URL; {name below it: Beam's metadata}, where "" is the URL itself).

    Raises:
      InputError: it cannot be listed.
    """
    base = url.rstrip("/")
    fixed = re.split(r"[*?[]", base)[0].rpartition("/")[0]
    patterns = (base, f"{_escaped(base)}/**"), (base, _escaped(base)), (fixed, base)
    for root, pattern in patterns:
        try:
            (found,) = _systems().match([pattern])
        except Exception as error:  # each file system has its own
            raise InputError(f"{url}: cannot be listed ({error})") from error
        names = {
            entry.path[len(root) :].lstrip("/"): entry for entry in found.metadata_list
        }
        # A name with .. would lead out of the folder of its copy.
        safe = {
            name: names[name] for name in sorted(names) if ".." not in name.split("/")
        }
        if safe:
            return root, safe
    return base, {}


def get(
    url: str, place: str, contents: Callable[[str], bool] | None = None, ends: int = 0
) -> str:
    """Copy a file, or the files below a URL or of a glob, to a path of this machine.

    Args:
      url: may name nothing yet.
      place: path of the copy.
      contents: name below the URL -> whether to copy; by default all.
      ends: bytes to copy of the start and the end of the other files, which then have
        their size; 0 leaves them empty.

    Returns:
      the URL that `place` stands for.
    """
    root, there = listing(url)

    def fetch(name: str) -> None:
        path = os.path.join(place, name) if name else place
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as copy:
            whole = contents is None or contents(name)
            if not whole and not ends:
                return
            source, size = there[name].path, there[name].size_in_bytes
            with _systems().open(source, compression_type="uncompressed") as file:
                if whole:
                    shutil.copyfileobj(file, copy, 1 << 20)
                    return
                copy.truncate(size)
                for start in (0, max(0, size - ends)):
                    file.seek(start)
                    copy.seek(start)
                    copy.write(file.read(ends))

    _each(fetch, there)
    return root


def put(folder: str, url: str, last: str | None = None) -> None:
    """Copy the files of a folder of this machine to a URL; that of the name `last`
    at the end.
    """
    paths = (path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    names = {str(path.relative_to(folder)) for path in paths}

    def send(name: str) -> None:
        with open(os.path.join(folder, name), "rb") as file:
            with _systems().create(
                join(url, name), compression_type="uncompressed"
            ) as copy:
                shutil.copyfileobj(file, copy, 1 << 20)

    _each(send, names - {last})
    if last in names:
        send(last)


def _each(function, names):
    with futures.ThreadPoolExecutor(_TRANSFERS) as pool:
        list(pool.map(function, names))


def ensure(url: str, place: str) -> None:
    """Copy what a URL names to its `place_of_copy`, unless it is there; several
    processes may.
    """
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with locked(f"{place}.lock"):
        if not os.path.exists(place):
            partial = f"{place}.partial"
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
            get(url, partial)
            os.replace(partial, place)


def place_of_copy(url: str, folder: str) -> str:
    """Return where `ensure` puts a URL: another place once a file of it has changed;
    InputError where nothing is there.
    """
    _, there = listing(url)
    if not there:
        raise InputError(f"{url}: no such file or folder")
    state = [
        (e.path, e.size_in_bytes, e.last_updated_in_seconds) for e in there.values()
    ]
    key = hashlib.sha256(repr((url, state)).encode()).hexdigest()[:16]
    return os.path.join(folder, key, posixpath.basename(url.rstrip("/")))
