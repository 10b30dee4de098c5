"""Tensors of public weight files, by name, without the frameworks that wrote them.

.h5   Keras weights, or a whole Keras model
.pth  PyTorch's form before its zip archives: pickles followed by raw storages

A pickle is a program. The unpickler here knows the few names that tensors are made of and stops at
any other, so that nothing in a file runs.
"""

from __future__ import annotations

import collections
import io
import mmap
import pickle
from typing import Any, NamedTuple

import h5py
import numpy as np

from a2d_tf.core import files
from a2d_tf.core.errors import InputError

HDF5 = b"\x89HDF\r\n\x1a\n"
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_DAMAGED = (*files.UNREADABLE, ArithmeticError, AttributeError, pickle.UnpicklingError)


def read(path: str) -> dict[str, np.ndarray]:
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
    tensors = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            tensors[_keras_name(name)] = files.read_dataset(item)

    with h5py.File(path, "r") as file:
        if "source" in file.attrs:
            raise InputError(
                f"{path}: imported already; it is what --init_rgb and --init_flow take"
            )
        file.get("model_weights", file).visititems(visit)
    return tensors


def _keras_name(path):
    """Return `layer/weight` of a dataset, such as conv1/conv1_1/kernel:0.

    The outer group has the layer's own name, unless that layer is a model, as in
    rpn_model/rpn_conv/kernel:0: then the inner has.
    """
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
    """Unpickles tensors and nothing else.

    Attributes:
      storages: {key: (dtype, number of elements)} of the storages met so far.
    """

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
