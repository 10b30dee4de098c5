"""Write folders atomically: a reader finds the old folder or the new one, no part."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from a2d_tf.core.errors import InputError
from a2d_tf.core.locks import excludes_others, locked

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
"""Numbers of the errors of a disk that takes no more; most name no file."""
_PARTIAL = ".partial-"  # begins the names of folders that are not yet whole
_LOCK = "lock"  # held by the process that works in a hidden folder


def check_output_folder(
    folder: str, marks: Sequence[str] = (), kind: str = "an empty folder"
) -> None:
    """Check that a folder can be made, or be replaced by one of the same kind.

    Args:
      folder: path of the folder; it may be missing or empty.
      marks: names of files by which a folder of the kind is known, all of which it has;
        empty if no folder with content may be replaced.
      kind: description of such a folder for the error, such as 'a SavedModel'.

    Raises:
      InputError: a file or a folder of another kind is there.
    """
    if not os.path.lexists(folder):
        return
    if os.path.isdir(folder) and not os.listdir(folder):
        return
    is_of_kind = all(os.path.isfile(os.path.join(folder, name)) for name in marks)
    if not marks or not is_of_kind:
        raise InputError(
            f"{folder}: already exists and is not {kind}; use another --output"
        )


@contextlib.contextmanager
def whole_folder(folder: str, replace: bool = True) -> Iterator[str]:
    """Yield the path of a new empty folder, which is renamed to `folder` at the end.

    If the caller's code raises an error, `folder` stays as it was.

    Args:
      folder: path of the folder to write.
      replace: whether an existing folder is replaced; otherwise it must be empty or
        missing.

    Raises:
      InputError: the folder cannot be written, or is a mount point.
      OSError: the caller's code raised it, and it concerns other files.
    """
    parent = os.path.dirname(os.path.abspath(folder))
    if os.path.ismount(folder):
        raise InputError(
            f"{folder}: a mount point, which cannot be replaced; use a folder in it"
        )
    if not replace:
        check_output_folder(folder)
    try:
        os.makedirs(parent, exist_ok=True)
        with hidden_folder(parent, _PARTIAL) as hidden:
            new = os.path.join(hidden.path, "new")
            os.mkdir(new)
            yield new
            if replace:
                replace_folder(new, folder, os.path.join(hidden.path, "old"))
            else:
                os.replace(new, folder)
    except OSError as error:
        if not is_of_writing(error, os.path.join(parent, _PARTIAL), folder):
            raise
        raise InputError(f"{folder}: cannot be written ({error})") from error


def is_of_writing(error: OSError, *places: str) -> bool:
    """Return whether an OSError says that certain files cannot be written.

    Other errors concern other files, such as an input, or no file, such as a lost
    connection.

    Args:
      error: the error.
      *places: beginnings of the paths of the files that are written.
    """
    if not isinstance(error.filename, str):
        return error.errno in DISK_ERRORS
    path = os.path.abspath(error.filename)
    for place in map(os.path.abspath, places):
        # The folder that a place is in may be what cannot be made.
        if path.startswith(place) or place.startswith(os.path.join(path, "")):
            return True
    return False


class HiddenFolder(NamedTuple):
    """A temporary folder that only this process uses, as `hidden_folder` yields it.

    Attributes:
      path: path of the folder.
      is_alone: whether no other process has a hidden folder of the same prefix in the
        same parent.
    """

    path: str
    is_alone: bool


@contextlib.contextmanager
def hidden_folder(parent: str, prefix: str) -> Iterator[HiddenFolder]:
    """Yield a new temporary folder, and remove it at the end.

    Folders that killed processes have left are removed, too: nobody holds the lock in
    them.

    Args:
      parent: folder in which it is made.
      prefix: beginning of its name, which all hidden folders of one purpose share.

    Raises:
      OSError: the folder cannot be made.
    """
    parent = os.path.abspath(parent)  # as mkdtemp names folders from Python 3.12 on
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as folder:
        unseen_lock = os.path.join(folder, "new_lock")
        lock = os.path.join(folder, _LOCK)
        with locked(unseen_lock):
            os.rename(unseen_lock, lock)  # held before others can find it
            is_alone = True
            if excludes_others(lock):
                is_alone = _remove_abandoned(parent, prefix, lock)
            yield HiddenFolder(folder, is_alone)


def remove_abandoned_folders(parent: str, prefix: str) -> None:
    """Remove the hidden folders that killed processes have left behind.

    Args:
      parent: folder in which the hidden folders are.
      prefix: beginning of their names.

    Raises:
      OSError: nothing can be written in `parent`.
    """
    with hidden_folder(parent, prefix):
        pass  # making one removes them


def replace_folder(new: str, folder: str, old: str) -> None:
    """Move a folder to the place of another; move both back if that fails.

    Args:
      new: path of the new folder.
      folder: path that the new folder gets.
      old: path to which the folder that is at `folder`, if there is one, is moved.

    Raises:
      OSError: a folder cannot be moved.
    """
    if os.path.isdir(folder):
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except OSError:
        if os.path.isdir(old):
            os.replace(old, folder)
        raise


def _remove_abandoned(parent: str, prefix: str, own_lock: str) -> bool:
    """Remove hidden folders without a process; return whether that was all others."""
    is_alone = True
    for lock in glob.glob(os.path.join(glob.escape(parent), f"{prefix}*", _LOCK)):
        if lock == own_lock:
            continue
        with locked(lock, wait=False) as is_abandoned:
            if is_abandoned:
                shutil.rmtree(os.path.dirname(lock), ignore_errors=True)
            else:
                is_alone = False
    return is_alone
