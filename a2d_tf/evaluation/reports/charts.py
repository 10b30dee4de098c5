"""Charts of a report and sheets of pictures, each as the bytes of a PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLOURS = "#33658a", "#9fb8c9", "#f26419"


def label_axes(axes: Axes, title: str = "", x: str = "", y: str = "") -> Axes:
    """Set the title and the axis labels of a chart in the common style.

    Args:
      axes: the chart.
      title: the title of the chart.
      x: the label of the horizontal axis.
      y: the label of the vertical axis.

    Returns:
      `axes`.
    """
    axes.set_title(title, fontsize=10, loc="left", fontweight="bold", parse_math=False)
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def figure_png(figure: Figure) -> bytes:
    """Render a Matplotlib figure, without a screen, as the bytes of a PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", facecolor="white")
    return file.getvalue()


def _figure(width: float, height: float) -> Figure:
    return Figure((width, height), dpi=100, layout="constrained")


def bars(
    groups: Mapping[str, Sequence[float | None]], names: Sequence[str], title: str
) -> bytes:
    """Draw percentages as groups of vertical bars, a group above each name.

    Args:
      groups: {label in the legend: the percentage for each name, or None}; three labels
        at most.
      names: the names below the groups of bars.
      title: the title of the chart.

    Returns:
      the bytes of a PNG.
    """
    figure = _figure(min(max(6, 0.3 * len(names) * len(groups) + 2), 13), 3.6)
    axes = label_axes(figure.subplots(), title, y="%")
    width = 0.8 / len(groups)
    for i, (label, values) in enumerate(groups.items()):
        axes.bar(
            np.arange(len(names)) + (i - (len(groups) - 1) / 2) * width,
            [value or 0 for value in values],
            width,
            label=label,
            color=_COLOURS[i],
        )
    rotation = 90 if len(names) > 8 else 0
    axes.set_xticks(
        range(len(names)), names, rotation=rotation, fontsize=7, parse_math=False
    )
    axes.margins(x=0.01)
    axes.set_ylim(0, None)
    # Beside the title, above the bars whatever their heights.
    axes.legend(
        fontsize=8,
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(groups),
    )
    return figure_png(figure)


def curves(
    lines: Mapping[str, Sequence[tuple[int, float]]],
    *,
    bold: str,
    title: str,
    x: str,
    y: str,
    ticks: Mapping[int, str] | None = None,
) -> bytes:
    """Draw percentages as lines over a number.

    Args:
      lines: {label in the legend: (number, percentage) of each point}.
      bold: the label of the line to draw thick.
      title: title of the chart.
      x, y: titles of the horizontal and the vertical axis.
      ticks: {number: the text below it} for a linear horizontal axis. By default the
        axis is logarithmic, as suits numbers that double.

    Returns:
      the bytes of a PNG.
    """
    figure = _figure(6, 3.6)
    axes = label_axes(figure.subplots(), title, x, y)
    numbers: set[int] = set()
    for label, points in lines.items():
        numbers.update(number for number, _ in points)
        is_bold = label == bold
        axes.plot(
            [number for number, _ in points],
            [percentage for _, percentage in points],
            marker="o",
            markersize=5 if is_bold else 3,
            linewidth=2.5 if is_bold else 0.8,
            color="#1c2733" if is_bold else None,
            label=f"\u200b{label}".replace("$", r"\$"),
        )
    if ticks is None:
        axes.set_xscale("log")
        ticks = {number: str(number) for number in sorted(numbers)}
    axes.minorticks_off()
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_ylim(0, 102)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure_png(figure)


class Panel(NamedTuple):
    """A picture on a sheet.

    Attributes:
      text: the text below it.
      picture: RGB uint8 [H, W, 3].
    """

    text: str
    picture: np.ndarray


def confusion(
    matrix: np.ndarray,
    names: Sequence[str],
    title: str,
    *,
    columns: str = "predicted",
    rows: str = "coded",
) -> bytes:
    """Draw a confusion matrix: counts, shaded by their share of the row.

    Args:
      matrix: [n, n], counts or seconds; a row for each true class, a column for each
        predicted one.
      names: the n names of the rows, which are also those of the columns.
      title: the title of the chart.
      columns: the label of the horizontal axis.
      rows: the label of the vertical axis.

    Returns:
      the bytes of a PNG.
    """
    side = 2.5 + 0.5 * len(names)
    figure = _figure(side, side)
    axes = label_axes(figure.subplots(), title, columns, rows)
    draw_matrix(axes, matrix, names)
    return figure_png(figure)


def draw_matrix(axes: Axes, matrix: np.ndarray, names: Sequence[str]) -> None:
    """Draw a confusion matrix into a chart, cells shaded by their share of the row.

    Cells that are not 0 have their number.

    Args:
      axes: the chart.
      matrix: [n, n], counts or seconds.
      names: the n names of the rows, which are also those of the columns.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-9)
    if len(names):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    for row, column in zip(*np.nonzero(matrix)):
        axes.text(
            column,
            row,
            f"{matrix[row, column]:.0f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if shares[row, column] > 0.6 else "black",
        )


def sheet(
    panels: list[Panel],
    across: int,
    width: float = 4.4,
    heads: Sequence[str] = (),
) -> bytes:
    """Draw a sheet of pictures, row after row.

    Args:
      panels: the pictures with the texts below them, one at least.
      across: the number of pictures in a row.
      width: the width of each picture in inches, at 100 pixels per inch.
      heads: the headings of the columns; empty for none.

    Returns:
      the bytes of a PNG.
    """
    heights = []
    for first in range(0, len(panels), across):
        height = 0.0
        lines = 0
        for panel in panels[first : first + across]:
            height = max(height, panel.picture.shape[0] / panel.picture.shape[1])
            lines = max(lines, panel.text.count("\n") + 2)
        heights.append(width * height + 0.15 * lines)
    head_height = 0.3 if heads else 0
    figure = _figure(width * across, sum(heights) + head_height)
    plots = figure.subplots(len(heights), across, squeeze=False, height_ratios=heights)
    for axes in plots.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, panel in zip(plots.flat, panels):
        axes.imshow(panel.picture)
        axes.set(xticks=[], yticks=[], anchor="N")
        axes.spines[:].set_visible(False)
        axes.set_xlabel(panel.text, fontsize=8, loc="left", parse_math=False)
    for axes, head in zip(plots[0], heads):
        axes.set_title(head, fontsize=9, parse_math=False)
    return figure_png(figure)
