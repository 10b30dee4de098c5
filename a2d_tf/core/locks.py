"""Locks on files, by which processes on one disk leave each other's work alone.

The system releases a lock when its process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import filelock

from a2d_tf.core.errors import InputError


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file, and yield whether this process holds it.

    The file is made if missing, and stays.

    Args:
      path: of the file; wait: whether to wait while another process holds the lock.

    Raises:
      InputError: the file cannot be made.
    """
    lock = filelock.FileLock(path)
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        lock.acquire(blocking=wait)
        held = True
    except filelock.Timeout:
        held = False
    except NotImplementedError:  # the file system has no locks
        held = True
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield held
    finally:
        lock.release()
