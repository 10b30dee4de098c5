"""The benchmark runs and its file has the promised form; its figures are not judged here."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "benchmark.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_suite_data(tmp_path):
    output = tmp_path / "data.json"
    done = run("--suite=data", "--output", output, "--rounds=1", "--videos=2", "--workers=1",
               "--clips=4", "--step_clips_per_second=20")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    assert set(report) == {"suite", "machine", "rows", "details"} and report["suite"] == "data"
    assert report["machine"]["cores"] >= 1
    rows = {row["name"]: row for row in report["rows"]}
    for row in rows.values():
        assert set(row) == {"name", "unit", "ours", "peer", "ratio", "goal"}
        assert row["name"] in done.stdout
        assert (row["peer"] is None) == (row["ratio"] is None)
    for what in ("frames", "frames and truth"):
        rate = rows[f"conversion / {what}, 1 workers"]
        assert rate["goal"] == 0.9 and rate["ratio"] == pytest.approx(rate["ours"] / rate["peer"])
        cost = rows[f"conversion / {what}, processor time"]
        assert cost["goal"] == 0.9 and cost["ratio"] == pytest.approx(cost["peer"] / cost["ours"])
    fed = rows["mini pipeline (128x160, T=3): training batches"]
    assert fed["peer"] == 20 and fed["ratio"] == pytest.approx(fed["ours"] / 20)
    parts = report["details"]["bytes_per_clip"]
    assert sum(parts.values()) < 2 * parts["all"] < 2.1 * (sum(parts.values()) - parts["all"])
    ways = report["details"]["flow_storage"]
    assert set(ways) == {
        "ours", "PNG 8 bit +-20", "JPEG q95 +-20", "PNG 16 bit x64", "float16 zlib"
    }  # fmt: skip
    assert ways["float16 zlib"]["mean_error"] < ways["ours"]["mean_error"]
    assert ways["ours"]["mean_error"] < ways["JPEG q95 +-20"]["mean_error"]
    methods = report["details"]["flow_methods"]
    assert {"dis", "farneback"} <= set(methods)
    assert all(figures["gain_percent"] > 0 for figures in methods.values())


def test_wrong_flags_end_with_one_clear_line(tmp_path):
    for arguments, words in (
        (["--suite=data"], "--output is missing"),
        (["--suite=nonsense", "--output=x"], "suite"),
    ):
        done = run(*arguments)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
