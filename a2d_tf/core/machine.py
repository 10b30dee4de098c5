"""What the machine has, told without TensorFlow or CUDA: cores, memory, NVIDIA cards."""

from __future__ import annotations

import dataclasses
import glob
import os
import pathlib
import re
import shutil
import subprocess

_CGROUP_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
_NVIDIA, _DISPLAY = "0x10de", "0x03"  # PCI vendor, and the class of display controllers
_UNNAMED = "an NVIDIA GPU"


@dataclasses.dataclass(frozen=True)
class Card:
    """An NVIDIA card: its name, and its memory in bytes, None where nothing tells it."""

    name: str = _UNNAMED
    memory: int | None = None


def cores() -> int:
    """Number of processor cores that this process may use."""
    # Systems other than Linux do not tell which of them.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def memory(root: str | os.PathLike = "/") -> int:
    """Bytes of memory that this process may use: the machine's, or less in a container.

    Args:
      root: the folder that holds `sys`, for tests.
    """
    least = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _CGROUP_LIMITS:
        try:
            least = min(least, int(pathlib.Path(root, path).read_text()))
        except (OSError, ValueError):  # another version of control groups, or the word 'max'
            pass
    return least


def process_memory(most: bool = True) -> int | None:
    """Bytes that this process held at most so far, or holds now; None where Linux does not tell."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(rf"{'VmHWM' if most else 'VmRSS'}:\s*(\d+) kB", status)
    return int(found[1]) * 1024 if found else None


def nvidia_cards(root: str | os.PathLike = "/") -> list[Card]:
    """The NVIDIA cards of this machine, whether or not a program can use them.

    nvidia-smi knows names and memory. Where it is missing or fails, as it does when the driver is
    not loaded, the driver's own files tell, then device nodes (all that some containers have), then
    the PCI bus, which shows a card without any driver.

    Args:
      root: the folder that holds `proc`, `dev` and `sys`, for tests.

    Returns:
      a list of `Card`.
    """
    return _listed() or _by_driver(root) or _by_node(root) or _by_bus(root)


def may_have_nvidia(root: str | os.PathLike = "/") -> bool:
    """Whether there is any sign of an NVIDIA card. Takes milliseconds: it asks no program."""
    found = _by_driver(root) or _by_node(root) or _by_bus(root)
    return bool(found or shutil.which("nvidia-smi"))  # which is all that WSL shows


def hides_nvidia() -> bool:
    """Whether CUDA_VISIBLE_DEVICES hides every card, as an empty one and -1 do.

    CUDA ends the list at the first entry that is no device.
    """
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    return value is not None and not re.match(r"\s*(\d|GPU-|MIG-)", value)


def _listed():
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode:
        return []
    rows = [line.rpartition(",") for line in done.stdout.splitlines() if "," in line]
    # Of cards that share the host's memory it is '[N/A]'.
    return [
        Card(name.strip(), int(size) << 20 if size.strip().isdigit() else None)
        for name, _, size in rows
    ]


def _by_driver(root):
    cards = []
    for path in sorted(glob.glob(f"{root}/proc/driver/nvidia/gpus/*/information")):
        found = re.search(r"^Model:\s*(.+?)\s*$", _text(path), re.MULTILINE)
        cards.append(Card(found[1] if found else _UNNAMED))
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
