"""Cores, memory and NVIDIA cards of the machine, found without TensorFlow or CUDA."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

_CGROUP_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
_NVIDIA, _DISPLAY = "0x10de", "0x03"  # PCI vendor, and the class of display controllers


@dataclasses.dataclass(frozen=True)
class Card:
    """An NVIDIA card: its name and its memory in bytes, None if unknown."""

    name: str = "an NVIDIA GPU"
    memory: int | None = None


def cores() -> int:
    """Return the number of cores that this process may use."""
    # Only Linux reports the affinity.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory(root: str | os.PathLike = "/") -> int:
    """Return the bytes of memory that this process may use, of the machine or the container.

    Args:
      root: the folder of `sys`, for tests.
    """
    least = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _CGROUP_LIMITS:
        try:
            least = min(least, int(pathlib.Path(root, path).read_text()))
        except (OSError, ValueError):  # another version of control groups, or 'max'
            pass
    return least


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Switch off garbage collection for code that makes many objects and keeps them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def give_way() -> None:
    """Lower the priority of the calling thread, and of threads that it starts, for good (Linux)."""
    if sys.platform == "linux":  # elsewhere it would be the whole process
        os.nice(10)


def process_memory() -> int | None:
    """Return the peak memory of this process in bytes; None if not on Linux."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        return None
    match = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(match[1]) * 1024 if match else None


def nvidia_cards(root: str | os.PathLike = "/") -> list[Card]:
    """Return the NVIDIA cards of this machine, usable or not.

    nvidia-smi reports names and memory. If it is missing or fails, as without a loaded driver, the
    device nodes or the PCI bus show that there are cards.

    Args:
      root: the folder of `dev` and `sys`, for tests.
    """
    return _listed() or _found(root)


def may_have_nvidia(root: str | os.PathLike = "/") -> bool:
    """Return whether there is any sign of an NVIDIA card; takes milliseconds."""
    return bool(_found(root) or shutil.which("nvidia-smi"))  # WSL has only this


def hides_nvidia() -> bool:
    """Return whether CUDA_VISIBLE_DEVICES hides all cards, as '' and '-1' do.

    CUDA stops reading the list at the first entry that is no device.
    """
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    return value is not None and not re.match(r"\s*(\d|GPU-|MIG-)", value)


def _listed():
    """Return the cards that nvidia-smi lists."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.rpartition(",") for line in text.splitlines() if "," in line]
    # Cards that share the host's memory report '[N/A]'.
    return [
        Card(name.strip(), int(size) << 20 if size.strip().isdigit() else None)
        for name, _, size in rows
    ]


def _found(root):
    """Return the cards that have device nodes (all that some containers have) or are on the bus."""
    nodes = glob.glob(f"{root}/dev/nvidia[0-9]*")
    on_bus = [
        folder
        for folder in glob.glob(f"{root}/sys/bus/pci/devices/*")
        if _text(f"{folder}/vendor").startswith(_NVIDIA)
        and _text(f"{folder}/class").startswith(_DISPLAY)
    ]
    return [Card() for _ in nodes or on_bus]


def _text(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""
