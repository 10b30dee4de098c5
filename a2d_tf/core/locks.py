"""Locks on files, by which processes on one disk leave each other's work alone.

The system releases a lock when its process ends, however it ends. Some file systems have no locks:
nothing is held there, and hidden folders that a killed process left are not removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator

import filelock

from a2d_tf.core.errors import InputError

_LOCK = "lock"
_IDLE = 24 * 3600  # seconds after which another machine's folder is taken for abandoned


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


class HiddenFolder:
    """A new hidden folder to build something in, locked until it is removed.

    A context manager that removes it at its end.

    Args:
      parent: made if missing.
      prefix: begins its name; the rest is random.

    Attributes:
      path: of the folder.

    Raises:
      OSError: it cannot be made.
    """

    def __init__(self, parent: str, prefix: str):
        os.makedirs(parent, exist_ok=True)
        while True:
            self.path = os.path.join(parent, f"{prefix}{secrets.token_hex(8)}")
            os.mkdir(self.path)
            # Until it is locked, `sweep` may take it for abandoned.
            with contextlib.suppress(FileNotFoundError):
                self._file = open(os.path.join(self.path, _LOCK), "w", encoding="utf-8")
                with contextlib.suppress(OSError):
                    fcntl.flock(self._file, fcntl.LOCK_EX)
                if os.path.exists(self._file.name):
                    break
                self._file.close()
        self._file.write(platform.node())
        self._file.flush()

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._file.close()

    def __enter__(self) -> HiddenFolder:
        return self

    def __exit__(self, *_):
        self.remove()


def sweep(parent: str, prefix: str) -> None:
    """Remove the hidden folders whose processes have ended.

    Those of another machine must also have been idle for a day, for not every file system shows
    one machine the locks of another.
    """
    with contextlib.suppress(OSError):
        for entry in os.scandir(parent):
            if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):  # it is locked, or gone by now
                    _remove_abandoned(entry.path)


def _remove_abandoned(folder):
    with open(os.path.join(folder, _LOCK), "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.seek(0)
        if file.read() not in ("", platform.node()):
            touched = max(entry.stat().st_mtime for entry in os.scandir(folder))
            if time.time() - touched < _IDLE:
                return
        shutil.rmtree(folder, ignore_errors=True)
