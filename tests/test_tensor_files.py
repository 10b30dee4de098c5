"""Files of other frameworks: what is read, and that nothing in a pickle runs."""

import os
import pickle
import struct
import subprocess
import types

import h5py
import numpy as np
import pytest

from a2d_tf.core.errors import InputError
from a2d_tf.pretrained.tensor_files import read_tensors

TENSORS = {
    "conv.weight": np.arange(24, dtype="f4").reshape(2, 3, 2, 2),
    "bias": np.arange(3, dtype="f4"),
    "count": np.array(7, "i8"),
}


KINDS = {"f4": "FloatStorage", "i8": "LongStorage"}
NOTHING = "ccollections\nOrderedDict\n(tR"


def write_torch(path, tensors, edit=lambda *window: window):
    """Write {name: array} as `torch.save` did before its zip archives, without PyTorch.

    The pickle is written out; `edit` changes (offset, size, stride) of each tensor.
    """

    def numbers(values):
        return "(" + "".join(f"I{value}\n" for value in values) + "t"

    state = NOTHING
    for key, (name, value) in enumerate(tensors.items()):
        strides = tuple(step // value.itemsize for step in value.strides)
        offset, size, stride = edit(0, value.shape, strides)
        kind = KINDS[value.dtype.str[1:]]
        tensor = f"(S'storage'\nctorch\n{kind}\nS'{key}'\nS'cpu'\nI{value.size}\nNtQ"
        tensor += f"I{offset}\n{numbers(size)}{numbers(stride)}I00\n{NOTHING}tR"
        state += f"S'{name}'\nctorch._utils\n_rebuild_tensor_v2\n({tensor}s"
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    keys = [str(key) for key in range(len(tensors))]
    content = b"".join(pickle.dumps(part, 2) for part in parts)
    content += state.encode() + b"." + pickle.dumps(keys, 2)
    for value in tensors.values():
        content += struct.pack("<q", value.size) + value.tobytes()
    path.write_bytes(content)


def check(path, expected=TENSORS):
    tensors = read_tensors(str(path))
    assert list(tensors) == list(expected)
    for name, value in expected.items():
        assert (tensors[name].shape, tensors[name].dtype) == (value.shape, value.dtype)
        np.testing.assert_array_equal(tensors[name], value)


def test_torch_files(tmp_path):
    write_torch(tmp_path / "w.pth", TENSORS)
    check(tmp_path / "w.pth")


def test_torch_itself(tmp_path):
    torch = pytest.importorskip("torch")
    state = {"a.weight": torch.arange(24.0).reshape(4, 6).T, "c": torch.arange(10)[3:7]}
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    check(tmp_path / "w.pth", {k: v.numpy() for k, v in state.items()})


def test_keras_names(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        root = file.create_group("model_weights")
        for path in (
            "conv1/conv1_1/kernel:0",
            "rpn_model/rpn_model/rpn_conv/bias:0",
            "bn/gamma:0",
        ):
            root[path] = np.ones(2)
        file["optimizer_weights/kernel:0"] = np.ones(1)
    names = set(read_tensors(str(tmp_path / "w.h5")))
    assert names == {"conv1/kernel", "rpn_conv/bias", "bn/gamma"}


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 4])
@pytest.mark.parametrize(
    "function, name",
    [(os.system, "posix.system"), (eval, "eval"), (subprocess.Popen, "Popen")],
)
def test_a_pickle_cannot_call(tmp_path, protocol, function, name):
    path, witness = tmp_path / "w.pth", tmp_path / "witness"
    path.write_bytes(
        pickle.dumps({"a": [Call(function, f"touch {witness}")]}, protocol)
    )
    with pytest.raises(InputError, match=f"w.pth.*{name}.*nothing was run"):
        read_tensors(str(path))
    assert not witness.exists()


@pytest.mark.parametrize(
    "edit",
    [
        lambda offset, size, stride: (offset + 1, size, stride),
        lambda offset, size, stride: (-1, size, stride),
        lambda offset, size, stride: (offset, (10**12, *size[1:]), stride),
        lambda offset, size, stride: (offset, size, tuple(-s for s in stride) or (1,)),
    ],
)
def test_a_torch_tensor_stays_inside_its_storage(tmp_path, edit):
    write_torch(tmp_path / "w.pth", TENSORS, edit)
    with pytest.raises(InputError, match="w.pth: not a readable"):
        read_tensors(str(tmp_path / "w.pth"))


OTHER_THINGS = [b"", b"no tensors", pickle.dumps([1, 2]), pickle.dumps({"a": 1})]


@pytest.mark.parametrize("name", ["w.pth", "w.ckpt"])
@pytest.mark.parametrize("content", OTHER_THINGS)
def test_files_of_other_things(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: not a readable"):
        read_tensors(str(tmp_path / name))


# Pickles of NumPy arrays in dictionaries

TREE = {
    "params": {"a/b": {"kernel": TENSORS["conv.weight"], "bias": TENSORS["bias"]}},
    "count": TENSORS["count"],
    "turned": np.asfortranarray(TENSORS["conv.weight"]),
}
FLAT = {
    "params/a/b/kernel": TENSORS["conv.weight"],
    "params/a/b/bias": TENSORS["bias"],
    "count": TENSORS["count"],
    "turned": TENSORS["conv.weight"],
}


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
def test_dictionaries_of_arrays(tmp_path, protocol, module):
    """As NumPy 1 and NumPy 2 pickle them."""

    class Pickler(pickle._Pickler):
        def save_global(self, value, name=None):
            if getattr(value, "__name__", "") != "_reconstruct":
                return super().save_global(value, name)
            self.write(f"c{module}.multiarray\n_reconstruct\n".encode())
            self.memoize(value)

        dispatch = {**pickle._Pickler.dispatch, types.FunctionType: save_global}

    with open(tmp_path / "w.ckpt", "wb") as file:
        Pickler(file, protocol).dump(TREE)
    check(tmp_path / "w.ckpt", FLAT)


def test_a_pickle_of_arrays_cannot_call(tmp_path):
    path, witness = tmp_path / "w.ckpt", tmp_path / "witness"
    array = np.array([Call(os.system, f"touch {witness}")], object)
    for value in (array[0], array, {"a": array}):
        path.write_bytes(pickle.dumps(value))
        with pytest.raises(InputError, match="w.ckpt.*posix.system.*nothing was run"):
            read_tensors(str(path))
    assert not witness.exists()
    path.write_bytes(pickle.dumps({"a": np.array([None, "text"], object)}))
    with pytest.raises(InputError, match="w.ckpt.*an array of objects"):
        read_tensors(str(path))
