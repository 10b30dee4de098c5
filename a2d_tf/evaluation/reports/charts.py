"""Charts of a report, each as the bytes of a PNG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics.segmentation import Confusion
from a2d_tf.ops.visualize import figure_png, label_axes

_CENTRED = {"ha": "center", "va": "center", "fontsize": 6}
OURS, FULL, CHANCE = "#33658a", "#9fb8c9", "#f26419"


def _figure(width, height):
    return Figure((width, height), dpi=100, layout="constrained")


def bars(
    groups: dict[str, list],
    names: list[str],
    title: str,
    up: str,
    *,
    colours: Sequence[str] | None = None,
) -> bytes:
    """Draw grouped vertical bars.

    Args:
      groups: {label: list of a figure per name, None where there is none}.
      names: labels under the bars.
      title: of the chart.
      up: label of the vertical axis.
      colours: one per group.
    """
    figure = _figure(min(max(6, 0.3 * len(names) * len(groups) + 2), 13), 3.6)
    axes = label_axes(figure.subplots(), title, y=up)
    thick = 0.8 / len(groups)
    for i, (label, values) in enumerate(groups.items()):
        places = np.arange(len(names)) + (i - (len(groups) - 1) / 2) * thick
        heights = [0 if value is None else value for value in values]
        axes.bar(places, heights, thick, label=label, color=colours[i] if colours else None)
    turned = max(map(len, names)) > 8 and len(names) > 8
    style: dict = {"rotation": 90, "fontsize": 7} if turned else {"fontsize": 9}
    axes.set_xticks(range(len(names)), names, **style, parse_math=False)
    axes.margins(x=0.01)
    axes.set_ylim(0, None)
    axes.axhline(0, color="black", linewidth=0.8)
    if len(groups) > 1:
        # Beside the title, above the bars whatever their heights.
        place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": len(groups)}
        axes.legend(fontsize=8, frameon=False, **place)
    return figure_png(figure)


def confusion(confusion: Confusion, kinds: tuple[str, ...], space: LabelSpace) -> bytes:
    """Draw confusion matrices side by side, rows in percent of the true pixels.

    Args:
      confusion: the counts.
      kinds: of 'actor', 'action', 'joint'.
      space: its label space.
    """
    classes = {"actor": space.actors, "action": space.actions}
    classes["joint"] = tuple(map(space.name, space.codes))
    matrices = {kind: (confusion.matrix(kind), ["background", *classes[kind]]) for kind in kinds}
    widths = [3 + 0.12 * len(names) for _, names in matrices.values()]
    figure = _figure(sum(widths), max(3.5, 13 / 12 * max(widths) - 1.25))
    plots = figure.subplots(1, len(matrices), width_ratios=widths)
    for axes, (title, (matrix, names)) in zip(np.atleast_1d(plots), matrices.items()):
        label_axes(axes, title, "predicted", "true")
        totals = matrix.sum(axis=1, keepdims=True)
        shares = np.divide(100 * matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        columns = [*names, "no pair"] if matrix[:, -1].any() else names
        small = 5 if len(names) > 20 else 7
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=small, parse_math=False)
        axes.set_yticks(range(len(names)), names, fontsize=small, parse_math=False)
        if len(names) <= 12:
            for row, column in np.ndindex(len(names), len(columns)):
                share = shares[row, column]
                if share >= 0.5:
                    colour = "white" if share > 60 else "black"
                    axes.text(column, row, f"{share:.0f}", **_CENTRED, color=colour)
    return figure_png(figure)


def curves(
    panels: dict[str, dict], across: str = "step", up: str = "", end: float | None = None
) -> bytes:
    """Draw curves of non-negative values, in panels side by side.

    Args:
      panels: {title: {label: (steps, values)}}.
      across, up: labels of the axes.
      end: of both axes; by default that of the values.
    """
    figure = _figure(11, 3.8)
    for axes, (title, lines) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items()):
        label_axes(axes, title, across, up)
        for label, (steps, values) in lines.items():
            axes.plot(steps, values, label=label, linewidth=1.3, marker="." * (len(steps) < 30))
        axes.set_xlim(0, end)
        axes.set_ylim(0, end and 1.02 * end)
        if len(lines) > 1:
            axes.legend(fontsize=7, frameon=False)
    return figure_png(figure)


def grid(rows: list[tuple[str, list]], heads: list[str]) -> bytes:
    """Draw rows of pictures, (name, list of uint8 [H, W, 3]), under column headings."""
    width = 1.9 * len(heads)
    shares = [pictures[0].shape[0] / pictures[0].shape[1] for _, pictures in rows]
    figure = _figure(width, 1.95 * sum(shares) + 0.35 * len(rows) + 0.3)
    plots = figure.subplots(len(rows), len(heads), squeeze=False, height_ratios=shares)
    for line, (name, pictures) in zip(plots, rows):
        for axes, picture in zip(line, pictures):
            axes.imshow(picture)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        line[0].set_xlabel(name, fontsize=7, loc="left", parse_math=False)
    for axes, head in zip(plots[0], heads):
        axes.set_title(head, fontsize=9, parse_math=False)
    return figure_png(figure)
