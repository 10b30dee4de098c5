"""Files written in one step: a reader finds the old one or the new one, never a part."""

import json
import os

from a2d_tf.errors import InputError


def write_file(path, write):
    """Create or replace a file: `write(file)` fills a temporary binary file beside it.

    Missing parent folders are made.

    Raises:
      InputError: the file cannot be written.
    """
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                write(file)
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.remove(temporary)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def write_text(path, text):
    """Create or replace a UTF-8 text file; InputError where it cannot be."""
    write_file(path, lambda file: file.write(text.encode()))


def write_json(path, value, sort_keys=False):
    """Create or replace a JSON file, indented; InputError where it cannot be."""
    text = json.dumps(value, indent=1, sort_keys=sort_keys, allow_nan=False)
    write_text(path, text + "\n")
