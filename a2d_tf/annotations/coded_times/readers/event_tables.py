"""Reader of tables of coded events: CSV or TSV, as lines of cells."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Mapping
from typing import NamedTuple

from a2d_tf.core.errors import InputError


class Line(NamedTuple):
    """A line of a table of coded events.

    Attributes:
      cells: {name of a column: the text of the cell, '' if it is missing}.
      path: the path of the file.
      where: the file and the number of the line, for errors.
    """

    cells: Mapping[str, str]
    path: str
    where: str


class Table(NamedTuple):
    """A table of coded events that was read.

    Attributes:
      columns: the names of its columns.
      lines: the lines below the head.
    """

    columns: set[str]
    lines: list[Line]


def read_table(path: str | os.PathLike, text: str, needed: Collection[str]) -> Table:
    """Read a table of coded events, separated by commas, tabs or semicolons.

    Args:
      path: the path of the file, for errors.
      text: the content of the file.
      needed: the names of columns whose cells are missing only if the file was cut off.

    Raises:
      InputError: the table is malformed, was cut off, or is of BORIS 6.
    """
    # Spreadsheets of many languages separate cells by semicolons.
    separator = max("\t;,", key=text.partition("\n")[0].count)
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True
    )
    lines = []
    try:
        columns = reader.fieldnames or ()
        is_value = len(columns) > 1 and not any(columns[2:])
        if is_value and columns[0] == "Observation id":
            raise csv.Error(
                "this is the head of a table of BORIS 6; open its project in BORIS 7 or"
                " newer"
            )
        for cells in reader:
            if None in cells:  # such as 0,5 in a table with commas
                raise csv.Error("more cells than columns; write seconds as in 12.5")
            absent = {column for column, cell in cells.items() if cell is None}
            # Spreadsheets leave off empty cells at the end of a line, and end the line.
            if (
                absent.intersection(needed)
                or absent
                and not text.endswith(("\n", "\r"))
            ):
                raise csv.Error("fewer cells than columns: it may have been cut")
            cells.update(dict.fromkeys(absent, ""))
            lines.append(Line(cells, str(path), f"{path}, line {reader.line_num}"))
    except csv.Error as error:  # or a quote that never ends
        raise InputError(
            f"{path}, line {reader.line_num}: {error}; export it again"
        ) from error
    return Table(set(columns), lines)
