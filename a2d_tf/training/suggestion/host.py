"""The machine that trains: its cores, memory and GPU."""

from __future__ import annotations

import dataclasses

from a2d_tf.core.machine import devices

UNKNOWN_GPU = 16 * 2**30
"""Bytes of memory assumed of a GPU that does not report its memory."""


@dataclasses.dataclass(frozen=True)
class Host:
    """The machine that trains.

    Attributes:
      cores: number of CPU cores that the process may use.
      memory: bytes of main memory.
      gpu: bytes of memory of its (first) GPU; None without a GPU.
    """

    cores: int
    memory: int
    gpu: int | None = None

    @classmethod
    def here(cls) -> Host:
        """Return the cores, memory and NVIDIA GPU of this machine.

        The GPU is None if CUDA_VISIBLE_DEVICES hides it.
        """
        gpu = None
        if not devices.hides_nvidia():
            cards = devices.nvidia_cards()
            if cards:
                gpu = cards[0].memory or UNKNOWN_GPU
        return cls(devices.cores(), devices.memory(), gpu)

    def __str__(self) -> str:
        if self.gpu is not None:
            return f"a GPU of {self.gpu / 2**30:.0f} GB"
        return f"a CPU of {self.memory / 2**30:.0f} GB, cores: {self.cores}"
