"""Paired bootstrap over videos: confidence intervals of differences between two networks.

Videos rather than frames are resampled, since the frames of a video are correlated. Both networks
are scored on the same samples, so that the difficulty of a sample cancels.
"""

from __future__ import annotations

import os
import pathlib

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import box_data, label_maps
from a2d_tf.evaluation.metrics import KINDS, detection, segmentation

SAMPLES = 500
LEVEL = 95  # percent of the samples inside an interval


def draw(count: int, samples: int = SAMPLES, seed: int = 0) -> np.ndarray:
    """Draw the multiplicity of each of `count` videos in each sample: int64 [samples, count]."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), samples)


def figures(
    folder: str | os.PathLike, label_space: LabelSpace, samples: int = SAMPLES, seed: int = 0
) -> dict:
    """Score each bootstrap sample of the videos of an evaluated split.

    Args:
      folder: RUN/evaluation/<split>, as `a2d_tf.evaluate` wrote it.
      label_space: of the records.
      samples, seed: of `draw`; equal for folders to be compared.

    Returns:
      {"segmentation": {kind: {"ave", "glo", "miou"}}, "detection": {kind}}, as in `metrics.json`,
      each figure an array [samples].

    Raises:
      InputError: a file is missing or damaged.
    """
    folder = pathlib.Path(folder)
    truth = box_data.Truth.load(folder / "truth.json", label_space)
    names = truth.frames.tolist()
    videos, place = np.unique([name.rpartition("/")[0] for name in names], return_inverse=True)
    weights = draw(len(videos), samples, seed)

    matrices: dict[str, list] = {kind: [] for kind in KINDS}
    for video in range(len(videos)):
        confusion = segmentation.Confusion(label_space)
        for i in np.flatnonzero(place == video):
            confusion.update(*label_maps.read_maps(folder, names[i], label_space))
        for kind, per_video in matrices.items():
            per_video.append(confusion.matrix(kind))
    segmentation_figures = {
        kind: segmentation.metrics_of(np.tensordot(weights, np.stack(per_video), axes=1))
        for kind, per_video in matrices.items()
    }
    detections = box_data.Detections.load(folder / "detections.npz")
    metrics = detection.metrics_of(detections, truth, label_space, weights[:, place])
    return {"segmentation": segmentation_figures, "detection": metrics["detection"]}


def interval(ours: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Compute the (low, high) of ours - other, figures [samples] of the same samples."""
    tail = (100 - LEVEL) / 2
    low, high = np.percentile(ours - other, [tail, 100 - tail])
    return float(low), float(high)
