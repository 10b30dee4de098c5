"""Exports of annotation tools, as the user names them, and what was read of them."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.formats import read_export
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import file_digest, is_file_name


class Export(NamedTuple):
    """A value of `--annotations`, or of `--tracks`.

    Attributes:
      path: the file, folder or zip.
      video: its video, if the user names it.
    """

    path: pathlib.Path
    video: str | None = None

    @classmethod
    def parse(cls, argument: str, flag: str = "annotations") -> Export:
        """Parse 'PATH', or 'VIDEO=PATH' if there is no file of that whole name.

        Args:
          flag: the flag with this value, for messages.
        """
        video, equals, path = argument.partition("=")
        if not equals or pathlib.Path(argument).exists():
            return cls(pathlib.Path(argument))
        if not is_file_name(video):
            problem = f"no such file, and {quoted(video)} is not a valid video name"
            raise InputError(f"--{flag}={argument}: {problem}")
        return cls(pathlib.Path(path), video)


class ReadExport(NamedTuple):
    """An export and its documents."""

    export: Export
    documents: list[Document]


def read_exports(exports: Iterable[Export], options: ReadOptions) -> list[ReadExport]:
    """Read exports; raise the errors of `read_export`."""
    return [ReadExport(export, read_export(export.path, options)) for export in exports]


def documents_of(exports: Iterable[ReadExport]) -> list[Document]:
    """Return the documents of all exports."""
    documents = []
    for export in exports:
        documents += export.documents
    return documents


def exports_digest(exports: Iterable[Export]) -> str:
    """Return a digest of the files of exports, which tells changed tracks."""
    total = hashlib.sha256()
    for export in exports:
        paths = [export.path]
        if export.path.is_dir():
            paths = sorted(path for path in export.path.rglob("*") if path.is_file())
        for path in paths:
            total.update(path.relative_to(export.path.parent).as_posix().encode())
            total.update(bytes.fromhex(file_digest(path)))
    return total.hexdigest()
