"""The machine: its cards, memory and cores; the devices that TensorFlow is told to use."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

from a2d_tf.core import devices, machine
from a2d_tf.core.devices import Devices, Gpu
from a2d_tf.core.errors import InputError
from a2d_tf.core.machine import Card

GIB = 2**30
A100 = Gpu("NVIDIA A100-SXM4-80GB", 80 * GIB, (8, 0))
L4 = Gpu("NVIDIA L4", None, (8, 9))
T4 = Gpu("Tesla T4", 15 * GIB, (7, 5))


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Puts an nvidia-smi of these lines and this exit status in front of PATH."""

    def install(lines, status=0):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\nexit {status}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return install


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty file system, on a machine without nvidia-smi; a function that writes files to it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(path, text=""):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        return tmp_path

    return write


def test_nvidia_smi_lists_names_and_memory(smi):
    smi("NVIDIA A100-SXM4-80GB, 81920\nNVIDIA H100, 80GB HBM3, 81559\nNVIDIA GB10, [N/A]")
    assert machine.nvidia_cards() == [
        Card("NVIDIA A100-SXM4-80GB", 80 * GIB),
        Card("NVIDIA H100, 80GB HBM3", 81559 * 2**20),
        Card("NVIDIA GB10"),
    ]


def test_a_failing_nvidia_smi_lists_none(smi, tmp_path):
    smi("NVIDIA-SMI has failed, 9", status=9)
    assert machine.nvidia_cards(tmp_path) == [] and machine.may_have_nvidia(tmp_path)


def test_cards_by_device_nodes(root):
    for name in ("nvidia0", "nvidia12", "nvidiactl", "nvidia-uvm"):
        folder = root(f"dev/{name}")
    assert machine.nvidia_cards(folder) == [Card(), Card()]


@pytest.mark.parametrize(
    "vendor, kind, count",
    [
        ("0x10de", "0x030200", 1),
        ("0x10de", "0x030000", 1),
        ("0x10de", "0x040300", 0),  # its sound
        ("0x8086", "0x030000", 0),
    ],
)
def test_cards_by_the_pci_bus(root, vendor, kind, count):
    root("sys/bus/pci/devices/0000:01:00.0/vendor", f"{vendor}\n")
    folder = root("sys/bus/pci/devices/0000:01:00.0/class", f"{kind}\n")
    assert len(machine.nvidia_cards(folder)) == count
    assert machine.may_have_nvidia(folder) == bool(count)


@pytest.mark.parametrize(
    "value, hides",
    [
        (None, False),
        ("", True),
        ("-1", True),
        ("0", False),
        ("1,0", False),
        ("MIG-GPU-8932f937/1/2", False),
    ],
)
def test_what_cuda_visible_devices_hides(value, hides, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if value is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert machine.hides_nvidia() == hides


@pytest.mark.parametrize("visible, level", [("0", "1"), ("", "3")])
def test_tensorflow_warns_where_there_is_a_card(smi, visible, level):
    smi("NVIDIA L4, 23034")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible}
    del environment["TF_CPP_MIN_LOG_LEVEL"]
    assert prepared("print(os.environ['TF_CPP_MIN_LOG_LEVEL'])", environment) == (f"{level}\n", "")


def test_opencv_is_quiet_also_where_it_was_loaded_before():
    environment = {name: value for name, value in os.environ.items() if "OPENCV" not in name}
    assert prepared("print(cv2.imread('nothing.png'))", environment) == ("None\n", "")


def prepared(code, environment):
    """What a process prints that runs some code after `command_line.prepare`."""
    code = f"import os, cv2; from a2d_tf.core import command_line; command_line.prepare(); {code}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    return done.stdout, done.stderr


def test_memory_and_cores(root):
    everything = machine.memory(root("sys/fs/cgroup/memory.max", "max\n"))
    assert everything == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert machine.memory(root("sys/fs/cgroup/memory.max", f"{GIB}\n")) == GIB
    assert 1 <= machine.cores() <= os.cpu_count()
    assert 0 < machine.process_memory(most=False) <= machine.process_memory()


@pytest.fixture
def card(monkeypatch):
    """A card that TensorFlow does not find."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(machine, "nvidia_cards", lambda: [machine.Card("NVIDIA L4", 24 * 2**30)])
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])


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


@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_a_card_that_tensorflow_cannot_use_is_an_error(card, device):
    with pytest.raises(InputError, match=r"NVIDIA L4 \(24 GB\).* tools/setup.sh --gpu"):
        devices.prepare(device)


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
