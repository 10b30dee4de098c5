"""Ctrl-C and SIGTERM: a process stops at a good moment, or at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_on_signal() -> Iterator[list[int]]:
    """Let Ctrl-C and SIGTERM ask the code in a `with` to stop at a good moment.

    It yields a list that is empty until the first of these signals appends its number;
    the code looks at the list and stops. A second signal has its usual effect. Signals
    are handled only in the main thread; elsewhere the list stays empty.
    """
    stops: list[int] = []
    usual_handlers = _usual_handlers()

    def stop(number: int, _: Any) -> None:
        stops.append(number)
        signal.signal(number, usual_handlers[number])

    with _handled_by(stop):
        yield stops


def stop_at_once() -> contextlib.AbstractContextManager:
    """Return a context in which Ctrl-C and SIGTERM raise KeyboardInterrupt.

    In a thread other than the main one, it changes nothing.
    """
    return _handled_by(signal.default_int_handler)


@contextlib.contextmanager
def _handled_by(handler: Callable) -> Iterator[None]:
    """Handle Ctrl-C and SIGTERM, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual_handlers = _usual_handlers()
    for number in usual_handlers:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, usual_handler in usual_handlers.items():
            signal.signal(number, usual_handler)


def _usual_handlers() -> dict[int, Any]:
    """Return {number of a signal: its handler}."""
    return {number: signal.getsignal(number) for number in _STOP_SIGNALS}
