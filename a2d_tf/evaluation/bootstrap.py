"""How far a difference between two networks can be trusted: a paired bootstrap over videos.

The frames of a video resemble each other, so that videos are drawn, with replacement, and not
frames. Both networks are scored on the same draws: what makes a draw hard for both cancels.
"""

import pathlib

import numpy as np

from a2d_tf.evaluation import detection, segmentation

SAMPLES = 500
LEVEL = 95  # percent of the draws inside an interval


def draw(count, samples=SAMPLES, seed=0):
    """How often each of `count` videos is in each draw: int64 [samples, count]."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), samples)


def figures(folder, label_space, samples=SAMPLES, seed=0):
    """The figures of a scored split on each draw of its videos.

    Args:
      folder: what `a2d_tf.evaluate` wrote, RUN/evaluation/<split>.
      label_space: of the records.
      samples, seed: folders of the same frames, samples and seed have the same draws.

    Returns:
      {"segmentation": {kind: {"ave", "glo", "miou"}}, "detection": {kind}}, as in `metrics.json`,
      each figure an array [samples].

    Raises:
      InputError: a file is missing or damaged.
    """
    folder = pathlib.Path(folder)
    truth = detection.Truth.load(folder / "truth.json", label_space)
    names = truth.frames.tolist()
    videos, place = np.unique([name.rpartition("/")[0] for name in names], return_inverse=True)
    weights = draw(len(videos), samples, seed)

    matrices = {kind: [] for kind in ("actor", "action", "joint")}
    for video in range(len(videos)):
        confusion = segmentation.Confusion(label_space)
        for i in np.flatnonzero(place == video):
            confusion.update(
                *(
                    segmentation.read_label_map(folder / part / f"{names[i]}.png", label_space)
                    for part in ("label_truth", "label_maps")
                )
            )
        for kind, found in matrices.items():
            found.append(confusion.matrix(kind))
    result = {"segmentation": {}}
    for kind, found in matrices.items():
        drawn = np.tensordot(weights, np.stack(found), axes=1)
        result["segmentation"][kind] = segmentation.metrics_of(drawn)

    found = detection.Detections.load(folder / "detections.npz")
    own = detection.evaluate(found, truth, label_space, weights[:, place])
    return {**result, "detection": own["detection"]}


def interval(ours, other):
    """(low, high) of the difference ours - other, arrays [samples] of the same draws."""
    tail = (100 - LEVEL) / 2
    low, high = np.percentile(ours - other, [tail, 100 - tail])
    return float(low), float(high)
