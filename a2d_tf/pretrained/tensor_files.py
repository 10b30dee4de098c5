"""Tensors of other frameworks' files, by name, without those frameworks and without running code.

.h5          Keras weights, or a whole Keras model
.npz         arrays by name
.pkl         a pickle of numpy arrays (detectron2)
.pth .pt     PyTorch's zip archives, and its older form, pickles followed by raw storages

A pickle is a program. The unpickler here knows the few names that arrays are made of and puts
stand-ins of its own in their places, so that a file can neither run anything nor ask for memory: a
size is believed only where the bytes are there. Tensors of .h5 and .npz are read when they are
asked for, so that their shapes can be checked before.
"""

import collections
import io
import math
import mmap
import pickle
import zipfile
import zlib

import h5py
import numpy as np

from a2d_tf.core import arrays
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import check_regular

_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
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
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)


class _Forbidden(Exception):
    """A pickle names something that is no part of an array."""


def read(path):
    """The tensors of a file.

    Args:
      path: of one of the formats above; the contents tell which, not the name.

    Returns:
      {name: tensor}; a tensor has a `shape`, and `numpy.asarray` reads it. Names are the file's
      own; those of Keras files are `layer/weight`.

    Raises:
      InputError: no such file, one of no known format, a damaged one, or a pickle that wants to
        run something, which is named.
    """
    try:
        check_regular(path)
        with open(path, "rb") as file:
            start = file.read(8)
            if start == b"\x89HDF\r\n\x1a\n":
                return _read_h5(path)
            if start.startswith(b"PK"):
                return _read_zip(zipfile.ZipFile(path))
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


# Keras


def _read_h5(path):
    file = h5py.File(path, "r")
    if "flavour" in file.attrs:
        raise InputError(f"{path}: imported already; it is what --init_rgb and --init_flow take")
    root = file
    if isinstance(file.get("model_weights", getlink=True), h5py.HardLink):
        root = file["model_weights"]
    tensors = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            name = _keras_name(name)
            if name in tensors:
                raise InputError(f"{path}: two tensors are called {name}")
            tensors[name] = arrays.check_dataset(item)

    root.visititems(visit)
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


# Archives: numpy's and PyTorch's


def _read_zip(archive):
    names = {info.filename: info for info in archive.infolist()}
    programs = [name for name in names if name.split("/")[-1] == "data.pkl"]
    if not programs:
        return arrays.npz_entries(archive)

    def stored(name):
        # Only what is stored as it is: a compressed entry can be far larger than the file.
        if names[name].compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed")
        return archive.read(name)

    folder = programs[0][: -len("data.pkl")]
    unpickler = _Unpickler(io.BytesIO(stored(programs[0])))
    state = unpickler.load()
    storages = {
        key: np.frombuffer(stored(f"{folder}data/{key}"), dtype, count)
        for key, (dtype, count) in unpickler.storages.items()
    }
    return _tensors(state, storages)


# Pickles: numpy's, and PyTorch's older form


def _read_pickle(data):
    unpickler = _Unpickler(data)
    state = unpickler.load()
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
            tensors[str(name)] = value.view(storages[value.key])
        elif isinstance(value, _Array):
            tensors[str(name)] = value.array
    return tensors


def _dtype(code, order="<"):
    if code not in _DTYPES:
        raise ValueError(f"numbers of an unknown type {code}")
    return np.dtype((">" if order == ">" else "<") + code)


class _DType:
    """Stands for numpy.dtype(code, align, copy) and its state."""

    def __init__(self, code, *_):
        self.made = _dtype(code)

    def __setstate__(self, state):
        self.made = _dtype(self.made.str[1:], state[1])


class _Array:
    """Stands for an array that numpy rebuilds from its shape, type and bytes."""

    def __init__(self, *_):
        self.array = np.zeros(0, np.float32)

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        flat = np.frombuffer(data, dtype.made)
        self.array = flat.reshape(shape, order="F" if fortran else "C")

    @classmethod
    def from_buffer(cls, data, dtype, shape, order="C"):
        made = cls()
        made.__setstate__((1, shape, dtype, order == "F", data))
        return made

    @classmethod
    def scalar(cls, dtype, data):
        return cls.from_buffer(data, dtype, ())


class _TorchTensor:
    """Stands for a tensor: a window on a storage, sizes and strides in elements."""

    def __init__(self, key, offset, size, stride, *_):
        self.key, self.offset = key, offset
        self.size, self.stride = tuple(size), tuple(stride)

    def view(self, storage):
        last = sum((n - 1) * step for n, step in zip(self.size, self.stride))
        if len(self.size) != len(self.stride) or min((self.offset, *self.size, *self.stride)) < 0:
            raise ValueError("a tensor with a negative size")
        # A stride of zero makes any number of elements of one.
        count = math.prod(self.size)
        if count and max(self.offset + last, count - 1) >= len(storage):
            raise ValueError("a tensor that reaches beyond its storage")
        strides = [step * storage.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(
            storage[self.offset :], self.size, strides, writeable=False
        )


def _latin1(text, encoding):
    """Stands for _codecs.encode, by which bytes travel in the second pickle protocol."""
    if encoding != "latin1":
        raise ValueError(f"bytes in the encoding {encoding}")
    return text.encode("latin1")


def _key(key):
    """A key of a dictionary: the hash of nested tuples can take longer than anyone waits."""
    if not isinstance(key, (str, bytes, int)):
        raise ValueError("a dictionary whose keys are no names")
    return key


def _ordered(items=()):
    """Stands for collections.OrderedDict."""
    return collections.OrderedDict((_key(key), value) for key, value in items)


_KNOWN = {
    ("collections", "OrderedDict"): _ordered,
    ("_codecs", "encode"): _latin1,
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _Array.scalar,
    ("numpy.core.numeric", "_frombuffer"): _Array.from_buffer,
    ("torch._utils", "_rebuild_tensor"): _TorchTensor,
    ("torch._utils", "_rebuild_tensor_v2"): _TorchTensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    **{("torch", name): _dtype(code) for name, code in _TORCH_STORAGES.items()},
}


class _Unpickler(pickle._Unpickler):
    """The unpickler in Python, which unlike the one in C asks for no memory that a file names.

    Attributes:
      storages: {key: (dtype, number of elements)} of the PyTorch storages met so far.
    """

    def __init__(self, file):
        super().__init__(file, encoding="latin1")
        self.storages = {}

    def find_class(self, module, name):
        known = (module.replace("numpy._core", "numpy.core"), name)
        if known not in _KNOWN:
            raise _Forbidden(f"{module}.{name}")
        return _KNOWN[known]

    def persistent_load(self, pid):
        kind, dtype, key, _, count, *view = pid
        if kind != "storage" or any(view) or count < 0:
            raise ValueError("a storage of an unknown kind")
        self.storages[_key(key)] = dtype, count
        return key

    def load_setitem(self):
        _key(self.stack[-2])
        super().load_setitem()

    def load_setitems(self):
        for key in self.stack[::2]:
            _key(key)
        super().load_setitems()

    def load_dict(self):
        for key in self.stack[::2]:
            _key(key)
        super().load_dict()

    def _refuse(self):
        raise ValueError("a set, which holds no tensors")

    # The unpickler finds its methods here, by the opcode.
    dispatch = {
        **pickle._Unpickler.dispatch,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.ADDITEMS[0]: _refuse,
        pickle.FROZENSET[0]: _refuse,
    }
