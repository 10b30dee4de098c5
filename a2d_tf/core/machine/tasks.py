"""Work that several processes share: each does every Nth item, as `--task` says."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import TypeVar

from a2d_tf.core.errors import InputError

_Item = TypeVar("_Item")
HELP = (
    "I/N: do only share I of N shares of the work, I from 1. Start N processes with the"
    " same other flags; the last to finish publishes the result."
)


@dataclasses.dataclass(frozen=True)
class Task:
    """One of several processes that share some work, as `--task=I/N` names it.

    Attributes:
      number: number I of this process, from 1.
      count: number N of the processes.
    """

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Task:
        """Read the value of --task, I/N: '3/16' is the third of 16 processes.

        Raises:
          InputError: the text has another form, or I is not from 1 to N.
        """
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise InputError(
                f"--task={text}: invalid task; use I/N, I from 1 to N, such as 3/16"
            )
        return cls(int(match[1]), int(match[2]))

    def share(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Return the items that this process does: every Nth item, from item I on.

        Args:
          items: all items of the work, in an order that is the same for all processes.
        """
        return items[self.number - 1 :: self.count]


ALONE = Task()
