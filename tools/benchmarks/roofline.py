"""A roofline: what a part of the network reaches beside what the machine's peak and memory allow.

After Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
multicore architectures", 2009.
"""

from __future__ import annotations

import os
import statistics

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def chart(
    points: dict[str, tuple[float, float]], peak: list[float], bandwidth: list[float], folder: str
) -> None:
    """Write FOLDER/roofline.png.

    Args:
      points: {part: (FLOP a byte, GFLOP/s reached)}.
      peak: GFLOP/s of a large convolution, a round each.
      bandwidth: gigabytes a second of a copy, a round each.
      folder: made if missing.
    """
    top, slope = statistics.median(peak), statistics.median(bandwidth)
    most = max(4 * top / slope, *(2 * intensity for intensity, _ in points.values()))
    x = np.geomspace(top / slope / 20, most, 200)
    figure, axis = pyplot.subplots(figsize=(9, 4))
    roof = np.minimum(top, slope * x)
    axis.loglog(x, roof, "k", label=f"{top:.0f} GFLOP/s, {slope:.0f} GB/s")
    for number, (name, (intensity, reached)) in enumerate(points.items()):
        axis.loglog(intensity, reached, "ovs^Dp*hXP"[number % 10], label=name)
    axis.set(xlabel="FLOP a byte read or written", ylabel="GFLOP/s")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    figure.tight_layout()
    os.makedirs(folder, exist_ok=True)
    figure.savefig(os.path.join(folder, "roofline.png"), dpi=100)
    pyplot.close(figure)
