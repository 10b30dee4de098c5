"""The report of a GPU ends on a machine without one, and goes on where it was."""

import json

import pytest
from processes import run_tool, succeeded


@pytest.mark.slow
def test_without_a_gpu(tmp_path):
    words = f"--output={tmp_path}/report --small --only=machine,kernels".split()
    succeeded(run_tool("gpu_report", *words))
    machine, kernels = json.loads((tmp_path / "report" / "report.json").read_text())
    assert "tensorflow==" in machine["values"]["packages"]
    assert kernels["reason"] == "error: needs a GPU"
    assert "needs a GPU" in (tmp_path / "report" / "report.html").read_text()
    kept = tmp_path / "report" / "rows" / "machine.json"
    kept.write_text(json.dumps({"row": "machine", "values": {"kept": 1}}))
    assert "{'kept': 1}" in run_tool("gpu_report", *words).stdout
