"""Datumaro as an oracle, in packages of its own: its pins do not go with TensorFlow's."""

import json
import os
import pathlib
import subprocess
import sys

import extra_packages

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
    return json.loads(_run("read", format_name, folder, *size))


def write(folder, format_name, content):
    """Write an export by Datumaro; see `datumaro_worker.write`."""
    _run("write", format_name, folder, input=json.dumps(content))


def _run(*words, **options):
    done = subprocess.run(
        # -S: without the packages of this environment.
        [sys.executable, "-S", str(WORKER), *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(extra_packages.folder("datumaro"))},
        **options,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
