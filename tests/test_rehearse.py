"""The short form of the rehearsal, once and again."""

import json

import pytest
from processes import run_tool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rehearse(tool):
    return tool("tools.rehearse")


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
