"""Lock files, which one process holds at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from a2d_tf.core.errors import InputError


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file, and yield whether this process holds it.

    The file is made if it is missing, and stays. Where the file system has no locks,
    every process holds it.

    Args:
      path: the lock file.
      wait: wait for another process that holds the lock; else yield False at once.

    Raises:
      InputError: the file cannot be made.
    """
    import fcntl  # late: Windows has none

    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        file = open(path, "ab")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    operation = fcntl.LOCK_EX
    if not wait:
        operation |= fcntl.LOCK_NB
    with file:
        is_held = True
        try:
            fcntl.flock(file, operation)
        except BlockingIOError:
            is_held = False
        except OSError:
            pass  # such as ENOLCK of a network file system
        yield is_held


def excludes_others(path: str | os.PathLike[str]) -> bool:
    """Return whether the lock of a file, which is held, keeps others out.

    It does not where the file system has no locks.
    """
    with locked(path, wait=False) as has_second_holder:
        return not has_second_holder
