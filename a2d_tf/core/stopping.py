"""Handlers of Ctrl-C and SIGTERM.

Only the main thread may install them: elsewhere nothing is installed, and signals do what they did.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_on_signal() -> Iterator[list[int]]:
    """Yield a list that the first Ctrl-C or SIGTERM appends to; another has its usual effect."""
    stops: list[int] = []
    old: dict = {}

    def stop(number, _):
        stops.append(number)
        signal.signal(number, old[number])

    with _handlers(lambda number: stop, old):
        yield stops


@contextlib.contextmanager
def stop_at_once() -> Iterator[None]:
    """Make Ctrl-C and SIGTERM raise KeyboardInterrupt."""
    with _handlers(lambda number: signal.default_int_handler, {}):
        yield


@contextlib.contextmanager
def _handlers(handler, old):
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            old[number] = signal.signal(number, handler(number))
    try:
        yield
    finally:
        for number, before in old.items():
            signal.signal(number, before)
