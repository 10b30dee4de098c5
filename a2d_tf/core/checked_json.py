"""Read JSON files whose fields are checked before they are used.

A *kind* says what a value must be. It has the shape of the value, so that the kind of
a file reads like the file. This is a list of videos, some of which have a rate:

    VIDEOS = {"videos": [{"name": str, "frames": whole(1), "fps?": float}]}

`load_json("videos.json", VIDEOS, "write it again")` returns the content, or raises an
InputError that names the field: "videos.json: videos[3].name: 7 is missing or has the
wrong type; write it again". `check_json` lists the kinds.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
from typing import Any, Callable

from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import Path

_LARGEST = 1e300  # JSON has numbers of any length, also NaN and infinity


def load_json(path: Path, kind: Any, remedy: str) -> Any:
    """Read a JSON file and check its fields.

    Args:
      path: the file.
      kind: what the file must hold, as `check_json` describes it: a type, list, dict,
        tuple or function. Fields that it does not name may have any value.
      remedy: what the user can do about a missing or damaged file, such as 'write it
        again'; the error message ends with it.

    Returns:
      the file's content, as `json.loads` returns it.

    Raises:
      InputError: the file is missing or damaged; names file, field and remedy.
    """
    try:
        value = json.loads(pathlib.Path(path).read_bytes())
        check_json(value, kind)
    except (OSError, RecursionError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {problem}; {remedy}") from error
    return value


def check_json(value: Any, kind: Any, where: str = "") -> None:
    """Check that a value that was read from JSON is of a kind.

    Args:
      value: the value, as `json.loads` returns it.
      kind: what the value must be, one of
        - a type; float takes any finite number, int and bool are apart;
        - [kind]: a list of such values;
        - {name: kind}: an object with these fields and perhaps others; 'name?' may be
          missing;
        - {str: kind}: an object with such values under any names;
        - (kind, ...): one of these; None is null;
        - a function that raises ValueError for a wrong value, such as `kind_of` and
          the functions below it return.
      where: path of the value inside the file, such as 'files[0].bytes', with which
        errors begin; empty for the whole content.

    Raises:
      ValueError: a value is missing or wrong; names its path.
    """
    if isinstance(kind, tuple):
        _check_alternatives(value, kind, where)
    elif isinstance(kind, list):
        _check_list(value, kind[0], where)
    elif isinstance(kind, dict):
        _check_object(value, kind, where)
    elif kind is None or isinstance(kind, type):
        _check_type(value, kind, where)
    else:
        _check_by_function(value, kind, where)


def kind_of(is_right: Callable[[Any], bool], what: str) -> Callable[[Any], None]:
    """Return a kind of value for `check_json`, defined by a function.

    Args:
      is_right: returns whether a value is of the kind.
      what: description of the kind for errors, such as 'a file name'.

    Returns:
      a function that raises ValueError for a value of another kind.
    """

    def check(value: Any) -> None:
        if not is_right(value):
            raise ValueError(f"{quoted(value)} is not {what}")

    return check


def whole(least: int = 0, most: int = 2**53) -> Callable[[Any], None]:
    """Return the kind of value that is an integer of a range.

    Args:
      least: smallest integer that is allowed.
      most: largest integer that is allowed.

    Returns:
      a function that raises ValueError for any other value, for `check_json`.
    """
    return kind_of(
        lambda value: type(value) is int and least <= value <= most,
        f"an integer from {least} to {most}",
    )


def number(least: float, most: float) -> Callable[[Any], None]:
    """Return the kind of value that is an integer or float of a range.

    Args:
      least: smallest number that is allowed.
      most: largest number that is allowed.

    Returns:
      a function that raises ValueError for any other value, for `check_json`.
    """
    return kind_of(
        lambda value: type(value) in (int, float) and least <= value <= most,
        f"a number from {least} to {most}",
    )


def one_of(*values: Any) -> Callable[[Any], None]:
    """Return the kind of value that equals one of some values.

    Args:
      *values: the values that are allowed.

    Returns:
      a function that raises ValueError for any other value, for `check_json`.
    """
    description = ", ".join(str(value) for value in values)
    if len(values) > 1:
        description = f"one of {description}"
    return kind_of(lambda value: value in values, description)


def _check_alternatives(value: Any, kinds: tuple, where: str) -> None:
    """Check that a value is of one of several kinds; ValueError as by `check_json`."""
    for kind in kinds:
        with contextlib.suppress(ValueError):
            check_json(value, kind, where)
            return
    raise _wrong_type(value, where)


def _check_list(values: Any, kind: Any, where: str) -> None:
    """Check that a value is a list whose items are of a kind."""
    if type(values) is not list:
        raise _wrong_type(values, where)
    for i, value in enumerate(values):
        check_json(value, kind, f"{where}[{i}]")


def _check_object(fields: Any, kinds: dict, where: str) -> None:
    """Check that a value is an object with the fields that `kinds` names."""
    if type(fields) is not dict:
        raise _wrong_type(fields, where)
    prefix = f"{where}." if where else ""
    for name, kind in kinds.items():
        if name is str:
            for key, value in fields.items():
                check_json(value, kind, f"{prefix}{quoted(key)}")
            continue
        field = name.rstrip("?")
        if field in fields:
            check_json(fields[field], kind, f"{prefix}{field}")
        elif not name.endswith("?"):
            raise _wrong_type(None, f"{prefix}{field}")


def _check_type(value: Any, kind: type | None, where: str) -> None:
    """Check that a value has a type; None is the type of null."""
    if kind is None:
        is_right = value is None
    elif kind is float:
        is_right = type(value) in (int, float) and -_LARGEST < value < _LARGEST
    else:
        is_right = type(value) is kind
    if not is_right:
        raise _wrong_type(value, where)


def _check_by_function(value: Any, check: Callable[[Any], Any], where: str) -> None:
    """Check a value by a function, and put its path before the function's message."""
    try:
        check(value)
    except ValueError as error:
        message = f"{where}: {error}" if where else str(error)
        raise ValueError(message) from error


def _wrong_type(value: Any, where: str) -> ValueError:
    """Return the error that a value is missing or has the wrong type."""
    place = where or "content"
    return ValueError(f"{place}: {quoted(value)} is missing or has the wrong type")
