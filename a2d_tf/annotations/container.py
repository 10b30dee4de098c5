"""An annotation export, which is one file, a folder, or a zip as downloaded, and its
files.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from a2d_tf.core.checked_json import check_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE

_REMEDY = "export it again"


class Container:
    """Read access to the files of an export.

    Attributes:
      path: the file, folder or zip.
      names: relative paths of its files, with '/', sorted; hidden ones are left out.

    Raises:
      InputError: no such path, or a damaged zip.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._zip = None
        names = [path.name]
        if path.is_dir():
            found = (file for file in path.rglob("*") if file.is_file())
            names = [file.relative_to(path).as_posix() for file in found]
        elif path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
            with _readable(path):
                self._zip = zipfile.ZipFile(path)
            names = [
                info.filename for info in self._zip.infolist() if not info.is_dir()
            ]
        else:
            with _readable(path):
                path.stat()
        # macOS leaves __MACOSX/ and ._name in zips.
        hidden = re.compile(r"(^|/)(\.|__MACOSX)")
        self.names = sorted(name for name in names if not hidden.search(name))

    def locate(self, name: str) -> pathlib.PurePath:
        """Return the path of a file, as errors name it; of a zip
        'task.zip/annotations.xml'.
        """
        return self.path if self.path.is_file() and not self._zip else self.path / name

    def read(self, name: str) -> bytes:
        """Return the content of one of `names`; InputError where it cannot be read."""
        where = self.locate(name)
        with _readable(where):
            if self._zip is None:
                return pathlib.Path(where).read_bytes()
            return self._zip.read(name)

    def text(self, name: str) -> str:
        """Return the content of a text file, UTF-8 with or without a byte order
        mark.
        """
        content = self.read(name)
        with _readable(self.locate(name)):
            return content.decode("utf-8-sig")


@contextlib.contextmanager
def _readable(path):
    """Name the file in an error that reading it raises."""
    try:
        yield
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read ({error}); {_REMEDY}") from error


def size_of(
    image: dict, height: str = "height", width: str = "width"
) -> tuple[int, int] | None:
    """Return an image's (height, width) by the names of their fields; None where it
    has none.
    """
    return (
        (image[height], image[width])
        if image.get(height) and image.get(width)
        else None
    )


class File(NamedTuple):
    """A file of an export.

    Attributes:
      container: the export.
      name: one of its names.
      content: the value of a .json; else the bytes, without a byte order mark.
    """

    container: Container
    name: str
    content: Any

    @classmethod
    def open(cls, container: Container, name: str) -> File:
        """Read a file; InputError where it cannot be read, or is a .json and none."""
        if not name.lower().endswith(".json"):
            return cls(
                container, name, container.read(name).removeprefix(b"\xef\xbb\xbf")
            )
        text = container.text(name)
        with _readable(container.locate(name)):  # a RecursionError is a RuntimeError
            return cls(container, name, json.loads(text))

    @property
    def path(self) -> pathlib.PurePath:
        """The path, as errors name it."""
        return self.container.locate(self.name)

    def place(self, where: str) -> str:
        """Return a place in the file, as errors name it: 'task.zip/x.json:
        images[0]'.
        """
        return f"{self.path}: {where}" if where else str(self.path)

    def error(self, where: str, problem: str) -> InputError:
        """Return the error of a field; `problem` ends with the remedy."""
        return InputError(f"{self.place(where)}: {problem}")

    def check(self, kind: Any) -> Any:
        """Return the content, of this kind for `core.checked_json.check_json`; else raise
        InputError.
        """
        with self.at():
            check_json(self.content, kind)
        return self.content

    @contextlib.contextmanager
    def at(self, where: str = "", remedy: str = _REMEDY) -> Iterator[None]:
        """Name file, place and remedy in the error of a value that is damaged or not
        found.
        """
        try:
            yield
        except KeyError as error:
            raise self.error(where, f"{error} is not listed; {remedy}") from error
        except ValueError as error:
            raise self.error(where, f"{error}; {remedy}") from error
