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


def check(path, expected=TENSORS):
    tensors = tensor_files.read(str(path))
    assert list(tensors) == list(expected)
    for name, value in expected.items():
        assert tensors[name].shape == value.shape
        assert tensors[name].dtype.str[1:] == value.dtype.str[1:]  # in either byte order
        np.testing.assert_array_equal(tensors[name], value)


@pytest.mark.parametrize("protocol", range(6))
def test_numpy_pickles(tmp_path, protocol):
    tensors = {
        **TENSORS,
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "scalar": np.float64(0.5),
    }
    for state in (tensors, {"model": tensors, "__author__": "someone"}):
        (tmp_path / "w.pkl").write_bytes(pickle.dumps(state, protocol))
        check(tmp_path / "w.pkl", tensors)


@pytest.mark.parametrize("legacy", [True, False])
def test_torch_files(tmp_path, legacy):
    torch_files.write(tmp_path / "w.pth", TENSORS, legacy)
    check(tmp_path / "w.pth")


@pytest.mark.parametrize("legacy", [True, False])
def test_torch_itself(tmp_path, legacy):
    torch = pytest.importorskip("torch")
    state = {
        "a.weight": torch.arange(24.0).reshape(4, 6).T,
        "b": torch.nn.Parameter(torch.ones(3)),
        "c": torch.arange(10)[3:7],
    }
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    check(tmp_path / "w.pth", {k: v.detach().numpy() for k, v in state.items()})


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    save(tmp_path / "w.npz", **TENSORS)
    check(tmp_path / "w.npz")


def test_keras_names(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        root = file.create_group("model_weights")
        for path in ("conv1/conv1_1/kernel:0", "rpn_model/rpn_model/rpn_conv/bias:0", "bn/gamma:0"):
            root[path] = np.ones(2)
        file["optimizer_weights/kernel:0"] = np.ones(1)
    names = set(tensor_files.read(str(tmp_path / "w.h5")))
    assert names == {"conv1/kernel", "rpn_conv/bias", "bn/gamma"}
    with h5py.File(tmp_path / "keras3.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.ones(2)
    with pytest.raises(InputError, match="save_weights"):
        tensor_files.read(str(tmp_path / "keras3.h5"))


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
    ],
)
def test_a_pickle_cannot_call(tmp_path, protocol, function, name):
    witness = tmp_path / "witness"
    call = Call(function, f"touch {witness}")
    for number, state in enumerate((call, {"model": {"a": np.ones(3), "b": [call]}})):
        program = pickle.dumps(state, protocol)
        (tmp_path / f"{number}.pkl").write_bytes(program)
        with zipfile.ZipFile(tmp_path / f"{number}.pth", "w") as archive:
            archive.writestr("w/data.pkl", program)
        for suffix in ("pkl", "pth"):
            with pytest.raises(InputError, match=f"{name}.*nothing was run"):
                tensor_files.read(str(tmp_path / f"{number}.{suffix}"))
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
    with pytest.raises(InputError, match="w.pth: damaged"):
        tensor_files.read(str(tmp_path / "w.pth"))


@pytest.mark.parametrize(
    "state", [[1, 2], {"a": np.array([{}])}, {"a": Call(np.dtype, "O")}, {"a": Call(np.ndarray, 9)}]
)
def test_a_pickle_of_other_things(tmp_path, state):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(state))
    with pytest.raises(InputError, match="damaged, or neither"):
        tensor_files.read(str(tmp_path / "w.pkl"))
