"""Reader of coded bouts: BORIS's projects and tables, and a `summary.csv`."""

from __future__ import annotations

import os

from a2d_tf.annotations.coded_times.observations import Observation
from a2d_tf.annotations.coded_times.readers import boris_project, summary_table
from a2d_tf.annotations.coded_times.readers.boris_tables import (
    AGGREGATED,
    TABULAR,
    of_aggregated_events,
    of_tabular_events,
)
from a2d_tf.annotations.coded_times.readers.event_tables import read_table
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text

_NO_TEXT = {  # {first two bytes: what the file is, with the remedy}
    b"\x1f\x8b": "a compressed project; save it as .boris",
    b"PK": "a spreadsheet; export the events as TSV or CSV",
    b"\xd0\xcf": "a spreadsheet; export the events as TSV or CSV",
}


def read(path: str | os.PathLike) -> list[Observation]:
    """Read coded times from a file of any known format.

    Args:
      path: a project of BORIS, its table of tabular or aggregated events as CSV or TSV,
        or the summary.csv of a prediction.

    Returns:
      the observations, one for each coding of a video.

    Raises:
      InputError: the file is of no known format, a value is malformed, a state event
        does not stop, or an observation has several videos one after the other.
    """
    with open(path, "rb") as file:
        start = file.read(2)
    if start in _NO_TEXT:
        raise InputError(f"{path}: {_NO_TEXT[start]} from BORIS")
    text = read_text(path)
    if text.lstrip().startswith("{"):
        return boris_project.read(path)
    needed = {*AGGREGATED, *TABULAR, *summary_table.COLUMNS}
    columns, lines = read_table(path, text, needed)
    if not lines:
        raise InputError(f"{path}: no events; export them from BORIS as CSV or TSV")
    if columns.issuperset(summary_table.COLUMNS):
        return summary_table.observations_of(path, lines)
    if "Start (s)" in columns and columns.issuperset(AGGREGATED):
        return of_aggregated_events(lines)
    if columns.issuperset(TABULAR):
        return of_tabular_events(lines)
    missing = next(name for name in TABULAR if name not in columns)
    raise InputError(
        f"{path}: no column {missing!r}; export tabular or aggregated events from"
        " BORIS as CSV or TSV, or pass its project or a summary.csv"
    )
