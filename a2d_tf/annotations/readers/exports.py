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
    """An export of an annotation tool, as `--annotations` or `--tracks` names it.

    Attributes:
      path: the file, the folder or the zip.
      video: the name of the video that it annotates, if the user states it; None to
        find the video by names and sizes.
    """

    path: pathlib.Path
    video: str | None = None

    @classmethod
    def parse(cls, argument: str, flag: str = "annotations") -> Export:
        """Parse 'PATH', or 'VIDEO=PATH' if there is no file of that whole name.

        Args:
          argument: a value of the flag that lists the exports.
          flag: the name of this flag, for errors.

        Raises:
          InputError: what stands before '=' is not a valid name of a video.
        """
        video, equals, path = argument.partition("=")
        if not equals or pathlib.Path(argument).exists():
            return cls(pathlib.Path(argument))
        if not is_file_name(video):
            problem = f"no such file, and {quoted(video)} is not a valid video name"
            raise InputError(f"--{flag}={argument}: {problem}")
        return cls(pathlib.Path(path), video)


class ReadExport(NamedTuple):
    """An export that was read.

    Attributes:
      export: the path of the export, as the user names it.
      documents: the annotations of each of its files.
    """

    export: Export
    documents: list[Document]


def read_exports(exports: Iterable[Export], options: ReadOptions) -> list[ReadExport]:
    """Read exports of annotation tools.

    Args:
      exports: the files, folders and zips.
      options: how they are read, and which frames and shapes count as annotated.

    Returns:
      each export with the annotations of its files, in the same order.

    Raises:
      InputError: a path does not exist, a file is damaged, or an export has no file of
        a known format.
    """
    return [ReadExport(export, read_export(export.path, options)) for export in exports]


def documents_of(exports: Iterable[ReadExport]) -> list[Document]:
    """Return a list of the documents of all exports: the annotations of each file.

    Args:
      exports: the exports that were read.
    """
    documents = []
    for export in exports:
        documents += export.documents
    return documents


def exports_digest(exports: Iterable[Export]) -> str:
    """Return a SHA-256 checksum, in hexadecimal, of the names and files of exports.

    It tells whether tracks have changed since an earlier run.

    Args:
      exports: the files, folders and zips, which must exist.
    """
    total = hashlib.sha256()
    for export in exports:
        paths = [export.path]
        if export.path.is_dir():
            paths = sorted(path for path in export.path.rglob("*") if path.is_file())
        for path in paths:
            total.update(path.relative_to(export.path.parent).as_posix().encode())
            total.update(bytes.fromhex(file_digest(path)))
    return total.hexdigest()
