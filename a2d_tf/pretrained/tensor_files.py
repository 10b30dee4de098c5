"""Tensors in files of other programs, read without the frameworks that wrote them.

.h5    Keras weights, or a whole Keras model
.pth   PyTorch's form before its zip archives: pickles followed by raw storages
.ckpt  a pickle of dictionaries of NumPy arrays, as of Flax's variables

A pickle is a program. The unpicklers here know the few names that tensors are made of
and stop at any other, so that nothing in a file runs.
"""

from __future__ import annotations

import collections
import io
import pickle
from typing import Any, Literal, NamedTuple

import h5py
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE

_DAMAGED = (*UNREADABLE, ArithmeticError, AttributeError, pickle.UnpicklingError)


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Read the tensors of a file by its own names.

    Those of a Keras file are called `layer/weight`, those of dictionaries by their keys
    with '/' between.

    Raises:
      InputError: there is no such file, it is damaged or of another format, or it is a
        pickle that wants to run something, which is named.
    """
    try:
        if h5py.is_hdf5(path):
            return _read_keras(path)
        with open(path, "rb") as file:
            if path.endswith(".ckpt"):
                return _flat(_ArrayUnpickler(file).load())
            return _read_pickles(file)
    except _DAMAGED as error:
        raise InputError(
            f"{path}: not a readable .h5, .pth or .ckpt file ({error})"
        ) from error


def read_datasets(group: h5py.Group) -> dict[str, np.ndarray]:
    """Read all datasets of an HDF5 group: {path: array}."""
    paths: list[str] = []
    group.visit(paths.append)
    arrays = {}
    for path in paths:
        if isinstance(group[path], h5py.Dataset):
            arrays[path] = np.asarray(group[path][()])
    return arrays


def _read_keras(path):
    with h5py.File(path, "r") as file:
        # A whole model has its weights in a group of that name.
        arrays = read_datasets(file.get("model_weights", file))
    return {_keras_name(path): array for path, array in arrays.items()}


def _keras_name(path):
    """Return `layer/weight` of a dataset, such as conv1/conv1_1/kernel:0."""
    layer, *inner, weight = path.split("/")
    if layer == "rpn_model" and inner:
        layer = inner[-1]
    return f"{layer}/{weight.split(':')[0]}"


class _Storage(NamedTuple):
    """The numbers behind a tensor of PyTorch, as its pickle describes them.

    Attributes:
      dtype: of a number.
      length: how many there are.
    """

    dtype: np.dtype
    length: int


class _Window(NamedTuple):
    """A tensor of PyTorch: a window on a storage.

    Attributes:
      key: of the storage.
      offset: of the first element, in elements.
      size: the tensor's shape.
      stride: elements from one index of each axis to the next.
    """

    key: str
    offset: int
    size: tuple
    stride: tuple

    def of(self, storage: np.ndarray) -> np.ndarray:
        """Return the tensor; NumPy refuses a window that reaches beyond `storage`."""
        itemsize = storage.itemsize
        return np.ndarray(
            self.size,
            storage.dtype,
            buffer=storage,
            offset=itemsize * self.offset,
            strides=[itemsize * step for step in self.stride],
        )


def _read_pickles(file):
    """Read a file of PyTorch.

    It holds a magic number, a version, the system, the tensors as windows on storages,
    the keys of the storages, then the storages, one after the other.
    """
    for _ in ("magic number", "version", "system"):
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    windows = unpickler.load()
    storages = {}
    for key in _Unpickler(file).load():
        dtype, length = unpickler.storages[key]
        file.seek(8, io.SEEK_CUR)  # the length again
        storages[key] = np.frombuffer(file.read(dtype.itemsize * length), dtype)
    return {name: window.of(storages[window.key]) for name, window in windows.items()}


def _rebuild_tensor(
    key: str, offset: int, size: tuple, stride: tuple, *_: Any
) -> _Window:
    """Stand in for PyTorch's function of four arguments and some about gradients."""
    return _Window(key, offset, size, stride)


_TORCH_NAMES = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): np.dtype("f4"),
    ("torch", "LongStorage"): np.dtype("i8"),
}
"""{(module, name) in a pickle: what stands for it}."""


def _look_up(names: dict[tuple[str, str], Any], module: str, name: str) -> Any:
    """Return what stands for a name of a pickle; refuse one that is not in `names`."""
    if (module, name) not in names:
        raise pickle.UnpicklingError(
            f"it calls {module}.{name}, which is not part of a tensor; nothing was run"
        )
    return names[module, name]


class _Unpickler(pickle.Unpickler):
    """Unpickles tensors and nothing else.

    Attributes:
      storages: {key: its _Storage}, filled while the tensors are unpickled.
    """

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        return _look_up(_TORCH_NAMES, module, name)

    def persistent_load(self, pid: tuple) -> str:
        _, dtype, key, _, length, *_ = pid
        self.storages[key] = _Storage(dtype, length)
        return key


class _Array:
    """Stands in for an array while it is unpickled: NumPy's own would take objects."""

    def __init__(self, *_: Any) -> None:
        self.values = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, content = state
        if dtype.hasobject:
            raise pickle.UnpicklingError("it has an array of objects")
        order: Literal["C", "F"] = "F" if is_fortran else "C"
        self.values = np.frombuffer(content, dtype).reshape(shape, order=order)


_NUMPY_NAMES = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): np.dtype,
    # The module's name before NumPy 2, and since.
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
}
"""{(module, name) in a pickle: what stands for it}."""


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        return _look_up(_NUMPY_NAMES, module, name)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Return the arrays of nested dictionaries: {keys with '/' between: array}."""
    arrays = {}
    for key, value in tree.items():
        if isinstance(value, _Array):
            arrays[f"{prefix}{key}"] = value.values
        else:
            arrays.update(_flat(value, f"{prefix}{key}/"))
    return arrays
