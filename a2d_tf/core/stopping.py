"""Ctrl-C and SIGTERM: an end that loses nothing."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_on_signal() -> Iterator[list[int]]:
    """Yields a list that is no longer empty once Ctrl-C or SIGTERM came; a second one is final."""
    stops, old = [], {}

    def stop(number, _):
        stops.append(number)
        signal.signal(number, old[number])

    with _handlers(lambda number: stop, old):
        yield stops


@contextlib.contextmanager
def stop_at_once() -> Iterator[None]:
    """While it lasts both raise KeyboardInterrupt: for what can be repeated."""
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
