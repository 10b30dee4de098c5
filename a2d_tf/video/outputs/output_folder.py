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
from a2d_tf.video.outputs.library_part import read_part
from a2d_tf.video.outputs.prediction_writer import PredictionWriter
from a2d_tf.video.pages.video_page import write_page
from a2d_tf.video.reading.reader import Reader

HIDDEN = ".prediction-"  # begins the name of a folder of results that are not yet whole
"""The first letters of the name of a folder with results that are not yet whole."""


@contextlib.contextmanager
def open_outputs(
    folder: str,
    reader: Reader,
    every: int = 1,
    *,
    kinds: Collection[str] = tuple(RESULT_FILES),
) -> Iterator[PredictionWriter]:
    """Yield the writer of a prediction; at the end move its files into a folder.

    The page is made at the end, too. After an error, or if no frame was written,
    nothing in `folder` has changed. Other files of the user's in it stay.

    Args:
      folder: path of the folder of the prediction, which is created if need be; results
        of an earlier prediction there are replaced.
      reader: the reader of the video.
      every: N if only each Nth frame is predicted.
      kinds: the kinds of results to write, such as "tracks" and "overlay": keys of
        `RESULT_FILES`.

    Raises:
      InputError: the folder cannot be written, another process is writing to it, or it
        holds files of these names that are no part of a prediction.
      OSError: an error of the caller's that is not of writing these files.
    """
    with _write_errors(folder, folder):
        _check_replaceable(folder)
        os.makedirs(folder, exist_ok=True)
        with hidden_folder(folder, HIDDEN) as hidden:
            if not hidden.is_alone:
                raise InputError(
                    f"--output={folder}: another process is writing to it; use another"
                    " --output"
                )
            new = os.path.join(hidden.path, "new")
            with _write_whole(new, reader, every, kinds) as writer:
                yield writer
            if writer.frames:
                _move_files(new, folder)


@contextlib.contextmanager
def open_library_outputs(
    folder: str,
    reader: Reader,
    every: int = 1,
    *,
    kinds: Collection[str] = tuple(RESULT_FILES),
    record: dict[str, Any],
) -> Iterator[PredictionWriter]:
    """Yield the writer of a library's video; at the end its folder appears.

    The folder appears whole or not at all, and replaces an earlier folder. It also gets
    `prediction.json` and `part.json`.

    Args:
      folder: path of the folder of the prediction, in the folder of the library.
      reader: the reader of the video.
      every: N if only each Nth frame is predicted.
      kinds: the kinds of results to write, such as "tracks" and "overlay": keys of
        `RESULT_FILES`.
      record: the contents of `prediction.json`, to which the number of frames is added.

    Raises:
      InputError: the library cannot be written, `folder` holds files of these names
        that are no part of a prediction, or another process has meanwhile written other
        results there.
      OSError: an error of the caller's that is not of writing these files.
    """
    library = os.path.dirname(folder)
    with _write_errors(folder, library):
        _check_replaceable(folder)
        os.makedirs(library, exist_ok=True)
        with hidden_folder(library, HIDDEN) as hidden:
            record_before = _read_record(folder)
            new = os.path.join(hidden.path, "new")
            with _write_whole(new, reader, every, kinds) as writer:
                yield writer
            if not writer.frames:
                return
            write_json(
                os.path.join(new, RECORD_FILE), {**record, "frames": writer.frames}
            )
            read_part(pathlib.Path(new))
            if _read_record(folder) not in (record_before, _read_record(new)):
                raise InputError(
                    f"{folder}: another process has meanwhile written other results"
                    " there; use another --output"
                )
            replace_folder(new, folder, os.path.join(hidden.path, "old"))


@contextlib.contextmanager
def _write_errors(folder: str, parent: str) -> Iterator[None]:
    """Raise InputError if the files of a prediction cannot be written to `parent`."""
    try:
        yield
    except OSError as error:
        if not is_of_writing(error, parent):
            raise
        raise InputError(f"--output={folder}: cannot be written ({error})") from error


@contextlib.contextmanager
def _write_whole(
    new: str, reader: Reader, every: int, kinds: Collection[str]
) -> Iterator[PredictionWriter]:
    """Yield the writer of a new folder; complete the files at the end, with a frame."""
    os.mkdir(new)
    with contextlib.closing(PredictionWriter(new, reader, every, kinds)) as writer:
        yield writer
    if writer.frames:
        writer.write_video_info()
        if "page" in kinds:
            write_page(new)


def _check_replaceable(folder: str) -> None:
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


def _read_record(folder: str) -> bytes | None:
    """Return what tells a finished prediction of a library from another; maybe None."""
    try:
        return pathlib.Path(folder, RECORD_FILE).read_bytes()
    except OSError:
        return None


def _move_files(new: str, folder: str) -> None:
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
