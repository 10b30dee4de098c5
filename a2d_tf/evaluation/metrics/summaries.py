"""Summaries of `metrics.json`: tables for print, scalars for TensorBoard."""

from __future__ import annotations

from a2d_tf.evaluation.metrics.metric import Metric
from a2d_tf.evaluation.metrics.registry import METRICS
from a2d_tf.evaluation.metrics.tables import Table


def all_tables(metrics: dict) -> list[tuple[type[Metric], Table]]:
    """Return the tables of all metrics, each as a pair of its metric and the table.

    Args:
      metrics: the contents of `metrics.json`; any part may be missing.
    """
    pairs = []
    for metric in METRICS:
        for table in metric.tables(metrics):
            pairs.append((metric, table))
    return pairs


def of_own_labels(metrics: dict) -> dict:
    """Select the fields of `metrics.json` that concern a user's own labels.

    Args:
      metrics: the contents of `metrics.json`.

    Returns:
      these fields, such as "behaviours"; all fields if there are none of these.
    """
    names = ("behaviours", "tested", "confusions", "mistakes", "in_tracks")
    fields = {name: metrics[name] for name in names if name in metrics}
    return fields or metrics


def table(metrics: dict, name: str = "ours") -> str:
    """Format the tables of `metrics.json` as text; a missing figure is a '-'.

    With a user's own labels the paper's tables are left out, because they count
    background and classes that were not tested.

    Args:
      metrics: the contents of `metrics.json`; any part may be missing.
      name: what the network is called in the tables.
    """
    own_labels = "behaviours" in metrics
    texts = []
    for metric, metric_table in all_tables(metrics):
        if not (own_labels and metric.is_benchmark):
            texts.append(metric_table.text(name))
    return "\n\n".join(texts)


def scalars(metrics: dict) -> dict[str, float]:
    """Return the figures of all tables as TensorBoard's scalars.

    Args:
      metrics: the contents of `metrics.json`; any part may be missing.

    Returns:
      {tag, such as "segmentation/joint_miou": value}.
    """
    values_by_tag = {}
    for metric, metric_table in all_tables(metrics):
        if not metric.section:
            continue
        for row, values in metric_table.rows.items():
            for name, value in values.items():
                if value is not None:
                    tag = f"{row}_{name}" if row else name
                    values_by_tag[f"{metric.section}/{tag}"] = float(value)
    return values_by_tag
