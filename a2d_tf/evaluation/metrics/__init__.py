"""The registry of metrics, every subclass of `Metric` in a module of this folder; their
tables.

A metric says what it needs, sees the frames of a split one by one, and then gives its
part of `metrics.json`. The evaluator, `a2d score`, printed tables and TensorBoard loop
over the registry.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from a2d_tf.core.labels import LabelSpace

KINDS = ("actor", "action", "joint")
"""Kinds of classes."""
PIXELS, INSTANCES, TRACKS, ROIS, RESULTS = (
    "pixels",
    "instances",
    "tracks",
    "rois",
    "results",
)
"""What a metric may need: of each frame the pairs of codes of its label maps, its
instances, and the identities of the true ones; of the whole split `Split.detections`,
or `Split.results`.
"""


@dataclasses.dataclass
class Split:
    """The data that metrics are computed from, beside the frames; None if not given.

    Attributes:
      threshold: least p(actor) of an instance in label maps and tracks; in validation
        it is chosen after the last `Metric.update`, of the thresholds that
        `Frame.pairs` has.
      joint: whether p(action) is a sum over actors, see `tracking.read_label`.
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
    """Figures of a metric as they are printed; TensorBoard's scalars are made of them,
    too.

    Attributes:
      title: printed above.
      columns: {name of a figure: its heading}.
      rows: {name: {name of a figure: its value, or None}}; the row "" gets the
        network's name.
      notes, lead: sentences below the rows, and above the title.
    """

    title: str
    columns: dict[str, str]
    rows: dict[str, dict]
    notes: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()

    def lines(self) -> list[tuple[str, list]]:
        """Return our rows: names, and values by column."""
        return [
            (row, [values.get(c) for c in self.columns])
            for row, values in self.rows.items()
        ]

    def text(self, name: str = "ours") -> str:
        """Return the table as printed; `name` is that of the network's row."""
        rows = [(row or name, values) for row, values in self.lines()]
        width = max([len(row) for row, _ in rows], default=0)
        wide = max(5, *map(len, self.columns.values()))
        cells = [
            ("", self.columns.values()),
            *((row, map(figure, each)) for row, each in rows),
        ]
        lines = [
            f"{row:<{width}}" + "".join(f"  {c:>{wide}}" for c in each)
            for row, each in cells
        ]
        return "\n".join([*self.lead, self.title, *lines, *self.notes])


class Metric:
    """One or several figures of a split.

    Attributes:
      section: of TensorBoard's tags: SECTION/FIGURE, or SECTION/ROW_FIGURE; empty for
        none.
      place: tables and results come in this order.
      needs: what it is computed from; one of several suffices.
      validates: whether it is computed in validation, while a training waits.
    """

    section: ClassVar[str]
    place: ClassVar[int] = 100
    needs: ClassVar[tuple[str, ...]]
    validates: ClassVar[bool] = False

    def __init__(self, split: Split) -> None:
        self.split = split

    def update(self, frame: Any) -> None:
        """Keep what `result` needs of an `evaluated_frames.Frame`.

        In `a2d score segmentation` a frame has `pairs` alone.
        """

    def at(self, threshold: float) -> float | None:
        """Return the percentage by which validation chooses the threshold and the best
        weights.

        The first metric that has one, in the order of `place`, decides.
        """
        return None

    def result(self) -> dict:
        """Return the metric's part of `metrics.json`; empty where there is nothing
        to score.
        """
        return {}

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return the tables of the whole `metrics.json`, of which any part may be
        missing.
        """
        return []


@functools.cache
def registered(*given: str) -> tuple[type[Metric], ...]:
    """Return the metrics that something given suffices for, or all, in the order of
    `place`.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    metrics = sorted(
        Metric.__subclasses__(), key=lambda metric: (metric.place, metric.section)
    )
    return tuple(
        metric for metric in metrics if not given or {*given} & {*metric.needs}
    )


def choose(
    metrics: Sequence[Metric], thresholds: Sequence[float]
) -> tuple[float, float]:
    """Choose a threshold, and the figure by which the best weights are kept:
    (threshold, percent).

    It is the best `Metric.at` of the first metric that has one.
    """
    # One after the other: metrics behind the first that has figures need not compute
    # any.
    figures: Iterator[dict[float, Any]] = (
        {t: each.at(t) for t in thresholds} for each in metrics
    )
    found = next(each for each in figures if None not in each.values())
    best = max(found, key=found.__getitem__)
    return best, found[best]


def results(metrics: Iterable[Metric], split: Split) -> dict:
    """Return the contents of `metrics.json`: the results of metrics of one split."""
    for metric in metrics:
        split.metrics.update(metric.result())
    return split.metrics


def tables(metrics: dict) -> list[tuple[type[Metric], Table]]:
    """Return the tables of `metrics.json`, of which any part may be missing, with
    their metrics.
    """
    return [
        (metric, table) for metric in registered() for table in metric.rows(metrics)
    ]


def of_own_labels(metrics: dict) -> dict:
    """Return the fields of `metrics.json` for users' own labels; all of them if it
    has none.
    """
    own = ("behaviours", "tested", "confusions")
    return {name: metrics[name] for name in own if name in metrics} or metrics


def table(metrics: dict, name: str = "ours") -> str:
    """Format the tables of `metrics.json`, of which any part may be missing, '-' for no
    figure.

    The benchmark's, which count what was not tested and background, make way for own
    labels'.
    """
    gone = ("segmentation", "detection") if "behaviours" in metrics else ()
    shown = [found for metric, found in tables(metrics) if metric.section not in gone]
    return "\n\n".join(found.text(name) for found in shown)


def figure(value: float | None) -> str:
    """Format a figure, a count as a whole number; `-` where there is none."""
    if value is None or isinstance(value, int):
        return "-" if value is None else str(value)
    return f"{value:.1f}"


def scalars(metrics: dict) -> dict[str, float]:
    """Return the figures of all tables of `metrics.json` by TensorBoard's tag."""
    return {
        f"{metric.section}/{'_'.join(filter(None, (row, name)))}": float(value)
        for metric, table in tables(metrics)
        for row, values in table.rows.items()
        for name, value in values.items()
        if metric.section and value is not None
    }
