"""The tables of a report: those of the paper, differences, means, each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics.detection import Detection
from a2d_tf.evaluation.metrics.segmentation import Segmentation
from a2d_tf.evaluation.metrics.summaries import scalars
from a2d_tf.evaluation.metrics.tables import figure
from a2d_tf.evaluation.reports.blocks import Block, Heading, TableBlock, Text
from a2d_tf.paper import bootstrap, comparison, published
from a2d_tf.paper.results import Result
from a2d_tf.paper.table_rows import OUR_ROWS
from a2d_tf.runs.chosen_threshold import DEFAULT


class _PaperTable:
    """A table of the paper, to which rows are added one by one; ours are bold.

    Args:
      metric: the metric that defines the columns and the figures of our rows.
      published_rows: {name: a `SegmentationRow` or `DetectionRow`}.
      metrics: {name of a row of ours: `metrics.json`}.
    """

    def __init__(
        self,
        metric: type[Segmentation] | type[Detection],
        published_rows: dict,
        metrics: Mapping[str, dict[str, Any]],
    ) -> None:
        self._metric = metric
        self._published_rows = published_rows
        self._metrics = metrics
        self._rows: list[list[str]] = []
        self._ours: set[int] = set()

    def add_published(self, name: str) -> None:
        """Add a published row."""
        figures = self._published_rows[name].figures()
        self._rows.append([f"{name}, published", *map(figure, figures)])

    def add_ours(self, row: str) -> None:
        """Add a row of ours, if it has these figures."""
        figures = self._metric.row(self._metrics.get(row, {}))
        if figures is None:
            return
        self._ours.add(len(self._rows))
        name = f"ours, {OUR_ROWS[row].title}"
        self._rows.append([name, *map(figure, figures.values())])

    def block(self, heads: list[str]) -> TableBlock:
        """Return the table, whose columns have these headings."""
        return TableBlock(("", *heads), self._rows, frozenset(self._ours))


def of_paper(metrics: Mapping[str, dict[str, Any]]) -> list[Block]:
    """Return the paper's Tables 1 to 3, our rows in bold.

    Args:
      metrics: {name of a row of ours: `metrics.json`}.
    """
    table_1 = _PaperTable(Segmentation, published.SEGMENTATION, metrics)
    for name in published.TABLE_1:
        table_1.add_published(name)
    table_1.add_ours("full")
    table_3 = _PaperTable(Segmentation, published.SEGMENTATION, metrics)
    for row, our_row in OUR_ROWS.items():
        if our_row.segmentation:
            table_3.add_published(our_row.segmentation)
        table_3.add_ours(row)
    table_2 = _PaperTable(Detection, published.DETECTION, metrics)
    for name in published.DETECTION:
        table_2.add_published(name)
        for row, our_row in OUR_ROWS.items():
            if our_row.detection == name:
                table_2.add_ours(row)
    segmentation_heads = list(Segmentation.columns.values())
    return [
        Heading("Table 1: joint actor-action segmentation"),
        table_1.block(segmentation_heads),
        Heading("Table 3: what each part is worth, and beyond it"),
        table_3.block(segmentation_heads),
        Heading("Table 2: detection of actors and actions"),
        table_2.block(list(Detection.columns.values())),
    ]


def at_one_threshold(metrics: Mapping[str, dict[str, Any]]) -> list[Block]:
    """Return a table of our joint mIoU at the default and at the chosen threshold.

    Args:
      metrics: {name of a row of ours: `metrics.json`}. Earlier versions wrote no figure
        at the default threshold; their rows are left out.
    """
    rows = []
    for row, our_row in OUR_ROWS.items():
        of_row = metrics.get(row, {})
        at_default = of_row.get("joint_miou_at_default")
        if at_default is None:
            continue
        chosen = of_row["segmentation"]["joint"]["miou"]
        threshold = f"{of_row['score_threshold']:g}"
        name = f"ours, {our_row.title}"
        rows.append([name, figure(at_default), figure(chosen), threshold])
    if not rows:
        return []
    heads = ["", f"at {DEFAULT:g}", "at the chosen one", "chosen"]
    return [
        Heading("Joint mIoU at one threshold"),
        Text(
            "Videos held out choose the threshold of a row, few of them by chance:"
            f" compare rows at {DEFAULT:g}."
        ),
        _table(heads, rows),
    ]


def differences(
    done: list[Result], labels: LabelSpace, *, beside_published: bool
) -> list[Block]:
    """Return a table of each row's differences to the full model.

    Each difference has its confidence interval, from a bootstrap over videos.

    Args:
      done: the results that have scores.
      labels: the label space of the records.
      beside_published: whether the paper's differences stand beside ours.
    """
    rows = []
    for row, row_differences in comparison.differences(done, labels).items():
        cells: list[str | None] = [OUR_ROWS[row].title]
        if beside_published:
            cells.append(_published_difference(OUR_ROWS[row].segmentation))
        for tag in comparison.COMPARED:
            difference = row_differences[tag]
            if difference is None:
                cells.append(None)
                continue
            text = f"{difference.points:+.1f}"
            if difference.low < difference.high:  # the samples of one video are alike
                text += f" [{difference.low:+.1f}, {difference.high:+.1f}]"
            cells.append(text)
        rows.append(cells)
    if not rows:
        return []
    heads = [""]
    if beside_published:
        heads.append("joint mIoU, published")
    heads += comparison.COMPARED.values()
    return [
        Heading("Difference to the full model"),
        Text(
            f"Points, with {bootstrap.LEVEL} % intervals of a paired bootstrap over"
            f" the test videos ({comparison.SAMPLES} samples); the seed of training"
            " adds to them."
        ),
        _table(heads, rows),
    ]


def means(done: Sequence[Result], columns: Mapping[str, str]) -> list[Block]:
    """Return the mean and deviation of each row over its folds and seeds.

    Args:
      columns: {tag of `scalars`: heading}.
    """
    rows = []
    for row, our_row in OUR_ROWS.items():
        runs = [result for result in done if result.row == row]
        if not runs:
            continue
        cells: list[str | None] = [our_row.title, str(len(runs))]
        for spread in comparison.spreads(runs, list(columns)):
            cells.append(_mean_and_deviation(spread))
        rows.append(cells)
    return [
        Heading("Mean over folds and seeds, and deviation"),
        Text("Percent."),
        _table(["", "runs", *columns.values()], rows),
    ]


def each_run(done: Sequence[Result], columns: Mapping[str, str]) -> list[Block]:
    """Return a table with the scores of each single run.

    Args:
      columns: {tag of `scalars`: heading}.
    """
    rows = []
    for result in done:
        values = scalars(result.metrics)
        cells: list[str | None] = [result.row, result.fold, str(result.seed)]
        for tag in columns:
            cells.append(figure(values[tag]) if tag in values else None)
        rows.append(cells)
    return [
        Heading("Each run"),
        _table(["", "fold", "seed", *columns.values()], rows),
    ]


def _published_difference(name: str | None) -> str | None:
    """Return the published joint mIoU of a row minus that of the full model.

    It is None for a row that is not published.
    """
    if name is None:
        return None
    difference = published.joint_miou(name) - published.joint_miou(published.FULL)
    return f"{difference:+.1f}"


def _mean_and_deviation(spread: comparison.Spread) -> str | None:
    """Return 'mean ± deviation', or the mean of a single run; None without a mean."""
    if spread.mean is None:
        return None
    text = figure(spread.mean)
    if spread.deviation is not None:
        text += f" ± {spread.deviation:.1f}"
    return text


def _table(heads: Sequence[str], rows: Sequence[Sequence[str | None]]) -> TableBlock:
    """Return a table without its empty columns.

    Args:
      heads: the headings of the columns.
      rows: the texts of each row; None for a figure that is missing.
    """
    filled = []
    for column in range(len(heads)):
        if any(row[column] is not None for row in rows):
            filled.append(column)
    texts = []
    for row in rows:
        cells = [row[column] for column in filled]
        texts.append(["-" if cell is None else cell for cell in cells])
    return TableBlock(tuple(heads[column] for column in filled), texts)
