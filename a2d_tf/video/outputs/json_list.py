"""A JSON file with a list, written item by item."""

from __future__ import annotations

from typing import BinaryIO


class JsonList:
    """A file with a JSON list, an item a line."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "wb")

    def next_item(self) -> BinaryIO:
        """Return the file, to which the next item is to be written."""
        self._file.write(b",\n" if self._file.tell() else b"[\n")
        return self._file

    def close(self) -> None:
        """End the list."""
        with self._file:
            self._file.write(b"\n]\n" if self._file.tell() else b"[\n]\n")
