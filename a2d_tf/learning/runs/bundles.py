"""What the index of a checkpoint claims, looked at before TensorFlow believes it.

TensorFlow compares checksums, which whoever makes a file can make as well; of shapes, types and
lengths it takes the index's word, and dies or takes all memory where these are absurd. The index is
a table of LevelDB: blocks of sorted entries, a block that tells where these are, and a footer
(tensorflow/core/util/tensor_bundle and leveldb's table_format.md). Its checksums are not looked at
here; TensorFlow does that.
"""

import glob
import math
import os
import struct

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import tensor_bundle_pb2

from a2d_tf.core.files import read_bytes
from a2d_tf.core.limits import MAX_ARRAY_BYTES, MAX_TEXT_BYTES

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48  # bytes: two handles, padding and the magic number
_MAX_RANK = 32
_TYPES = (
    tf.string,
    tf.bool,
    tf.uint8,
    tf.int32,
    tf.int64,
    tf.float16,
    tf.bfloat16,
    tf.float32,
    tf.float64,
)


def check(path):
    """Refuse a checkpoint whose index claims what its data files cannot hold.

    Args:
      path: without a suffix, such as `checkpoints/ckpt-7`.

    Raises:
      OSError: a file is missing or cannot be read.
      ValueError: damaged, or it claims what is not there.
    """
    if os.path.isdir(path):
        raise ValueError("a folder of its name lies beside it")
    entries = _entries(read_bytes(f"{path}.index", MAX_TEXT_BYTES))
    try:
        header = tensor_bundle_pb2.BundleHeaderProto.FromString(entries.pop(b""))
        tensors = {
            name: tensor_bundle_pb2.BundleEntryProto.FromString(value)
            for name, value in entries.items()
        }
    except (DecodeError, KeyError) as error:
        raise ValueError(f"its index is no index ({error})") from error
    shards = sorted(glob.glob(f"{glob.escape(path)}.data-?????-of-{header.num_shards:05d}"))
    if len(shards) != header.num_shards:
        raise ValueError(f"{len(shards)} of {header.num_shards} data files are there")
    sizes, claims = [os.path.getsize(shard) for shard in shards], {}
    for name, entry in tensors.items():
        try:
            claims[name] = _claimed(entry)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name!r}: {error}") from error
    # The parts of a tensor have names that begin so; the whole is claimed, too.
    claimed = sum(claim for name, claim in claims.items() if not name.startswith(b"\0"))
    if claimed > sum(sizes):
        raise ValueError(f"it claims {claimed} bytes of {sum(sizes)}")
    for name, entry in tensors.items():
        if entry.slices or not (
            0 <= entry.shard_id < len(sizes)
            and 0 <= entry.offset <= entry.offset + entry.size <= sizes[entry.shard_id]
        ):
            raise ValueError(f"{name!r}: not where it should be in its data file")
        if entry.dtype == tf.string.as_datatype_enum:
            with open(shards[entry.shard_id], "rb") as file:
                file.seek(entry.offset)
                _check_strings(file.read(min(entry.size, MAX_TEXT_BYTES + 1)), claims[name])
        elif not claims[name] == entry.size <= MAX_ARRAY_BYTES:
            raise ValueError(f"{name!r}: claims {claims[name]} bytes, has {entry.size}")


def _claimed(entry):
    """The bytes that a tensor should have; for strings, which have one at least, their number."""
    shape, dtype = [axis.size for axis in entry.shape.dim], tf.as_dtype(entry.dtype)
    known = len(shape) <= _MAX_RANK and not entry.shape.unknown_rank
    if not known or min(shape, default=0) < 0 or math.prod(max(side, 1) for side in shape) > 2**62:
        raise ValueError("a shape that is none")
    if dtype not in _TYPES:
        raise ValueError(f"a tensor of type {dtype.name}")
    return math.prod(shape) * (1 if dtype == tf.string else dtype.size)


def _check_strings(data, count):
    """Strings are stored as their lengths, a checksum of these, and all bytes one after another."""
    if not count <= len(data) <= MAX_TEXT_BYTES:
        raise ValueError(f"claims {count} strings in {len(data)} bytes")
    total = place = 0
    for _ in range(count):
        length, place = _varint(data, place)
        total += length
    if place + 4 + total != len(data):
        raise ValueError(f"strings of {total} bytes in {len(data)} bytes")


def _entries(table):
    """{key: value} of a table, in bytes."""
    if len(table) < _FOOTER or struct.unpack_from("<Q", table, len(table) - 8)[0] != _MAGIC:
        raise ValueError("its index is cut off, or none")
    place = len(table) - _FOOTER
    for _ in range(2):  # the handle of a block that is always empty here
        _, place = _varint(table, place)
    found, last, end, names = [], b"", 0, 0
    for least, handle in _block(table, table[place : len(table) - 8])[0]:
        pairs, begin, after = _block(table, handle)
        if begin < end or not pairs or pairs[0][0] < last or pairs[-1][0] > least:
            raise ValueError("the blocks of its index are in no order")
        found += pairs
        last, end, names = least, after, names + sum(len(key) for key, _ in pairs)
        if names > MAX_TEXT_BYTES:
            raise ValueError("names without end in its index")
    if any(a >= b for (a, _), (b, _) in zip(found, found[1:])):
        raise ValueError("the names in its index are in no order")
    return dict(found)


def _block(table, handle):
    """[(key, value)] of the block at a handle, where it begins and where it ends.

    A handle is two varints: the beginning, and the length.
    """
    begin, place = _varint(handle, 0)
    length, _ = _varint(handle, place)
    # After the block a byte says how it is packed, and four are its checksum.
    if begin + length + 5 > len(table) or table[begin + length] != 0 or length < 4:
        raise ValueError("a block of its index is not where it should be, or packed")
    block = table[begin : begin + length]
    count = struct.unpack_from("<I", block, length - 4)[0]
    found, key, place, end, whole = [], b"", 0, length - 4 * (count + 1), set()
    names = 0
    if end < 0:
        raise ValueError("a block of its index is shorter than it says")
    while place < end:
        where = place
        shared, place = _varint(block, place)
        more, place = _varint(block, place)
        size, place = _varint(block, place)
        names += shared + more
        if shared > len(key) or place + more + size > end or names > MAX_TEXT_BYTES:
            raise ValueError("an entry of its index is longer than its block")
        if not shared:
            whole.add(where)
        key = key[:shared] + block[place : place + more]
        found.append((key, block[place + more : place + more + size]))
        place += more + size
    # TensorFlow looks names up by these: where an entry begins that shares nothing.
    restarts = struct.unpack_from(f"<{count}I", block, end)
    if found and (not restarts or restarts[0] or not whole.issuperset(restarts)):
        raise ValueError("the entries of its index are in no order")
    return found, begin, begin + length + 5


def _varint(data, place):
    """(number, where the next begins): seven bits a byte, the lowest first."""
    number = shift = 0
    while shift < 64:
        if place >= len(data):
            raise ValueError("cut off")
        byte = data[place]
        number, shift, place = number | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return number, place
    raise ValueError("a number of more than 64 bits")
