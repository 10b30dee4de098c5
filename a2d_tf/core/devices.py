"""Choose the devices that TensorFlow computes on, check and describe them."""

from __future__ import annotations

import collections
import ctypes
import dataclasses
import os
import re

import tensorflow as tf

from a2d_tf.core import machine
from a2d_tf.core.errors import InputError

_ON_CPU = (
    "An empty CUDA_VISIBLE_DEVICES computes on the CPU, as does --device=cpu of the programs that "
    "have it"
)
_NEWER = (
    "TensorFlow 2.21 has binaries for 6.0 to 9.0: delete .venv and run "
    "PYTHON=python3.12 tools/setup.sh --gpu"
)
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

    def warnings(self) -> list[str]:
        """Return a line for each kind of GPU that this TensorFlow has no binaries for."""
        info = tf.sysconfig.get_build_info()
        built = info.get("cuda_compute_capabilities", ())
        unsupported = {gpu for gpu in self.gpus if gpu.capability and not _is_built(gpu, built)}
        return [
            f"warning: TensorFlow {tf.__version__} has no binaries for {gpu.name} (compute "
            f"capability {_dotted(gpu.capability)}): {_consequence(gpu.capability, built)}"
            for gpu in sorted(unsupported, key=lambda gpu: gpu.name)
        ]

    def announce(self, precision: str, used: int = 1) -> None:
        """Print `line` and `warnings`."""
        print("\n".join([self.line(precision, used), *self.warnings()]), flush=True)


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
    """Keep this process off the GPUs, for it computes little and would take their memory.

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
        reason = _reason(visible)
        raise InputError(
            f"this machine has {cards[0].name}{_size(cards[0].memory)}, which TensorFlow "
            f"{tf.__version__} cannot use: {reason} (docs/gpu.md). {_ON_CPU}"
        )
    if device == "gpu":
        raise InputError("--device=gpu: TensorFlow finds no GPU, nor is there an NVIDIA card")


def _reason(visible):
    """Return why TensorFlow finds no GPU although there is a card, and the remedy."""
    if not tf.test.is_built_with_cuda():
        return "it is built for the CPU alone. tools/setup.sh --gpu installs one for GPUs"
    error = _driver_error()
    if error:
        return (
            f"NVIDIA's driver does not answer ({error}). Install or mend it, until nvidia-smi "
            "lists the card; start a container with --gpus all"
        )
    if visible:
        return (
            f"CUDA_VISIBLE_DEVICES={visible} may name none that there is; if it does, CUDA's "
            "libraries are missing: tools/setup.sh --gpu"
        )
    newer = f"; for a card of compute capability 9.0 (H100): {_NEWER}" if _is_old() else ""
    return (
        "CUDA's libraries are missing or of another version. tools/setup.sh --gpu installs them"
        + newer
    )


def _consequence(capability, built):
    """Return the consequence of TensorFlow having no binaries for a compute capability."""
    if capability < min(_numbers(built), default=(0, 0)):
        return "it is older than all that this one is built for, and will not work (docs/gpu.md)"
    newer = f". {_NEWER}" if _is_old() and capability[0] == 9 else ""
    return (
        "the driver compiles its kernels from PTX, which takes up to half an hour at the first "
        f"start, and keeps them in its cache{newer}"
    )


def _driver_error():
    """Return the error of NVIDIA's driver, '' if it answers."""
    try:
        status = ctypes.CDLL("libcuda.so.1").cuInit(0)
    except OSError as error:
        return str(error)
    return f"cuInit: error {status}" if status else ""


def _is_old():
    return tuple(map(int, tf.__version__.split(".")[:2])) < (2, 16)


def _is_built(gpu, built):
    """Return whether binaries for one of these architectures, as 'sm_75', run on a GPU.

    They run on their compute capability and on higher ones of the same major version.
    """
    major, minor = gpu.capability
    return any(known == major and least <= minor for known, least in _numbers(built))


def _numbers(built):
    """Parse TensorFlow's names of architectures, 'sm_75' or 'compute_80', to (major, minor)."""
    return [divmod(int(re.search(r"\d+", name)[0]), 10) for name in built]


def _rounds(gpu):
    enabled = tf.config.experimental.tensor_float_32_execution_enabled()
    return enabled and gpu.capability is not None and gpu.capability >= _TF32


def _dotted(capability):
    return ".".join(map(str, capability))


def _size(memory):
    return "" if memory is None else f" ({memory / 2**30:.0f} GB)"
