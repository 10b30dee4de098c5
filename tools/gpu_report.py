"""Measure training on this machine's NVIDIA GPU, for a report to send to the project.

  python tools/gpu_report.py --output=gpu_report

About ten minutes. Every row runs in a process of its own, within --limit_s, and is
written to OUTPUT/rows as it ends; run again, the command goes on with the rows that are
missing, that failed, or that took longer than a smaller --limit_s. At the end
OUTPUT/report.html and report.json hold everything; send both. Without a GPU the rows
that need one say so.

The report has times, memory and differences. TensorFlow's profiler
(tf.profiler.experimental) with TensorBoard shows the kernels and scopes of a step.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import signal
import sys
import time
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from a2d_tf.core.checked_json import load_json
from a2d_tf.core.command import command_line
from a2d_tf.core.files import write_json, write_text
from a2d_tf.core.machine import devices
from tools.benchmarks import processes

FLAGS = command_line.Register()
_OUTPUT = FLAGS.define_string("output", None, "Folder for the report.")
_SMALL = FLAGS.define_bool("small", False, "Sizes that show only that the rows work.")
_LIMIT = FLAGS.define_integer("limit_s", 240, "Most seconds of a row.", 1)
_MINUTES = FLAGS.define_integer(
    "minutes", 25, "No row begins later; the next call goes on.", 0
)
_ONLY = FLAGS.define_list(
    "only", [], "Rows to measure whose names begin so; by default all."
)
_ROW = FLAGS.define_string(
    "row", None, "The one row to measure here; the report starts these."
)
_LONGEST = 100  # characters of a cell


class Row(NamedTuple):
    """A row of the report: what is measured, and with which options.

    Attributes:
      function: name of the function of `tools.benchmarks.gpu` that measures it.
      options: keyword arguments of that function.
    """

    function: str
    options: dict[str, Any] = {}


def rows() -> dict[str, Row]:
    """Return the rows of the report, {name: row}, the most useful first."""
    by_name = {
        "machine": Row("machine"),
        "gradients": Row("gradients"),
        "step: float32": Row("step", {"precision": "float32"}),
        "step: float32, once more": Row("step"),
    }
    by_name["losses: CPU"] = Row("losses", {"on_gpu": False})
    by_name["losses: CPU, weights disturbed"] = Row(
        "losses", {"on_gpu": False, "rounding": "TF32"}
    )
    by_name["losses: GPU"] = Row("losses")
    for name, precision in (("float32", "float32"), ("bfloat16", "mixed_bfloat16")):
        options = {"precision": precision}
        if name != "float32":  # which is above
            by_name[f"step: {name}"] = Row("step", options)
        by_name[f"step: {name}, layout optimizer"] = Row(
            "step", {**options, "layout": True}
        )
        by_name[f"step: {name}, free"] = Row(
            "step", {**options, "deterministic": False}
        )
    for count in range(2, len(devices.nvidia_cards()) + 1):
        by_name[f"step: mirrored, {count} GPUs"] = Row("step", {"gpus": count})
    by_name["batches"] = Row("batches")
    return by_name


@dataclasses.dataclass
class Measured:
    """The measurement of a row, as its JSON file keeps it without empty fields.

    Attributes:
      row: name of the row.
      seconds: duration of the row's process.
      values: the figures, {name: value}.
      reason: why figures are missing, if the process failed or took too long; "" if
        none are.
      limit_s: the limit in seconds at which the process was killed; 0 if it was not.
    """

    row: str
    seconds: float = 0.0
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    reason: str = ""
    limit_s: int = 0

    def to_fields(self) -> dict[str, Any]:
        """Return the fields of the JSON file."""
        fields = dataclasses.asdict(self)
        return {name: value for name, value in fields.items() if value}


def _measured(name: str, folder: pathlib.Path) -> Measured:
    """Return a row, measured in a process of its own unless it was before."""
    rows_folder = folder / ("small_rows" if _SMALL.value else "rows")
    file_name = re.sub(r"[^\w.]+", "_", name)
    path = rows_folder / f"{file_name}.json"
    if path.exists() and name != "machine":  # which may have its card now
        earlier = Measured(**load_json(path, {"row": str}, "remove it"))
        if not earlier.reason or earlier.limit_s >= _LIMIT.value:
            return earlier
    command = [sys.executable, __file__, f"--output={_OUTPUT.value}", f"--row={name}"]
    if _SMALL.value:
        command.append("--small")
    ended = processes.run(command, _LIMIT.value)
    measured = Measured(name, ended.seconds)
    printed = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if printed:
        # A file has no NaN.
        measured.values = json.loads(printed[-1], parse_constant=str)
    if ended.status is None:
        measured.limit_s = _LIMIT.value
        measured.reason = f"took more than --limit_s={_LIMIT.value}"
    elif ended.status or not printed:
        measured.reason = ended.cause
    write_json(path, measured.to_fields())
    return measured


class _Page:
    """The content of report.html.

    Attributes:
      tables: {title: {row: {column: figure}}}.
      texts: figures that are too long for a cell.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {}
        self.texts: list[str] = []

    def add(self, measured: Measured, title: str) -> None:
        """Add a row to the table of this title."""
        name = measured.row
        figures = dict(measured.values)
        if measured.reason:
            column = "why not more" if figures else "why not"
            figures[column] = measured.reason
        cells = self.tables.setdefault(title, {}).setdefault(name, {})
        for figure, value in figures.items():
            if isinstance(value, dict):
                self._add_table(f"{name}, {figure}", figure, value)
            elif len(_text_of(value)) > _LONGEST:
                self.texts.append(f"{name}, {figure}: {_text_of(value)}")
            else:
                cells[figure] = value

    def _add_table(self, title, figure, parts):
        """Add a figure that has a value, or a dict of values, for each part."""
        rows = {}
        for part, value in parts.items():
            rows[part] = value if isinstance(value, dict) else {figure: value}
        self.tables[title] = rows

    def html(self) -> str:
        """Return the page."""
        from a2d_tf.evaluation.reports import templates
        from a2d_tf.evaluation.reports.blocks import Heading, TableBlock, Text

        blocks: list[Any] = []
        for title, rows in self.tables.items():
            blocks.append(Heading(title))
            columns: list[str] = []
            for figures in rows.values():
                for figure in figures:
                    if figure not in columns:
                        columns.append(figure)
            lines = []
            for name, figures in rows.items():
                cells = [_text_of(figures.get(column, "")) for column in columns]
                lines.append([name, *cells])
            blocks.append(TableBlock(("", *columns), lines))
        for text in self.texts:
            blocks.append(Text(text))
        return templates.render("base.html", "Training on a GPU", blocks=blocks)


