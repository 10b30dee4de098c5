"""The formats that can be read, and their recognition by content."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers import (
    coco,
    cvat,
    deeplabcut,
    labelme,
    masks,
    mot,
    sleap,
    yolo,
    yolo_tracks,
    youtube_vis,
)
from a2d_tf.annotations.readers.container import Container, File
from a2d_tf.core.errors import InputError


class Format(NamedTuple):
    """A format of annotation files: how its files are recognised and read.

    Attributes:
      suffixes: the possible ends of the paths of its files, in lower case.
      matches: a function that takes the content of a file, bytes or parsed JSON, and
        returns whether it is of this format.
      read: a function that takes a file and the options of reading, and returns the
        annotations; it raises InputError for a damaged file.
      reads_folder: whether `read` takes one file, and reads all files of its folder.
    """

    suffixes: tuple[str, ...]
    matches: Callable[[Any], bool]
    read: Callable[[File, ReadOptions], list[Document]]
    reads_folder: bool = False


class _UnreadFile(NamedTuple):
    """A file of an export, and the formats whose files may have its name."""

    file: File
    possible_formats: list[str]


# In the order in which they are tried: a special format before a more general one.
_FORMATS = {
    "a2d_tf": Format((".json",), coco.is_own, coco.read_own),
    "youtube_vis": Format((".json",), youtube_vis.matches, youtube_vis.read),
    "labelme": Format((".json",), labelme.matches, labelme.read),
    "coco": Format((".json",), coco.matches, coco.read),
    "cvat": Format((".xml",), cvat.matches, cvat.read),
    "masks": Format((f"/{masks.LIST}",), lambda _: True, masks.read),
    "yolo": Format(("/data.yaml", "/data.yml"), yolo.matches, yolo.read),
    "yolo_track": Format(
        (".txt",), yolo_tracks.matches, yolo_tracks.read, reads_folder=True
    ),
    "deeplabcut": Format((".csv", ".h5"), deeplabcut.matches, deeplabcut.read),
    "sleap": Format((".slp", ".h5"), sleap.matches, sleap.read),
    "mot": Format((".txt", ".csv"), mot.matches, mot.read),
}
# Files of these suffixes often are no annotations, so that no message lists them.
_COMMON_SUFFIXES = (".txt", ".csv", ".h5")
FORMATS = tuple(sorted(_FORMATS))
_KINDS = (
    "COCO, YouTube-VIS or LabelMe (.json), CVAT (.xml), YOLO (data.yaml, or .txt),"
    " masks (objects.csv), MOT (.txt, .csv), DeepLabCut (.csv, .h5),"
    " SLEAP (.slp, .h5)"
)


def read_export(path: pathlib.Path, options: ReadOptions) -> list[Document]:
    """Read all annotations of one export.

    Args:
      path: a file, a zip as downloaded, or a folder, which may contain zips.
      options: how files are read. If it names a format, only files of this format are
        read; otherwise the content of each file tells its format.

    Returns:
      the annotations of each file or task. The first one counts files in other formats
      as left out.

    Raises:
      InputError: the path does not exist, a file is damaged, or no file is of a known
        format.
    """
    format_name = options.format_name
    documents: list[Document] = []
    folders_read: set[pathlib.PurePath] = set()
    others: list[_UnreadFile] = []
    for container, name in _files(path):
        possible_formats = _formats_of_suffix(name)
        if not possible_formats:
            continue
        file = File.open(container, name)
        file_format = _format_of_content(file, possible_formats)
        if file_format and format_name in (None, file_format):
            if _FORMATS[file_format].reads_folder:
                if file.path.parent in folders_read:
                    continue
                folders_read.add(file.path.parent)
            documents += _FORMATS[file_format].read(file, options)
        else:
            others.append(_UnreadFile(file, possible_formats))
    if not documents and format_name:
        for file, possible_formats in others:
            if format_name in possible_formats:  # the reader says what is wrong
                documents += _FORMATS[format_name].read(file, options)
    names = [file.name for file, _ in others]
    if not documents:
        known = f"a known format: {_KINDS}"
        if format_name:
            known = f"the format '{format_name}'"
        raise InputError(
            f"{path}: no annotations in {known}; found {_first_names(names)}; pass an"
            " export, or its format with --format"
        )
    unread = [name for name in names if not name.lower().endswith(_COMMON_SUFFIXES)]
    if unread:
        reason = f"files in other formats ({_first_names(unread)})"
        documents[0].left_out[reason] = len(unread)
    return documents


def _first_names(names: Sequence[str]) -> str:
    """Join the first three names; '…' stands for the others, 'none' for no name."""
    text = ", ".join(names[:3]) or "none"
    if len(names) > 3:
        text += ", …"
    return text


def _formats_of_suffix(name: str) -> list[str]:
    """Return the formats whose files may have this name."""
    path = f"/{name.lower()}"
    formats = []
    for format_name, candidate in _FORMATS.items():
        if path.endswith(candidate.suffixes):
            formats.append(format_name)
    return formats


def _format_of_content(file: File, possible_formats: Sequence[str]) -> str | None:
    """Return the first of some formats that fits a file's content; or None."""
    for format_name in possible_formats:
        if _FORMATS[format_name].matches(file.content):
            return format_name
    return None


def _files(path: pathlib.Path) -> Iterator[tuple[Container, str]]:
    """Yield (container, name) of each file of an export, also in zips of a folder."""
    export = Container.open(path)
    for name in export.names:
        if path.is_dir() and name.lower().endswith(".zip"):
            zip_file = Container.open(path / name)
            for member in zip_file.names:
                yield zip_file, member
        else:
            yield export, name
