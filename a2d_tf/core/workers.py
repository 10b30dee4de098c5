"""Processes that share the work on many videos, and threads that share that on many frames."""

from __future__ import annotations

import collections
import concurrent.futures
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool

import cv2

from a2d_tf.core import machine
from a2d_tf.core.errors import InputError


def imap(function: Callable, items: Iterable, workers: int) -> Iterator:
    """Apply a function to items in `workers` processes; yield the results in order.

    If it is left early, work in progress is abandoned at once.

    Args:
      function: sent to each process once, so it may be large.
      items: its arguments.
      workers: number of processes; with 1 all is done in this one.

    Raises:
      InputError: a process was killed.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    # Not forked: TensorFlow and OpenCV break in a fork once they have started threads.
    context = multiprocessing.get_context("spawn")
    stop = context.RawValue("b", 0)  # no Event, whose lock a killed process may hold
    arguments = function, os.getpid(), stop
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, _start, arguments)
    try:
        yield from pool.map(_call, items)
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed, perhaps for want of memory; run again with fewer "
            "--workers"
        ) from error
    finally:
        stop.value = 1
        pool.shutdown(wait=True, cancel_futures=True)


def in_threads(
    function: Callable,
    items: Iterable,
    ahead: int,
    threads: int | None = None,
    start: Callable[[], None] | None = None,
) -> Generator:
    """Apply a function to items in threads, by default one per core; yield the results in order.

    Items are taken in the caller's thread, `ahead` of them before a result has to be there: what
    it costs to make them passes while the threads work on those before. An error of either side is
    raised where its result would be yielded. `start` is called in each thread before all else.
    """
    waiting: collections.deque = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(threads or machine.cores(), initializer=start)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_function = None  # of a worker process


def _start(function, parent, stop):
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops its workers
    cv2.setNumThreads(1)  # the workers share the cores
    threading.Thread(target=_exit_with, args=(parent, stop), daemon=True).start()


def _exit_with(parent, stop):
    """Exit when the parent stops its workers, or was killed."""
    while os.getppid() == parent and not stop.value:
        time.sleep(0.2)
    os._exit(1)


def _call(item):
    return _function(item)
