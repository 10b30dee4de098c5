"""The line that a2d start prints after a stage: its name and its time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


def stage_time(stage: str, start: float) -> str:
    """Return the name of a stage and the time it took, as minutes and seconds.

    Args:
      stage: the name of the stage, such as "train".
      start: the value of `time.monotonic()` when the stage began, in seconds.
    """
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    return f"{stage:9}{minutes:3}:{seconds:02}"


@contextlib.contextmanager
def timed_stage(stage: str) -> Iterator[None]:
    """Print the name and the time of a stage after the body of the `with` block.

    Nothing is printed if the body raises an error.

    Args:
      stage: the name of the stage.
    """
    start = time.monotonic()
    yield
    print(stage_time(stage, start), flush=True)
