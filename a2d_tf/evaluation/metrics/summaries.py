"""Summaries of `metrics.json`: tables for print, scalars for TensorBoard."""

from __future__ import annotations

from a2d_tf.evaluation.metrics.metric import Metric
from a2d_tf.evaluation.metrics.registry import METRICS
from a2d_tf.evaluation.metrics.tables import Table


def all_tables(metrics: dict) -> list[tuple[type[Metric], Table]]:
    """Return the tables of `metrics.json`, each with its metric.

    `metrics.json` may lack any part.
    """
    pairs = []
    for metric in METRICS:
        for table in metric.tables(metrics):
            pairs.append((metric, table))
    return pairs


def of_own_labels(metrics: dict) -> dict:
    """Return the fields of `metrics.json` for users' own labels, or all if none."""
    names = ("behaviours", "tested", "confusions", "mistakes", "in_tracks")
    fields = {name: metrics[name] for name in names if name in metrics}
    return fields or metrics


def table(metrics: dict, name: str = "ours") -> str:
    """Format the tables of `metrics.json`; a figure that is missing is a '-'.

    The benchmark's tables count background and classes that were not tested. With own
    labels, whose tables do not, they are left out.
    """
    own_labels = "behaviours" in metrics
    texts = []
    for metric, metric_table in all_tables(metrics):
        if not (own_labels and metric.is_benchmark):
            texts.append(metric_table.text(name))
    return "\n\n".join(texts)


def scalars(metrics: dict) -> dict[str, float]:
    """Return the figures of all tables of `metrics.json` by TensorBoard's tag."""
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
