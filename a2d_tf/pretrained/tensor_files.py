"""Tensors of other frameworks' weight files, by name, without those frameworks.

.h5          Keras weights, or a whole Keras model
.npz         arrays by name
.pkl         a pickle of NumPy arrays (detectron2)
.pth .pt     PyTorch's zip archives, and its older form, pickles followed by raw storages

A pickle is a program. The unpickler here knows the few names that arrays are made of and stops at
any other, so that nothing in a file runs.
"""

from __future__ import annotations

import collections
import dataclasses
import io
import mmap
import pickle
import re
import zipfile
from typing import Any

import h5py
import numpy as np

from a2d_tf.core import files
from a2d_tf.core.errors import InputError

_TORCH_STORAGES = {
    "HalfStorage": "f2",
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "CharStorage": "i1",
    "ShortStorage": "i2",
    "IntStorage": "i4",
    "LongStorage": "i8",
    "ByteStorage": "u1",
    "BoolStorage": "b1",
}
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_DAMAGED = (*files.UNREADABLE, ArithmeticError, AttributeError, pickle.UnpicklingError)


class _Forbidden(Exception):
    """A pickle names something that is no part of an array."""


def read(path: str) -> dict[str, np.ndarray]:
    """Read the tensors of a file.

    Args:
      path: of one of the formats above; the contents tell which, not the name.

    Returns:
      {name: array}. Names are the file's own; those of Keras files are `layer/weight`.

    Raises:
      InputError: no such file, one of no known format, a damaged one, or a pickle that wants to
        run something, which is named.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            if start == b"\x89HDF\r\n\x1a\n":
                return _read_h5(path)
            if start.startswith(b"PK"):
                return _read_zip(path)
            return _read_pickle(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except _Forbidden as error:
        raise InputError(
            f"{path}: the pickle calls {error}, which is no part of an array; nothing was run. If "
            "you trust the file, save its arrays as .npz and import that"
        ) from error
    except _DAMAGED as error:
        raise InputError(
            f"{path}: damaged, or neither .h5, .npz, .pkl nor .pth ({error})"
        ) from error


def _read_h5(path):
    tensors = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            name = _keras_name(name)
            if name in tensors:
                raise InputError(f"{path}: two tensors are called {name}")
            tensors[name] = files.read_dataset(item)

    with h5py.File(path, "r") as file:
        if "flavour" in file.attrs:
            raise InputError(
                f"{path}: imported already; it is what --init_rgb and --init_flow take"
            )
        file.get("model_weights", file).visititems(visit)
    if any(name.startswith(("layers/", "_layer_checkpoint")) for name in tensors):
        raise InputError(
            f"{path}: in Keras 3's format, which does not keep the names of layers; save it with "
            "model.save_weights('NAME.h5')"
        )
    return tensors


def _keras_name(path):
    """`layer/weight` of a dataset, such as conv1/conv1_1/kernel:0 or rpn_model/rpn_conv/kernel:0.

    The outer group has the layer's own name, unless that layer is a model: then the inner has.
    """
    layer, *inner, weight = path.split("/")
    if layer == "rpn_model" and inner:
        layer = inner[-1]
    return f"{layer}/{weight.split(':')[0]}"


def _read_zip(path):
    """Read an .npz, or PyTorch's archive: a pickle and the storages that its tensors refer to."""
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.split("/")[-1] == "data.pkl"]
        if not pickles:
            return files.read_npz(path)
        files.check_archive(archive)
        unpickler = _Unpickler(io.BytesIO(archive.read(pickles[0])))
        state = unpickler.load()
        folder = pickles[0][: -len("data.pkl")]
        storages = {
            key: np.frombuffer(archive.read(f"{folder}data/{key}"), dtype, count)
            for key, (dtype, count) in unpickler.storages.items()
        }
    return _tensors(state, storages)


def _read_pickle(data):
    """Read a pickle of arrays, or PyTorch's older form: five pickles, then the storages."""
    state = _Unpickler(data).load()
    if not isinstance(state, int) or state != _TORCH_MAGIC:
        return _tensors(state, {})
    for _ in ("protocol", "system"):
        _Unpickler(data).load()
    unpickler = _Unpickler(data)
    state, keys, storages = unpickler.load(), _Unpickler(data).load(), {}
    for key in keys:
        dtype, count = unpickler.storages[key]
        if int.from_bytes(data.read(8), "little") != count:
            raise ValueError(f"storage {key} is not of the size that the pickle says")
        storages[key] = np.frombuffer(data, dtype, count, data.tell())
        data.seek(dtype.itemsize * count, io.SEEK_CUR)
    return _tensors(state, storages)


def _tensors(state, storages):
    """{name: array} of an unpickled dictionary; a model's, where it is one entry among others."""
    for name in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(name), dict):
            state = state[name]
    if not isinstance(state, dict):
        raise ValueError("no dictionary of tensors")
    tensors = {}
    for name, value in state.items():
        if isinstance(value, _TorchTensor):
            tensors[str(name)] = value.array(storages[value.key])
        elif isinstance(value, np.ndarray):
            tensors[str(name)] = value
    return tensors


@dataclasses.dataclass
class _TorchTensor:
    """A window on the storage of a key; offset, sizes and strides in elements."""

    key: str
    offset: int
    size: tuple
    stride: tuple

    def array(self, storage: np.ndarray) -> np.ndarray:
        step = storage.itemsize
        strides = [step * stride for stride in self.stride]
        # NumPy refuses a window that reaches beyond its buffer.
        return np.ndarray(self.size, storage.dtype, storage, step * self.offset, strides)


def _dtype(code, *_):
    if not re.fullmatch("[fiub][1248]", code):  # an array of objects could hold anything
        raise ValueError(f"numbers of an unknown type {code}")
    return np.dtype(code, copy=True)


_KNOWN = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    # Bytes travel through it in the second pickle protocol.
    ("_codecs", "encode"): lambda text, _: text.encode("latin1"),
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _dtype,
    # The array's own __setstate__ then fills it.
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: np.zeros(0),
    ("numpy.core.multiarray", "scalar"): lambda dtype, data: (
        np.frombuffer(data, dtype).reshape(())
    ),
    ("numpy.core.numeric", "_frombuffer"): lambda data, dtype, shape, order: (
        np.frombuffer(data, dtype).reshape(shape, order=order)
    ),
    ("torch._utils", "_rebuild_tensor"): _TorchTensor,
    ("torch._utils", "_rebuild_tensor_v2"): lambda *window: _TorchTensor(*window[:4]),
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    **{("torch", name): code for name, code in _TORCH_STORAGES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Unpickles arrays and nothing else.

    Attributes:
      storages: {key: (dtype, number of elements)} of the PyTorch storages met so far.
    """

    def __init__(self, file: Any) -> None:
        super().__init__(file, encoding="latin1")
        self.storages: dict[str, tuple[np.dtype, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        known = (module.replace("numpy._core", "numpy.core"), name)
        if known not in _KNOWN:
            raise _Forbidden(f"{module}.{name}")
        return _KNOWN[known]

    def persistent_load(self, pid: tuple) -> str:
        kind, code, key, _, count, *view = pid
        if kind != "storage" or any(view) or count < 0:
            raise ValueError("a storage of an unknown kind")
        self.storages[key] = np.dtype(code), count
        return key
