"""Files that Beam's file systems reach, and their copies on this machine.

A path with a scheme, `gs://bucket/videos`, is a URL here. What TensorFlow and the decoders read is
copied into a folder of this machine, what they write from there. Other paths are of a disk that all
workers see, and nothing is copied.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import posixpath
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any

from a2d_tf.core.errors import InputError
from a2d_tf.core.locks import HiddenFolder, locked, sweep

_SCRATCH = ".scratch-"
_TRANSFERS = 16  # files that are copied at once


def is_url(path: str | None) -> bool:
    """Whether a path has a scheme."""
    return bool(path and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path))


def join(folder: str, *names: str) -> str:
    """Join names to a path or a URL."""
    if is_url(folder):
        return "/".join([folder.rstrip("/"), *names])
    return os.path.join(folder, *names)


def connect(words: Sequence[str]) -> None:
    """In a worker: make the file systems of the command line, and their options, known."""
    from a2d_tf.commands.beam import pipeline

    options = pipeline.options(words)
    _systems().set_options(options)


def _systems() -> Any:
    from apache_beam.io.filesystems import FileSystems

    return FileSystems


def read(path: str) -> bytes:
    """Read a file."""
    from apache_beam.io.filesystem import CompressionTypes

    with _systems().open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    """Create or replace a file, whole where the file system renames."""
    temporary = f"{path}.{secrets.token_hex(8)}.tmp"
    with _create(temporary) as file:
        file.write(data)
    delete([path])
    _systems().rename([temporary], [path])


def _create(path):
    from apache_beam.io.filesystem import CompressionTypes

    return _systems().create(path, compression_type=CompressionTypes.UNCOMPRESSED)


def delete(paths: Iterable[str]) -> None:
    """Delete files, if they are there."""
    there = [path for path in paths if _systems().exists(path)]
    # Beam takes what it is given for patterns.
    _systems().delete([escape(path) for path in there])


def listing(url: str) -> dict[str, Any]:
    """List the files below a URL, or itself, or those that it matches as a glob.

    Returns:
      {URL: Beam's metadata}; of a file alone its own.

    Raises:
      InputError: it cannot be listed.
    """
    url = url.rstrip("/")
    for pattern in dict.fromkeys((f"{escape(url)}/**", escape(url), url)):
        there = matches(pattern, url)
        if there:
            return there
    return {}


def matches(pattern: str, url: str | None = None) -> dict[str, Any]:
    """List the files that a glob matches, as `listing` does; errors name `url`, or the glob."""
    try:
        (found,) = _systems().match([pattern])
    except Exception as error:  # each file system has its own
        raise InputError(f"{url or pattern}: cannot be listed ({error})") from error
    return {entry.path: entry for entry in sorted(found.metadata_list, key=lambda e: e.path)}


def escape(path: str) -> str:
    """Escape a URL or a path so that as a glob it is only itself."""
    scheme, separator, rest = path.partition("://") if is_url(path) else ("", "", path)
    return f"{scheme}{separator}{glob.escape(rest)}"


def relative(path: str, url: str) -> str:
    """The part of a path in a listing that is below `url`; its name where it is `url` itself."""
    root = url.rstrip("/") + "/"
    name = path[len(root) :] if path.startswith(root) else posixpath.basename(path)
    if not name or ".." in name.split("/") or os.path.isabs(name):
        raise InputError(f"{path}: cannot be copied, for its name leads out of {url}; rename it")
    return name


def get(url: str, place: str) -> None:
    """Copy a file, or all files below a URL, to a path of this machine.

    Raises:
      InputError: nothing is there, or it cannot be read.
    """
    there = listing(url)
    if not there:
        raise InputError(f"{url}: no such file or folder")
    alone = list(there) == [url]
    targets = {path: place if alone else os.path.join(place, relative(path, url)) for path in there}
    _each(_get_file, targets.items())


def get_files(targets: dict[str, str]) -> None:
    """Copy files, {URL: path of this machine}."""
    _each(_get_file, targets.items())


def put(folder: str, url: str, last: str | None = None) -> None:
    """Copy the files of a folder of this machine to a URL; that of the name `last` at the end."""
    paths = [path for path in glob.glob(f"{glob.escape(folder)}/**", recursive=True)]
    names = [os.path.relpath(path, folder) for path in paths if os.path.isfile(path)]
    pairs = [(os.path.join(folder, name), join(url, name)) for name in names if name != last]
    _each(_put_file, pairs)
    if last:
        with open(os.path.join(folder, last), "rb") as file:
            write(join(url, last), file.read())


@contextlib.contextmanager
def scratch(folder: str) -> Iterator[str]:
    """A new folder in `folder`, for a while; those of processes that were killed are removed."""
    _check_own(folder)
    sweep(folder, _SCRATCH)
    with HiddenFolder(folder, _SCRATCH) as hidden:
        place = os.path.join(hidden.path, "files")
        os.mkdir(place)
        yield place


def _check_own(folder):
    """Make a folder that is this user's alone; others could put a model of theirs into another."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.path.islink(folder) or os.stat(folder).st_uid != os.getuid():
        raise InputError(f"{folder}: not a folder of this user; give one by --staging")


def _each(copy, pairs):
    with futures.ThreadPoolExecutor(_TRANSFERS) as pool:
        list(pool.map(copy, pairs))


def _get_file(pair):
    from apache_beam.io.filesystem import CompressionTypes

    source, place = pair
    os.makedirs(os.path.dirname(place), exist_ok=True)
    try:
        with _systems().open(source, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            with open(place, "wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
    except Exception as error:  # each file system has its own
        raise InputError(f"{source}: cannot be copied to this machine ({error})") from error


def _put_file(pair):
    with open(pair[0], "rb") as file, _create(pair[1]) as copy:
        shutil.copyfileobj(file, copy, 1 << 20)


def ensure(url: str, place: str) -> None:
    """Copy what a URL names to its `place_of_copy`, unless it is there; several processes may."""
    _check_own(os.path.dirname(os.path.dirname(place)))
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with locked(f"{place}.lock"):
        if os.path.exists(place):
            return
        partial = f"{place}.partial"
        with contextlib.suppress(FileNotFoundError):  # of a killed process
            shutil.rmtree(partial) if os.path.isdir(partial) else os.remove(partial)
        get(url, partial)
        os.replace(partial, place)


def place_of_copy(url: str, folder: str) -> str:
    """Where `ensure` puts a URL as it is now: another place once a file of it has changed."""
    there = listing(url)
    if not there:
        raise InputError(f"{url}: no such file or folder")
    state = [
        (path, entry.size_in_bytes, entry.last_updated_in_seconds) for path, entry in there.items()
    ]
    key = hashlib.sha256(repr((url, state)).encode()).hexdigest()[:16]
    return os.path.join(folder, key, posixpath.basename(url.rstrip("/")))


def outline(url: str, folder: str) -> tuple[str, tuple[str, str]]:
    """Make empty files of the names and sizes of those below a URL, in a new `folder`.

    Returns:
      (the path that stands for the URL, which is a glob where the URL is one; the pair of a folder
      and the URL that it stands for, as `url_of` takes it).
    """
    there, base = listing(url), url.rstrip("/")
    if list(there) == [base]:
        base = posixpath.dirname(base)
    while glob.has_magic(base):
        base = posixpath.dirname(base)
    root = os.path.join(folder, posixpath.basename(base))
    os.makedirs(root, exist_ok=True)
    for path, entry in there.items():
        place = os.path.join(root, relative(path, base))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.truncate(entry.size_in_bytes)
    return os.path.join(root, url.rstrip("/")[len(base) :].lstrip("/")).rstrip("/"), (root, base)


def url_of(path: str, stands: Iterable[tuple[str, str]]) -> str | None:
    """The URL that a path stands for, by pairs of a folder and its URL; None for other paths."""
    for folder, url in stands:
        if path == folder or path.startswith(folder + os.sep):
            return (url.rstrip("/") + path[len(folder) :].replace(os.sep, "/")).rstrip("/")
    return None
