"""Datumaro as an oracle, in packages of its own: its pins do not go with TensorFlow's.

They are installed once, into `work/` of the repository, in half a minute (430 MB).
"""

import functools
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = TESTS / "datumaro_requirements.txt"


def instances(folder, format_name, size=(0, 0)):
    """Read an export by Datumaro.

    Args:
      folder: folder of the export.
      format_name: Datumaro's name of the format: 'coco_instances', 'cvat', 'datumaro', 'label_me'…
      size: (height, width) of the frames, where the export has none.

    Returns:
      {item id: [{"label", "attributes", "group", "area", "rows": indices of the mask's pixels, row
      by row}, ...]}; of frames without instances too.
    """
    return json.loads(_run("read", format_name, folder, *size))


def write(folder, format_name, content):
    """Write an export by Datumaro; see `datumaro_worker.write`."""
    _run("write", format_name, folder, input=json.dumps(content))


def _run(*words, **options):
    packages, problem = _packages()
    if problem:
        pytest.skip(f"Datumaro cannot be installed here: {problem}")
    done = subprocess.run(
        # -S: without the packages of this environment.
        [sys.executable, "-S", str(TESTS / "datumaro_worker.py"), *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(packages)},
        **options,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@functools.cache
def _packages():
    """(folder of the packages, why there is none)."""
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = TESTS.parent / "work" / f"datumaro-{key}"
    if folder.is_dir():
        return folder, None
    # Another process may do the same: the first one to finish names the folder.
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    options = "--no-deps --no-compile --disable-pip-version-check --retries=1 --timeout=20".split()
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--only-binary=:all:"]
        + ["--target", str(partial), "-r", str(REQUIREMENTS)],
        capture_output=True,
        text=True,
    )
    try:
        if done.returncode:
            return None, (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        if not folder.is_dir():
            partial.rename(folder)
        return folder, None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
