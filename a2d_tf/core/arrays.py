"""Arrays in files: their shapes are believed only where the bytes are there.

A file of a few bytes can claim an array of any size, in numbers that were never stored or that are
compressed without end; and an HDF5 file can keep its numbers in other files. Here claims are
checked before memory is taken or another file is opened.
"""

import math
import zipfile
import zlib

import h5py
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.limits import MAX_ARRAY_BYTES, MAX_EXPANSION

# Deflate, shuffle, checksums, LZF. HDF5's others are hardly used, and have been overrun by files.
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, 32000)
_SMALL = 1 << 20  # bytes that are not worth a question
# What reading a damaged .npz or HDF5 file may raise.
UNREADABLE = (
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class ClaimError(ValueError):
    """An array that is not where it should be, or claims to be larger than it is."""


def dataset(group, name):
    """A data set of an HDF5 file, by its name; None where there is none.

    Raises:
      ClaimError: a link, which may lead to another file, no data set, or see `check_dataset`.
    """
    *folders, last = name.split("/")
    for part in folders:
        group = _member(group, part)
    data = _member(group, last)
    return None if data is None else check_dataset(data)


def _member(group, name):
    """What a group holds itself under a name, None where nothing."""
    link = group.get(name, getlink=True) if isinstance(group, h5py.Group) else None
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise ClaimError(f"'{name}' is a link to another file, or may be")
    return group[name]


def check_dataset(data):
    """The h5py.Dataset, if it can be read.

    Raises:
      ClaimError: no data set, its numbers are in other files or packed in an unusual way, or it
        claims more of them than are stored.
    """
    if not isinstance(data, h5py.Dataset):
        raise ClaimError("not an array")
    if data.external or data.is_virtual:
        raise ClaimError(f"'{data.name}' keeps its numbers in other files")
    made = data.id.get_create_plist()
    for i in range(made.get_nfilters()):
        if made.get_filter(i)[0] not in _FILTERS:
            raise ClaimError(f"'{data.name}' is packed by filter {made.get_filter(i)[0]}, not gzip")
    size, claimed = data.dtype.itemsize, math.prod(data.shape or (0,)) * data.dtype.itemsize
    stored = data.id.get_storage_size() * (MAX_EXPANSION if data.chunks else 1)
    _check(data.name, claimed, stored)
    # A chunk is unpacked as a whole, however little of it belongs to the array.
    chunk = math.prod(data.chunks or (0,)) * size
    _check(f"a chunk of {data.name}", chunk, max(claimed, 16 * _SMALL))
    return data


class NpzEntry:
    """An array of an .npz: its header now, its numbers when asked for (by `numpy.asarray`).

    Attributes:
      shape, dtype: of the array.
    """

    def __init__(self, archive, info):
        self._archive, self._info = archive, info
        with archive.open(info) as file:
            header = _NPY_HEADERS[np.lib.format.read_magic(file)]
            self.shape, _, self.dtype = header(file)
            header_bytes = file.tell()
        stored = info.compress_size
        if info.compress_type != zipfile.ZIP_STORED:
            stored *= MAX_EXPANSION
        claimed = math.prod(self.shape) * self.dtype.itemsize
        _check(info.filename, claimed, min(info.file_size - header_bytes, stored), small=0)

    def __array__(self, dtype=None, copy=None):
        with self._archive.open(self._info) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False), dtype)


def npz_entries(archive):
    """{name: NpzEntry} of an open zipfile.ZipFile.

    Raises:
      one of UNREADABLE: a damaged archive, or one that claims more than it holds.
    """
    return {
        info.filename[: -len(".npy")]: NpzEntry(archive, info)
        for info in archive.infolist()
        if info.filename.endswith(".npy")
    }


def numbers(array, where):
    """The numpy.ndarray of an array that is read when asked for.

    Raises:
      InputError: it cannot be read; begins with `where`.
    """
    try:
        return np.asarray(array)
    except (MemoryError, *UNREADABLE) as error:
        raise InputError(f"{where} is unreadable ({error})") from error


def _check(name, claimed, there, small=_SMALL):
    if claimed > MAX_ARRAY_BYTES:
        raise ClaimError(f"'{name}' claims {claimed} bytes, more than {MAX_ARRAY_BYTES}")
    if claimed > max(there, small):
        raise ClaimError(f"'{name}' claims {claimed} bytes, but has not that many")
