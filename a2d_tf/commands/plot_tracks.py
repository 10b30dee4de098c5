"""Plot who did what in predictions: time budget, transitions, timelines.

  a2d plot-tracks --prediction=out --output=plots
  a2d plot-tracks --prediction=library --prediction=out --output=plots --min_score=0.5

A prediction is a folder of a2d predict, or of a library. Writes time_budget.png and
transitions.png of all predictions together, their numbers as CSV, and
time_budget_<video>.png and timeline_<video>.png of each.
"""

from __future__ import annotations

import os

from a2d_tf.behaviour import action_colours, bouts, plots, time_budget
from a2d_tf.behaviour.prediction_folder import folders_of
from a2d_tf.core.command import command_line
from a2d_tf.core.files import write_bytes, write_csv
from a2d_tf.evaluation.reports.charts import figure_png

FLAGS = command_line.Register()
_PREDICTION = FLAGS.define_multi_string(
    "prediction",
    [],
    "Result folder of a2d predict, of one video or of a library.",
)
_OUTPUT = FLAGS.define_string(
    "output", None, "Folder in which the plots and their CSVs are written."
)
_MIN_SCORE = FLAGS.define_float(
    "min_score",
    0.0,
    "Leave out tracks whose mean score, from 0 to 1, is lower; 0 keeps all tracks.",
    0,
    1,
)


def main(argv: list[str]) -> None:
    """Draw the plots of predictions, and print where they are."""
    command_line.require(argv, prediction=_PREDICTION.value, output=_OUTPUT.value)
    folders = folders_of(_PREDICTION.value)
    predictions = bouts.read_all(folders, _MIN_SCORE.value)
    tracks = []
    for prediction in predictions:
        tracks += prediction.tracks
    predicted_actions: set[str] = set()
    for track in tracks:
        predicted_actions.update(bout.action for bout in track.bouts)
    shades = action_colours.colours(predicted_actions, predictions[0].video.labels)
    actions = list(shades)
    counts = bouts.transitions(predictions, actions)
    figures = {
        "time_budget": plots.time_budget(tracks, shades),
        "transitions": plots.transitions(counts, actions),
    }
    for folder, prediction in zip(folders, predictions):
        name = prediction.name
        seconds = prediction.video.seconds
        print(f"{folder}: {name}, {seconds:.1f} s, {len(prediction.tracks)} tracks")
        time_budget_figure = plots.time_budget(prediction.tracks, shades)
        figures[f"time_budget_{name}"] = time_budget_figure
        figures[f"timeline_{name}"] = plots.timeline(prediction, shades)
    for name, figure in figures.items():
        write_bytes(os.path.join(_OUTPUT.value, f"{name}.png"), figure_png(figure))
    budget = [time_budget.COLUMNS, *time_budget.rows(predictions)]
    write_csv(os.path.join(_OUTPUT.value, time_budget.TIME_BUDGET), budget)
    rows = [[name, *row] for name, row in zip(actions, counts)]
    write_csv(
        os.path.join(_OUTPUT.value, "transitions.csv"),
        [["from \\ to", *actions], *rows],
    )
    print(f"{len(predictions)} predictions -> {_OUTPUT.value}")


run = command_line.command(main, FLAGS)
