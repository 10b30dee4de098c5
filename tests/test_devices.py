"""The devices: the line, the warnings, and a card that TensorFlow cannot use."""

import ctypes
import types

import pytest
import tensorflow as tf

from a2d_tf.core import devices, machine
from a2d_tf.core.devices import Devices, Gpu
from a2d_tf.core.errors import InputError

A100 = Gpu("NVIDIA A100-SXM4-80GB", 80 * 2**30, (8, 0))
L4 = Gpu("NVIDIA L4", None, (8, 9))
T4 = Gpu("Tesla T4", 15 * 2**30, (7, 5))
H100 = Gpu("NVIDIA H100", 80 * 2**30, (9, 0))


@pytest.fixture
def card(monkeypatch):
    """A card that TensorFlow, whose build and driver are in order, does not find."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(machine, "nvidia_cards", lambda: [machine.Card("NVIDIA L4", 24 * 2**30)])
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: True)
    monkeypatch.setattr(devices, "_driver_error", lambda: "")


@pytest.mark.parametrize(
    "gpus, precision, used, line",
    [
        ((A100,), "mixed_bfloat16", 1, "1 x NVIDIA A100-SXM4-80GB (80 GB), mixed_bfloat16"),
        (
            (A100, A100),
            "float32",
            2,
            "2 x NVIDIA A100-SXM4-80GB (80 GB), float32 with products in TF32",
        ),
        ((T4, A100), "float32", 1, "1 x Tesla T4 (15 GB), float32"),
        ((T4, L4), "mixed_float16", 2, "1 x Tesla T4 (15 GB), 1 x NVIDIA L4, mixed_float16"),
    ],
)
def test_the_line_of_gpus(gpus, precision, used, line):
    assert Devices(gpus).line(precision, used) == f"device: {line}"


def test_the_line_of_a_cpu(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(machine, "memory", lambda: 24 * 2**30)
    assert Devices().line("float32") == "device: CPU, 2 cores, 24 GB, float32"


@pytest.mark.parametrize(
    "built, strange",
    [
        (["sm_50", "sm_60", "sm_70", "sm_75", "compute_80"], [H100]),  # TensorFlow 2.15
        (["sm_60", "sm_70", "sm_80", "sm_89", "compute_90"], []),  # 2.21
        (["sm_60", "sm_89"], [A100, H100, T4]),
    ],
)
def test_a_gpu_without_binaries_is_a_warning(built, strange, monkeypatch):
    monkeypatch.setattr(
        tf.sysconfig, "get_build_info", lambda: {"cuda_compute_capabilities": built}
    )
    said = Devices((T4, A100, L4, H100, H100)).warnings()
    assert len(said) == len(strange)
    for line, gpu in zip(said, strange):
        assert gpu.name in line and "capability %d.%d" % gpu.capability in line
        assert "PTX" in line


@pytest.mark.parametrize(
    "capability, version, said, unsaid",
    [
        ((5, 2), "2.21.0", "will not work", "PTX"),
        ((9, 0), "2.15.1", "TensorFlow 2.21 has", "will not work"),
        ((12, 0), "2.15.1", "PTX", "TensorFlow 2.21 has"),
        ((12, 0), "2.21.0", "PTX", "will not work"),
    ],
)
def test_the_remedy_is_of_the_card(capability, version, said, unsaid, monkeypatch):
    built = ["sm_60", "sm_70", "sm_75", "compute_80"]
    monkeypatch.setattr(
        tf.sysconfig, "get_build_info", lambda: {"cuda_compute_capabilities": built}
    )
    monkeypatch.setattr(tf, "__version__", version)
    (line,) = Devices((Gpu("card", None, capability),)).warnings()
    assert said in line and unsaid not in line


@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_a_card_that_tensorflow_cannot_use_is_an_error(card, device, monkeypatch):
    def complaint():
        with pytest.raises(InputError, match=r"NVIDIA L4 \(24 GB\).* --device=cpu") as error:
            devices.prepare(device)
        return str(error.value)

    assert "tools/setup.sh --gpu installs them" in complaint()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert "CUDA_VISIBLE_DEVICES=7 may name none" in complaint()
    monkeypatch.setattr(devices, "_driver_error", lambda: "cuInit: error 100")
    assert "driver does not answer (cuInit: error 100)" in complaint()
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: False)
    assert "built for the CPU alone" in complaint()


def test_the_cpu_is_taken_where_that_is_wanted(card, monkeypatch):
    # Where TensorFlow has begun, which devices it sees cannot be changed any more.
    chosen = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *given: chosen.append(given))
    assert devices.prepare("cpu", deterministic=False) == Devices()
    assert chosen == [([], "GPU")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.prepare(deterministic=False) == Devices()
    with pytest.raises(InputError, match="hides every GPU"):
        devices.prepare("gpu")


def test_a_gpu_is_asked_for_where_there_is_none(card, monkeypatch):
    monkeypatch.setattr(machine, "nvidia_cards", list)
    assert devices.prepare(deterministic=False) == Devices()
    with pytest.raises(InputError, match="--device=gpu: TensorFlow finds no GPU"):
        devices.prepare("gpu")


def test_the_driver_says_what_is_wrong(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert devices._driver_error() == "libcuda.so.1: cannot open shared object file"
    for status, said in ((100, "cuInit: error 100"), (0, "")):
        library = types.SimpleNamespace(cuInit=lambda flags, status=status: status)
        monkeypatch.setattr(ctypes, "CDLL", lambda name, library=library: library)
        assert devices._driver_error() == said
