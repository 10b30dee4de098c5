"""The formats that are read, and which file of an export is of which, by its
content.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

from a2d_tf.annotations import read_coco as coco
from a2d_tf.annotations import read_cvat as cvat
from a2d_tf.annotations import read_labelme as labelme
from a2d_tf.annotations import read_masks as masks
from a2d_tf.annotations import read_yolo as yolo
from a2d_tf.annotations import read_youtube_vis as youtube_vis
from a2d_tf.annotations.container import Container, File
from a2d_tf.annotations.document import Document, ReadOptions
from a2d_tf.core.errors import InputError


class Format(NamedTuple):
    """A format: how the paths of its files end, in small letters; whether a content,
    see `File`, is of it; its reader, which raises InputError for a damaged file.
    """

    suffixes: tuple[str, ...]
    matches: Callable[[Any], bool]
    read: Callable[[File, ReadOptions], list[Document]]


# In the order in which they are asked: the more particular ones first.
_FORMATS = {
    "a2d_tf": Format((".json",), coco.is_own, coco.read_own),
    "youtube_vis": Format((".json",), youtube_vis.matches, youtube_vis.read),
    "labelme": Format((".json",), labelme.matches, labelme.read),
    "coco": Format((".json",), coco.matches, coco.read),
    "cvat": Format((".xml",), cvat.matches, cvat.read),
    "masks": Format((f"/{masks.LIST}",), lambda _: True, masks.read),
    "yolo": Format(("/data.yaml", "/data.yml"), yolo.matches, yolo.read),
}
FORMATS = tuple(sorted(_FORMATS))
_KINDS = (
    "COCO, YouTube-VIS or LabelMe (.json), CVAT (.xml), YOLO (data.yaml), masks"
    " (objects.csv)"
)


def read_export(
    path: pathlib.Path, options: ReadOptions, format_name: str | None = None
) -> list[Document]:
    """Read all annotations of an export: a file, a zip as downloaded, or a folder, also
    of zips.

    `format_name`, one of FORMATS, overrules recognition by content.

    Raises:
      InputError: no such path, a damaged file, or not one file of a known format.
    """
    documents: list[Document] = []
    others: list[tuple[File, list[str]]] = []
    for container, name in _files(path):
        possible = [
            k for k, f in _FORMATS.items() if f"/{name.lower()}".endswith(f.suffixes)
        ]
        if possible:
            file = File.open(container, name)
            found = next((k for k in possible if _FORMATS[k].matches(file.content)), "")
            if found and format_name in (None, found):
                documents += _FORMATS[found].read(file, options)
            else:
                others.append((file, possible))
    for file, possible in () if documents else others:
        if format_name in possible:  # the format's reader says what is wrong
            documents += _FORMATS[format_name].read(file, options)
    names = ", ".join(file.name for file, _ in others[:3]) + (
        ", …" if len(others) > 3 else ""
    )
    if not documents:
        known = (
            f"the format '{format_name}'"
            if format_name
            else f"a known format: {_KINDS}"
        )
        raise InputError(
            f"{path}: no annotations in {known}; found {names or 'none'}; pass an"
            " export, or its format with --format"
        )
    if others:
        documents[0].left_out[f"files in other formats ({names})"] = len(others)
    return documents


def _files(path):
    """Yield (container, name) of the files of an export, of a folder's zips those
    inside.
    """
    folder = Container(path)
    for name in folder.names:
        if path.is_dir() and name.lower().endswith(".zip"):
            inside = Container(path / name)
            yield from ((inside, each) for each in inside.names)
        else:
            yield folder, name
