"""What the index of a checkpoint may claim; TensorFlow's reader is the oracle of what is there."""

import struct

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import tensor_bundle_pb2

from a2d_tf.learning.runs import bundles

ENTRY = tensor_bundle_pb2.BundleEntryProto


def varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def stored(key, value, shared=0):
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def table(pairs, **form):
    """A table of one block; its checksums are zeros, for they are not looked at."""
    blocks, handles = b"", []

    def put(pairs, restarts=(0,), packed=b"\0", more=b""):
        nonlocal blocks
        block = b"".join(stored(*pair) for pair in pairs) + more
        block += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
        handles.append(varint(len(blocks)) + varint(len(block)))
        blocks += block + packed + bytes(4)

    put(pairs, **form)
    put([])
    put([(b"\xff", handles[0])])
    footer = (handles[1] + handles[2]).ljust(40, b"\0")
    return blocks + footer + struct.pack("<Q", 0xDB4775248B80FB57)


def entry(shape=(2,), **fields):
    made = ENTRY(**{"dtype": 1, "size": 8, **fields})
    for side in shape:
        made.shape.dim.add(size=side)
    return made


def write(folder, made, data=bytes(64), shards=1):
    header = tensor_bundle_pb2.BundleHeaderProto(num_shards=shards)
    index = table([(b"", header.SerializeToString()), (b"x", made.SerializeToString())])
    (folder / "ckpt-1.index").write_bytes(index)
    (folder / "ckpt-1.data-00000-of-00001").write_bytes(data)
    return str(folder / "ckpt-1")


def test_a_checkpoint_of_many_blocks_is_read_as_tensorflow_reads_it(tmp_path):
    class Toy(tf.Module):
        def __init__(self):
            self.parts = [tf.Variable(tf.ones([i % 3, 2])) for i in range(400)]
            self.number, self.name_of = tf.Variable(7, dtype=tf.int64), tf.Variable(["a", "bcd"])

    path = tf.train.Checkpoint(toy=Toy()).write(str(tmp_path / "ckpt-1"))
    bundles.check(path)
    found = bundles._entries((tmp_path / "ckpt-1.index").read_bytes())
    reader = tf.train.load_checkpoint(path)
    assert len(found) > 400 and bool(found.pop(b""))
    shapes = {
        name.decode(): [axis.size for axis in ENTRY.FromString(value).shape.dim]
        for name, value in found.items()
    }
    assert shapes == reader.get_variable_to_shape_map()


@pytest.mark.parametrize(
    "made, problem",
    [
        (entry((-5,)), "a shape that is none"),
        (entry((2**40, 2**40)), "a shape that is none"),
        (entry((2**40, 2**40, 0)), "a shape that is none"),
        (entry((1,) * 300), "a shape that is none"),
        (entry((3,)), "claims 12 bytes, has 8"),
        (entry((1000,), size=4000), "it claims 4000 bytes of 64"),
        (entry((2,), offset=60), "not where it should be"),
        (entry((2,), offset=2**62), "not where it should be"),
        (entry((2,), offset=-8), "not where it should be"),
        (entry((2,), shard_id=1), "not where it should be"),
        (entry((2,), dtype=0), "'x': "),
        (entry((2,), dtype=999), "'x': "),
        (entry((2,), dtype=101), "a tensor of type float32_ref"),
        (entry((1,), dtype=20), "a tensor of type resource"),
        (entry((40,), dtype=7, size=30), "claims 40 strings in 30 bytes"),
    ],
)
def test_what_tensorflow_would_take_on_trust(made, problem, tmp_path):
    bundles.check(write(tmp_path, entry()))
    path = write(tmp_path, made)
    with pytest.raises(ValueError, match=problem):
        bundles.check(path)


def test_strings_as_long_as_their_lengths_say(tmp_path):
    def strings(lengths, rest):
        data = b"".join(map(varint, lengths)) + bytes(4 + rest)
        made = entry((len(lengths),), dtype=7, size=len(data))
        return write(tmp_path, made, data)

    bundles.check(strings([3, 200], 203))
    for lengths, rest in (([2**45], 50), ([3, 200], 202), ([3], 4)):
        with pytest.raises(ValueError, match=f"strings of {sum(lengths)} bytes in"):
            bundles.check(strings(lengths, rest))


X = (b"x", entry().SerializeToString())


@pytest.mark.parametrize(
    "index, problem",
    [
        (table([X]), "no index"),
        (table([(b"", b""), X, X]), "the names in its index are in no order"),
        (table([X, (b"", b"")]), "the names in its index are in no order"),
        (table([(b"", b""), X], restarts=(1,)), "the entries of its index are in no order"),
        (table([(b"", b""), X], restarts=()), "the entries of its index are in no order"),
        (table([(b"", b""), (*X, 1)]), "an entry of its index is longer than its block"),
        (table([(b"", b"")], more=b"\0\1\x7fx"), "an entry of its index is longer than its block"),
        (table([(b"", b""), X], packed=b"\1"), "not where it should be, or packed"),
        (table([(b"", b""), (b"\xff\xff", b"")]), "the blocks of its index are in no order"),
        # A long name, and ten thousand that share it.
        (
            table([(bytes(10**5), b""), *((b"", b"", 10**5) for _ in range(10**4))]),
            "longer than its",
        ),
    ],
)
def test_an_index_that_two_readers_could_read_differently(index, problem, tmp_path):
    path = write(tmp_path, entry())
    (tmp_path / "ckpt-1.index").write_bytes(index)
    with pytest.raises(ValueError, match=problem):
        bundles.check(path)


def test_files_that_are_no_checkpoint(tmp_path):
    path = write(tmp_path, entry())
    index = (tmp_path / "ckpt-1.index").read_bytes()
    for number in range(len(index)):  # each of them, cut off or with a byte changed
        for damaged in (
            index[:number],
            index[:number] + bytes([index[number] ^ 0x55]) + index[number + 1 :],
        ):
            (tmp_path / "ckpt-1.index").write_bytes(damaged)
            try:
                bundles.check(path)
            except ValueError:
                pass
            else:
                assert len(damaged) == len(index)
    with pytest.raises(ValueError, match="0 of 7 data files"):
        bundles.check(write(tmp_path, entry(), shards=7))
    write(tmp_path, entry())
    (tmp_path / "ckpt-1").mkdir()
    with pytest.raises(ValueError, match="a folder of its name"):
        bundles.check(path)
