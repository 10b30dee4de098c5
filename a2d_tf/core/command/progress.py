"""Show progress as a bar in a terminal, or as lines in a log."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

_FIRST_SILENCE = 15.0  # seconds
_LONGEST_SILENCE = 60.0


class _Lines(io.TextIOBase):
    """A file for tqdm, which prints each of its texts as a line."""

    def write(self, text: str) -> int:
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)
        return len(text)


class _SparseBar(tqdm):
    """A bar that shows itself ever less often, so that a log stays short."""

    mininterval: float

    def __iter__(self) -> Iterator[Any]:
        """Count each item once; tqdm's own loop misses that the interval grows."""
        try:
            for item in self.iterable:
                yield item
                self.update()
        finally:
            self.close()

    def display(self, *arguments: Any, **options: Any) -> None:
        super().display(*arguments, **options)
        self.mininterval = min(2 * self.mininterval, _LONGEST_SILENCE)


def progress_bar(*arguments: Any, **options: Any) -> tqdm:
    """Return a progress bar: tqdm's, made with the same arguments.

    If stderr is no terminal, it prints a line after 15 seconds, 45 seconds and then
    each minute instead.

    Args:
      *arguments: arguments of tqdm: the items to count, and the description.
      **options: options of tqdm, such as `total`, `desc` and `unit`.
    """
    if sys.stderr.isatty():
        return tqdm(*arguments, **options)
    options |= {
        "file": _Lines(),
        "position": 0,
        "miniters": 1,
        "delay": _FIRST_SILENCE,
        "mininterval": _FIRST_SILENCE,
    }
    return _SparseBar(*arguments, **options)
