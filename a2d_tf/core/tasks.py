"""Work that several processes share, on one machine or many, without talking to each other."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import TypeVar

from a2d_tf.core.errors import InputError

_Item = TypeVar("_Item")
HELP = (
    "I/N, I from 1: do the Ith of N shares of the work. Start N processes with the same other "
    "flags; the last to finish publishes the result."
)


@dataclasses.dataclass(frozen=True)
class Task:
    """One of `count` processes that share some work; `number` is 1 for the first."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Task:
        """Read a task as `--task` gives it, such as 3/16.

        Raises:
          InputError: not of that form, or not between 1/N and N/N.
        """
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
        task = cls(int(match[1]), int(match[2])) if match else cls(0)
        if not 1 <= task.number <= task.count:
            raise InputError(f"--task={text}: no task; give I/N with I from 1 to N, such as 3/16")
        return task

    def share(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Return this process's part of some items: every Nth from the Ith on."""
        return items[self.number - 1 :: self.count]


ALONE = Task()
