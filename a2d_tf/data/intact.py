"""Detect truncated files by their headers, without decoding them."""

from __future__ import annotations

import struct
from typing import BinaryIO

EMPTY = "is empty"
# Where HDF5 looks for its header; MATLAB's files have it at 512.
_SUPERBLOCKS = (0, 512, 1024, 2048)
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# {version of the superblock: (position of the width of offsets, position of the addresses)}; the
# third address is the end of the file.
_OFFSETS = {0: (13, 24), 1: (13, 28), 2: (9, 12), 3: (9, 12)}


def flaw(file: BinaryIO, size: int, suffix: str) -> str:
    """Return what is wrong with a file, to follow its name in a message; '' if nothing.

    Args:
      file: binary, at its start; only moved forwards, so that it may be a part of a stream.
      size: in bytes.
      suffix: '.mp4' and '.mov' are checked box by box, '.mat' and '.h5' for their end, other files
        only for being empty.
    """
    if size == 0:
        return EMPTY
    if suffix in (".mp4", ".mov"):
        return _mp4(file, size)
    if suffix in (".mat", ".h5"):
        return _hdf5(file, size)
    return ""


def _mp4(file, size):
    """Follow the top-level boxes until the frames (mdat) and their index (moov) are whole."""
    missing, position = {b"moov", b"mdat"}, 0
    while missing and position < size:
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            break
        length, kind = struct.unpack(">I4s", header[:8])
        if length == 1 and len(header) == 16:  # the length is too large for its field
            (length,) = struct.unpack(">Q", header[8:])
        elif length == 0:
            length = size - position
        if position == 0 and kind not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return "is no MP4 file"
        if length < 8 or position + length > size:
            break
        missing.discard(kind)
        position += length
    return f"is cut off after {size} bytes" if missing else ""


def _hdf5(file, size):
    head = file.read(_SUPERBLOCKS[-1] + 64)
    start = next((s for s in _SUPERBLOCKS if head[s : s + 8] == _SIGNATURE), None)
    if start is None:
        return "is no HDF5 file"
    block = head[start:]
    if len(block) < 64 or block[8] not in _OFFSETS:
        return f"is cut off after {size} bytes"
    width_at, addresses = _OFFSETS[block[8]]
    width = block[width_at]
    at = addresses + 2 * width
    end = int.from_bytes(block[at : at + width], "little")
    return f"is cut off after {size} of {end} bytes" if size < end else ""
