"""tools/setup.sh, with a Python that only notes what it is asked."""

import shutil
import subprocess

import pytest
from processes import ROOT

FAKE = """#!/usr/bin/env bash
case "$1 $2" in
  "-m venv")
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    echo "venv ${0##*/}" >>asked ;;
  "-m pip") echo "pip $*" >>asked ;;
esac
"""


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "tools")
    for name in ("requirements.txt", "requirements-latest.txt", "requirements-gpu.txt"):
        (tmp_path / name).write_text("tensorflow==1\n")
    for name in ("python3.11", "python3.12"):
        program(tmp_path / name, FAKE)
    return tmp_path


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)


def asked(clone, command, status=0, **environment):
    """Run bash; return what it asked of Python: 'venv PYTHON', 'cpu' or 'gpu' each."""
    note = clone / "asked"
    note.write_text("")
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=clone,
        capture_output=True,
        text=True,
        env={"PATH": f"{clone}:/usr/bin:/bin", **environment},
    )
    assert done.returncode == status, done.stderr
    kinds = {"requirements-gpu.txt": "gpu", "requirements-latest.txt": "cpu"}
    return [kinds.get(line.split()[-1], line) for line in note.read_text().splitlines()]


def test_an_environment_is_made_once_and_becomes_one_for_a_gpu(clone):
    made = asked(clone, "source tools/setup.sh && [[ $PATH == $PWD/.venv/bin:* ]]")
    assert made == ["venv python3.11", "cpu"]
    assert asked(clone, "source tools/setup.sh") == []
    assert asked(clone, "cd tools && ./setup.sh --gpu") == ["gpu"]
    assert asked(clone, "source tools/setup.sh --gpu") == []
    # A CPU's is part of it.
    assert asked(clone, "source tools/setup.sh; tools/setup.sh") == []
    (clone / "requirements.txt").write_text("tensorflow==2\n")
    assert asked(clone, "source tools/setup.sh") == ["venv python3.11", "gpu"]


def test_a_new_gpu_gets_the_newest_tensorflow_unless_python_is_named(clone):
    program(clone / "nvidia-smi", "#!/bin/sh\necho 9.0\n")
    named = str(clone / "python3.11")
    assert asked(clone, "tools/setup.sh --gpu", PYTHON=named) == [
        "venv python3.11",
        "gpu",
    ]
    shutil.rmtree(clone / ".venv")
    assert asked(clone, "tools/setup.sh") == ["venv python3.11", "cpu"]
    assert asked(clone, "tools/setup.sh --gpu") == ["venv python3.12", "gpu"]
    assert asked(clone, "tools/setup.sh --gpu") == []
    shutil.rmtree(clone / ".venv")
    program(clone / "nvidia-smi", "#!/bin/sh\necho 8.6\n")
    assert asked(clone, "tools/setup.sh --gpu") == ["venv python3.11", "gpu"]


def test_sourced_from_another_folder_it_makes_the_environment_of_its_repository(clone):
    other = clone / "my videos"
    other.mkdir()
    command = (
        f"cd '{other}' && source ../tools/setup.sh && echo $PWD $PATH >'{clone}/said'"
    )
    assert asked(clone, command) == ["venv python3.11", "cpu"]
    assert list(other.iterdir()) == []
    said = (clone / "said").read_text()
    assert said.startswith(f"{other} {clone}/.venv/bin:")
