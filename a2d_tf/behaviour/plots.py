"""Plots of behaviour: time budgets, transitions between actions, timelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from a2d_tf.behaviour import action_colours, bouts
from a2d_tf.evaluation.reports.charts import draw_matrix, label_axes

_LABELLED = 60  # rows of a timeline that can have names


def _chart(
    height: float, colours: Mapping[str, str], title: str, x_label: str
) -> tuple[Figure, Axes]:
    """Return a figure with one chart, and its axes; a legend of colours is above it.

    Args:
      height: the height of the chart's rows in inches.
      colours: {text in the legend: colour}.
      title: the title of the chart.
      x_label: the label of the horizontal axis.
    """
    legend_height = 0.2 * (len(colours) // 6)
    figure = Figure((10, 1.3 + height + legend_height), dpi=120, layout="constrained")
    patches = []
    for action, colour in colours.items():
        # Matplotlib leaves out names that begin with '_', and takes dollars for
        # formulas.
        label = f"\u200b{action}".replace("$", r"\$")
        patches.append(Patch(color=colour, label=label))
    figure.legend(
        handles=patches,
        loc="outside upper left",
        ncols=6,
        fontsize=8,
        frameon=False,
        handlelength=1,
    )
    return figure, label_axes(figure.subplots(), title, x_label)


def time_budget(
    tracks: Sequence[bouts.TrackBouts], colours: Mapping[str, str]
) -> Figure:
    """Draw the share of its time that each actor spent in each action.

    Actors are kinds of individuals, such as mouse; a row is for all tracks of one.

    Args:
      tracks: the tracks with their bouts.
      colours: {action: colour, '#rrggbb'} of all actions that occur.
    """
    totals_of_pairs = bouts.total_by_pair(tracks)
    actors = sorted({actor for actor, _ in totals_of_pairs}, reverse=True)
    actions = list(colours)
    seconds = np.zeros((len(actions), len(actors)))
    for (actor, action), totals in totals_of_pairs.items():
        seconds[actions.index(action), actors.index(actor)] = totals.seconds
    seconds_of_actors = seconds.sum(axis=0)
    percents = 100 * seconds / np.maximum(seconds_of_actors, 1e-9)
    starts = np.cumsum(percents, axis=0) - percents
    figure, axes = _chart(
        0.42 * max(len(actors), 1), colours, "Time budget", "percent of its time"
    )
    for i, colour in enumerate(colours.values()):
        axes.barh(range(len(actors)), percents[i], 0.7, starts[i], color=colour)
    names = []
    for actor, actor_seconds in zip(actors, seconds_of_actors):
        names.append(f"{actor}, {actor_seconds:,.1f} s")
    axes.set_yticks(range(len(actors)), names, parse_math=False)
    axes.set_xlim(0, 100)
    return figure


def transitions(counts: Sequence[Sequence[int]], actions: Sequence[str]) -> Figure:
    """Draw how often each action was followed by each other one, as a matrix.

    The shade of a cell is its share of the row.

    Args:
      counts: the numbers, a row for each first action and a column for each following
        one, as `bouts.transitions` returns them.
      actions: the names of the rows and columns.
    """
    side = 2 + 0.36 * max(len(actions), 2)
    figure = Figure((side, side), dpi=120, layout="constrained")
    axes = label_axes(
        figure.subplots(), "Transitions", "then (shade: share of the row)", "first"
    )
    matrix = np.reshape(np.array(counts, int), (len(actions), len(actions)))
    draw_matrix(axes, matrix, actions)
    return figure


def timeline(prediction: bouts.Prediction, colours: Mapping[str, str]) -> Figure:
    """Draw the ethogram of a video: a row for each track, a bar for each bout.

    The colour of a bar is that of the action. If a track changes its actor, the edges
    of its bars have the colours of the actors.

    Args:
      prediction: the prediction of the video.
      colours: {action: colour, '#rrggbb'} of all actions that occur.
    """
    tracks = prediction.tracks
    actors: set[str] = set()
    for track in tracks:
        if track.changes_actor:
            actors.update(bout.actor for bout in track.bouts)
    edge_of = action_colours.actor_colours(actors, prediction.video.labels)
    shown_colours = dict(colours)
    for actor, colour in edge_of.items():
        shown_colours[f"edge: {actor}"] = colour
    figure, axes = _chart(
        min(0.22 * len(tracks), 14), shown_colours, prediction.name, "seconds"
    )
    rectangles = []
    face_colours = []
    edge_colours = []
    for row, track in enumerate(tracks):
        low = row - 0.38
        high = row + 0.38
        for bout in track.bouts:
            rectangles.append(
                [
                    (bout.start, low),
                    (bout.start, high),
                    (bout.end, high),
                    (bout.end, low),
                ]
            )
            face_colours.append(colours[bout.action])
            edge_colours.append(edge_of[bout.actor] if track.changes_actor else "none")
    # One for all: thousands would take Matplotlib minutes.
    collection = PolyCollection(
        rectangles, facecolors=face_colours, edgecolors=edge_colours
    )
    axes.add_collection(collection, autolim=False)
    if len(tracks) <= _LABELLED:
        names = [f"{track.actor} {track.number}" for track in tracks]
        axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(max(len(tracks), 1) - 0.4, -0.6)
    start, end = prediction.video.span
    axes.set_xlim(start, max(end, start + 1e-3))
    return figure
