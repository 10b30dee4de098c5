"""Measure training on this machine's NVIDIA GPU, for a report to send to the project.

  python tools/gpu_report.py --output=gpu_report

About twenty minutes. Every row runs in a process of its own, within --limit_s, and is
written to OUTPUT/rows as it ends; run again, the command goes on with the rows that are
missing, that failed, or that took longer than a smaller --limit_s. At the end
OUTPUT/report.html and report.json hold everything, each row with a verdict; send both.
Without a GPU the rows that need one say so.
"""

from __future__ import annotations

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

from a2d_tf.core import command_line, devices
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.files import write_json, write_text
from tools.benchmarks import processes, verdicts

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
    """A row: a function of `tools.benchmarks.gpu`, its options, and what judges its
    values.
    """

    function: str
    options: dict[str, Any] = {}
    verdict: verdicts.Verdict = lambda values, rows: verdicts.UNKNOWN


def rows() -> dict[str, Row]:
    """Return the rows by name, the most useful first; some read what others have
    left.
    """
    steps = {}
    for name, precision in (("float32", "float32"), ("bfloat16", "mixed_bfloat16")):
        verdict, options = verdicts.expected(name), {"precision": precision}
        steps[name] = Row("step", options, verdict)
        steps[f"{name}, layout optimizer"] = Row(
            "step", {**options, "layout": True}, verdict
        )
        steps[f"{name}, free"] = Row(
            "step", {**options, "deterministic": False}, verdict
        )
    for count in range(2, len(devices.nvidia_cards()) + 1):
        steps[f"mirrored, {count} GPUs"] = Row("step", {"gpus": count})
    commands = {
        name: Row("command", {"name": name})
        for name in ("mini", "records", "train", "evaluate", "export", "predict")
    }
    commands["train"] = commands["train"]._replace(verdict=verdicts.feeds)
    curves = ("losses: CPU", "losses: CPU, weights disturbed")
    return {
        "machine": Row("machine"),
        "gradients": Row("gradients", {}, verdicts.close_gradients),
        "step: float32": steps.pop("float32"),
        "step: float32, once more": Row(
            "step", {}, verdicts.same_weights("step: float32")
        ),
        "profile": Row("profile", {}, verdicts.expected("profile")),
        **{f"command: {name}": row for name, row in commands.items()},
        "prediction": Row("prediction"),
        curves[0]: Row("losses", {"on_gpu": False}),
        curves[1]: Row(
            "losses", {"on_gpu": False, "disturbed": verdicts.ROUNDING["TF32"]}
        ),
        "losses: GPU": Row("losses", {}, verdicts.close_losses(*curves)),
        **{f"step: {name}": row for name, row in steps.items()},
        "batches": Row("batches", {}, verdicts.expected("batches")),
    }


def _measured(name: str, folder: pathlib.Path) -> dict[str, Any]:
    """Return a row, measured in a process of its own unless it was before.

    It has `row`, `seconds`, and of `values` and `reason`, why there are no more, one or
    both.
    """
    rows, file = "small_rows" if _SMALL.value else "rows", re.sub(r"[^\w.]+", "_", name)
    path = folder / rows / f"{file}.json"
    old = path.exists() and name != "machine"  # which may have its card now
    kept = load_json(path, {"row": str}, "remove it") if old else {"reason": "new"}
    if "reason" not in kept or kept.get("limit_s", 0) >= _LIMIT.value:
        return kept
    words = [f"--output={_OUTPUT.value}", f"--row={name}", *["--small"] * _SMALL.value]
    ended = processes.run([sys.executable, __file__, *words], _LIMIT.value)
    found: dict[str, Any] = {"row": name, "seconds": ended.seconds}
    printed = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if printed:
        # a file has no NaN
        found["values"] = json.loads(printed[-1], parse_constant=str)
    if ended.status is None:
        found.update(
            limit_s=_LIMIT.value, reason=f"took more than --limit_s={_LIMIT.value}"
        )
    elif ended.status or not printed:
        found["reason"] = ended.cause
    write_json(path, found)
    return found


def _judge(found: list[dict], known: dict[str, Row]) -> None:
    """Give each row a `verdict`."""
    values = {row["row"]: row["values"] for row in found if "values" in row}
    nothing = verdicts.nothing(values.get("machine", {}))
    for row in found:
        try:
            judged = nothing or known[row["row"]].verdict(row["values"], values)
        except LookupError:  # its own or another row's
            judged = "not judged: figures are missing"
        row["verdict"] = f"means nothing here: {nothing}" if nothing else judged


def _report(found: list[dict], known: dict[str, Row], folder: pathlib.Path) -> None:
    """Write report.json and report.html: a table for each function, and for what has
    parts.
    """
    from a2d_tf.evaluation.reports import templates
    from a2d_tf.evaluation.reports.blocks import Heading, HtmlTable, Text

    tables: dict[str, dict[str, dict]] = {}
    texts = []
    for row in found:
        name, figures = row["row"], {**row.get("values", {})}
        if "reason" in row:
            figures["why not more" if figures else "why not"] = row["reason"]
        cells = tables.setdefault(known[name].function, {}).setdefault(name, {})
        cells["verdict"] = row["verdict"]
        for figure, value in figures.items():
            if isinstance(value, dict):
                parts = {
                    key: x if isinstance(x, dict) else {figure: x}
                    for key, x in value.items()
                }
                tables[f"{name}, {figure}"] = parts
            elif len(_shown(value)) > _LONGEST:
                texts.append(Text(f"{name}, {figure}: {_shown(value)}"))
            else:
                cells[figure] = value
    blocks: list = []
    for title, lines in tables.items():
        columns = [*dict.fromkeys(column for line in lines.values() for column in line)]
        cells = [
            [key, *(_shown(x.get(name, "")) for name in columns)]
            for key, x in lines.items()
        ]
        blocks += [Heading(title), HtmlTable(("", *columns), cells)]
    blocks = [(type(block).__name__, block) for block in [*blocks, *texts]]
    write_json(folder / "report.json", found)
    page = templates.render("base.html", "Training on a GPU", blocks=blocks)
    write_text(folder / "report.html", page)


def _shown(value):
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main(argv: list[str]) -> None:
    command_line.require(argv, output=_OUTPUT.value)
    known, folder = rows(), pathlib.Path(_OUTPUT.value).absolute()
    if _ROW.value:
        from tools.benchmarks import gpu  # loads TensorFlow

        row = known[_ROW.value]
        for values in getattr(gpu, row.function)(
            gpu.Place(folder, _SMALL.value), **row.options
        ):
            print(json.dumps(values), flush=True)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the row, too
    found, began = [], time.monotonic()
    for name in known:
        if not name.startswith(("machine", *(_ONLY.value or [""]))):
            continue
        if time.monotonic() - began > 60 * _MINUTES.value:
            print(f"--minutes={_MINUTES.value} are over: the same command goes on")
            break
        row = _measured(name, folder)
        found.append(row)
        print(f"{name}: {row.get('reason') or row['values']}"[:160], flush=True)
    _judge(found, known)
    _report(found, known, folder)
    print(f"{folder}/report.html: send it with report.json")


if __name__ == "__main__":
    command_line.run(main, FLAGS)
