"""The report of a GPU ends, and goes on where it was."""

import json
import os
import select

import pytest
from processes import run_tool, succeeded

from tools.benchmarks import processes


def report_rows(folder, *words):
    """Run the report of `machine` and `batches`; return its rows."""
    command = ("gpu_report", f"--output={folder}", "--only=batches", *words)
    succeeded(run_tool(*command))
    return json.loads((folder / "report.json").read_text())


def write_row(folder, name, **fields):
    (folder / "rows").mkdir(exist_ok=True)
    content = json.dumps({"row": name, **fields})
    (folder / f"rows/{name}.json").write_text(content)


@pytest.mark.slow
def test_a_short_limit_is_named_and_a_larger_one_tries_again(tmp_path):
    machine, batches = report_rows(tmp_path, "--limit_s=1")
    assert machine["reason"] == batches["reason"] == "took more than --limit_s=1"
    machine, batches = report_rows(tmp_path)
    assert "tensorflow==" in machine["values"]["packages"]
    assert batches["reason"] == "needs a GPU"
    assert "needs a GPU" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_rows_that_failed_and_the_machine_are_measured_again(tmp_path):
    write_row(tmp_path, "machine", values={"gpus": ["old"]})
    write_row(tmp_path, "batches", reason="other")
    machine, batches = report_rows(tmp_path)
    assert machine["values"]["gpus"] == []
    assert batches["reason"] == "needs a GPU"


@pytest.mark.slow
def test_rows_that_ended_well_are_kept(tmp_path):
    write_row(tmp_path, "batches", values={"largest batch": 3})
    assert report_rows(tmp_path)[1]["values"] == {"largest batch": 3}


def test_a_command_that_hangs_ends_with_its_children():
    reader, writer = os.pipe()
    ended = processes.run(
        ["sh", "-c", "sleep 60 & echo begun; wait"], 1, pass_fds=[writer]
    )
    os.close(writer)
    assert ended.status is None and ended.stdout == "begun\n"
    assert select.select([reader], [], [], 20)[0], "a child holds the pipe"
    os.close(reader)


def test_the_cause_of_a_crash_is_the_first_that_was_printed():
    crash = processes.Ended(-11, "", "Fatal Python error: Aborted" + 3000 * ",", 1.0)
    assert crash.cause.startswith("status -11: Fatal Python error: Aborted,")


def test_the_cause_of_a_failure_is_the_last_error():
    assert processes.Ended(1, "", "error: one\nerror: two\nlog", 1.0).cause == "two"
