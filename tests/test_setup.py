"""tools/setup.sh, with a Python that only notes what it is asked."""

import shutil
import subprocess

import pytest
from processes import ROOT

FAKE = """#!/usr/bin/env bash
case "$1 $2" in
  "-m venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo venv >>asked ;;
  "-m pip") echo "pip $*" >>asked ;;
esac
"""


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "tools")
    for name in ("requirements.txt", "requirements-latest.txt"):
        (tmp_path / name).write_text("tensorflow==1\n")
    (tmp_path / "python").write_text(FAKE)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def asked(clone, command, status=0):
    """What the Python was asked while a command of bash ran: 'venv', 'cpu' or 'gpu' each."""
    note = clone / "asked"
    note.write_text("")
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=clone,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(clone / "python")},
    )
    assert done.returncode == status, done.stderr
    kinds = {".venv/requirements-gpu.txt": "gpu", "requirements-latest.txt": "cpu", "venv": "venv"}
    return [kinds[line.split()[-1]] for line in note.read_text().splitlines()]


def test_an_environment_is_made_once_and_becomes_one_for_a_gpu(clone):
    assert asked(clone, "source tools/setup.sh && [[ $PATH == $PWD/.venv/bin:* ]]") == [
        "venv",
        "cpu",
    ]
    assert asked(clone, "source tools/setup.sh") == []
    assert asked(clone, "cd tools && ./setup.sh --gpu") == ["gpu"]
    lines = (clone / ".venv" / "requirements-gpu.txt").read_text().splitlines()
    assert lines == ["tensorflow[and-cuda]==1"] * 2
    assert asked(clone, "source tools/setup.sh --gpu") == []
    # A CPU's is part of it.
    assert asked(clone, "source tools/setup.sh; tools/setup.sh") == []
    (clone / "requirements.txt").write_text("tensorflow==2\n")
    assert asked(clone, "source tools/setup.sh") == ["venv", "gpu"]


def test_the_arguments_of_a_script_that_sources_it_are_not_its_own(clone):
    (clone / "demo.sh").write_text("set -euo pipefail\nsource tools/setup.sh\necho $1 >said\n")
    assert asked(clone, "bash demo.sh --gpu") == ["venv", "cpu"]
    assert (clone / "said").read_text() == "--gpu\n"
    assert asked(clone, "tools/setup.sh --gup", status=2) == []
