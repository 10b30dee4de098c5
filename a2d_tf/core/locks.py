"""Lock files, which one process holds at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from a2d_tf.core.errors import InputError


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file in a `with`, and yield whether this process holds it.

    The file is made if it is missing, and stays. On a file system without locks, every
    process is told that it holds the lock.

    Args:
      path: the lock file.
      wait: whether to wait while another process holds the lock; otherwise False is
        yielded at once.

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
    """Return whether a lock that this process holds keeps other processes out.

    It does not on a file system without locks.

    Args:
      path: the lock file, whose lock is held.
    """
    with locked(path, wait=False) as has_second_holder:
        return not has_second_holder
