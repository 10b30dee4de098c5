"""Score a folder of label maps against another."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.frames import label_maps
from a2d_tf.evaluation.metrics import registry, segmentation
from a2d_tf.evaluation.metrics.metric import PIXELS, SplitData

if TYPE_CHECKING:
    from a2d_tf.evaluation.frames.evaluated_frames import Frame


def score(truth: str, predicted: str, label_space: LabelSpace) -> dict[str, Any]:
    """Score predicted label maps against the true ones, pixel by pixel.

    Args:
      truth: the folder of the true maps, <VID>/<frame>.png.
      predicted: the folder of the predicted maps, with the same names.
      label_space: the actors, actions and pairs that the maps' values stand for.

    Returns:
      the scores in percent, as in the `metrics.json` of a2d evaluate.

    Raises:
      InputError: a folder or a prediction is missing, or a label map cannot be used.
    """
    # Copies made on a Mac have a ._NAME beside NAME.
    paths = pathlib.Path(truth).glob("*/[!.]*.png")
    names = sorted(path.relative_to(truth) for path in paths)
    if not names:
        raise InputError(f"--truth: {truth} contains no label maps <VID>/<frame>.png")
    split = SplitData()
    metrics = [metric(label_space) for metric in registry.computable(PIXELS)]
    for name in names:
        true_path = pathlib.Path(truth, name)
        predicted_path = pathlib.Path(predicted, name)
        try:
            true_map = label_maps.read_label_map(true_path, label_space)
            predicted_map = label_maps.read_label_map(predicted_path, label_space)
            counts = segmentation.count_pixels(true_map, predicted_map)
            frame = _LabelMapFrame({split.threshold: counts})
            for metric in metrics:
                metric.update(cast("Frame", frame))
        except (InputError, OSError) as error:
            raise InputError(f"{true_path}, {predicted_path}: {error}") from error
    scores = registry.results(metrics, split)
    if not scores:
        raise InputError(f"--truth: no label map in {truth} shows an object")
    return scores


class _LabelMapFrame(NamedTuple):
    """The part of a `Frame` that metrics of PIXELS read."""

    pixel_counts: dict[float, segmentation.PixelCounts]
