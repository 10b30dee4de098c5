"""A JSON file with one list, whose items are written one by one."""

from __future__ import annotations

from typing import BinaryIO


class JsonList:
    """A writer of a file with one JSON list, an item a line.

    Args:
      path: path of the file, which is created.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "wb")

    def next_item(self) -> BinaryIO:
        """Begin the next item of the list.

        Returns:
          the file, to which the caller writes the item as JSON, and nothing else.
        """
        self._file.write(b",\n" if self._file.tell() else b"[\n")
        return self._file

    def close(self) -> None:
        """End the list and close the file; without items the list is empty."""
        with self._file:
            self._file.write(b"\n]\n" if self._file.tell() else b"[\n]\n")
