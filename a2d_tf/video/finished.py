"""What marks a video of a library as finished: `prediction.json` beside its results.

It holds the video's file and size, the model, the settings and the number of frames, so that the
same command given again knows what it need not do, and another command what it must not replace.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Collection
from typing import Any

from a2d_tf.core.command_line import written
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, read_json
from a2d_tf.data import frames
from a2d_tf.video import video_files
from a2d_tf.video.library import Job
from a2d_tf.video.outputs import KINDS, RECORD, RESULTS


def model(path: str) -> dict[str, str]:
    """Identify a model, without TensorFlow.

    Args:
      path: an exported folder, a run folder, a packed model or a file of weights.

    Returns:
      its name, and the digest of what tells it from others: all of a file; of a folder its facts,
      graph and settings, and the indices of its variables, which hold their checksums.
    """
    digest = hashlib.sha256()
    if os.path.isdir(path):
        pattern = os.path.join(glob.escape(path), "**", "*.index")
        files = [os.path.join(path, name) for name in os.listdir(path)]
        files = [file for file in files if file.endswith((".json", ".npz", ".pb", ".txt"))]
        for file in sorted([*files, *glob.glob(pattern, recursive=True)]):
            digest.update(f"{os.path.relpath(file, path)} {file_digest(file)}\n".encode())
    elif os.path.isfile(path):
        digest.update(file_digest(path).encode())
    else:  # weights that are known by a name
        digest.update(path.encode())
    name = os.path.basename(os.path.abspath(path))
    return {"model": name, "model_sha256": digest.hexdigest()}


def record(job: Job, of_all: dict[str, Any]) -> dict[str, Any]:
    """The contents of a job's `prediction.json`, but for the number of frames.

    Args:
      job: the job.
      of_all: what the predictions of a library share: that of `model`, and `settings`, {flag:
        value}.

    Returns:
      the contents; `bytes` is None if the video, or the file that a link leads to, is gone.
    """
    try:
        files = frames.files(job.path, video_files.IMAGES)
        size = sum(file.stat().st_size for file in files)
    except OSError:
        size = None
    return {"video": os.path.basename(os.path.abspath(job.path)), "bytes": size, **of_all}


def is_finished(job: Job, wanted: dict[str, Any], overwrite: bool = False) -> bool:
    """Whether the results of a job are there and whole.

    Args:
      job: the job.
      wanted: its `record`.
      overwrite: whether a prediction of other settings counts as none, rather than as an error.

    Raises:
      InputError: its place is taken: by a prediction that is not the wanted one, with the field
        that differs, or by something else.
    """
    if not os.path.isdir(job.output):
        if os.path.lexists(job.output):
            raise InputError(f"{job.output}: not a folder; remove it, or give another --output")
        return False
    names = {name for name in os.listdir(job.output) if not name.startswith(".")}
    if not names:
        return False
    try:
        difference = _difference(read_json(os.path.join(job.output, RECORD)), wanted)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        difference = f"no prediction of a library (its {RECORD} is missing or damaged)"
    if not difference and {KINDS[kind] for kind in _kinds(wanted)} <= names:
        return True
    if difference and not overwrite:
        raise InputError(f"{job.output}: {difference}; give another --output, or --overwrite")
    strange = sorted(names - {*RESULTS, RECORD})
    if strange:
        raise InputError(
            f"{job.output}: holds {strange[0]}, which is no result and would be removed; move it, "
            "or give another --output"
        )
    return False


def _kinds(wanted: dict[str, Any]) -> Collection[str]:
    return wanted["settings"]["results"].split(",")


def _difference(there, wanted):
    """Describe in what a prediction is not the wanted one; None where it is."""
    if there["model_sha256"] != wanted["model_sha256"]:
        return f"finished by another model or other weights ({there['model']})"
    for name in sorted({*there["settings"], *wanted["settings"]}):
        was, now = (each["settings"].get(name) for each in (there, wanted))
        if was != now:
            return f"finished {_flag(name, was)}, not {_flag(name, now)}"
    # A video that is gone since is not another one.
    same = wanted["bytes"] in (None, there["bytes"])
    if there["video"] != wanted["video"] or not same:
        return (
            f"finished for {there['video']} of {there['bytes']} bytes, not {wanted['video']} of "
            f"{wanted['bytes']}"
        )
    return None


def _flag(name, value):
    return f"without --{name}" if value is None else f"with --{name}={written(value)}"
