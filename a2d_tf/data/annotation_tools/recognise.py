"""Recognition of formats: which reader reads which file of an export, by its content."""

from __future__ import annotations

import json
import pathlib
from types import ModuleType
from typing import Any

from a2d_tf.core.errors import InputError, shown
from a2d_tf.data.annotation_tools.container import Container
from a2d_tf.data.annotation_tools.document import Document, ReadOptions
from a2d_tf.data.annotation_tools.readers import (
    coco,
    cvat,
    datumaro,
    labelme,
    native,
    via,
    yolo,
    youtube_vis,
)

# The order in which they are asked: the more particular ones first.
_JSON = (native, youtube_vis, datumaro, labelme, via, coco)
_READERS: dict[str, ModuleType] = {reader.FORMAT: reader for reader in (*_JSON, cvat, yolo)}
FORMATS = tuple(sorted(_READERS))
_KINDS = "COCO, YouTube-VIS, Datumaro, LabelMe or VIA (.json), CVAT (.xml), YOLO (data.yaml)"


def read_export(
    path: pathlib.Path, options: ReadOptions, format_name: str | None = None
) -> list[Document]:
    """Read all annotations of an export.

    Args:
      path: a file, a folder, or a zip as downloaded.
      options: what the user says of it.
      format_name: one of FORMATS, to overrule recognition by content.

    Raises:
      InputError: no such path, a damaged file, or not one file of a known format.
    """
    container = Container(path)
    documents, others = [], []
    for name in container.names:
        content = _parse(name, container)
        reader = _reader(name, content, format_name)
        if reader is not None:
            documents += reader.read(name, content, container, options)
        elif content is not None:
            others.append(name)
    if not documents:
        found = f"{shown(others[0])} is none of these" if others else "there is none"
        expected = (
            f"of the format '{format_name}'" if format_name else f"of a known format: {_KINDS}"
        )
        raise InputError(
            f"{path}: no annotations {expected}; {found}; name an export, or its format by --format"
        )
    return documents


def _parse(name: str, container: Container) -> Any:
    """Return the content of a file that may hold annotations; None of any other file."""
    lower = name.lower()
    if lower.endswith(".json"):
        try:
            return json.loads(container.text(name))
        except (ValueError, RecursionError) as error:
            problem = "nested too deep" if isinstance(error, RecursionError) else error
            raise InputError(
                f"{container.locate(name)}: not a readable JSON file ({problem}); export it again"
            ) from error
    if lower.endswith(".xml") or lower.rpartition("/")[2] in ("data.yaml", "data.yml"):
        return container.read(name)
    return None


def _reader(name: str, content: Any, format_name: str | None) -> ModuleType | None:
    if content is None:
        return None
    candidates: tuple[ModuleType, ...]
    suffix = name.lower().rpartition(".")[2]
    if suffix == "json":
        candidates = tuple(r for r in _JSON if format_name or r.matches(content))
    elif suffix == "xml":
        candidates = (cvat,) if format_name or b"<annotations" in content else ()
    else:
        candidates = (yolo,)
    if format_name is not None:
        return _READERS[format_name] if _READERS[format_name] in candidates else None
    return candidates[0] if candidates else None
