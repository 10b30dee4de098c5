"""Arrays of .npz and HDF5 files, with one bound on the memory that a file's header can ask for."""

from __future__ import annotations

import os
import zipfile
import zlib

import h5py
import numpy as np

from a2d_tf.core.limits import MAX_ARRAY_BYTES

UNREADABLE = (
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""The exceptions that h5py, NumPy and zipfile raise for a damaged file."""


def read_dataset(data: h5py.Dataset) -> np.ndarray:
    """Read an HDF5 data set.

    Raises:
      one of UNREADABLE: it is damaged, or claims more than MAX_ARRAY_BYTES.
    """
    _check_size(data.name, data.nbytes)
    return np.asarray(data[()])


def check_archive(archive: zipfile.ZipFile) -> None:
    """Raise ValueError where an entry of an archive claims more than MAX_ARRAY_BYTES."""
    for info in archive.infolist():
        _check_size(info.filename, info.file_size)


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz, none of which may be pickled.

    Raises:
      one of UNREADABLE: no .npz, a damaged one, or it claims more than MAX_ARRAY_BYTES; names the
        array.
    """
    with zipfile.ZipFile(path) as archive:
        check_archive(archive)
    arrays = {}
    with np.load(path, allow_pickle=False) as entries:
        for name in entries.files:
            try:
                arrays[name] = np.asarray(entries[name])
            except UNREADABLE as error:
                raise ValueError(f"field '{name}' is unreadable ({error})") from error
    return arrays


def _check_size(name, size):
    if size > MAX_ARRAY_BYTES:
        raise ValueError(f"'{name}' claims {size} bytes, more than {MAX_ARRAY_BYTES}")
