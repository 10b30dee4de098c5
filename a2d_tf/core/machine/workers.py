"""Apply a function to items in several processes or threads."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from a2d_tf.core.errors import InputError
from a2d_tf.core.machine import devices

_Item = TypeVar("_Item")


def imap(function: Callable, items: Iterable, workers: int) -> Iterator:
    """Apply a function to items in several processes, and yield the results in order.

    If the caller stops early, work in progress is abandoned at once. A process may use
    one such iterator at a time.

    Args:
      function: function of one item. It is pickled and sent to each process once,
        with all items, so that both may be large.
      items: the items, which can be pickled.
      workers: number of processes; with 1 all is done in this one.

    Raises:
      InputError: a process was killed, perhaps because memory ran out.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    # Not forked: TensorFlow and OpenCV break in a fork once they have started threads.
    context = multiprocessing.get_context("spawn")
    items = list(items)
    work = pickle.dumps((function, items))
    # No pipe, where writing would wait forever for a process that is killed while it
    # starts.
    shared = context.RawArray("c", len(work))
    shared.raw = work
    earlier_children = {*multiprocessing.active_children()}
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, _start, (shared,))
    try:
        try:
            results = pool.map(_call, range(len(items)))  # starts the processes
        except (OSError, ValueError) as error:
            # One of them was gone before the next was started.
            raise BrokenProcessPool from error
        yield from results
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed, perhaps out of memory; use fewer --workers"
        ) from error
    finally:
        for process in {*multiprocessing.active_children()} - earlier_children:
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def in_threads(
    function: Callable,
    items: Iterable,
    ahead: int,
    threads: int | None = None,
    start: Callable[[], None] | None = None,
) -> Generator:
    """Apply a function to items in threads, and yield the results in order.

    An error of the function is raised when its result would be yielded.

    Args:
      function: function of one item.
      items: the items; they are made in the caller's thread.
      ahead: number of items that the threads may have beyond the one whose result is
        yielded next.
      threads: number of threads; None for one per core.
      start: function that is called first in each thread; None for none.
    """
    waiting: collections.deque = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(
        threads or devices.cores(), initializer=start
    )
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_ahead(
    items: Generator[_Item, None, None],
    ahead: int,
    start: Callable[[], None] | None = None,
) -> Generator[_Item, None, None]:
    """Yield the items of a generator, which a thread runs ahead of the caller.

    Args:
      items: the generator; it is closed with this one. No item may be None.
      ahead: number of items that the thread may make before the caller asks for them.
      start: function that is called first in the thread; None for none.
    """

    def next_item(_: int) -> _Item | None:
        return next(items, None)

    computed = in_threads(
        next_item, itertools.count(), ahead=ahead, threads=1, start=start
    )
    with contextlib.closing(items), contextlib.closing(computed):
        for item in computed:
            if item is None:
                return
            yield item


# `_start` sets these in a worker process.
_function: Callable
_items: Sequence


def _start(shared: Any) -> None:
    """Set up a worker process: unpickle the function and all items; use one core.

    Args:
      shared: shared memory with the pickled (function, items).
    """
    import cv2  # late: most commands that import this module start no worker

    global _function, _items
    _function, _items = pickle.loads(shared.raw)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops its workers
    cv2.setNumThreads(1)  # the workers share the cores
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """End this worker process when the main process ends."""
    parent = multiprocessing.parent_process()
    assert parent  # here is a worker process
    parent.join()
    os._exit(1)


def _call(index: int) -> Any:
    """Apply the function to the item of this index, in a worker process."""
    return _function(_items[index])
