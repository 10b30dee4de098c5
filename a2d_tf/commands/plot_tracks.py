"""Plot who did what in predictions: time budget, transitions, timelines.

  python tools/plot_tracks.py --prediction=out --output=plots
  python tools/plot_tracks.py --prediction=library --prediction=out --output=plots --min_score=0.5

A prediction is a folder of a2d_tf.predict, or of a library. Writes time_budget.png and
transitions.png of all predictions together, their numbers as CSV, and timeline_<video>.png of each.
"""

from __future__ import annotations

import os

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.files import write_bytes, write_csv

_PREDICTION = flags.DEFINE_multi_string(
    "prediction", [], "Folder of a2d_tf.predict, or of a library; may be repeated."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the plots.")
_MIN_SCORE = flags.DEFINE_float("min_score", 0.0, "Leave out tracks with a lower mean score.")


def main(argv: list[str]) -> None:
    """Run the command."""
    command_line.require(argv, prediction=_PREDICTION.value, output=_OUTPUT.value)
    # Late, for Matplotlib takes a second.
    from a2d_tf.ops.visualize import figure_png
    from a2d_tf.video.predictions import folders_of
    from a2d_tf.video.views import bouts, plots, tables

    folders = folders_of(_PREDICTION.value, "prediction")
    predictions = tables.read(folders, _MIN_SCORE.value)
    tracks = [track for each in predictions for track in each.tracks]
    found = {bout.action for track in tracks for bout in track.bouts}
    shades = bouts.colours(found, predictions[0].facts.labels)
    actions, counts = list(shades), tables.transitions(predictions, list(shades))
    figures = {
        "time_budget": plots.time_budget(tracks, shades),
        "transitions": plots.transitions(counts, actions),
    }
    for folder, each in zip(folders, predictions):
        print(f"{folder}: {each.name}, {each.facts.seconds:.1f} s, {len(each.tracks)} tracks")
        figures[f"timeline_{each.name}"] = plots.timeline(each, shades)
    for name, figure in figures.items():
        write_bytes(os.path.join(_OUTPUT.value, f"{name}.png"), figure_png(figure))
    tables.write_time_budget(os.path.join(_OUTPUT.value, tables.TIME_BUDGET), predictions)
    rows = [[name, *row] for name, row in zip(actions, counts)]
    write_csv(os.path.join(_OUTPUT.value, "transitions.csv"), [["from \\ to", *actions], *rows])
    print(f"{len(predictions)} predictions -> {_OUTPUT.value}")


run = command_line.command(main)
