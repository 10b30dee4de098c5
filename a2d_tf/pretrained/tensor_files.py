"""Tensors in files of other programs, read without the frameworks that wrote them.

.h5    Keras weights, or a whole Keras model
.pth   PyTorch's form before its zip archives: pickles followed by raw storages
.ckpt  a pickle of nested dictionaries of NumPy arrays, as Flax saves its variables

A pickle can call any function. The unpicklers here know the few functions that tensors
need and stop at any other, so that no code of a file runs.
"""

from __future__ import annotations

import collections
import io
import pickle
from typing import Any, BinaryIO, Literal, NamedTuple

import h5py
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE

_DAMAGED = (*UNREADABLE, ArithmeticError, AttributeError, pickle.UnpicklingError)


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Read the tensors of a published .h5, .pth or .ckpt file; no code of it runs.

    Args:
      path: the file's path.

    Returns:
      {name: array}. A Keras file names its arrays `layer/weight`; nested dictionaries
      name theirs by their keys, joined by '/'.

    Raises:
      InputError: the file does not exist, is damaged or has another format, or it is a
        pickle that would run a function; the message names the function.
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
    """Read all datasets of an HDF5 group and of the groups in it.

    Args:
      group: an open group or file.

    Returns:
      {path of the dataset in the group: array}.
    """
    paths: list[str] = []
    group.visit(paths.append)
    arrays = {}
    for path in paths:
        if isinstance(group[path], h5py.Dataset):
            arrays[path] = np.asarray(group[path][()])
    return arrays


def _read_keras(path: str) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        # A file of a whole model has its weights in the group model_weights.
        arrays = read_datasets(file.get("model_weights", file))
    return {_keras_name(path): array for path, array in arrays.items()}


def _keras_name(path: str) -> str:
    """Return `layer/weight` for the path of a dataset, such as conv1/conv1/kernel:0."""
    layer, *inner, weight = path.split("/")
    if layer == "rpn_model" and inner:
        layer = inner[-1]
    return f"{layer}/{weight.split(':')[0]}"


class _Storage(NamedTuple):
    """An array of numbers in a file of PyTorch, which holds one tensor or more.

    Attributes:
      dtype: type of the numbers.
      length: how many numbers the array has.
    """

    dtype: np.dtype
    length: int


class _Window(NamedTuple):
    """A tensor of PyTorch: a part of a storage.

    Attributes:
      key: name of the storage in the file.
      offset: position of the tensor's first number in the storage, in numbers.
      size: the tensor's shape.
      stride: for each axis, the distance of neighbours in the storage, in numbers.
    """

    key: str
    offset: int
    size: tuple
    stride: tuple

    def read(self, storage: np.ndarray) -> np.ndarray:
        """Return the tensor's values.

        Raises:
          TypeError: the window reaches beyond the end of `storage`.
        """
        itemsize = storage.itemsize
        return np.ndarray(
            self.size,
            storage.dtype,
            buffer=storage,
            offset=itemsize * self.offset,
            strides=[itemsize * step for step in self.stride],
        )


def _read_pickles(file: BinaryIO) -> dict[str, np.ndarray]:
    """Read a file of PyTorch.

    The file consists of a magic number, a version, a description of the system, the
    tensors as windows on storages, the keys of the storages, and the storages.
    """
    for _ in ("magic number", "version", "system"):
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    windows = unpickler.load()
    storages = {}
    for key in _Unpickler(file).load():
        dtype, length = unpickler.storages[key]
        file.seek(8, io.SEEK_CUR)  # the length, which is known from the pickle
        storages[key] = np.frombuffer(file.read(dtype.itemsize * length), dtype)
    return {name: window.read(storages[window.key]) for name, window in windows.items()}


def _rebuild_tensor(
    key: str, offset: int, size: tuple, stride: tuple, *_: Any
) -> _Window:
    """Take the place of PyTorch's function; arguments about gradients are ignored."""
    return _Window(key, offset, size, stride)


_TORCH_NAMES = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): np.dtype("f4"),
    ("torch", "LongStorage"): np.dtype("i8"),
}
"""{(module, name) in a pickle: the object that takes its place}."""


def _look_up(names: dict[tuple[str, str], Any], module: str, name: str) -> Any:
    """Return the object that takes the place of a name in a pickle.

    Raises:
      pickle.UnpicklingError: the name is not among `names`.
    """
    if (module, name) not in names:
        raise pickle.UnpicklingError(
            f"it calls {module}.{name}, which is not part of a tensor; nothing was run"
        )
    return names[module, name]


class _Unpickler(pickle.Unpickler):
    """Unpickles tensors of PyTorch and nothing else.

    Attributes:
      storages: {key: storage}, filled while tensors are unpickled.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        return _look_up(_TORCH_NAMES, module, name)

    def persistent_load(self, pid: tuple) -> str:
        _, dtype, key, _, length, *_ = pid
        self.storages[key] = _Storage(dtype, length)
        return key


class _Array:
    """An array while it is unpickled.

    NumPy's own class would also unpickle arrays of Python objects, which can run code.
    """

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
    # NumPy 2 renamed the module.
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
}
"""{(module, name) in a pickle: the object that takes its place}."""


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        return _look_up(_NUMPY_NAMES, module, name)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Return {keys, joined by '/': array} for nested dictionaries of arrays."""
    arrays = {}
    for key, value in tree.items():
        if isinstance(value, _Array):
            arrays[f"{prefix}{key}"] = value.values
        else:
            arrays.update(_flat(value, f"{prefix}{key}/"))
    return arrays
