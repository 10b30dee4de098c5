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
    """Return the URL or path of names below a folder."""
    return _file_systems().join(folder, *names)


def read(path: str) -> bytes:
    """Return the bytes of a file at a URL or path; a .gz is not decompressed."""
    with _file_systems().open(path, compression_type="uncompressed") as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    """Write bytes to a file at a URL or path; a .gz is not compressed."""
    with _file_systems().create(path, compression_type="uncompressed") as file:
        file.write(data)


def delete(paths: Iterable[str], suffix_pattern: str = "") -> None:
    """Delete files.

    Args:
      paths: URLs or paths; they are no globs.
      suffix_pattern: a glob that is appended to each path, so that all files with this
        beginning are deleted; by default the path itself is deleted.
    """
    # Beam takes the paths for patterns, too.
    _file_systems().delete([_escaped(path) + suffix_pattern for path in paths])


def _escaped(path: str) -> str:
    """Return a URL or path so that as a glob it matches only itself."""
    scheme, separator, rest = path.rpartition("://")
    return f"{scheme}{separator}{glob.escape(rest)}"


class Listing(NamedTuple):
    """The files that a URL names.

    Attributes:
      root: the URL of the folder that the names of files are relative to.
      files: {name: Beam's `FileMetadata`}, sorted by name. If `root` is itself a file,
        its name is "".
    """

    root: str
    files: dict[str, Any]


def list_files(url: str) -> Listing:
    """List the files of a URL: a folder, a single file, or a glob.

    Returns:
      all files below a folder, the file itself, or the files that match the glob, in
      this order of preference; no files if nothing is there.

    Raises:
      InputError: the file system cannot list the URL.
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
    """Copy the files of a URL to this machine.

    Args:
      url: a file, a folder or a glob. If nothing is there, nothing is copied.
      path: the local path of the copy of the file or folder.
      is_needed: tells by the name of a file below the URL whether its whole content is
        copied; None copies the content of all files.
      end_bytes: the number of bytes to copy from the start and from the end of each
        other file, whose copy then has the full size; 0 leaves the copy empty.

    Returns:
      the URL of the folder or file that `path` is a copy of.
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
    """Copy all files of a local folder to a URL.

    Args:
      folder: the local folder; its subfolders are copied, too.
      url: the URL of the folder to write.
      last: the name of a file that is copied after all others, because its presence
        says that they are complete; None if there is no such file.
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
    """Copy the files of a URL to this machine, unless the copy is there.

    Several processes may call it at once: one copies, the others wait.

    Args:
      url: a file, a folder or a glob.
      path: the local path of the copy, as `path_of_copy` gives it.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with locked(f"{path}.lock"):
        if not os.path.exists(path):
            partial = f"{path}.partial"
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
            download(url, partial)
            os.replace(partial, path)


def path_of_copy(url: str, folder: str) -> str:
    """Return the local path for the copy of a URL, for `download_once`.

    The path has a hash of the names, sizes and times of the files, so that changed
    files get a new copy.

    Args:
      url: a file, a folder or a glob.
      folder: the local folder of all copies.

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
