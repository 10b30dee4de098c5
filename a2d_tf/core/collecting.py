"""Python's garbage collector, which looks through all that a program makes while it starts."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Collect nothing inside, until `resume`: what a start makes is kept, nearly all of it."""
    gc.disable()
    try:
        yield
    finally:
        resume()


def resume() -> None:
    """Collect garbage again."""
    gc.enable()
