"""The machine: its cards, memory and cores; the devices that TensorFlow may use."""

import os

import pytest
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.machine import devices
from a2d_tf.core.machine.devices import Gpu

GIB = 2**30
A100 = Gpu("NVIDIA A100-SXM4-80GB", 80 * GIB, (8, 0))
L4 = Gpu("NVIDIA L4", None, (8, 9))
T4 = Gpu("Tesla T4", 15 * GIB, (7, 5))


def test_nvidia_smi_lists_names_and_memory(tmp_path, monkeypatch):
    lines = (
        "NVIDIA A100-SXM4-80GB, 81920\nNVIDIA H100, 80GB HBM3, 81559\nNVIDIA GB10,"
        " [N/A]"
    )
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert devices.nvidia_cards() == [
        Gpu("NVIDIA A100-SXM4-80GB", 80 * GIB),
        Gpu("NVIDIA H100, 80GB HBM3", 81559 * 2**20),
        Gpu("NVIDIA GB10"),
    ]


def test_without_nvidia_smi_device_nodes_count_the_cards(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(devices, "_NODES", f"{tmp_path}/nvidia[0-9]*")
    assert devices.nvidia_cards() == [] and not devices.may_have_nvidia()
    for name in ("nvidia0", "nvidia12", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert devices.nvidia_cards() == [Gpu(), Gpu()] and devices.may_have_nvidia()


def test_what_cuda_visible_devices_hides(monkeypatch):
    hidden = {
        None: False,
        "": True,
        "-1": True,
        "0": False,
        "1,0": False,
        "MIG-GPU-89/1/2": False,
    }
    for value, hides in hidden.items():
        variables = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
        monkeypatch.setattr(os, "environ", variables)
        assert devices.hides_nvidia() == hides


def test_memory_and_cores(tmp_path):
    limit = tmp_path / "sys/fs/cgroup/memory.max"
    limit.parent.mkdir(parents=True)
    limit.write_text("max\n")
    assert devices.memory(tmp_path) == os.sysconf("SC_PHYS_PAGES") * os.sysconf(
        "SC_PAGE_SIZE"
    )
    limit.write_text(f"{GIB}\n")
    assert devices.memory(tmp_path) == GIB
    assert 1 <= devices.cores() <= os.cpu_count()


@pytest.fixture
def card(monkeypatch):
    """A card that TensorFlow does not find."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(
        devices, "nvidia_cards", lambda: [devices.Gpu("NVIDIA L4", 24 * 2**30)]
    )
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])


def test_the_line_of_devices(monkeypatch, capsys):
    monkeypatch.setattr(devices, "cores", lambda: 2)
    monkeypatch.setattr(devices, "memory", lambda: 24 * GIB)
    for gpus, used, precision, line in (
        (
            (A100,),
            1,
            "mixed_bfloat16",
            "1 x NVIDIA A100-SXM4-80GB (80 GB), mixed_bfloat16",
        ),
        (
            (A100, L4),
            1,
            "float32",
            "1 x NVIDIA A100-SXM4-80GB (80 GB), float32 with products in",
        ),
        ((T4, T4, L4), 2, "float32", "2 x Tesla T4 (15 GB), float32"),
        (
            (T4, L4),
            2,
            "mixed_bfloat16",
            "1 x Tesla T4 (15 GB), 1 x NVIDIA L4, mixed_bfloat16",
        ),
        ((), 1, "float32", "CPU, 2 cores, 24 GB, float32"),
    ):
        devices.announce(gpus, precision, used)
        assert (
            capsys.readouterr().out.rstrip().partition(" TF32")[0] == f"device: {line}"
        )


@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_a_card_that_tensorflow_cannot_use_is_an_error(card, device):
    with pytest.raises(InputError, match=r"NVIDIA L4 \(24 GB\).* tools/setup.sh --gpu"):
        devices.prepare(device)


def test_the_cpu_is_taken_where_that_is_wanted_or_there_is_no_card(card, monkeypatch):
    # Where TensorFlow has begun, which devices it sees cannot be changed any more.
    chosen = []
    monkeypatch.setattr(
        tf.config, "set_visible_devices", lambda *given: chosen.append(given)
    )
    assert devices.prepare("cpu", deterministic=False) == []
    assert chosen == [([], "GPU")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.prepare(deterministic=False) == []
    with pytest.raises(InputError, match="hides every GPU"):
        devices.prepare("gpu")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(devices, "nvidia_cards", list)
    assert devices.prepare(deterministic=False) == []
    with pytest.raises(InputError, match="--device=gpu: no NVIDIA GPU found"):
        devices.prepare("gpu")
