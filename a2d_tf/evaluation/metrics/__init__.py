"""The registry of metrics and their tables.

Every subclass of `Metric` in a module of this folder is registered. A metric says what
it needs, sees the frames of a split one by one, and then gives its part of
`metrics.json`. The evaluator, `a2d score`, printed tables and TensorBoard loop over the
registry.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from a2d_tf.core.labels import LabelSpace

KINDS = ("actor", "action", "joint")
"""Kinds of classes."""

# What a metric may need.
PIXELS = "pixels"
"""The pairs of codes of each frame's label maps."""
INSTANCES = "instances"
"""The instances of each frame."""
TRACKS = "tracks"
"""The identities of each frame's true instances."""
ROIS = "rois"
"""`Split.detections`, of the whole split."""
RESULTS = "results"
"""`Split.results`, of the whole split."""


@dataclasses.dataclass
class Split:
    """The data that metrics are computed from, beside the frames; None if not given.

    Attributes:
      threshold: least p(actor) of an instance in label maps and tracks; in validation
        it is chosen after the last `Metric.update`, of the thresholds that
        `Frame.pairs` has.
      joint: whether p(action) is a sum over actors, see `track_labels.read_label`.
      truth, detections, results: of all frames when `Metric.result` is called: a
        `box_data.Truth` and its `Detections` and `Results`.
      zero_shot_actor: name of the actor whose action labels were withheld, or "".
      seed: of shuffles.
      full: `Detections` of the full model, to compare a zero-shot model with.
      metrics: the parts of `metrics.json` that earlier metrics have computed.
    """

    labels: LabelSpace
    threshold: float = 0.0
    joint: bool = False
    truth: Any = None
    detections: Any = None
    results: Any = None
    zero_shot_actor: str = ""
    seed: int = 0
    full: Any = None
    metrics: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Table:
    """Figures of a metric, for print and for TensorBoard.

    Attributes:
      title: printed above.
      columns: {name of a figure: its heading}.
      rows: {name: {name of a figure: its value, or None}}; the row "" gets the
        network's name.
      notes: sentences below the rows.
      lead: sentences above the title.
    """

    title: str
    columns: dict[str, str]
    rows: dict[str, dict]
    notes: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()

    def lines(self) -> list[tuple[str, list]]:
        """Return the name of each row, with its values in the order of the columns."""
        lines = []
        for name, values in self.rows.items():
            lines.append((name, [values.get(column) for column in self.columns]))
        return lines

    def text(self, name: str = "ours") -> str:
        """Return the table as printed; `name` is that of the network's row."""
        cells = [["", *self.columns.values()]]
        for row, values in self.lines():
            cells.append([row or name, *map(figure, values)])
        first_width = max(len(line[0]) for line in cells)
        width = max(5, *map(len, self.columns.values()))
        lines = []
        for row, *values in cells:
            padded = [f"  {value:>{width}}" for value in values]
            lines.append(f"{row:<{first_width}}" + "".join(padded))
        return "\n".join([*self.lead, self.title, *lines, *self.notes])


class Metric:
    """One or several figures of a split.

    Attributes:
      section: of TensorBoard's tags: SECTION/FIGURE, or SECTION/ROW_FIGURE; empty for
        none.
      position: results and tables come in the order of these numbers.
      needs: what it is computed from; one of several suffices.
      validates: whether it is computed in validation, while a training waits.
    """

    section: ClassVar[str]
    position: ClassVar[int] = 100
    needs: ClassVar[tuple[str, ...]]
    validates: ClassVar[bool] = False

    def __init__(self, split: Split) -> None:
        self.split = split

    def update(self, frame: Any) -> None:
        """Keep what `result` needs of an `evaluated_frames.Frame`.

        In `a2d score segmentation` a frame has nothing but `pairs`.
        """

    def at(self, threshold: float) -> float | None:
        """Return the figure, in percent, that validation maximizes; None without one.

        Validation chooses the threshold and the best weights by the first metric, in
        the order of `position`, that has such figures.
        """
        return None

    def result(self) -> dict:
        """Return the metric's part of `metrics.json`; empty without scores."""
        return {}

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return the metric's tables of `metrics.json`, which may lack any part."""
        return []


@functools.cache
def registered(*available: str) -> tuple[type[Metric], ...]:
    """Return the metrics that can be computed, in the order of `position`.

    Args:
      *available: what there is of the needs; without any, all metrics are returned.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    metrics = sorted(
        Metric.__subclasses__(), key=lambda metric: (metric.position, metric.section)
    )
    if available:
        metrics = [metric for metric in metrics if set(available) & set(metric.needs)]
    return tuple(metrics)


def choose(
    metrics: Sequence[Metric], thresholds: Sequence[float]
) -> tuple[float, float]:
    """Choose a threshold, and the figure by which the best weights are kept.

    Returns:
      (threshold, percent): the best `Metric.at` of the first metric that has one.
    """
    for metric in metrics:
        figures: dict[float, Any] = {t: metric.at(t) for t in thresholds}
        if None not in figures.values():
            best = max(figures, key=figures.__getitem__)
            return best, figures[best]
    raise LookupError("no metric has a figure for each threshold")


def results(metrics: Iterable[Metric], split: Split) -> dict:
    """Return the contents of `metrics.json`: the results of the metrics of a split."""
    for metric in metrics:
        split.metrics.update(metric.result())
    return split.metrics


def tables(metrics: dict) -> list[tuple[type[Metric], Table]]:
    """Return the tables of `metrics.json`, each with its metric.

    `metrics.json` may lack any part.
    """
    pairs = []
    for metric in registered():
        for table in metric.tables(metrics):
            pairs.append((metric, table))
    return pairs


def of_own_labels(metrics: dict) -> dict:
    """Return the fields of `metrics.json` for users' own labels, or all if none."""
    names = ("behaviours", "tested", "confusions")
    fields = {name: metrics[name] for name in names if name in metrics}
    return fields or metrics


def table(metrics: dict, name: str = "ours") -> str:
    """Format the tables of `metrics.json`; a figure that is missing is a '-'.

    The benchmark's tables count background and classes that were not tested. With own
    labels, whose tables do not, they are left out.
    """
    omitted = ("segmentation", "detection") if "behaviours" in metrics else ()
    texts = []
    for metric, metric_table in tables(metrics):
        if metric.section not in omitted:
            texts.append(metric_table.text(name))
    return "\n\n".join(texts)


def figure(value: float | None) -> str:
    """Format a figure, a count as a whole number; `-` if there is none."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}"


def scalars(metrics: dict) -> dict[str, float]:
    """Return the figures of all tables of `metrics.json` by TensorBoard's tag."""
    values_by_tag = {}
    for metric, metric_table in tables(metrics):
        if not metric.section:
            continue
        for row, values in metric_table.rows.items():
            for name, value in values.items():
                if value is not None:
                    tag = f"{row}_{name}" if row else name
                    values_by_tag[f"{metric.section}/{tag}"] = float(value)
    return values_by_tag
