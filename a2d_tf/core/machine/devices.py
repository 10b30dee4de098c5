"""Find cores, memory and GPUs without TensorFlow; choose and check TensorFlow's device.

TensorFlow is imported inside the functions that need it: command lines ask for cores
and cards before it loads.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from a2d_tf.core.errors import InputError

_CGROUP_LIMITS = (
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/memory/memory.limit_in_bytes",
)
_NODES = "/dev/nvidia[0-9]*"
_TENSOR_CORES = (8, 0)  # the least compute capability that multiplies float32 in TF32


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A graphics card that can compute.

    Attributes:
      name: name that its driver reports.
      memory: its memory in bytes; None if unknown.
      capability: CUDA's compute capability, (major, minor); None if unknown.
    """

    name: str = "an NVIDIA GPU"
    memory: int | None = None
    capability: tuple[int, int] | None = None


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory(root: str | os.PathLike = "/") -> int:
    """Return the memory of the machine, or of the container in it, in bytes.

    Args:
      root: folder that holds `sys/fs/cgroup`, where Linux states a container's limit.
    """
    least = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _CGROUP_LIMITS:
        # It fails for another version of control groups, or 'max'.
        with contextlib.suppress(OSError, ValueError):
            least = min(least, int(pathlib.Path(root, path).read_text()))
    return least


def lower_priority() -> None:
    """Lower the priority of the calling thread for good; only Linux can do so.

    Threads that it starts later have the same low priority.
    """
    if sys.platform == "linux":  # elsewhere it would be the whole process
        os.nice(10)


def nvidia_cards() -> list[Gpu]:
    """List the NVIDIA cards of this machine, whether TensorFlow can use them or not.

    nvidia-smi reports names and memory. If it is missing or fails, the device nodes in
    /dev tell how many cards there are.
    """
    query = [
        "nvidia-smi",
        "--query-gpu=name,memory.total",
        "--format=csv,noheader,nounits",
    ]
    try:
        text = subprocess.run(
            query, capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return [Gpu() for _ in glob.glob(_NODES)]
    cards = []
    for line in text.splitlines():
        name, _, mebibytes = line.rpartition(",")
        mebibytes = mebibytes.strip()
        # Cards that share the host's memory report '[N/A]'.
        size = int(mebibytes) << 20 if mebibytes.isdigit() else None
        cards.append(Gpu(name.strip(), size))
    return cards


def may_have_nvidia() -> bool:
    """Return whether there is any sign of an NVIDIA card; takes milliseconds."""
    return bool(glob.glob(_NODES) or shutil.which("nvidia-smi"))  # WSL has only this


def hides_nvidia() -> bool:
    """Return whether CUDA_VISIBLE_DEVICES hides all cards, as '' and '-1' do.

    CUDA stops reading the list at the first entry that is no device.
    """
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    return value is not None and not re.match(r"\s*(\d|GPU-|MIG-)", value)


def announce(gpus: Sequence[Gpu], precision: str, used: int = 1) -> None:
    """Print in one line which devices compute, and how precisely.

    Args:
      gpus: the GPUs, as `prepare` returns them; if there is none, the CPU computes.
      precision: precision of the activations, one of `config.PRECISIONS`.
      used: number of GPUs that take part, the first ones.
    """
    counts = collections.Counter(gpus[:used])
    parts = []
    products = ""
    for gpu, count in counts.items():
        parts.append(f"{count} x {gpu.name}{_size_text(gpu.memory)}")
        has_tensor_cores = gpu.capability and gpu.capability >= _TENSOR_CORES
        if precision == "float32" and has_tensor_cores:
            products = " with products in TF32"
    if not counts:
        parts.append(f"CPU, {cores()} cores, {memory() / 2**30:.0f} GB")
    parts.append(f"{precision}{products}")
    print(f"device: {', '.join(parts)}", flush=True)


def prepare(device: str = "auto", deterministic: bool = True) -> list[Gpu]:
    """Choose the devices that TensorFlow computes on, and return the GPUs among them.

    GPU memory then grows as needed. Call this before TensorFlow creates a tensor.

    Args:
      device: 'cpu', 'gpu', or 'auto': a GPU if the machine has one, else the CPU.
      deterministic: whether to use deterministic kernels only, so that a computation
        can be repeated exactly; ops without such a kernel then fail.

    Returns:
      the GPUs; none if the CPU computes.

    Raises:
      InputError: the machine has an NVIDIA card that TensorFlow cannot use, unless
        `device` or CUDA_VISIBLE_DEVICES asks for the CPU; or `device` is 'gpu' and
        there is none.
    """
    import tensorflow as tf

    gpus = _choose_gpus(device)
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    computing = _describe(gpus)
    _set_graph_options(computing)
    return computing


def hide_gpus() -> None:
    """Keep TensorFlow in this process off the GPUs, whose memory it would take.

    Call this before TensorFlow creates a tensor.
    """
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


def on_gpu() -> bool:
    """Return whether TensorFlow sees a GPU, and so computes on it."""
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))


def _choose_gpus(device: str) -> list[Any]:
    """Return TensorFlow's GPUs that compute, none for the CPU; errors of `prepare`."""
    import tensorflow as tf

    if device == "cpu":
        hide_gpus()
        return []
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        _check_unused(device)
    return gpus


def _describe(gpus: Sequence[Any]) -> list[Gpu]:
    """Return a `Gpu` for each of TensorFlow's GPUs."""
    import tensorflow as tf

    if not gpus:
        return []
    sizes = {card.name: card.memory for card in nvidia_cards()}
    described = []
    for gpu in gpus:
        details = tf.config.experimental.get_device_details(gpu)
        name = details.get("device_name", "GPU")
        described.append(Gpu(name, sizes.get(name), details.get("compute_capability")))
    return described


def _set_graph_options(gpus: Sequence[Gpu]) -> None:
    """Turn off what TensorFlow's graph optimizer does to no good."""
    import tensorflow as tf

    options = {}
    if not gpus:
        # On a CPU, graph rewriting gains nothing here (step time within 5 %), doubles
        # the time of the first call, and warns at length about crops of unknown number.
        options["disable_meta_optimizer"] = True
    elif any((gpu.capability or (0,)) >= _TENSOR_CORES for gpu in gpus):
        # It would transpose float32 to channels first, but these cards convolve
        # channels last.
        options["layout_optimizer"] = False
    if options:
        tf.config.optimizer.set_experimental_options(options)


def _check_unused(device: str) -> None:
    """Raise an InputError if a GPU should be used and TensorFlow has none."""
    are_hidden = hides_nvidia()
    cards = [] if are_hidden else nvidia_cards()
    if cards:
        raise InputError(
            "TensorFlow cannot use this machine's"
            f" {cards[0].name}{_size_text(cards[0].memory)} for the reason above;"
            " reinstall with tools/setup.sh --gpu, check with nvidia-smi that the"
            " driver is 525 or newer (docs/performance.md), or use --device=cpu"
        )
    if device == "gpu":
        reason = "no NVIDIA GPU found"
        if are_hidden:
            reason = "CUDA_VISIBLE_DEVICES hides every GPU"
        raise InputError(f"--device=gpu: {reason}")


def _size_text(size: int | None) -> str:
    """Return a memory size in bytes as text, such as ' (80 GB)'; '' if unknown."""
    return "" if size is None else f" ({size / 2**30:.0f} GB)"
