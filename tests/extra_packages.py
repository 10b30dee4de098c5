"""Packages that only some tests need, apart from those of this environment.

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
    """The folder of some packages, for PYTHONPATH; skips the test where pip cannot
    get them.
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
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[
        :12
    ]
    place = TESTS.parent / "work" / f"{name}-{key}"
    if place.is_dir():
        return place, None
    place.parent.mkdir(exist_ok=True)
    options = "--no-deps --no-compile --disable-pip-version-check --retries=1 --timeout=20".split()
    with tempfile.TemporaryDirectory(dir=place.parent) as partial:
        words = [
            *options,
            "--only-binary=:all:",
            f"--target={partial}/new",
            "-r",
            requirements,
        ]
        done = run_python("-m", "pip", "install", *words)
        if done.returncode:
            return None, (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        # another process may do the same: the first names the folder
        if not place.is_dir():
            os.rename(f"{partial}/new", place)
    return place, None
