"""From a name to a file of imported weights, which is fetched and imported at its first use.

The cache is the folder that `--cache` or `$A2D_TF_CACHE` names, else `$XDG_CACHE_HOME/a2d_tf`, else
`~/.cache/a2d_tf`. In its `weights/` lie the published file under its own name and what was imported
from it, `coco.h5` and `imagenet.h5`. A published file that was put there by hand is taken as if it
had been fetched.
"""

import contextlib
import os
import pathlib

from a2d_tf.core.errors import InputError
from a2d_tf.data.manifest import file_digest
from a2d_tf.pretrained import download, layouts, tensor_files
from a2d_tf.pretrained.catalogue import PUBLISHED
from a2d_tf.pretrained.weights import Weights


def folder(given=None):
    """The cache's folder: `given`, or where the environment says."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    place = given or os.environ.get("A2D_TF_CACHE") or os.path.join(home, "a2d_tf")
    return pathlib.Path(place).expanduser().absolute()


def resolve(value):
    """The file that a value of `--init_rgb` or `--init_flow` means.

    A name of the catalogue is a name, whatever the working folder holds: a run's flags must mean
    the same everywhere. A file that is called so is written `./coco`.

    Returns:
      `get(value)` for a name; the value itself for a path.
    """
    return str(get(value)) if value in PUBLISHED else value


def get(name, cache=None, by_hand=None):
    """The imported weights that go by a name; fetched and imported where they are not in the cache.

    Args:
      name: a key of `PUBLISHED`.
      cache: the cache's folder; by default where the environment says.
      by_hand: folder of published files to import from; nothing is fetched then.

    Returns:
      path of a file for `Weights.read`.

    Raises:
      InputError: the published file cannot be had (the message says what to put where), or it is
        another one.
    """
    place = folder(cache) / "weights"
    imported = place / f"{name}.h5"
    if _readable(imported, quiet=True):
        return imported
    with _lock(place / f"{name}.lock"):
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


def _readable(path, quiet=False):
    if not path.exists():
        return False
    try:
        Weights.read(str(path))
    except InputError as error:
        if not quiet:
            print(f"{error}; this is done now", flush=True)
        return False
    return True


def _original(name, place, by_hand):
    """The published file, fetched where it is not there; checked in any case."""
    published = PUBLISHED[name]
    path = pathlib.Path(by_hand or place) / published.file
    facts = f"{published.size} bytes, md5 {published.md5}"
    if path.exists():
        print(f"{path}: found, checking", flush=True)
        wrong = download.difference(path, published.size, published.md5)
        if wrong:
            raise InputError(f"{path}: {wrong}; remove it, and get {published.url}")
    elif by_hand:
        raise InputError(
            f"{path}: no such file; --from names the folder of {published.file}, from "
            f"{published.url} ({facts})"
        )
    else:
        print(f"{name}: {published.url} ({facts}; {published.licence}) -> {path}", flush=True)
        try:
            download.fetch(published.url, path, published.size, published.md5, published.magic)
        except download.DownloadError as error:
            raise InputError(
                f"{error}. By hand: get {published.url} ({facts}), put it at {path}, and run this "
                f"again; or leave it in another folder: tools/get_weights.py {name} --from=DIR"
            ) from error
    return path


@contextlib.contextmanager
def _lock(path):
    """Hold a file's lock: of several trainings that start at once one fetches, the others wait."""
    try:
        import fcntl
    except ImportError:  # Windows has none
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "w")
    except OSError as error:
        raise InputError(
            f"{path.parent}: cannot be written ({error.strerror}); name another cache by "
            "--cache or A2D_TF_CACHE"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another process is fetching {path.stem}; waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
