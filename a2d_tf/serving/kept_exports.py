"""Exports of runs and packed models, kept in `served/` of the user's cache.

To build and trace a network takes longer than to load its export.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
from typing import Any

import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.errors import InputError
from a2d_tf.pretrained import cache
from a2d_tf.runs import packed
from a2d_tf.serving import export_folder
from a2d_tf.serving.export_folder import VideoFunctions

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
_KEPT = 5  # models; the paper's takes half a gigabyte


def load(folder: str, settings: dict[str, Any], checkpoint: str) -> VideoFunctions:
    """Return what `export_folder.load` would return of an export, and keep the export.

    The last _KEPT of a user are kept. If the cache cannot be written, the network is
    built at each start.

    Args and errors are those of `runs.loading.load`.
    """
    try:
        kept_folder = _kept_folder(folder, settings, checkpoint)
    except (InputError, OSError, RuntimeError):
        kept_folder = None  # a damaged model, or a user without a home
    if kept_folder is not None:
        try:
            os.utime(kept_folder)  # the last used are kept
            return export_folder.load(str(kept_folder))
        except (InputError, OSError):
            shutil.rmtree(kept_folder, ignore_errors=True)  # absent or damaged

    from a2d_tf.runs import loading
    from a2d_tf.serving import exporter

    run = loading.load(folder, settings, checkpoint)
    if kept_folder is not None:
        try:
            exporter.export(run, str(kept_folder), for_videos_only=True)
            _remove_oldest(kept_folder.parent)
            return export_folder.load(str(kept_folder))
        except (InputError, OSError):
            pass  # a cache that cannot be written
    return exporter.serve(run)


def _remove_oldest(cache_folder):
    """Remove all exports but the last _KEPT used."""
    by_age = sorted(cache_folder.glob("[!.]*"), key=os.path.getmtime)
    for old in by_age[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _kept_folder(folder, settings, checkpoint):
    """Return the folder in the cache, named by a digest of all that decides on it."""
    run = pathlib.Path(folder)
    weights = []
    # A file of weights may be half copied or damaged now, and whole at the next start.
    for path in run.glob("*/*.data-*"):
        status = path.stat()
        weights.append((status.st_size, status.st_mtime_ns))
    origin = (
        packed.identity(folder),
        sorted(weights),
        [path.read_text() for path in run.glob("best/*.json")],
        settings,
        checkpoint,
        tf.__version__,
        devices.on_gpu(),
    )
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True, default=str).encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return cache.folder() / "served" / digest.hexdigest()
