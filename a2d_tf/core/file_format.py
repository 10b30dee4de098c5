"""The version of the format of records, run folders and exports, which share it."""

from __future__ import annotations

import os
from typing import Any

import a2d_tf
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError

SCHEMA = 4
"""The version of the format.

Increase it when this code can no longer read earlier files, or when frames or flow
change, so that a network never sees other input than it learned from. docs/releasing.md
says what may change.
"""
FORMAT = {"schema": SCHEMA, "written_by": a2d_tf.__version__}
"""Fields of a JSON file of records, a run or an export that say what wrote it."""


def load_current(
    path: str | os.PathLike, kind: Any, missing: str, remake: str
) -> dict[str, Any]:
    """Read a JSON file of records, a run or an export, and check its format's version.

    Args:
      path: the file, which has the fields of FORMAT.
      kind: the kind of its other fields, see `check_json`.
      missing: what the user can do about a missing or damaged file; ends the error.
      remake: what the user can do about a file of another version; ends the error.

    Returns:
      {name of a field: its value}.

    Raises:
      InputError: the file is missing, damaged, or of another version.
    """
    fields = load_json(path, {}, missing)
    schema = fields.get("schema")
    if schema != SCHEMA:
        version = fields.get("written_by", "before its release")
        raise InputError(
            f"{path}: format {schema} of a2d_tf {version}; version {a2d_tf.__version__}"
            f" reads format {SCHEMA}; {remake}, or use that version"
        )
    return load_json(path, kind, missing)
