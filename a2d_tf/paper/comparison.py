"""Rows compared: means over folds and seeds, and differences to the full model.

Differences between two networks have the confidence intervals of a paired bootstrap
over videos. Videos rather than frames are resampled, since the frames of a video are
correlated. Both networks are scored on the same samples, so that the difficulty of a
sample cancels.
"""

from __future__ import annotations

import os
import pathlib
import zlib
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import box_data, label_maps, scored_rois
from a2d_tf.evaluation.metrics import detection, segmentation
from a2d_tf.evaluation.metrics.metric import KINDS
from a2d_tf.paper.published import OUR_ROWS
from a2d_tf.paper.results import Result

COMPARED = {
    "segmentation/actor_miou": "actor mIoU",
    "segmentation/action_miou": "action mIoU",
    "segmentation/joint_miou": "joint mIoU",
    "detection/joint_map": "joint mAP",
}
"""The figures that are compared, by their tags of `scalars`: {tag: heading}."""
SAMPLES = 500
LEVEL = 95
"""Percent of the samples inside an interval."""


class Difference(NamedTuple):
    """A figure of a row minus that of the full model.

    Attributes:
      points: the difference.
      low, high: the ends of its interval.
    """

    points: float
    low: float
    high: float


def differences(
    results: list[Result], labels: LabelSpace
) -> dict[str, dict[str, Difference | None]]:
    """Compute the differences of each row to the full model of the same fold and seed.

    Of several folds and seeds they are means, also in each sample, over the runs that
    have a figure.

    Returns:
      {row: {tag of COMPARED: the difference, None without a figure}}.
    """
    full = {(r.fold, r.seed): r for r in results if r.row == "full"}
    samples: dict[Result, np.ndarray] = {}
    rows = {}
    for row in OUR_ROWS:
        runs = [r for r in results if r.row == row and (r.fold, r.seed) in full]
        if row == "full" or not runs:
            continue
        full_runs = [full[run.fold, run.seed] for run in runs]
        for run in runs + full_runs:
            if run not in samples:
                samples[run] = _sampled_figures(run, labels)
        points = _mean_figures(runs) - _mean_figures(full_runs)
        run_samples = _mean_samples(runs, samples)
        full_samples = _mean_samples(full_runs, samples)
        by_tag: dict[str, Difference | None] = {}
        for i, tag in enumerate(COMPARED):
            by_tag[tag] = None
            if points[i] is not np.ma.masked:
                low, high = interval(run_samples[i], full_samples[i])
                by_tag[tag] = Difference(points[i], low, high)
        rows[row] = by_tag
    return rows


def _mean_figures(runs):
    """Return the means of COMPARED over runs, masked where none has a figure."""
    figures = [run.figures(list(COMPARED)) for run in runs]
    return np.ma.masked_invalid(figures).mean(axis=0)


def _mean_samples(runs, samples):
    """Return the means of samples over runs, [figures, samples]; NaN without any."""
    of_runs = [samples[run] for run in runs]
    return np.ma.masked_invalid(of_runs).mean(axis=0).filled(np.nan)


def _sampled_figures(run, labels):
    """Return COMPARED, in order, in each sample of the bootstrap, [figures, samples].

    A figure that the run lacks is NaN.
    """
    print(f"bootstrap of {run.where}", flush=True)
    # Folds are drawn apart, rows of one fold alike.
    seed = zlib.crc32(run.fold.encode())
    figures = bootstrap(run.test, labels, SAMPLES, seed)
    by_tag = {}
    for kind, measures in figures["segmentation"].items():
        by_tag[f"segmentation/{kind}_miou"] = measures["miou"]
    for kind, mean_ap in figures["detection"].items():
        by_tag[f"detection/{kind}_map"] = mean_ap
    missing = np.full(SAMPLES, np.nan)
    return np.array([by_tag.get(tag, missing) for tag in COMPARED])


def bootstrap(
    folder: str | os.PathLike, label_space: LabelSpace, samples: int, seed: int = 0
) -> dict:
    """Score each bootstrap sample of the videos of an evaluated split.

    Args:
      folder: RUN/evaluation/<split>.
      label_space: of the split.
      samples: number of samples.
      seed: of the samples; the same for folders to be compared.

    Returns:
      {"segmentation": {kind: {"ave", "glo", "miou"}}, "detection": {kind}}, as in
      `metrics.json`, each figure an array [samples]; "segmentation" is empty if no
      label map has an object. Joint mAP is the mean AP of the pairs with truth in a
      sample, times the share of the pairs with truth in the split.
    """
    folder = pathlib.Path(folder)
    truth = box_data.Truth.load(folder / "truth.json", label_space)
    frames = truth.frames.tolist()
    videos, video_of_frame = np.unique(
        [frame.rpartition("/")[0] for frame in frames], return_inverse=True
    )
    # How often each video is in each sample, [samples, videos].
    rng = np.random.default_rng(seed)
    shares = np.full(len(videos), 1 / len(videos))
    weights = rng.multinomial(len(videos), shares, samples)

    # Label maps: a matrix for each video, added up with its weight.
    confusions = [segmentation.Confusion(label_space) for _ in videos]
    with_maps = set(label_maps.frames_of(folder))
    for video, frame in zip(video_of_frame, frames):
        if frame in with_maps:
            maps = label_maps.read_maps(folder, frame, label_space)
            confusions[video].update(*maps)
    of_maps = {}
    if any(confusion.pixels for confusion in confusions):
        for kind in KINDS:
            matrices = np.stack([confusion.matrix(kind) for confusion in confusions])
            sampled_matrices = np.tensordot(weights, matrices, axes=1)
            of_maps[kind] = segmentation.measures(sampled_matrices)

    # RoIs: a frame has the weight of its video.
    rois = scored_rois.ScoredRois.load(folder / "detections.npz")
    weights = weights[:, video_of_frame]
    aps = detection.voc_aps(rois, truth, label_space, weights=weights)
    maps_of_kinds = aps["detection"]
    # A pair without truth has an AP of 0, which in both networks would pull differences
    # to 0.
    codes = np.unique(truth.codes)
    present = np.zeros(samples, int)
    for code in codes:
        with_code = truth.box_frame[truth.codes == code]
        present += weights[:, with_code].any(axis=1)
    maps_of_kinds["joint"] *= len(codes) / np.maximum(present, 1)
    return {"segmentation": of_maps, "detection": maps_of_kinds}


def interval(ours: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Compute the (low, high) of ours - other, figures [S] of the same samples."""
    tail = (100 - LEVEL) / 2
    low, high = np.nanpercentile(ours - other, [tail, 100 - tail])
    return float(low), float(high)


class Spread(NamedTuple):
    """A figure over folds and seeds.

    Attributes:
      mean: over the runs that have the figure; None if none has.
      deviation: of these, with n - 1; None of fewer than two.
    """

    mean: float | None
    deviation: float | None


def spreads(runs: list[Result], tags: list[str]) -> list[Spread]:
    """Compute the spread of each figure over runs of one row, by tags of `scalars`."""
    figures = np.ma.masked_invalid([run.figures(tags) for run in runs])
    means = figures.mean(axis=0).tolist()
    deviations = figures.std(axis=0, ddof=1).tolist()
    return list(map(Spread, means, deviations))
