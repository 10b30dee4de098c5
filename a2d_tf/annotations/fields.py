"""Fields of parsed files, checked: what is missing or of another kind is one clear error."""

from __future__ import annotations

import pathlib
from typing import Any

from a2d_tf.annotations.document import AnnotatedFrame, split_frame_name
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.limits import MAX_SIDE

_FARTHEST = 1e9  # of a number that can be a coordinate


class Fields:
    """The fields of one file; every error names the file, the field and the remedy.

    Args:
      path: the file, as errors name it.
    """

    def __init__(self, path: pathlib.PurePath) -> None:
        self.path = path
        self._frames: dict[tuple, str] = {}

    def error(self, where: str, problem: str) -> InputError:
        """Return the error of a field; `problem` ends with the remedy."""
        return InputError(f"{self.path}: {where}: {problem}")

    def entries(self, parent: Any, name: str, where: str = "") -> list[dict]:
        """Return a field that is a list of objects; `where` is the place of its parent."""
        entries = parent.get(name) if isinstance(parent, dict) else None
        where = f"{where}.{name}" if where else name
        if not isinstance(entries, list):
            raise self.error(where, "missing, or not a list; export the annotations again")
        for i, entry in enumerate(entries):
            self.check_object(entry, f"{where}[{i}]")
        return entries

    def check_object(self, value: Any, where: str) -> dict:
        """Return a value that is an object."""
        if not isinstance(value, dict):
            raise self.error(where, f"{shown(value)} is no object; export the annotations again")
        return value

    def text(self, parent: dict, name: str, where: str) -> str:
        """Return a field that is a text, and not an empty one."""
        value = parent.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{where}.{name}", f"{shown(value)} is no text; give it one")
        return value

    def frame_name(self, name: str, where: str) -> tuple[str | None, int]:
        """Return the (video or None, frame's number) that the name of an image says."""
        found = split_frame_name(name)
        if found is None:
            problem = f"{shown(name)} has no frame number, as clip1/00005.jpg has; rename it"
            raise self.error(where, problem)
        return found

    def by_id(self, entries: list[dict], name: str) -> dict[Any, int]:
        """Return {id: index} of the entries of the list `name`."""
        indices: dict[Any, int] = {}
        for i, entry in enumerate(entries):
            identity = entry.get("id")
            if type(identity) not in (int, str):
                problem = f"{shown(identity)} is no number or text; give one"
                raise self.error(f"{name}[{i}].id", problem)
            if indices.setdefault(identity, i) != i:
                problem = f"{shown(identity)} is also that of {name}[{indices[identity]}]"
                raise self.error(f"{name}[{i}].id", f"{problem}; ids are unique")
        return indices

    def reference(self, parent: dict, name: str, where: str, known: dict[Any, Any]) -> Any:
        """Return a field that is a key of `known`."""
        value = parent.get(name)
        if type(value) not in (int, str) or value not in known:
            problem = f"{shown(value)} is not listed in this file; export the annotations again"
            raise self.error(f"{where}.{name}", problem)
        return value

    def numbers(self, values: Any, where: str, count: int | None = None) -> list[float]:
        """Return a list of finite numbers; `count` is its length, where that is fixed."""
        if (
            not isinstance(values, list)
            or not all(is_number(value) for value in values)
            or count not in (None, len(values))
        ):
            some = "numbers" if count is None else f"{count} numbers"
            raise self.error(where, f"{shown(values)} is no list of {some}; draw the shape again")
        return values

    def size(
        self, parent: dict, where: str, height: str = "height", width: str = "width"
    ) -> tuple[int, int] | None:
        """Return an image's (height, width) in pixels; None where neither is given."""
        sides = {name: parent.get(name) for name in (height, width)}
        if set(map(type, sides.values())) == {type(None)}:
            return None
        for name, side in sides.items():
            if type(side) is not int or not 0 < side <= MAX_SIDE:
                problem = f"{shown(side)} is no size; give it in pixels, up to {MAX_SIDE}"
                raise self.error(f"{where}.{name}" if where else name, problem)
        return parent[height], parent[width]

    def check_once(self, frame: AnnotatedFrame, remedy: str) -> None:
        """Raise where a frame of this video and number has been checked before."""
        first = self._frames.setdefault((frame.video, frame.number), frame.where)
        if first != frame.where:
            of_video = f" of '{frame.video}'" if frame.video else ""
            problem = f"frame {frame.number}{of_video} is also {first}; {remedy}"
            raise self.error(frame.where, problem)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that can be a coordinate."""
    return type(value) in (int, float) and -_FARTHEST < value < _FARTHEST


def name_of(value: Any) -> Any:
    """Return an attribute's value, a number as its digits: tools type texts that look like one."""
    if not is_number(value):
        return value
    return str(int(value)) if value == int(value) else str(value)


def attributes_of(annotation: dict) -> dict[str, Any]:
    """Return the 'attributes' of an annotation by their names in small letters."""
    attributes = annotation.get("attributes")
    return {k.lower(): v for k, v in attributes.items()} if isinstance(attributes, dict) else {}
