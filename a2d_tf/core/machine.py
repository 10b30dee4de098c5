"""Hardware of the machine, without TensorFlow or CUDA: cores, memory, NVIDIA cards."""

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
_UNNAMED = "an NVIDIA GPU"


@dataclasses.dataclass(frozen=True)
class Card:
    """An NVIDIA card: its name and its memory in bytes, None if unknown."""

    name: str = _UNNAMED
    memory: int | None = None


def cores() -> int:
    """Return the number of cores that this process may use."""
    # Only Linux reports the affinity.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
    """Let Python look for no garbage inside, where nearly all that is made stays."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def give_way() -> None:
    """Let threads of this process, and others, go before the calling thread, for good (Linux).

    Threads that it starts afterwards inherit this.
    """
    if sys.platform == "linux":  # elsewhere it would be the whole process
        os.nice(10)


def process_memory(most: bool = True) -> int | None:
    """Return the peak or the current memory of this process in bytes; None if not on Linux."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        return None
    match = re.search(rf"{'VmHWM' if most else 'VmRSS'}:\s*(\d+) kB", status)
    return int(match[1]) * 1024 if match else None


def nvidia_cards(root: str | os.PathLike = "/") -> list[Card]:
    """Return the NVIDIA cards of this machine, usable or not.

    nvidia-smi reports names and memory. If it is missing or fails, as without a loaded driver, the
    driver's files are read, then device nodes (all that some containers have), then the PCI bus,
    which lists cards without a driver.

    Args:
      root: the folder of `proc`, `dev` and `sys`, for tests.
    """
    return _listed() or _by_driver(root) or _by_node(root) or _by_bus(root)


def may_have_nvidia(root: str | os.PathLike = "/") -> bool:
    """Return whether there is any sign of an NVIDIA card, within milliseconds."""
    cards = _by_driver(root) or _by_node(root) or _by_bus(root)
    return bool(cards or shutil.which("nvidia-smi"))  # WSL has only this


def hides_nvidia() -> bool:
    """Return whether CUDA_VISIBLE_DEVICES hides all cards, as '' and '-1' do.

    CUDA stops reading the list at the first entry that is no device.
    """
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    return value is not None and not re.match(r"\s*(\d|GPU-|MIG-)", value)


def _listed():
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        process = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if process.returncode:
        return []
    rows = [line.rpartition(",") for line in process.stdout.splitlines() if "," in line]
    # Cards that share the host's memory report '[N/A]'.
    return [
        Card(name.strip(), int(size) << 20 if size.strip().isdigit() else None)
        for name, _, size in rows
    ]


def _by_driver(root):
    cards = []
    for path in sorted(glob.glob(f"{root}/proc/driver/nvidia/gpus/*/information")):
        match = re.search(r"^Model:\s*(.+?)\s*$", _text(path), re.MULTILINE)
        cards.append(Card(match[1] if match else _UNNAMED))
    return cards


def _by_node(root):
    return [Card() for _ in glob.glob(f"{root}/dev/nvidia[0-9]*")]


def _by_bus(root):
    return [
        Card()
        for folder in glob.glob(f"{root}/sys/bus/pci/devices/*")
        if _text(f"{folder}/vendor").strip() == _NVIDIA
        and _text(f"{folder}/class").startswith(_DISPLAY)
    ]


def _text(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""
