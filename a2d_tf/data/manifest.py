"""The manifest of a folder of records: contents of the shards, and how they were made.

Without TensorFlow, so that the converter's main process starts quickly.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import struct
from collections.abc import Mapping

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import check_inside, is_file_name, read_json, write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_SIDE

SCHEMA = 3  # of the records; increase it if they become incompatible with older readers
NAME = "manifest.json"
SPLITS = ("train", "test")
# Properties of the records that a network was trained on, which its inputs must share.
RECORD_FIELDS = ("flow_method", "image_height", "image_width", "clip_stride")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The contents of `manifest.json`.

    Attributes:
      schema: version of the record format.
      flow_method: method of optical flow.
      image_height, image_width: size that the stored frames were resized to fit into.
      clip_frames: T, frames per clip.
      clip_stride: source frames from one clip frame to the next.
      counts: {split: {'videos', 'records', 'instances', 'pairs': {code: instances}}}.
      sizes: {'<height>x<width>': records}, the sizes of the stored frames.
      native_sizes: {'<height>x<width>': videos}, the sizes of the videos that have records.
      durations: {number of frames: videos} of the same videos; the number is a string.
      flow_quality: {'frames', 'error_still', 'error_warped', 'gain_percent'}: mean absolute grey
        error (levels of 255) between the previous frame and the key frame, as it is and warped by
        the quantised flow, over `frames` key frames, one per video; and the relative decrease of
        the error, None if there is no error.
      files: the shards, a list of {'name', 'split', 'records', 'bytes', 'sha256'}.
      skipped: list of {'item', 'reason'}, what --on_error skip left out, by path in the release.
      mended: list of {'item', 'note'}, the annotations with known faults that were repaired.
      labels: the fields of the label space, as in its JSON file.
      source: hash of the settings and of every file of the release that was read.
      directory: the folder it was loaded from; not part of the file.
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
        """Load the manifest and verify each shard's presence, size and record count.

        Raises:
          InputError: no such folder, no manifest or a damaged one, or a damaged or missing shard.
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
            current = fields["schema"] == SCHEMA
            manifest = cls(**fields, directory=str(folder)) if current else None
            if manifest:
                manifest._check()
        except (AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: damaged manifest ({error!r}); build the records again"
            ) from error
        if manifest is None:
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
            count = count_records(path)
            if count != shard["records"]:
                raise InputError(
                    f"{path}: {count} records instead of {shard['records']}, damaged; build the "
                    "records again"
                )
        return manifest

    def _check(self):
        """Raise a ValueError, TypeError or KeyError if a field is malformed."""
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
        """Write `manifest.json` atomically, which marks the folder as complete."""
        fields = dataclasses.asdict(self)
        del fields["directory"]
        write_json(os.path.join(records_dir, NAME), fields)

    def flow_report(self) -> str:
        """Describe in a line how well the flow explains the motion; warn if it does not."""
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
        """The label space of the codes."""
        return LabelSpace.from_fields(self.labels)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have records."""
        return tuple(split for split in SPLITS if self.counts[split]["records"])

    def check_frames(self, frames: int) -> None:
        """Raise an InputError if the clips are shorter than a network's temporal field."""
        if self.clip_frames < frames:
            raise InputError(
                f"records hold clips of {self.clip_frames} frames, but the network looks at "
                f"{frames} (2 x temporal_layers + 1): build them again with "
                f"--clip_frames={frames}, or lower --temporal_layers"
            )

    def shards(self, split: str) -> list[str]:
        """Return the paths of a split's shards, in order.

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
    """Return the RECORD_FIELDS of a dict; raise a ValueError or KeyError if one is out of range.

    Sizes and stride bound the memory that a video takes.
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
    """Count the records of a TFRecord file.

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
    """Return (number of complete records in a TFRecord file, number of bytes after them).

    TensorFlow allocates a record's claimed length before it reads it, which can exhaust memory.
    Here a length is accepted only if the file has as many bytes.
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