def _text_of(value):
    if isinstance(value, list):
        return " ".join(map(_text_of, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _measure_here(row, folder):
    """Measure a row in this process, and print its values as they become known."""
    from tools.benchmarks import gpu  # loads TensorFlow

    measure = getattr(gpu, row.function)
    for values in measure(gpu.Place(folder, _SMALL.value), **row.options):
        print(json.dumps(values), flush=True)


def main(argv: list[str]) -> None:
    """Measure the missing rows, and write the report; or measure one row (--row).

    Args:
      argv: the program's name; any other word that is no flag is an error.
    """
    command_line.require(argv, output=_OUTPUT.value)
    all_rows = rows()
    folder = pathlib.Path(_OUTPUT.value).absolute()
    if _ROW.value:
        _measure_here(all_rows[_ROW.value], folder)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the row, too
    began = time.monotonic()
    beginnings = ("machine", *(_ONLY.value or [""]))
    measured_rows = []
    page = _Page()
    for name, row in all_rows.items():
        if not name.startswith(beginnings):
            continue
        if time.monotonic() - began > 60 * _MINUTES.value:
            print(f"--minutes={_MINUTES.value} are over: the same command goes on")
            break
        measured = _measured(name, folder)
        measured_rows.append(measured.to_fields())
        page.add(measured, title=row.function)
        print(f"{name}: {measured.reason or measured.values}"[:160], flush=True)
    write_json(folder / "report.json", measured_rows)
    write_text(folder / "report.html", page.html())
    print(f"{folder}/report.html: send it with report.json")


if __name__ == "__main__":
    command_line.run(main, FLAGS)
