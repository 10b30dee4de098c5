"""The files of an annotation export, which is one file, a folder, or a zip as downloaded."""

from __future__ import annotations

import pathlib
import zipfile
import zlib

from a2d_tf.core.errors import InputError
from a2d_tf.core.limits import MAX_EXPORT_BYTES

_REMEDY = "export it again"


class Container:
    """Read access to the files of an export.

    Attributes:
      path: the file, folder or zip.
      names: relative paths of its files, with '/', sorted; hidden ones are left out.

    Raises:
      InputError: no such path, a damaged zip, a file that cannot be read or is too large.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._zip = None
        if path.is_dir():
            found = (file for file in path.rglob("*") if file.is_file())
            names = [file.relative_to(path).as_posix() for file in found]
        elif not path.is_file():
            raise InputError(f"{path}: no such file or folder; --annotations names an export")
        elif zipfile.is_zipfile(path):
            try:
                self._zip = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
                raise InputError(f"{path}: not a readable zip ({error}); {_REMEDY}") from error
            names = [info.filename for info in self._zip.infolist() if not info.is_dir()]
        elif path.suffix.lower() == ".zip":
            raise InputError(f"{path}: not a zip, or a truncated one; {_REMEDY}")
        else:
            names = [path.name]
        self.names = sorted(name for name in names if not _is_hidden(name))

    def locate(self, name: str) -> pathlib.PurePath:
        """Return the path of a file, as errors name it; of a zip 'task.zip/annotations.xml'."""
        return self.path if self.path.is_file() and not self._zip else self.path / name

    def read(self, name: str) -> bytes:
        """Return the content of one of `names`."""
        where = self.locate(name)
        try:
            if self._zip:
                size = self._zip.getinfo(name).file_size
            else:
                size = pathlib.Path(where).stat().st_size
            if size > MAX_EXPORT_BYTES:
                raise InputError(f"{where}: larger than {MAX_EXPORT_BYTES} bytes; split the export")
            return self._zip.read(name) if self._zip else pathlib.Path(where).read_bytes()
        except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{where}: cannot be read ({error}); {_REMEDY}") from error

    def text(self, name: str) -> str:
        """Return the content of a text file, UTF-8 with or without a byte order mark."""
        try:
            return self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{self.locate(name)}: not UTF-8 ({error}); {_REMEDY}") from error


def _is_hidden(name):
    """Whether a file is a system's own: macOS leaves __MACOSX/ and ._name in zips."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
