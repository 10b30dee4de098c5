"""Packages that only some tests need, apart from those of this environment.

They are installed once, into `work/` of the repository, from tests/NAME_requirements.txt.
"""

import functools
import hashlib
import pathlib
import secrets
import shutil
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent


def folder(name):
    """The folder of some packages, for PYTHONPATH; skips the test where pip cannot get them."""
    place, problem = _installed(name)
    if problem:
        pytest.skip(f"tests/{name}_requirements.txt cannot be installed here: {problem}")
    return place


@functools.cache
def _installed(name):
    """(folder of the packages, why there is none)."""
    requirements = TESTS / f"{name}_requirements.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = TESTS.parent / "work" / f"{name}-{key}"
    if place.is_dir():
        return place, None
    # Another process may do the same: the first one to finish names the folder.
    partial = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    options = "--no-deps --no-compile --disable-pip-version-check --retries=1 --timeout=20".split()
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--only-binary=:all:"]
        + ["--target", str(partial), "-r", str(requirements)],
        capture_output=True,
        text=True,
    )
    try:
        if done.returncode:
            return None, (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        if not place.is_dir():
            partial.rename(place)
        return place, None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
