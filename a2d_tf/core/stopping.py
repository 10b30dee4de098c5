"""Handlers of Ctrl-C and SIGTERM."""

from __future__ import annotations

import contextlib
import signal
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
    for number in _SIGNALS:
        old[number] = signal.signal(number, handler(number))
    try:
        yield
    finally:
        for number, before in old.items():
            signal.signal(number, before)
