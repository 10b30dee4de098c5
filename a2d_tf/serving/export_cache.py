"""A cache of exports of runs and packed models: `served/` of the user's cache.

To build and trace a network takes longer than to load its export. A run is the folder
of a training; a packed model is its part that predictions need, as a2d export --pack
writes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest
from a2d_tf.core.machine import devices
from a2d_tf.pretrained import cache
from a2d_tf.runs import model_source
from a2d_tf.serving import export_folder
from a2d_tf.serving.export_folder import FrameFunctions
from a2d_tf.serving.signatures import FrameSignatures

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
_KEPT = 5  # models; the paper's takes half a gigabyte


def load(
    folder: str,
    settings: dict[str, Any],
    checkpoint: str,
    signatures: FrameSignatures,
) -> FrameFunctions:
    """Load a model's export from the cache, and make it there if it is missing.

    The last exports that were used stay in the cache; older ones are removed. If the
    cache cannot be written, the network is built at each start.

    Args:
      folder: the folder of a run or of a packed model.
      settings: {setting of inference or computing: value}, in place of the run's own
        values.
      checkpoint: which of the run's checkpoints to take, 'last' or 'best'.
      signatures: VIDEO_SIGNATURES to find the instances of frames, or BOX_SIGNATURES
        to label given boxes.

    Returns:
      the functions that answer the frames of a video.

    Raises:
      InputError: `folder` is no run and no packed model, or is damaged, or a setting is
        out of range.
    """
    kept_folder = _kept_folder(folder, (settings, checkpoint, signatures))
    if kept_folder is not None:
        functions = _load_kept(kept_folder, signatures)
        if functions is not None:
            return functions

    # A kept export is loaded without these: to import Keras's models takes long.
    from a2d_tf.runs import loading
    from a2d_tf.serving import exporter

    run = loading.load(folder, settings, checkpoint)
    if kept_folder is not None:
        try:
            exporter.export(run, str(kept_folder), signatures)
            _remove_oldest(kept_folder.parent)
            return export_folder.load(str(kept_folder), signatures)
        except (InputError, OSError):
            pass
    return exporter.serve(run, signatures)


def _load_kept(
    kept_folder: pathlib.Path, signatures: FrameSignatures
) -> FrameFunctions | None:
    """Load a kept export; return None, and remove it, if it is absent or damaged."""
    try:
        os.utime(kept_folder)  # the exports that were used last stay
        return export_folder.load(str(kept_folder), signatures)
    except (InputError, OSError):
        shutil.rmtree(kept_folder, ignore_errors=True)
        return None


def _remove_oldest(cache_folder: pathlib.Path) -> None:
    """Remove all exports but the last _KEPT used."""
    by_age = sorted(cache_folder.glob("[!.]*"), key=os.path.getmtime)
    for old in by_age[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _kept_folder(folder: str, options: Sequence[Any]) -> pathlib.Path | None:
    """Return the folder of a model in the cache.

    It is None for a damaged model, or for a user without a home.

    Args:
      folder: the folder of a run or of a packed model.
      options: all values that an export depends on beside the model.
    """
    try:
        name = _digest(folder, options)
        return cache.folder() / "served" / name
    except (InputError, OSError, RuntimeError):
        return None


def _digest(folder: str, options: Sequence[Any]) -> str:
    """Return a digest of all that an export depends on."""
    run = pathlib.Path(folder)
    weights = []
    # A file of weights may be half copied or damaged now, and whole at the next start.
    for path in run.glob("*/*.data-*"):
        status = path.stat()
        weights.append((status.st_size, status.st_mtime_ns))
    origin = (
        model_source.identity(folder),
        sorted(weights),
        [file_digest(path) for path in run.glob("best/*.json")],
        options,
        tf.__version__,
        devices.on_gpu(),
    )
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True, default=str).encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
