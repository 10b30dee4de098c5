"""Files of other frameworks: what is read, and that nothing in a pickle runs."""

import os
import pickle
import subprocess
import zipfile

import h5py
import numpy as np
import pytest
import torch_files

from a2d_tf.core.errors import InputError
from a2d_tf.pretrained import tensor_files

TENSORS = {
    "conv.weight": np.arange(24, dtype="f4").reshape(2, 3, 2, 2),
    "half": np.arange(3, dtype="f2"),
    "count": np.array(7, "i8"),
}


def check(read, expected=TENSORS):
    assert list(read) == list(expected)
    for name, value in expected.items():
        assert tuple(read[name].shape) == value.shape
        np.testing.assert_array_equal(np.asarray(read[name]), value)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("nested", [True, False])
def test_numpy_pickles(tmp_path, protocol, nested):
    tensors = {
        **TENSORS,
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "scalar": np.float64(0.5),
    }
    state = {"model": tensors, "__author__": "someone"} if nested else tensors
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(state, protocol))
    check(tensor_files.read(str(tmp_path / "w.pkl")), tensors)


@pytest.mark.parametrize("legacy", [True, False])
def test_torch_files(tmp_path, legacy):
    path = str(tmp_path / "w.pth")
    torch_files.write(path, TENSORS, legacy)
    check(tensor_files.read(path))


@pytest.mark.parametrize("legacy", [True, False])
def test_torch_itself(tmp_path, legacy):
    torch = pytest.importorskip("torch")
    state = {
        "a.weight": torch.arange(24.0).reshape(4, 6).T,
        "b": torch.nn.Parameter(torch.ones(3)),
        "c": torch.arange(10)[3:7],
    }
    path = str(tmp_path / "w.pth")
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    check(tensor_files.read(path), {k: v.detach().numpy() for k, v in state.items()})


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    save(tmp_path / "w.npz", **TENSORS)
    check(tensor_files.read(str(tmp_path / "w.npz")))


def test_an_npz_is_not_read_before_its_shapes_are_known(tmp_path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive, archive.open("a.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(InputError, match=r"w.npz: .*'a.npy' claims 4000000000000 bytes"):
        tensor_files.read(str(tmp_path / "w.npz"))


def test_keras_names(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        root = file.create_group("model_weights")
        for path in ("conv1/conv1_1/kernel:0", "rpn_model/rpn_model/rpn_conv/bias:0", "bn/gamma:0"):
            root[path] = np.ones(2)
        file["optimizer_weights/kernel:0"] = np.ones(1)
    names = set(tensor_files.read(str(tmp_path / "w.h5")))
    assert names == {"conv1/kernel", "rpn_conv/bias", "bn/gamma"}


def test_keras_3_is_refused(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.ones(2)
    with pytest.raises(InputError, match="save_weights"):
        tensor_files.read(str(tmp_path / "w.h5"))


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "function, name",
    [
        (os.system, "posix.system"),
        (eval, "eval"),
        (subprocess.Popen, "Popen"),
        (getattr, "getattr"),
        (np.load, "load"),
        (np.zeros, "zeros"),
    ],
)
def test_a_pickle_cannot_call(tmp_path, protocol, function, name):
    witness = tmp_path / "witness"
    call = Call(function, f"touch {witness}")
    for number, state in enumerate((call, {"model": {"a": np.ones(3), "b": [call]}})):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(pickle.dumps(state, protocol))
        with pytest.raises(InputError, match=f"{name}.*nothing was run"):
            tensor_files.read(str(path))
    assert not witness.exists()


def test_a_torch_archive_cannot_call(tmp_path):
    witness = tmp_path / "witness"
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("w/data.pkl", pickle.dumps({"a": Call(os.system, f"touch {witness}")}, 2))
    with pytest.raises(InputError, match="posix.system"):
        tensor_files.read(str(tmp_path / "w.pth"))
    assert not witness.exists()


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(
    "edit",
    [
        lambda offset, size, stride: (offset + 1, size, stride),
        lambda offset, size, stride: (-1, size, stride),
        lambda offset, size, stride: (offset, (10**12, *size[1:]), stride),
        lambda offset, size, stride: (offset, size, tuple(-s for s in stride) or (1,)),
    ],
)
def test_a_torch_tensor_stays_inside_its_storage(tmp_path, legacy, edit):
    torch_files.write(tmp_path / "w.pth", TENSORS, legacy, edit)
    with pytest.raises(InputError, match="damaged.*(storage|negative)"):
        tensor_files.read(str(tmp_path / "w.pth"))


def test_sizes_are_believed_only_where_the_bytes_are(tmp_path):
    """Neither a compressed storage, nor numpy's own way to ask for memory, nor a lying length."""
    torch_files.write(tmp_path / "a.pth", {"a": np.zeros(1000, "f4")})
    with zipfile.ZipFile(tmp_path / "a.pth") as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in entries.items():
            new.writestr(name, data)
    entries["archive/data/0"] = b"short"
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as new:
        for name, data in entries.items():
            new.writestr(name, data)
    huge = Call(np.core.multiarray._reconstruct, np.ndarray, (10**15,), b"d")
    (tmp_path / "d.pkl").write_bytes(pickle.dumps({"a": huge, "b": TENSORS["half"]}))
    for name in ("b.pth", "c.pth"):
        with pytest.raises(InputError, match="damaged"):
            tensor_files.read(str(tmp_path / name))
    assert tensor_files.read(str(tmp_path / "d.pkl"))["a"].size == 0
    # A text of 2**40 bytes in a file of ten.
    (tmp_path / "e.pkl").write_bytes(b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b".")
    with pytest.raises(InputError, match="damaged"):
        tensor_files.read(str(tmp_path / "e.pkl"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"PK\x03\x04rest",
        b"\x89HDF\r\n\x1a\nrest",
        pickle.dumps([1, 2]),
        pickle.dumps({"a": np.ones(99)})[:-300],
        pickle.dumps({"a": np.array([{}])}),
    ],
)
def test_files_that_hold_no_tensors(tmp_path, data):
    (tmp_path / "w").write_bytes(data)
    with pytest.raises(InputError, match="damaged, or neither"):
        tensor_files.read(str(tmp_path / "w"))
    with pytest.raises(InputError, match="no such file"):
        tensor_files.read(str(tmp_path / "absent"))
