"""A file system of Beam's for tests: `mem-like://NAME` is a file in a folder.

The variable MEM_LIKE of the environment names the folder. If MEM_LIKE_KILL names a file
that is absent, the first process that creates a file whose path holds MEM_LIKE_KILL_AT
makes it, and kills itself.
"""

import glob
import os
import shutil
import signal

from apache_beam.io.filesystem import (
    BeamIOError,
    CompressedFile,
    CompressionTypes,
    FileMetadata,
    FileSystem,
)

SCHEME = "mem-like"


def _die(occasion):
    """Kill this process if it is the first that should die on an occasion."""
    mark = os.environ.get("MEM_LIKE_KILL")
    if mark and os.environ["MEM_LIKE_KILL_AT"] in occasion and not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)


class MemLike(FileSystem):
    """A file system without folders, as an object store: they are but parts of names.

    Its methods are those of Beam's `FileSystem`.
    """

    def _place(self, url):
        return os.path.join(os.environ["MEM_LIKE"], url[len(f"{SCHEME}://") :])

    @classmethod
    def scheme(cls):
        return SCHEME

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        return tuple(path.rsplit("/", 1))

    def mkdirs(self, path):
        raise BeamIOError("there are no folders")

    def has_dirs(self):
        return False

    def _list(self, prefix):
        for folder, _, names in os.walk(os.environ["MEM_LIKE"]):
            for name in names:
                place = os.path.join(folder, name)
                url = f"{SCHEME}://{os.path.relpath(place, os.environ['MEM_LIKE'])}"
                if url.startswith(prefix):
                    state = os.stat(place)
                    yield FileMetadata(url, state.st_size, state.st_mtime)

    def create(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        _die(path)
        os.makedirs(os.path.dirname(self._place(path)), exist_ok=True)
        return self._opened(path, "wb", compression_type)

    def open(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        return self._opened(path, "rb", compression_type)

    def _opened(self, path, mode, compression_type):
        kind = FileSystem._get_compression_type(path, compression_type)
        file = open(self._place(path), mode)
        plain = kind == CompressionTypes.UNCOMPRESSED
        return file if plain else CompressedFile(file, kind)

    def copy(self, sources, destinations):
        for source, destination in zip(sources, destinations):
            shutil.copyfile(self._place(source), self._place(destination))

    def rename(self, sources, destinations):
        for source, destination in zip(sources, destinations):
            os.rename(self._place(source), self._place(destination))

    def exists(self, path):
        return os.path.isfile(self._place(path))

    def size(self, path):
        return os.path.getsize(self._place(path))

    def last_updated(self, path):
        return os.path.getmtime(self._place(path))

    def checksum(self, path):
        return str(self.size(path))

    def metadata(self, path):
        return FileMetadata(path, self.size(path), self.last_updated(path))

    def delete(self, paths):
        for path in paths:
            for place in glob.glob(self._place(path)):
                os.remove(place)
