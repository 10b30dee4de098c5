"""An annotation export and its files: a single file, a folder or a zip."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from a2d_tf.core.checked_json import check_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE

_REMEDY = "export it again"
# macOS leaves __MACOSX/ and ._name in zips.
_HIDDEN = re.compile(r"(^|/)(\.|__MACOSX)")


class Container:
    """An export of an annotation tool: a file, or the files of a folder or a zip.

    Attributes:
      path: the file, the folder or the zip.
      names: the relative paths of its files, with '/', sorted, without hidden files.
    """

    def __init__(
        self,
        path: pathlib.Path,
        names: Iterable[str],
        zip_file: zipfile.ZipFile | None = None,
    ) -> None:
        self.path = path
        self.names = sorted(name for name in names if not _HIDDEN.search(name))
        self._zip_file = zip_file

    @classmethod
    def open(cls, path: pathlib.Path) -> Container:
        """Open an export, and list its files.

        Args:
          path: the file, the folder or the zip.

        Raises:
          InputError: the path does not exist, or the zip is damaged.
        """
        if path.is_dir():
            names = []
            for file in path.rglob("*"):
                if file.is_file():
                    names.append(file.relative_to(path).as_posix())
            return cls(path, names)
        with _readable(path):
            if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
                zip_file = zipfile.ZipFile(path)
                names = [name for name in zip_file.namelist() if not name.endswith("/")]
                return cls(path, names, zip_file)
            path.stat()
        return cls(path, [path.name])

    def locate(self, name: str) -> pathlib.PurePath:
        """Return the path by which errors name a file of the export.

        Args:
          name: the relative path of the file, one of `names`.

        Returns:
          the file's own path; for a member of a zip 'task.zip/annotations.xml'.
        """
        if self.path.is_file() and self._zip_file is None:
            return self.path
        return self.path / name

    def read(self, name: str) -> bytes:
        """Return the content of a file of the export as bytes.

        Args:
          name: the relative path of the file, one of `names`.

        Raises:
          InputError: the file cannot be read.
        """
        path = self.locate(name)
        with _readable(path):
            if self._zip_file is None:
                return pathlib.Path(path).read_bytes()
            return self._zip_file.read(name)

    def text(self, name: str) -> str:
        """Return the content of a text file, UTF-8 with or without byte order mark.

        Args:
          name: the relative path of the file, one of `names`.

        Raises:
          InputError: the file cannot be read, or is not UTF-8.
        """
        content = self.read(name)
        with _readable(self.locate(name)):
            return content.decode("utf-8-sig")


@contextlib.contextmanager
def _readable(path: pathlib.PurePath) -> Iterator[None]:
    """Turn an error of reading a file into an InputError that names the file."""
    try:
        yield
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read ({error}); {_REMEDY}") from error


def size_of(
    image: dict, height: str = "height", width: str = "width"
) -> tuple[int, int] | None:
    """Return the size of an image as its fields state it.

    Args:
      image: the fields of the image, as parsed from JSON.
      height, width: the names of the two fields.

    Returns:
      (height, width) in pixels; None if a field is missing or empty.
    """
    if image.get(height) and image.get(width):
        return image[height], image[width]
    return None


class File(NamedTuple):
    """A file of an export, already read.

    Readers of formats take it.

    Attributes:
      container: the export.
      name: the relative path of the file in the export.
      content: the parsed value of a .json file; of others the bytes, without byte order
        mark.
    """

    container: Container
    name: str
    content: Any

    @classmethod
    def open(cls, container: Container, name: str) -> File:
        """Read a file of an export, and parse it if its name ends with .json.

        Args:
          container: the export.
          name: the relative path of the file, one of `container.names`.

        Raises:
          InputError: the file cannot be read, or its name ends with .json and its
            content is not JSON.
        """
        if not name.lower().endswith(".json"):
            content = container.read(name).removeprefix(b"\xef\xbb\xbf")
            return cls(container, name, content)
        text = container.text(name)
        with _readable(container.locate(name)):  # a RecursionError is a RuntimeError
            return cls(container, name, json.loads(text))

    def text(self) -> str:
        """Return the content, which must be bytes, as text.

        Raises:
          InputError: the bytes are not UTF-8.
        """
        with _readable(self.path):
            return self.content.decode("utf-8")

    @property
    def path(self) -> pathlib.PurePath:
        """The file's path for errors; in a zip 'task.zip/annotations.xml'."""
        return self.container.locate(self.name)

    def place(self, where: str) -> str:
        """Return a place in this file for errors: 'task.zip/x.json: images[0]'.

        Args:
          where: the place in the file, such as 'images[0]'; '' for the whole file.
        """
        if where:
            return f"{self.path}: {where}"
        return str(self.path)

    def error(self, where: str, problem: str) -> InputError:
        """Return an InputError that names this file and a place in it.

        Args:
          where: the place in the file, such as 'images[0]'; '' for the whole file.
          problem: what is wrong, and what the user can do.
        """
        return InputError(f"{self.place(where)}: {problem}")

    def check(self, kind: Any) -> Any:
        """Check that the parsed JSON has the expected structure, and return it.

        Args:
          kind: the expected structure, as `core.checked_json.check_json` takes it.

        Raises:
          InputError: the content has another structure.
        """
        with self.at():
            check_json(self.content, kind)
        return self.content

    @contextlib.contextmanager
    def at(self, where: str = "", remedy: str = _REMEDY) -> Iterator[None]:
        """Return a context in which errors of damaged values become this file's errors.

        A KeyError, a ValueError or an InputError becomes an InputError that names the
        file and the place.

        Args:
          where: the place in the file, such as 'images[0]'; '' for the whole file.
          remedy: what the user can do; it is not added to an InputError, which has its
            own.
        """
        try:
            yield
        except KeyError as error:
            raise self.error(where, f"{error} is not listed; {remedy}") from error
        except InputError as error:  # it ends with its own remedy
            raise self.error(where, str(error)) from error
        except ValueError as error:
            raise self.error(where, f"{error}; {remedy}") from error
