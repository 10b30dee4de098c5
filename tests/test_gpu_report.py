"""The report of a GPU ends, and goes on where it was."""

import json
import os
import select

import pytest
from processes import run_tool, succeeded

from tools.benchmarks import processes


@pytest.mark.slow
def test_without_a_gpu(tmp_path):
    """A short limit is named; a larger one tries again, as after a failure."""

    def rows(*further):
        succeeded(
            run_tool("gpu_report", f"--output={tmp_path}", "--only=batches", *further)
        )
        return json.loads((tmp_path / "report.json").read_text())

    assert [row["reason"] for row in rows("--limit_s=1")] == [
        "took more than --limit_s=1"
    ] * 2
    assert "tensorflow==" in rows()[0]["values"]["packages"]
    assert "needs a GPU" in (tmp_path / "report.html").read_text()
    (tmp_path / "rows/machine.json").write_text(
        '{"row": "machine", "values": {"gpus": ["old"]}}'
    )
    (tmp_path / "rows/batches.json").write_text('{"row": "batches", "reason": "other"}')
    machine, batches = rows()
    assert machine["values"]["gpus"] == [] and batches["reason"] == "needs a GPU"
    (tmp_path / "rows/batches.json").write_text(
        '{"row": "batches", "values": {"largest batch": 3}}'
    )
    assert rows()[1]["values"] == {"largest batch": 3}


def test_a_command_that_hangs_ends_with_its_children_and_one_that_crashes_says_why():
    reader, writer = os.pipe()
    ended = processes.run(
        ["sh", "-c", "sleep 60 & echo begun; wait"], 1, pass_fds=[writer]
    )
    os.close(writer)
    assert ended.status is None and ended.stdout == "begun\n"
    assert select.select([reader], [], [], 20)[0], "a child holds the pipe"
    os.close(reader)
    crash = processes.Ended(-11, "", "Fatal Python error: Aborted" + 3000 * ",", 1.0)
    assert crash.cause.startswith("status -11: Fatal Python error: Aborted,")
    assert processes.Ended(1, "", "error: one\nerror: two\nlog", 1.0).cause == "two"
