"""Show progress as a bar, or as lines where nobody watches."""

from __future__ import annotations

import io
import sys
from typing import Any

from tqdm import tqdm


class _Lines(io.TextIOBase):
    """A file for tqdm, which prints each of its texts as a line."""

    def write(self, text: str) -> int:
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)
        return len(text)


def progress_bar(*arguments: Any, **options: Any) -> tqdm:
    """Return tqdm's bar; where stderr is no terminal, it prints a line each minute."""
    if not sys.stderr.isatty():
        options |= {
            "file": _Lines(),
            "position": 0,
            "miniters": 1,
            "delay": 60,
            "mininterval": 60,
        }
    return tqdm(*arguments, **options)
