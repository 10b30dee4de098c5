"""Install the packages that only some tests need, apart from this environment.

They are installed once, into `work/` of the repository, from
tests/NAME_requirements.txt.
"""

import functools
import hashlib
import os
import pathlib
import sys
import tempfile

import pytest
from processes import run_python

TESTS = pathlib.Path(__file__).resolve().parent


def folder(name):
    """Return the folder of some packages, for PYTHONPATH; skip the test without them.

    Args:
      name: NAME in the file tests/NAME_requirements.txt that lists the packages.
    """
    place, problem = _installed(name)
    if problem:
        pytest.skip(
            f"tests/{name}_requirements.txt cannot be installed here: {problem}"
        )
    return place


@functools.cache
def _installed(name):
    """(folder of the packages, why there is none)."""
    requirements = TESTS / f"{name}_requirements.txt"
    asked = requirements.read_bytes() + sys.version.encode()
    key = hashlib.sha256(asked).hexdigest()[:12]
    folder = TESTS.parent / "work" / f"{name}-{key}"
    if folder.is_dir():
        return folder, None
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
        done = run_python(
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--no-compile",
            "--disable-pip-version-check",
            "--retries=1",
            "--timeout=20",
            "--only-binary=:all:",
            f"--target={partial}/new",
            "-r",
            requirements,
        )
        if done.returncode:
            return None, (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        # another process may do the same: the first names the folder
        if not folder.is_dir():
            os.rename(f"{partial}/new", folder)
    return folder, None
