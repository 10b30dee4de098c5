"""Datumaro as an oracle, in packages of its own: its pins do not go with TensorFlow's."""

import atexit
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import extra_packages
import pytest

WORKER = pathlib.Path(__file__).resolve().with_name("datumaro_worker.py")


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
    return _ask("read", format_name, str(folder), *size)


def write(folder, format_name, content):
    """Write an export by Datumaro; see `datumaro_worker.write`."""
    _ask("write", format_name, str(folder), content)


def _ask(*request):
    worker, said = _worker()
    worker.stdin.write(json.dumps(request) + "\n")
    worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        _worker.cache_clear()
        pytest.fail(f"the process with Datumaro ended: {said.read_text()[-2000:]}")
    answer = json.loads(line)
    assert answer["error"] is None, answer["error"]
    return answer["result"]


@functools.cache
def _worker():
    """The process with Datumaro, one for all tests, as it takes seconds to start; what it says."""
    said = pathlib.Path(tempfile.mkdtemp()) / "stderr.txt"
    worker = subprocess.Popen(
        # -S: without the packages of this environment.
        [sys.executable, "-S", str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said.open("w"),
        text=True,
        env={**os.environ, "PYTHONPATH": str(extra_packages.folder("oracles"))},
    )
    atexit.register(worker.communicate)  # closes its input, which ends it
    return worker, said
