"""The devices: the line, and a card that TensorFlow cannot use."""

import pytest
import tensorflow as tf

from a2d_tf.core import devices, machine
from a2d_tf.core.devices import Devices, Gpu
from a2d_tf.core.errors import InputError

A100 = Gpu("NVIDIA A100-SXM4-80GB", 80 * 2**30, (8, 0))
L4 = Gpu("NVIDIA L4", None, (8, 9))
T4 = Gpu("Tesla T4", 15 * 2**30, (7, 5))


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
