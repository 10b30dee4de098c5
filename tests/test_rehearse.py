"""The short form of the rehearsal, once and again."""

import os
import pathlib
import subprocess
import sys

import pytest
from processes import ROOT

pytestmark = pytest.mark.slow
SETUP = 'export PYTHONPATH=$PWD\na2d() { python -m a2d_tf "$@"; }\n'


def test_short_form(tmp_path):
    """From a drawn archive to the report of a row; what is done is not done again."""
    clone, work = tmp_path / "clone", tmp_path / "work"
    (clone / "tools").mkdir(parents=True)
    for path in (*ROOT.glob("tools/*"), ROOT / "a2d_tf", ROOT / "configs"):
        if path.name != "setup.sh":
            (clone / path.relative_to(ROOT)).symlink_to(path)
    (clone / "tools" / "setup.sh").write_text(SETUP)
    words = ["bash", str(clone / "tools" / "rehearse.sh"), "--short", str(work)]
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    options = dict(capture_output=True, text=True, env={**os.environ, "PATH": path})
    for count in (3, 0):
        done = subprocess.run(words, **options)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("== a2d") == count
    text = (work / "runs" / "a2d" / "report.md").read_text()
    assert "Made on " in text and "| **ours, Mask R-CNN baseline** |" in text
    assert (work / "runs" / "a2d" / "report.html").stat().st_size > 50_000
