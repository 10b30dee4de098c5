"""Plots of who did what: time budget, transitions, timelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from a2d_tf.behaviour import bouts
from a2d_tf.evaluation.reports.charts import label_axes

_LABELLED = 60  # rows of a timeline that can have names


def _chart(height, shades, title, x):
    """A figure with one chart, and the names of the colours above it."""
    figure = Figure(
        (10, 1.3 + height + 0.2 * (len(shades) // 6)), dpi=120, layout="constrained"
    )
    # Matplotlib leaves out names that begin with '_', and takes dollars for formulas.
    patches = [
        Patch(color=shade, label=f"\u200b{name}".replace("$", r"\$"))
        for name, shade in shades.items()
    ]
    style = {"ncols": 6, "fontsize": 8, "frameon": False, "handlelength": 1}
    figure.legend(handles=patches, loc="outside upper left", **style)
    return figure, label_axes(figure.subplots(), title, x)


def time_budget(
    tracks: Sequence[bouts.TrackBouts], shades: Mapping[str, str]
) -> Figure:
    """Draw what share of its time each kind of actor spent in which action.

    Args:
      shades: {action: colour}, of all that occur.
    """
    sums = bouts.sums(tracks)
    actors = sorted({actor for actor, _ in sums}, reverse=True)
    seconds = np.zeros((len(shades), len(actors)))
    for (actor, action), added in sums.items():
        seconds[list(shades).index(action), actors.index(actor)] = added.seconds
    totals = seconds.sum(axis=0)
    wide = 100 * seconds / np.maximum(totals, 1e-9)
    title, x = "Time budget", "percent of its time"
    figure, axes = _chart(0.42 * max(len(actors), 1), shades, title, x)
    for row, left, shade in zip(wide, np.cumsum(wide, axis=0) - wide, shades.values()):
        axes.barh(range(len(actors)), row, 0.7, left, color=shade)
    names = [f"{actor}, {total:,.1f} s" for actor, total in zip(actors, totals)]
    axes.set_yticks(range(len(actors)), names, parse_math=False)
    axes.set_xlim(0, 100)
    return figure


def transitions(counts: Sequence[Sequence[int]], actions: Sequence[str]) -> Figure:
    """Draw how often an action was followed by which; the shade is the share of the
    row.

    Args:
      counts: of `bouts.transitions`; actions: names of its rows and columns.
    """
    side = 2 + 0.36 * max(len(actions), 2)
    figure = Figure((side, side), dpi=120, layout="constrained")
    axes = label_axes(
        figure.subplots(), "Transitions", "then (shade: share of the row)", "first"
    )
    found = np.reshape(np.array(counts, int), (len(actions), len(actions)))
    shares = found / np.maximum(found.sum(axis=1, keepdims=True), 1)
    if actions:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(actions)), actions, rotation=90, parse_math=False)
    axes.set_yticks(range(len(actions)), actions, parse_math=False)
    for row, column in zip(*np.nonzero(found)):
        ink = "white" if shares[row, column] > 0.6 else "black"
        count = str(found[row, column])
        axes.text(column, row, count, ha="center", va="center", fontsize=8, color=ink)
    return figure


def timeline(prediction: bouts.Prediction, shades: Mapping[str, str]) -> Figure:
    """Draw the ethogram of a prediction: a row a track, coloured by action."""
    tracks = prediction.tracks
    figure, axes = _chart(
        min(0.22 * len(tracks), 14), shades, prediction.name, "seconds"
    )
    corners, colours = [], []
    for row, track in enumerate(tracks):
        low, high = row - 0.38, row + 0.38
        for x, end in ((bout.start, bout.end) for bout in track.bouts):
            corners.append([(x, low), (x, high), (end, high), (end, low)])
        colours += [shades[bout.action] for bout in track.bouts]
    # One for all: thousands would take Matplotlib minutes.
    axes.add_collection(PolyCollection(corners, facecolors=colours), autolim=False)
    names = [f"{track.actor} {track.number}" for track in tracks]
    if len(tracks) <= _LABELLED:
        axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(max(len(tracks), 1) - 0.4, -0.6)
    start, end = prediction.video.span
    axes.set_xlim(start, max(end, start + 1e-3))
    return figure
