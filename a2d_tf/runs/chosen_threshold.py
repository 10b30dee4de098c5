"""The threshold of p(actor) that a validation chose for a run, kept in a file.

A dozen videos cannot tell nine thresholds apart. So another one than the default is
chosen only if it is clearly better (docs/training.md, the threshold).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from a2d_tf.core.checked_json import check_json, load_json, number
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json

DEFAULT = 0.7
"""The threshold of the paper's authors, for a run without a validation split."""
KIND = {"score_threshold": number(0, 1)}
"""The fields of a JSON file with a chosen threshold, as a kind of `check_json`."""
FILE = "score_threshold.json"
"""The file with the chosen threshold, in a run folder or a packed model."""
_METRICS = ({"box_f1": float}, {"segmentation": {"joint": {"miou": float}}})
"""The figures of a validation, as a kind of `check_json`."""
_AS_GOOD = 1.0  # points below the best figure, which is in percent

logger = logging.getLogger(__name__)


def choose(figures: Mapping[float, float]) -> float:
    """Choose a threshold of p(actor) by the figures of a validation.

    Of the thresholds whose figure is at most 1 point below the best one, the nearest to
    .7 (DEFAULT) is chosen.

    Args:
      figures: {threshold: figure in percent, such as the joint mIoU}.
    """
    return min(
        as_good_as_best(figures),
        key=lambda threshold: (round(abs(threshold - DEFAULT), 6), -figures[threshold]),
    )


def as_good_as_best(figures: Mapping[float, float]) -> list[float]:
    """Return the thresholds whose figure is at most 1 point below the best one.

    Args:
      figures: {threshold: figure in percent}.

    Returns:
      the thresholds in ascending order, the best one among them.
    """
    least = max(figures.values()) - _AS_GOOD
    return sorted(threshold for threshold in figures if figures[threshold] >= least)


def read(workdir: str | os.PathLike) -> float:
    """Read the threshold that a run's last validation chose.

    Args:
      workdir: a run folder or a packed model.

    Returns:
      the threshold; .7 (DEFAULT), with a warning, if no validation chose one.

    Raises:
      InputError: the file is damaged.
    """
    path = os.path.join(workdir, FILE)
    if not os.path.isfile(path):
        logger.warning("%s: no validation chose a threshold; using %s", path, DEFAULT)
        return DEFAULT
    chosen = load_json(path, KIND, "delete it or set --score_threshold")
    return chosen["score_threshold"]


def read_metrics(workdir: str | os.PathLike) -> dict | None:
    """Read the metrics of a run's last validation.

    Args:
      workdir: a run folder.

    Returns:
      the metrics that `save` wrote, named as in `metrics.json`; None without a
      validation.

    Raises:
      InputError: the file is damaged.
    """
    path = os.path.join(workdir, FILE)
    if not os.path.isfile(path):
        return None
    metrics = load_json(path, {"validation": dict}, "delete it")["validation"]
    try:
        check_json(metrics, _METRICS)
    except ValueError as error:
        raise InputError(
            f"{path}: no scores of a validation ({error}); delete it"
        ) from error
    return metrics


def save(
    workdir: str | os.PathLike,
    threshold: float,
    metrics: dict,
    figures: Mapping[float, float],
) -> None:
    """Write the threshold that a validation chose, and the figures that decided.

    The file is `score_threshold.json`.

    Args:
      workdir: the run folder.
      threshold: the chosen threshold of p(actor).
      metrics: the metrics of the validation split at this threshold, named as in
        `metrics.json`.
      figures: {threshold: figure in percent} by which it was chosen.
    """
    fields = {
        "score_threshold": threshold,
        "figures": {f"{threshold:g}": figures[threshold] for threshold in figures},
        "validation": metrics,
    }
    write_json(os.path.join(workdir, FILE), fields)


def describe_choice(workdir: str | os.PathLike, threshold: float) -> str:
    """Say that a run's last validation could hardly tell thresholds apart, if so.

    Args:
      workdir: the run folder.
      threshold: the threshold of p(actor) that is used.

    Returns:
      a line with the figure of each threshold; "" if the validation chose another
      threshold, or if at most half of the thresholds come within 1 point of the best.

    Raises:
      InputError: the file is damaged.
    """
    path = os.path.join(workdir, FILE)
    if not os.path.isfile(path):
        return ""
    stored = load_json(path, KIND, "delete it or set --score_threshold")
    figures = {float(key): value for key, value in stored.get("figures", {}).items()}
    alike = as_good_as_best(figures) if figures else []
    if threshold != stored["score_threshold"] or 2 * len(alike) <= len(figures):
        return ""
    listed = ", ".join(f"{key:g}: {figures[key]:.1f}" for key in sorted(figures))
    return (
        f"validation can hardly tell thresholds apart ({listed} %); of those within"
        f" {_AS_GOOD:g} point of the best, the nearest to {DEFAULT:g} was taken"
    )
