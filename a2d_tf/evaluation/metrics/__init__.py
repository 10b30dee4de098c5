"""The metrics: a file for each, their base class, registry and tables.

A metric says what it needs, sees the frames of a split one by one, and then gives its
part of `metrics.json`. The evaluator, `a2d score`, printed tables and TensorBoard loop
over the registry.
"""

from a2d_tf.evaluation.metrics.metric import (
    INSTANCES,
    KINDS,
    PIXELS,
    RESULTS,
    ROIS,
    TRACKS,
    Metric,
    Split,
)
from a2d_tf.evaluation.metrics.registry import choose, registered, results
from a2d_tf.evaluation.metrics.summaries import (
    all_tables,
    of_own_labels,
    scalars,
    table,
)
from a2d_tf.evaluation.metrics.tables import Table, figure

__all__ = [
    "INSTANCES",
    "KINDS",
    "PIXELS",
    "RESULTS",
    "ROIS",
    "TRACKS",
    "Metric",
    "Split",
    "Table",
    "all_tables",
    "choose",
    "figure",
    "of_own_labels",
    "registered",
    "results",
    "scalars",
    "table",
]
