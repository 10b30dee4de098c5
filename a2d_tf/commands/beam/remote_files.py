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
from typing import Any, NamedTuple

from a2d_tf.core.errors import InputError
from a2d_tf.core.locks import locked

_TRANSFERS = 16  # files that are copied at once


def _file_systems() -> Any:
    from apache_beam.io.filesystems import FileSystems  # here, because Beam is an extra

    return FileSystems


def join(folder: str, *names: str) -> str:
    """Join a URL, or a path, and names below it."""
    return _file_systems().join(folder, *names)


def read(path: str) -> bytes:
    """Read a file, whatever its suffix says of compression."""
    with _file_systems().open(path, compression_type="uncompressed") as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    """Write a file, whatever its suffix says of compression."""
    with _file_systems().create(path, compression_type="uncompressed") as file:
        file.write(data)


def delete(paths: Iterable[str], suffix_pattern: str = "") -> None:
    """Delete files; `suffix_pattern` is a glob that follows each path."""
    # Beam takes the paths for patterns, too.
    _file_systems().delete([_escaped(path) + suffix_pattern for path in paths])


def _escaped(path: str) -> str:
    """Return a URL or path so that as a glob it matches only itself."""
    scheme, separator, rest = path.rpartition("://")
    return f"{scheme}{separator}{glob.escape(rest)}"


class Listing(NamedTuple):
    """The files of a URL.

    Attributes:
      root: a URL, which their names are below.
      files: {name: Beam's metadata}, sorted; "" is the name of `root` itself.
    """

    root: str
    files: dict[str, Any]


def list_files(url: str) -> Listing:
    """List the files below a URL, or itself, or those that it matches as a glob.

    Raises:
      InputError: it cannot be listed.
    """
    base = url.rstrip("/")
    folder_of_glob = re.split(r"[*?[]", base)[0].rpartition("/")[0]
    roots_and_patterns = (
        (base, f"{_escaped(base)}/**"),
        (base, _escaped(base)),
        (folder_of_glob, base),
    )
    for root, pattern in roots_and_patterns:
        try:
            (match,) = _file_systems().match([pattern])
        except Exception as error:  # each file system has its own
            raise InputError(f"{url}: cannot be listed ({error})") from error
        files = {}
        for metadata in match.metadata_list:
            name = metadata.path[len(root) :].lstrip("/")
            # A name with .. would lead out of the folder of its copy.
            if ".." not in name.split("/"):
                files[name] = metadata
        if files:
            return Listing(root, dict(sorted(files.items())))
    return Listing(base, {})


def download(
    url: str,
    path: str,
    is_needed: Callable[[str], bool] | None = None,
    end_bytes: int = 0,
) -> str:
    """Copy a file, or the files below a URL or of a glob, to a path of this machine.

    Args:
      url: may name nothing yet.
      path: of the copy.
      is_needed: name below the URL -> whether to copy the content; by default all.
      end_bytes: number of bytes to copy of the start and of the end of the other files,
        which then have their size; 0 leaves them empty.

    Returns:
      the URL that `path` stands for.
    """
    listing = list_files(url)

    def copy(name: str) -> None:
        copy_path = os.path.join(path, name) if name else path
        os.makedirs(os.path.dirname(copy_path), exist_ok=True)
        is_whole = is_needed is None or is_needed(name)
        with open(copy_path, "wb") as target:
            if not is_whole and not end_bytes:
                return
            with _file_systems().open(
                listing.files[name].path, compression_type="uncompressed"
            ) as source:
                if is_whole:
                    shutil.copyfileobj(source, target, 1 << 20)
                    return
                size = listing.files[name].size_in_bytes
                target.truncate(size)
                for start in (0, max(0, size - end_bytes)):
                    source.seek(start)
                    target.seek(start)
                    target.write(source.read(end_bytes))

    _for_each(copy, listing.files)
    return listing.root


def upload(folder: str, url: str, last: str | None = None) -> None:
    """Copy the files of a folder of this machine to a URL.

    The file of the name `last` follows when all others are there.
    """
    names = set()
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            names.add(str(path.relative_to(folder)))

    def copy(name: str) -> None:
        with open(os.path.join(folder, name), "rb") as source:
            with _file_systems().create(
                join(url, name), compression_type="uncompressed"
            ) as target:
                shutil.copyfileobj(source, target, 1 << 20)

    _for_each(copy, names - {last})
    if last in names:
        copy(last)


def _for_each(function: Callable[[str], None], names: Iterable[str]) -> None:
    """Call a function with each name, several at once; raise its first error."""
    with futures.ThreadPoolExecutor(_TRANSFERS) as pool:
        list(pool.map(function, names))


def download_once(url: str, path: str) -> None:
    """Copy what a URL names to its `path_of_copy`, unless it is there.

    Several processes may do so at once.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with locked(f"{path}.lock"):
        if not os.path.exists(path):
            partial = f"{path}.partial"
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
            download(url, partial)
            os.replace(partial, path)


def path_of_copy(url: str, folder: str) -> str:
    """Return where `download_once` puts a URL: another path once a file has changed.

    Raises:
      InputError: the URL names nothing.
    """
    files = list_files(url).files
    if not files:
        raise InputError(f"{url}: no such file or folder")
    state = [
        (metadata.path, metadata.size_in_bytes, metadata.last_updated_in_seconds)
        for metadata in files.values()
    ]
    key = hashlib.sha256(repr((url, state)).encode()).hexdigest()[:16]
    return os.path.join(folder, key, posixpath.basename(url.rstrip("/")))
