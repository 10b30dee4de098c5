"""The manifest of a folder of records: what is in the shards, and how they were made.

It needs no TensorFlow, so that the converter's main process starts at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import struct
from collections.abc import Mapping

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import check_inside, is_file_name, read_json, write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_SIDE

SCHEMA = 3  # of the records; raise it when a reader of the old ones would go wrong
NAME = "manifest.json"
SPLITS = ("train", "test")
# What a network must know of the records that it learned from, to be fed with the like of them.
RECORD_FIELDS = ("flow_method", "image_height", "image_width", "clip_stride")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """`manifest.json`, field by field.

    Attributes:
      schema: version of the record format.
      flow_method: how the flow was computed.
      image_height, image_width: the limits that the stored frames were fitted into.
      clip_frames: T, frames per clip.
      clip_stride: source frames from one clip frame to the next.
      counts: {split: {'videos', 'records', 'instances', 'pairs': {code: instances}}}.
      sizes: {'<height>x<width>': records}, the sizes of the stored frames.
      native_sizes: {'<height>x<width>': videos}, the sizes of the videos that have records.
      durations: {number of frames: videos} of the same videos; the number is a string.
      flow_quality: {'frames', 'error_still', 'error_warped', 'gain_percent'}: over that many key
        frames, one a video, the mean absolute grey error of the previous frame against the key
        frame, as it is and warped by the quantised flow (levels of 255), and by how much the second
        is below the first; None where there is no error to lower.
      files: the shards, a list of {'name', 'split', 'records', 'bytes', 'sha256'}.
      skipped: list of {'item', 'reason'}: what --on_error skip left out, by path in the release.
      mended: list of {'item', 'note'}: annotations that were read by a rule for known quirks.
      labels: the fields of the label space, as its JSON file has them.
      source: hash of the settings and of every file of the release that was read.
      directory: where it was loaded from; not part of the file.
    """

    schema: int
    flow_method: str
    image_height: int
    image_width: int
    clip_frames: int
    clip_stride: int
    counts: dict
    sizes: dict
    native_sizes: dict
    durations: dict
    flow_quality: dict
    files: list
    skipped: list
    mended: list
    labels: dict
    source: str
    directory: str = ""

    @classmethod
    def load(cls, records_dir: str | os.PathLike) -> Manifest:
        """Read the manifest of a folder of records and look whether its shards are all there.

        Raises:
          InputError: no such folder, no manifest or a damaged one, no shards, a shard missing, of
            another size than when it was written, or not made of as many records.
        """
        folder = pathlib.Path(records_dir)
        path = folder / NAME
        if not folder.is_dir():
            raise InputError(
                f"{folder}: no such folder; --records names what build_records.py made"
            )
        if not path.is_file():
            raise InputError(
                f"{path}: no such file: the folder holds no finished records; run "
                "tools/build_records.py (again, if it was interrupted)"
            )
        try:
            fields = read_json(path)
            known = fields["schema"] == SCHEMA
            manifest = cls(**fields, directory=str(folder)) if known else None
            if known:
                manifest._check()
        except (
            AttributeError,
            KeyError,
            OSError,
            OverflowError,
            TypeError,
            ValueError,
        ) as error:
            raise InputError(
                f"{path}: damaged manifest ({error!r}); build the records again"
            ) from error
        if not known:
            raise InputError(
                f"{path}: schema {shown(fields['schema'])}, but this version reads {SCHEMA}; build "
                "the records again into a new folder"
            )
        for shard in manifest.files:
            path, size = folder / shard["name"], shard["bytes"]
            if not path.is_file():
                raise InputError(f"{path}: shard missing; build the records again")
            check_inside(path, folder, "put the shard there")
            if path.stat().st_size != size:
                raise InputError(
                    f"{path}: {path.stat().st_size} bytes instead of {size}, damaged; build the "
                    "records again"
                )
            found = count_records(path)
            if found != shard["records"]:
                raise InputError(
                    f"{path}: {found} records instead of {shard['records']}, damaged; build the "
                    "records again"
                )
        return manifest

    def _check(self):
        """Whether every field has its form; ValueError, TypeError or KeyError where one has not."""
        check_facts({name: getattr(self, name) for name in RECORD_FIELDS})
        _whole(self.clip_frames, 1)
        for sizes in (self.sizes, self.native_sizes, self.durations):
            for count in sizes.values():
                _whole(count)
        for frames in self.durations:
            _whole(int(frames), 1)
        if not self.files:
            raise ValueError("it lists no shards")
        for shard in self.files:
            if shard["split"] not in SPLITS or not is_file_name(shard["name"]):
                raise ValueError(f"shard {shown(shard)}")
            _whole(shard["bytes"])
            _whole(shard["records"])
        for split in SPLITS:
            for name in ("videos", "records", "instances"):
                _whole(self.counts[split][name])
            total = sum(shard["records"] for shard in self.files if shard["split"] == split)
            if total != self.counts[split]["records"]:
                raise ValueError(f"the shards hold {total} records of split '{split}'")
        for item in (*self.skipped, *self.mended):
            _ = item["item"]
        _ = self.label_space
        if self.flow_quality != {}:
            self.flow_report()

    def save(self, records_dir: str | os.PathLike) -> None:
        """Write `manifest.json` atomically; the folder counts as complete from then on."""
        fields = dataclasses.asdict(self)
        del fields["directory"]
        write_json(os.path.join(records_dir, NAME), fields)

    def flow_report(self) -> str:
        """One line on how well the flow explains the frames; a warning where it does not."""
        names = ("frames", "error_still", "error_warped", "gain_percent")
        frames, still, warped, gain = (self.flow_quality[name] for name in names)
        if gain is None:
            return "flow: not checked, for no key frame differs from the frame before it"
        line = (
            f"flow: a frame moved by it differs from the next by {warped:.2f} grey levels, unmoved "
            f"by {still:.2f}: {gain:+.0f} % gain, over {frames} frames"
        )
        if gain <= 0:
            line += (
                "; WARNING: it explains nothing of the motion: do the frames follow each other, is "
                "--flow_method the right one?"
            )
        return line

    @property
    def label_space(self) -> LabelSpace:
        """The `LabelSpace` of the codes."""
        return LabelSpace.from_fields(self.labels)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have records."""
        return tuple(split for split in SPLITS if self.counts[split]["records"])

    def shards(self, split: str) -> list[str]:
        """Paths of the shards of a split, in order.

        Raises:
          InputError: the split has no records.
        """
        if split not in self.splits:
            raise InputError(
                f"{self.directory}: no records of split '{split}', only of {self.splits}; "
                "'usage' in videoset.csv, or 'split' in the COCO file, says which videos are in it"
            )
        return [
            os.path.join(self.directory, shard["name"])
            for shard in self.files
            if shard["split"] == split
        ]


