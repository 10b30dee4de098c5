"""Plot who did what in predictions: time budget, transitions, timeline.

  python tools/plot_tracks.py --prediction=out --output=plots
  python tools/plot_tracks.py --prediction=out/one,out/two --output=plots

Writes PNG and SVG, and the numbers as CSV. The time budget and the transitions from one action of a
track to its next are of all predictions together; each has a timeline of its own, numbered in their
order where there are several. Timelines of an earlier call in the same folder are removed.
"""

from __future__ import annotations

import csv
import io
import os
import pathlib
import re

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_file, write_text

_PREDICTION = flags.DEFINE_list(
    "prediction",
    [],
    "Folder of a2d_tf.predict; several with commas. Quote one with a comma: '\"Smith, John\"'.",
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the plots.")


def _write(path, figure):
    """Write a figure as PNG and SVG."""
    from a2d_tf.ops import visualize

    for suffix, render in ((".png", visualize.figure_png), (".svg", visualize.figure_svg)):
        data = render(figure)
        write_file(path + suffix, lambda file, data=data: file.write(data))  # type: ignore[misc]


def _write_rows(path, rows):
    """Write rows as CSV."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    write_text(path, file.getvalue())


def main(argv: list[str]) -> None:
    """Run the command."""
    command_line.require(argv, prediction=_PREDICTION.value, output=_OUTPUT.value)
    folders, output = _PREDICTION.value, pathlib.Path(_OUTPUT.value)
    if len({os.path.realpath(folder) for folder in folders}) < len(folders):
        raise InputError(f"--prediction={','.join(folders)}: names a folder twice; name it once")
    from a2d_tf.video.predictions import read_facts
    from a2d_tf.video.views import bouts, plots  # late, for Matplotlib takes a second

    predictions = [bouts.read(folder) for folder in folders]
    tracks = [track for prediction in predictions for track in prediction]
    budget = bouts.time_budget(tracks)
    shades = bouts.colours((action for _, action in budget), read_facts(folders[0]).labels)
    actions = list(shades)
    _write(f"{output}/time_budget", plots.time_budget(tracks, shades))
    _write(f"{output}/transitions", plots.transitions(tracks, actions))
    for path in output.iterdir():  # of other predictions, by an earlier call
        if re.fullmatch(r"timeline(_\d+)?\.(png|svg)", path.name):
            path.unlink()
    for number, (folder, prediction) in enumerate(zip(folders, predictions), 1):
        name = "timeline" if len(folders) == 1 else f"timeline_{number:0{len(str(len(folders)))}d}"
        _write(f"{output}/{name}", plots.timeline(prediction, shades, folder))
    rows = [[*pair, round(seconds, 3)] for pair, seconds in budget.items()]
    _write_rows(output / "time_budget.csv", [("actor", "action", "seconds"), *rows])
    rows = [[name, *row] for name, row in zip(actions, bouts.transitions(tracks, actions).tolist())]
    _write_rows(output / "transitions.csv", [("from \\ to", *actions), *rows])
    count = sum(len(track.bouts) for track in tracks)
    print(f"{len(tracks)} tracks, {count} bouts -> {output}/{{time_budget,transitions,timeline}}")


run = command_line.command(main)
