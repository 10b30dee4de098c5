"""The rehearsal: it goes on where it stopped, and its short form."""

import json

import pytest
from processes import run_tool

from a2d_tf.core.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rehearse(tool):
    return tool("tools.rehearse")


def test_it_goes_on_with_the_command_that_failed(rehearse, monkeypatch, tmp_path):
    calls, statuses = [], {"b": [1, 0]}

    def measure(command, workdir):
        calls.append(command)
        status = statuses.get(command, [0]).pop(0)
        return dict(seconds=60.0, cpu_seconds=30.0, memory=2e9, disk=5e9, status=status), False

    monkeypatch.setattr(rehearse, "measure", measure)
    path = tmp_path / "rehearsal.json"
    with pytest.raises(InputError, match=f"'b' ended with status 1 in {tmp_path}"):
        rehearse.rehearse(tmp_path, ["a", "b", "c"], path)
    measured = rehearse.rehearse(tmp_path, ["a", "b", "c"], path)
    assert calls == ["a", "b", "b", "c"]
    assert measured == json.loads(path.read_text())
    assert [measured[name]["seconds"] for name in "abc"] == [60, 120, 60]
    lines = rehearse.table(measured).splitlines()
    assert lines[2] == "     2.0      1.0   2.0 GB   5.0 GB  b"
    assert lines[-1] == "     4.0      2.0   2.0 GB   5.0 GB  in all"


def test_short_form(rehearse, tmp_path, capsys):
    """From a drawn archive to the report of a row; what is done is not done again."""
    done = run_tool("rehearse", "--short", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "in all" in done.stdout
    runs = tmp_path / "runs" / "a2d"
    text = (runs / "report.md").read_text()
    assert "Made on " in text and "| **ours, Mask R-CNN baseline** |" in text
    assert (runs / "report.html").stat().st_size > 50_000
    measured = json.loads((tmp_path / "rehearsal.json").read_text())
    assert all(found["status"] == 0 and found["memory"] for found in measured.values())
    path = tmp_path / "rehearsal.json"
    assert rehearse.rehearse(tmp_path, rehearse.plan(short=True), path) == measured
    assert "==" not in capsys.readouterr().out
