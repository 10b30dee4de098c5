"""Recognition of formats: which reader reads which file of an export, by its content."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from types import ModuleType
from typing import Any

from a2d_tf.annotations import read_coco as coco
from a2d_tf.annotations import read_cvat as cvat
from a2d_tf.annotations import read_labelme as labelme
from a2d_tf.annotations import read_native as native
from a2d_tf.annotations import read_yolo as yolo
from a2d_tf.annotations import read_youtube_vis as youtube_vis
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import Document, ReadOptions
from a2d_tf.core.errors import InputError, shown

# The order in which they are asked: the more particular ones first.
_JSON = (native, youtube_vis, labelme, coco)
_READERS: dict[str, ModuleType] = {reader.FORMAT: reader for reader in (*_JSON, cvat, yolo)}
FORMATS = tuple(sorted(_READERS))
_KINDS = "COCO, YouTube-VIS or LabelMe (.json), CVAT (.xml), YOLO (data.yaml)"


def read_export(
    path: pathlib.Path, options: ReadOptions, format_name: str | None = None
) -> list[Document]:
    """Read all annotations of an export.

    Args:
      path: a file, a zip as downloaded, or a folder, which may hold zips.
      options: what the user says of it.
      format_name: one of FORMATS, to overrule recognition by content.

    Raises:
      InputError: no such path, a damaged file, or not one file of a known format.
    """
    container = Container(path)
    zips = [
        path / name for name in container.names if path.is_dir() and name.lower().endswith(".zip")
    ]
    contents = [(name, _parse(name, container)) for name in container.names]
    contents = [(name, content) for name, content in contents if content is not None]
    recognised = [(name, content, _recognise(name, content)) for name, content in contents]
    chosen = [
        (name, content, reader)
        for name, content, reader in recognised
        if reader is not None and format_name in (None, reader.FORMAT)
    ]
    if format_name and not chosen and not zips:  # its reader then says what is wrong
        reader = _READERS[format_name]
        chosen = [(name, content, reader) for name, content in contents if _suits(name, reader)]
    if not chosen and not zips:
        found = f"{shown(contents[0][0])} is none of these" if contents else "there is none"
        expected = (
            f"of the format '{format_name}'" if format_name else f"of a known format: {_KINDS}"
        )
        raise InputError(
            f"{path}: no annotations {expected}; {found}; name an export, or its format by --format"
        )
    documents = [
        document
        for name, content, reader in chosen
        for document in reader.read(name, content, container, options)
    ]
    documents += [d for file in zips for d in read_export(file, options, format_name)]
    unknown = [name for name, _, reader in recognised if reader is None]
    if unknown and documents:
        listed = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
        left_out = {**documents[0].left_out, f"files of no known format ({listed})": len(unknown)}
        documents[0] = dataclasses.replace(documents[0], left_out=left_out)
    return documents


def _parse(name: str, container: Container) -> Any:
    """Return the content of a file that may hold annotations; None of any other file."""
    lower = name.lower()
    if lower.endswith(".json"):
        try:
            content = json.loads(container.text(name))
        except (ValueError, RecursionError) as error:
            problem = "nested too deep" if isinstance(error, RecursionError) else error
            raise InputError(
                f"{container.locate(name)}: not a readable JSON file ({problem}); export it again"
            ) from error
        if isinstance(content, dict):
            content.pop("imageData", None)  # LabelMe's copy of the image, in each of its files
        return content
    if lower.endswith(".xml") or lower.rpartition("/")[2] in ("data.yaml", "data.yml"):
        return container.read(name)
    return None


def _recognise(name: str, content: Any) -> ModuleType | None:
    """Return the reader of a file, by its content."""
    if _suits(name, cvat):
        return cvat if cvat.matches(content) else None
    candidates = _JSON if _suits(name, native) else (yolo,)
    return next((reader for reader in candidates if reader.matches(content)), None)


def _suits(name: str, reader: ModuleType) -> bool:
    """Whether a file has the suffix of a format."""
    return name.lower().endswith({cvat: (".xml",), yolo: (".yaml", ".yml")}.get(reader, ".json"))