def check_facts(facts: Mapping) -> dict:
    """{name of RECORD_FIELDS: value}, if each is in its range; else ValueError or KeyError.

    Sizes and the stride decide how much memory a video takes.
    """
    if not isinstance(facts["flow_method"], str):
        raise ValueError(f"flow_method {shown(facts['flow_method'])}")
    for name in ("image_height", "image_width"):
        _whole(facts[name], 1, MAX_SIDE)
    _whole(facts["clip_stride"], 1, 1000)
    return {name: facts[name] for name in RECORD_FIELDS}


def _whole(number, least=0, most=2**53):
    if type(number) is not int or not least <= number <= most:
        raise ValueError(f"{shown(number)} is no whole number from {least} to {most}")


def count_records(path: str | os.PathLike) -> int:
    """How many records a TFRecord file is made of.

    Raises:
      InputError: a record is longer than the rest of the file.
    """
    count, left = whole_records(path)
    if left:
        raise InputError(
            f"{path}: damaged records (record {count + 1} is longer than the file); build them "
            "again"
        )
    return count


def whole_records(path: str | os.PathLike) -> tuple[int, int]:
    """(how many whole records a TFRecord file begins with, how many bytes are left after them).

    TensorFlow takes the memory that a record's length names before it reads the record, and dies
    where there is not so much; here a length is believed only where the bytes are there.
    """
    left, count = os.stat(path).st_size, 0
    with open(path, "rb") as file:
        while left:
            header = file.read(12)  # the length, its checksum; then the record and its checksum
            length = struct.unpack("<Q", header[:8])[0] + 16 if len(header) == 12 else left + 1
            if length > left:
                break
            file.seek(length - 12, os.SEEK_CUR)
            left, count = left - length, count + 1
    return count, left


def file_digest(path: str | os.PathLike) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
