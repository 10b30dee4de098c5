"""Processes that share the work over many videos."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool

import cv2

from a2d_tf.core.errors import InputError


def imap(function: Callable, items: Iterable, workers: int) -> Iterator:
    """map() by `workers` processes, in the order of `items`.

    Args:
      function: travels to each process once, so it may carry much.
      items: iterable of its arguments.
      workers: processes; with 1 all is done in this one.

    Yields:
      function(item).

    Raises:
      InputError: a process was killed.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    # Not forked: OpenCV does not survive a fork once it has started threads.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, _start, (function, os.getpid()))
    try:
        yield from pool.map(_call, items)
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed, perhaps for want of memory; try fewer --workers"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def prepare(parent: int) -> None:
    """To be called first in a worker process; `parent` is the process id of the main one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops its workers itself
    cv2.setNumThreads(1)  # the workers share the cores by being many
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent):
    """End this process when its parent was killed, lest it works on beside the next run."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


_function = None  # of a worker process


def _start(function, parent):
    global _function
    _function = function
    prepare(parent)


def _call(item):
    return _function(item)
