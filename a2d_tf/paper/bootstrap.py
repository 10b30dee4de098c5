"""The bootstrap of an evaluated split: its scores in samples of its videos.

Videos rather than frames are resampled, since the frames of a video are correlated.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.frames import label_maps
from a2d_tf.evaluation.metrics import detection, segmentation
from a2d_tf.evaluation.metrics.metric import KINDS
from a2d_tf.runs import scores

LEVEL = 95
"""The percentage of the samples that an interval contains."""


class _Draws(NamedTuple):
    """S samples of the V videos of a split with F frames, drawn with replacement.

    Attributes:
      video_of_frame: the index of each frame's video, int [F].
      counts: the number of times that each sample contains each video, int [S, V].
    """

    video_of_frame: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, frames: list[str], samples: int, seed: int) -> _Draws:
        """Draw samples of as many videos as the split has.

        Args:
          frames: the names of all frames, `<VID>/<%05d>`.
          samples: the number of samples.
          seed: the seed of the draws.
        """
        videos, video_of_frame = np.unique(
            [frame.rpartition("/")[0] for frame in frames], return_inverse=True
        )
        shares = np.full(len(videos), 1 / len(videos))
        rng = np.random.default_rng(seed)
        return cls(video_of_frame, rng.multinomial(len(videos), shares, samples))

    def frame_counts(self) -> np.ndarray:
        """Return the number of times each sample contains each frame, int [S, F]."""
        return self.counts[:, self.video_of_frame]


def bootstrap(
    folder: str | os.PathLike, label_space: LabelSpace, samples: int, seed: int = 0
) -> dict:
    """Score an evaluated split in each of many bootstrap samples of its videos.

    Args:
      folder: the folder that `a2d evaluate` wrote, RUN/evaluation/<split>. Its truth,
        detections and label maps are read.
      label_space: the actors, actions and valid pairs of the split.
      samples: the number of samples.
      seed: the seed of the draws; it must be the same for folders to be compared.

    Returns:
      {"segmentation": {kind: {"ave", "glo", "miou"}}, "detection": {kind}}, as in
      `metrics.json`, each figure an array [samples]; "segmentation" is empty if no
      label map has an object. Joint mAP is the mean AP of the pairs with truth in a
      sample, times the share of the pairs with truth in the split.
    """
    folder = pathlib.Path(folder)
    truth = Truth.load(folder / scores.TRUTH, label_space)
    rois = ScoredRois.load(folder / "detections.npz")
    draws = _Draws.of(truth.frames.tolist(), samples, seed)
    return {
        "segmentation": _segmentation(folder, truth, label_space, draws),
        "detection": _detection(rois, truth, label_space, draws),
    }


def interval(ours: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the ends of the LEVEL % confidence interval of a difference.

    Args:
      ours: the figure of one network in each of S samples, float [S].
      other: the same figure of the network to compare with, in the same samples.

    Returns:
      the lower and the upper end of the interval of `ours - other`, in the unit of the
      figures. Samples in which either is NaN do not count.
    """
    tail = (100 - LEVEL) / 2
    low, high = np.nanpercentile(ours - other, [tail, 100 - tail])
    return float(low), float(high)


def _segmentation(
    folder: pathlib.Path, truth: Truth, label_space: LabelSpace, draws: _Draws
) -> dict[str, dict[str, np.ndarray]]:
    """Return the figures of label maps in each sample; empty without objects."""
    with_maps = set(label_maps.frames_of(folder))
    # The confusion of a sample is the sum of those of its videos.
    _, video_count = draws.counts.shape
    confusions = [segmentation.Confusion(label_space) for _ in range(video_count)]
    for video, frame in zip(draws.video_of_frame, truth.frames.tolist()):
        if frame in with_maps:
            maps = label_maps.read_maps(folder, frame, label_space)
            confusions[video].update(*maps)
    figures = {}
    if any(confusion.pixels for confusion in confusions):
        for kind in KINDS:
            matrices = np.stack([confusion.matrix(kind) for confusion in confusions])
            of_samples = np.tensordot(draws.counts, matrices, axes=1)
            figures[kind] = segmentation.measures(of_samples)
    return figures


def _detection(
    rois: ScoredRois, truth: Truth, label_space: LabelSpace, draws: _Draws
) -> dict[str, Any]:
    """Return the mAP of each kind in each sample, {kind: float [S]}."""
    weights = draws.frame_counts()
    aps = detection.voc_aps(rois, truth, label_space, weights=weights)
    mean_aps = aps["detection"]
    # A pair without truth has an AP of 0, which in both networks would pull differences
    # to 0.
    codes = np.unique(truth.codes)
    present = np.zeros(len(weights), int)
    for code in codes:
        with_code = truth.box_frame[truth.codes == code]
        present += weights[:, with_code].any(axis=1)
    mean_aps["joint"] *= len(codes) / np.maximum(present, 1)
    return mean_aps
