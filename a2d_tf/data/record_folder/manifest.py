"""The manifest of a folder of records: contents of the shards, and how they were made.

Without TensorFlow, so that the converter's main process starts quickly.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any, TypedDict

from a2d_tf.core.checked_json import kind_of, number, one_of, whole
from a2d_tf.core.errors import InputError
from a2d_tf.core.file_format import FORMAT, load_current
from a2d_tf.core.files import is_file_name, write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.data.record_folder.motion_facts import MOTION_KIND, NO_MOTION, MotionFacts

NAME = "manifest.json"
SPLITS = ("train", "test")
INPUT_SETTINGS = {
    "flow_method": str,
    "image_height": whole(1, MAX_SIDE),
    "image_width": whole(1, MAX_SIDE),
    "clip_stride": whole(1, 1000),
}
"""{setting of the records: its kind, see `check_json`}.

A network's inputs must have the same settings as the records that it was trained on.
The limits bound the memory that a video takes.
"""
BOUT_SECONDS_KIND = {str: number(0.001, 1e9)}
"""The kind of `Manifest.bout_seconds` in a JSON file."""
_SHARD_NAME = kind_of(
    lambda value: isinstance(value, str) and is_file_name(value), "a file name"
)
_KIND = {
    **INPUT_SETTINGS,
    "clip_frames": whole(1),
    "counts": dict,
    "sizes": dict,
    "native_sizes": dict,
    "files": [
        {
            "name": _SHARD_NAME,
            "split": one_of(*SPLITS),
            "records": whole(),
            "bytes": whole(),
            "videos?": [str],
        }
    ],
    "skipped": [{"item": str, "reason": str}],
    "repaired": [{"item": str, "note": str}],
    "labels": LabelSpace.from_fields,
    "source": str,
    "motion?": MOTION_KIND,
    "bout_seconds?": BOUT_SECONDS_KIND,
}


class _Counts(TypedDict):
    """The counts that every split has."""

    videos: int
    records: int
    instances: int
    pairs: dict[str, int]


class SplitCounts(_Counts, total=False):
    """How much a split of the records contains.

    Attributes:
      videos: number of videos that have records.
      records: number of records, one for each annotated frame.
      instances: number of annotated instances.
      pairs: {code of an actor-action pair, as text: number of its instances}.
      boxes_only: number of instances without masks; absent if all have masks.
    """

    boxes_only: int


NO_COUNTS = SplitCounts(videos=0, records=0, instances=0, pairs={})


class SkippedItem(TypedDict):
    """A file that was left out of the records.

    Attributes:
      item: path of the file in the folder of the source, or name of its listing.
      reason: the error message.
    """

    item: str
    reason: str


class RepairedItem(TypedDict):
    """An annotation with a known fault that was repaired.

    Attributes:
      item: path of the annotation in the folder of the source.
      note: what was repaired, and how.
    """

    item: str
    note: str


class ShardEntry(TypedDict):
    """The manifest's entry of a shard.

    Attributes:
      name: name of the file in the folder of records.
      split: 'train' or 'test'.
      records: number of records in the file.
      bytes: size of the file.
      sha256: digest of the file, hexadecimal.
      videos: names of its videos; entries of old versions may lack this.
    """

    name: str
    split: str
    records: int
    bytes: int
    sha256: str
    videos: list[str]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The contents of `manifest.json`: what records there are, and how they were made.

    Attributes:
      flow_method: method by which flow was computed, one of `flow.METHODS`.
      image_height, image_width: largest size of the stored frames, pixels.
      clip_frames: number of frames of each clip.
      clip_stride: distance of a clip's neighbouring frames, in frames of the video.
      counts: {split: how many videos, records and instances it contains}.
      sizes: {'<height>x<width>': number of records}, the sizes of the stored frames.
      native_sizes: {'<height>x<width>': number of videos}, the sizes of the videos that
        have records.
      files: an entry for each shard.
      skipped: the files that --on_error=skip left out.
      repaired: annotations whose known faults were repaired.
      labels: the fields of the label space, as in its JSON file.
      source: hash of the settings and of every file that the records were made from.
      motion: which motion maps the records have; None for records without motion maps.
      bout_seconds: {action: mean length of its coded bouts in training videos,
        seconds}; empty without coded times.
      directory: the folder that the manifest was loaded from; it is not in the file.
    """

    flow_method: str
    image_height: int
    image_width: int
    clip_frames: int
    clip_stride: int
    counts: dict[str, SplitCounts]
    sizes: dict[str, int]
    native_sizes: dict[str, int]
    files: list[ShardEntry]
    skipped: list[SkippedItem]
    repaired: list[RepairedItem]
    labels: dict[str, Any]
    source: str
    motion: MotionFacts | None = None
    bout_seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    directory: str = ""

    @classmethod
    def load(cls, records_dir: str | os.PathLike) -> Manifest:
        """Load the manifest of a folder of records, and check that its shards exist.

        Args:
          records_dir: the folder of records.

        Raises:
          InputError: the manifest is missing, damaged or of another version, or a shard
            is missing or of another size.
        """
        folder = pathlib.Path(records_dir)
        remedy = "build the records with a2d records; delete a damaged folder first"
        again = "delete the folder, and build it with a2d records"
        fields = load_current(folder / NAME, _KIND, remedy, again)
        motion = None
        if "motion" in fields:
            motion = MotionFacts.from_fields(fields["motion"])
        manifest = cls(
            flow_method=fields["flow_method"],
            image_height=fields["image_height"],
            image_width=fields["image_width"],
            clip_frames=fields["clip_frames"],
            clip_stride=fields["clip_stride"],
            counts=fields["counts"],
            sizes=fields["sizes"],
            native_sizes=fields["native_sizes"],
            files=fields["files"],
            skipped=fields["skipped"],
            repaired=fields["repaired"],
            labels=fields["labels"],
            source=fields["source"],
            motion=motion,
            bout_seconds=fields.get("bout_seconds", {}),
            directory=str(folder),
        )
        for shard in manifest.files:
            path = folder / shard["name"]
            expected = f"bytes instead of {shard['bytes']}; {again}"
            if not path.is_file():
                raise InputError(f"{path}: missing, 0 {expected}")
            size = path.stat().st_size
            if size != shard["bytes"]:
                raise InputError(f"{path}: {size} {expected}")
        return manifest

    def save(self, records_dir: str | os.PathLike) -> None:
        """Write `manifest.json` atomically, which marks the folder as complete.

        Args:
          records_dir: the folder of records.
        """
        fields = dataclasses.asdict(self)
        del fields["directory"]
        if self.motion is None:
            del fields["motion"]
        if not self.bout_seconds:
            del fields["bout_seconds"]
        write_json(os.path.join(records_dir, NAME), {**FORMAT, **fields})

    def check_kept(self) -> None:
        """Check that the folder still holds the records whose manifest this is.

        Two sets of records are the same if their `source` digests are equal: they were
        made with the same settings from the same files.

        Raises:
          InputError: the folder holds other records, its manifest cannot be read, or a
            file of records is missing or of another size.
        """
        if Manifest.load(self.directory).source != self.source:
            raise InputError(
                f"{self.directory}: other records than when this began; build them in a"
                " folder of their own, and put these back"
            )

    @property
    def label_space(self) -> LabelSpace:
        """The actors, actions and valid pairs of the records."""
        return LabelSpace.from_fields(self.labels)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have records, of 'train' and 'test', in this order."""
        splits_of_shards = {file["split"] for file in self.files if file["records"]}
        return tuple(split for split in SPLITS if split in splits_of_shards)

    @property
    def trains_masks(self) -> bool:
        """Whether at least one instance of the training split has a mask."""
        counts = self.counts.get("train", NO_COUNTS)
        boxes_only = counts.get("boxes_only", 0)
        return not boxes_only or boxes_only < counts["instances"]

    def videos(self, split: str) -> set[str]:
        """Return the names of the videos in a split, 'train' or 'test'."""
        videos: set[str] = set()
        for shard in self.files:
            if shard["split"] == split:
                videos.update(shard.get("videos", ()))
        return videos

    @property
    def split_of(self) -> dict[str, str]:
        """The split of each video: {name of a video: 'train' or 'test'}."""
        split_of = {}
        for split in SPLITS:
            for video in self.videos(split):
                split_of[video] = split
        return split_of

    def check_frames(self, frames: int) -> None:
        """Check that the clips are long enough for a network.

        Args:
          frames: number of frames of a clip that the network needs.

        Raises:
          InputError: clips have fewer frames.
        """
        if self.clip_frames < frames:
            raise InputError(
                f"records have clips of {self.clip_frames} frames, but the network"
                f" needs {frames}; build them with --clip_frames={frames}, or lower"
                " --temporal_layers"
            )

    def check_motion(self, action_backbone: str, flow_histograms: bool) -> None:
        """Check that the records have the motion maps that a network needs.

        Args:
          action_backbone: name of the network's action backbone, such as 'i3d'; empty
            if it has none.
          flow_histograms: whether the network reads flow histograms.

        Raises:
          InputError: the records lack some of these maps.
        """
        motion = self.motion or NO_MOTION
        missing = []
        if action_backbone not in ("", motion.action_backbone):
            missing.append(f"--action_backbone={action_backbone}")
        if flow_histograms and not motion.flow_histograms:
            missing.append("--flow_histograms")
        if missing:
            flags = " ".join(missing)
            raise InputError(
                f"{self.directory}: records without the motion maps of {flags}; build"
                f" them with a2d records {flags} in another folder, or switch these"
                " settings off"
            )

    def shards(self, split: str) -> list[str]:
        """Return the paths of the shards that hold a split.

        Args:
          split: 'train', 'test', or 'val', whose videos are in the shards of 'train'.

        Raises:
          InputError: the split has no records.
        """
        if split == "val":
            split = "train"
        if split not in self.splits:
            raise InputError(
                f"{self.directory}: no records for split '{split}', only for"
                f" {self.splits}; see 'usage' in videoset.csv, 'split' in a COCO file,"
                " or --test_videos"
            )
        paths = []
        for shard in self.files:
            if shard["split"] == split:
                paths.append(os.path.join(self.directory, shard["name"]))
        return paths
