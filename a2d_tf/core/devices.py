"""Choose, check and describe the devices that TensorFlow computes on."""

from __future__ import annotations

import collections
import dataclasses
import os

import tensorflow as tf

from a2d_tf.core import machine
from a2d_tf.core.errors import InputError

_TF32 = (8, 0)  # the least compute capability whose float32 products are in TF32


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A GPU that TensorFlow uses.

    Attributes:
      name: as reported by its driver.
      memory: in bytes, None if unknown.
      capability: compute capability (major, minor), None if unknown.
    """

    name: str
    memory: int | None = None
    capability: tuple | None = None


@dataclasses.dataclass(frozen=True)
class Devices:
    """The GPUs that this process computes on; without any, the CPU."""

    gpus: tuple[Gpu, ...] = ()

    def line(self, precision: str, used: int = 1) -> str:
        """Describe the devices in a line.

        Args:
          precision: of the activations, one of `config.PRECISIONS`.
          used: number of GPUs that take part.
        """
        counts = collections.Counter(self.gpus[:used])
        parts = [f"{count} x {gpu.name}{_size(gpu.memory)}" for gpu, count in counts.items()]
        if not parts:
            parts = [f"CPU, {machine.cores()} cores, {machine.memory() / 2**30:.0f} GB"]
        elif precision == "float32" and any(map(_rounds, self.gpus[:used])):
            precision += " with products in TF32"
        return f"device: {', '.join([*parts, precision])}"

    def announce(self, precision: str, used: int = 1) -> None:
        """Print `line`."""
        print(self.line(precision, used), flush=True)


def prepare(device: str = "auto", deterministic: bool = True) -> Devices:
    """Choose the devices, and let GPU memory grow as needed.

    Call this before TensorFlow creates a tensor.

    Args:
      device: 'cpu', 'gpu', or 'auto': a GPU if the machine has one, else the CPU.
      deterministic: whether to use deterministic kernels only; ops without one then fail.

    Raises:
      InputError: the machine has an NVIDIA card that TensorFlow cannot use, unless `device` or
        CUDA_VISIBLE_DEVICES asks for the CPU; or `device` is 'gpu' and there is none.
    """
    gpus = [] if device == "cpu" else tf.config.get_visible_devices("GPU")
    if device == "cpu":
        hide_gpus()
    elif not gpus:
        _check_unused(device)
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        # On a CPU, graph rewriting gains nothing here (step time within 5 %), doubles the time of
        # the first call, and warns at length about crops of unknown number.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    return Devices(_described(gpus))


def hide_gpus() -> None:
    """Keep this process off the GPUs: it computes little, and would take their memory.

    Call this before TensorFlow creates a tensor.
    """
    tf.config.set_visible_devices([], "GPU")


def on_gpu() -> bool:
    """Return whether TensorFlow computes on a GPU."""
    return bool(tf.config.get_visible_devices("GPU"))


def peak_memory() -> int | None:
    """Return the peak memory in bytes, of the first GPU since `forget_peak` or of this process.

    None if unknown.
    """
    if on_gpu():
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return machine.process_memory()


def forget_peak() -> None:
    """Reset the peak memory of the first GPU."""
    if on_gpu():
        tf.config.experimental.reset_memory_stats("GPU:0")


def _described(gpus):
    sizes = {card.name: card.memory for card in machine.nvidia_cards()} if gpus else {}
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    names = [info.get("device_name", "GPU") for info in details]
    return tuple(
        Gpu(name, sizes.get(name), info.get("compute_capability"))
        for name, info in zip(names, details)
    )


def _check_unused(device):
    """Raise an InputError if a GPU should be used and TensorFlow has none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if machine.hides_nvidia():
        if device == "gpu":
            raise InputError(f"--device=gpu: CUDA_VISIBLE_DEVICES={visible} hides every GPU")
        return
    cards = machine.nvidia_cards()
    if cards:
        raise InputError(
            f"TensorFlow cannot use this machine's {cards[0].name}{_size(cards[0].memory)}, for "
            "the reason above; tools/setup.sh --gpu installs one that can, nvidia-smi checks the "
            "driver (docs/gpu.md), --device=cpu computes without it"
        )
    if device == "gpu":
        raise InputError("--device=gpu: TensorFlow finds no GPU, nor is there an NVIDIA card")


def _rounds(gpu):
    enabled = tf.config.experimental.tensor_float_32_execution_enabled()
    return enabled and gpu.capability is not None and gpu.capability >= _TF32


def _size(memory):
    return "" if memory is None else f" ({memory / 2**30:.0f} GB)"
