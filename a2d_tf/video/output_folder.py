"""The folder of a prediction: what may be replaced in it, and when its files appear."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Collection, Iterator
from typing import Any

from a2d_tf.behaviour.prediction_folder import (
    PART_FILE,
    RECORD_FILE,
    RESULT_FILES,
    RESULTS,
    VIDEO_FILE,
    read_video_info,
)
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json
from a2d_tf.core.folders import hidden_folder, is_of_writing, replace_folder
from a2d_tf.video.library_part import read_part
from a2d_tf.video.outputs import Outputs
from a2d_tf.video.video_page import write_page
from a2d_tf.video.video_reader import Reader

HIDDEN = ".prediction-"  # begins the name of a folder of results that are not yet whole


@contextlib.contextmanager
def open_outputs(
    folder: str,
    reader: Reader,
    every: int = 1,
    *,
    kinds: Collection[str] = tuple(RESULT_FILES),
    record: dict[str, Any] | None = None,
) -> Iterator[Outputs]:
    """Yield the `Outputs` of a prediction, whose files move to their places at the end.

    After an error, or without any frame, nothing in `folder` has changed. Two processes
    do not replace each other's results.

    Args:
      folder: made if missing; results of an earlier prediction there are replaced.
      reader: of the video.
      every: N if each Nth frame is added.
      kinds: those of RESULT_FILES that are written.
      record: what to write to `prediction.json`, with the number of `frames`. The
        folder then appears whole or not at all, and whatever was there is replaced.

    Raises:
      InputError: the folder cannot be written, or holds files of these names that are
        no prediction's.
      OSError: one of the caller that is not of writing.
    """
    parent = folder if record is None else os.path.dirname(folder)
    try:
        _check_replaceable(folder)
        os.makedirs(parent, exist_ok=True)
        with hidden_folder(parent, HIDDEN) as hidden:
            if record is None and not hidden.is_alone:
                raise InputError(
                    f"--output={folder}: another process is writing to it; use another"
                    " --output"
                )
            record_before = _read_record(folder)
            new = os.path.join(hidden.path, "new")
            os.mkdir(new)
            with contextlib.closing(Outputs(new, reader, every, kinds)) as outputs:
                yield outputs
            if not outputs.frames:
                return
            outputs.write_tables()
            if "page" in kinds:
                write_page(new)
            if record is None:
                _move_files(new, folder)
                return
            write_json(
                os.path.join(new, RECORD_FILE), {**record, "frames": outputs.frames}
            )
            read_part(pathlib.Path(new))
            if _read_record(folder) not in (record_before, _read_record(new)):
                raise InputError(
                    f"{folder}: another process has meanwhile written other results"
                    " there; use another --output"
                )
            replace_folder(new, folder, os.path.join(hidden.path, "old"))
    except OSError as error:
        if not is_of_writing(error, parent):
            raise
        raise InputError(f"--output={folder}: cannot be written ({error})") from error


def _check_replaceable(folder):
    """Raise InputError if a prediction would replace something else in its folder."""
    for name in RESULTS:
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            continue
        try:
            read_video_info(folder)
        except InputError as error:
            raise InputError(
                f"{path}: not part of a prediction ({error}); remove it, or use another"
                " --output"
            ) from error
        return


def _read_record(folder):
    """Return what tells a finished prediction of a library from another one."""
    with contextlib.suppress(OSError):
        return pathlib.Path(folder, RECORD_FILE).read_bytes()


def _move_files(new, folder):
    """Move results to their places; only results of a prediction are replaced there."""
    # First the record, or a library would take these results for its own; then the file
    # that marks a prediction, should this be killed.
    for name in (RECORD_FILE, PART_FILE, VIDEO_FILE, *RESULT_FILES.values()):
        old_path = os.path.join(folder, name)
        new_path = os.path.join(new, name)
        if os.path.isdir(old_path) or not os.path.exists(new_path):
            with contextlib.suppress(FileNotFoundError):
                # At once, unlike removing thousands of label maps.
                os.replace(old_path, f"{new_path}.old")
        if os.path.exists(new_path):
            os.replace(new_path, old_path)
