"""The manifest of a folder of records: what is in the shards, and how they were made.

It needs no TensorFlow, so that the converter's main process starts at once.
"""

import dataclasses
import hashlib
import json
import os
import pathlib

from a2d_tf.errors import InputError
from a2d_tf.files import write_json
from a2d_tf.labels import LabelSpace

SCHEMA = 2  # of the records; raise it when a reader of the old ones would go wrong
NAME = "manifest.json"
SPLITS = ("train", "test")


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
        frame, as it is and warped by the stored flow (levels of 255), and by how much the second
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
    def load(cls, records_dir):
        """Read the manifest of a folder of records and look whether its shards are all there.

        Raises:
          InputError: no such folder, no manifest or a damaged one, no shards, a shard missing or
            of another size than when it was written.
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
            fields = json.loads(path.read_text(encoding="utf-8"))
            known = fields["schema"] == SCHEMA
            manifest = cls(**fields, directory=str(folder)) if known else None
            if known:
                manifest._check()
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{path}: damaged manifest ({error!r}); build the records again"
            ) from error
        if not known:
            raise InputError(
                f"{path}: schema {fields['schema']!r}, but this version reads {SCHEMA}; build the "
                "records again into a new folder"
            )
        sizes = {folder / shard["name"]: shard["bytes"] for shard in manifest.files}
        for shard, size in sizes.items():
            if not shard.is_file():
                raise InputError(f"{shard}: shard missing; build the records again")
            if shard.stat().st_size != size:
                raise InputError(
                    f"{shard}: {shard.stat().st_size} bytes instead of {size}, damaged; build the "
                    "records again"
                )
        return manifest

    def _check(self):
        """Whether every field has its form; ValueError, TypeError or KeyError where one has not."""
        for name in ("image_height", "image_width", "clip_frames", "clip_stride"):
            _whole(getattr(self, name), 1)
        for sizes in (self.sizes, self.native_sizes, self.durations):
            for count in sizes.values():
                _whole(count)
        for frames in self.durations:
            _whole(int(frames), 1)
        if not self.files:
            raise ValueError("it lists no shards")
        for shard in self.files:
            if shard["split"] not in SPLITS or not isinstance(shard["name"], str):
                raise ValueError(f"shard {shard}")
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

    def save(self, records_dir):
        """Write `manifest.json` atomically; the folder counts as complete from then on."""
        fields = dataclasses.asdict(self)
        del fields["directory"]
        write_json(os.path.join(records_dir, NAME), fields)

    def flow_report(self):
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
    def label_space(self):
        """The `LabelSpace` of the codes."""
        return LabelSpace.from_fields(self.labels)

    @property
    def splits(self):
        """The splits that have records."""
        return tuple(split for split in SPLITS if self.counts[split]["records"])

    def shards(self, split):
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


def _whole(number, least=0):
    if type(number) is not int or number < least:
        raise ValueError(f"{number!r} is no whole number from {least} on")


def file_digest(path):
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
