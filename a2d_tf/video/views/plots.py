"""Plots of predictions as behaviour research draws them; each returns a Matplotlib figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from a2d_tf.ops.visualize import label_axes
from a2d_tf.video.views import bouts

_LABELLED = 60  # rows of a timeline that can have names


def _figure(width, height):
    return Figure((width, height), dpi=120, layout="constrained")


def _legend(figure, shades):
    """Name the colours above the charts."""
    patches = [Patch(color=shade, label=_plain(name)) for name, shade in shades.items()]
    style = {"ncols": 6, "fontsize": 8, "frameon": False, "handlelength": 1}
    figure.legend(handles=patches, loc="outside upper left", **style)


def _plain(name):
    """A name that Matplotlib neither takes for a formula nor leaves out of a legend."""
    return "\u200b" * name.startswith("_") + name.replace("$", r"\$")


def time_budget(tracks: Sequence[bouts.Track], shades: dict[str, str]) -> Figure:
    """Draw what share of its time each kind of actor spent in which action.

    Args:
      tracks: of one prediction or many.
      shades: {action: colour}, of all that occur.
    """
    budget = bouts.time_budget(tracks)
    actors = sorted({actor for actor, _ in budget}, reverse=True)
    figure = _figure(9, 1.3 + 0.42 * max(len(actors), 1) + 0.2 * (len(shades) // 6))
    axes = label_axes(figure.subplots(), "Time budget", "percent of the time of its tracks")
    totals = np.array([sum(s for (a, _), s in budget.items() if a == actor) for actor in actors])
    left = np.zeros(len(actors))
    for action, shade in shades.items():
        seconds = np.array([budget.get((actor, action), 0.0) for actor in actors])
        wide = np.divide(100 * seconds, totals, out=np.zeros(len(actors)), where=totals > 0)
        axes.barh(range(len(actors)), wide, 0.7, left, color=shade)
        left += wide
    for row, total in enumerate(totals):
        axes.text(101, row, f"{total:,.1f} s", va="center", fontsize=8)
    axes.set_yticks(range(len(actors)), actors, parse_math=False)
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    _legend(figure, shades)
    return figure


def transitions(tracks: Sequence[bouts.Track], actions: list[str]) -> Figure:
    """Draw how often an action was followed by which, for all actors and for each kind.

    Cells hold the count; their shade is the share of what followed that action.

    Args:
      tracks: of one prediction or many.
      actions: all that occur.
    """
    actors = sorted({bout.actor for track in tracks for bout in track.bouts})
    panels = [("all actors", bouts.transitions(tracks, actions))] if len(actors) != 1 else []
    panels += [(actor, bouts.transitions(tracks, actions, actor)) for actor in actors]
    panels = panels[:1] + [(name, counts) for name, counts in panels[1:] if counts.any()]
    across = min(len(panels), 3)
    side = 1.6 + 0.36 * max(len(actions), 2)
    figure = _figure(side * across + 0.4, side * -(-len(panels) // across))
    plots = figure.subplots(-(-len(panels) // across), across, squeeze=False).ravel()
    for axes, (name, counts) in zip(plots, panels):
        _matrix(label_axes(axes, name, "then (shade: share of the row)", "first"), counts, actions)
    for axes in plots[len(panels) :]:
        axes.remove()
    return figure


def _matrix(axes, counts, names):
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    if names:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    middle = {"ha": "center", "va": "center", "fontsize": 8}
    if not counts.any():
        axes.text(0.5, 0.5, "no transitions", transform=axes.transAxes, **middle)
    axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    for row, column in zip(*np.nonzero(counts)):
        ink = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, str(counts[row, column]), color=ink, **middle)


def timeline(tracks: Sequence[bouts.Track], shades: dict[str, str], title: str = "") -> Figure:
    """Draw the ethogram of a prediction: a row a track, coloured by action.

    Args:
      tracks: of one prediction.
      shades: {action: colour}, of all that occur.
      title: of the chart.
    """
    count = max(len(tracks), 1)
    figure = _figure(11, 1.3 + min(0.22 * count, 14) + 0.2 * (len(shades) // 6))
    axes = label_axes(figure.subplots(), title, "seconds", "" if count <= _LABELLED else "tracks")
    for action, shade in shades.items():  # a collection, because a bar each takes much longer
        drawn = [
            ((b.start, row - 0.38), (b.start, row + 0.38), (b.end, row + 0.38), (b.end, row - 0.38))
            for row, track in enumerate(tracks)
            for b in track.bouts
            if b.action == action
        ]
        axes.add_collection(PolyCollection(drawn, facecolors=shade, linewidths=0))
    names = [f"#{track.number} {track.actor}" for track in tracks if count <= _LABELLED]
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(count - 0.4, -0.6)
    start = min((track.start for track in tracks), default=0.0)
    end = max((track.end for track in tracks), default=1.0)
    axes.set_xlim(start, end + 0.02 * (end - start or 1))
    _legend(figure, shades)
    return figure
