"""The manifest of a folder of records: contents of the shards, and how they were made.

Without TensorFlow, so that the converter's main process starts quickly.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any, TypedDict

import a2d_tf
from a2d_tf.core.checked_json import kind_of, load_json, number, one_of, whole
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import is_file_name, write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.ops import motion_maps

SCHEMA = 4
"""Version of the format of records, run folders and exports.

Increase it when this code can no longer read earlier files, or when frames or flow
change, so that a network never sees other input than it learned from. docs/releasing.md
says what may change.
"""
FORMAT = {"schema": SCHEMA, "written_by": a2d_tf.__version__}
"""Fields of a JSON file of records, a run or an export that say what wrote it."""
NAME = "manifest.json"
SPLITS = ("train", "test")
FACTS = {
    "flow_method": str,
    "image_height": whole(1, MAX_SIDE),
    "image_width": whole(1, MAX_SIDE),
    "clip_stride": whole(1, 1000),
}
"""Properties of the records that a network was trained on, which its inputs must share,
as of `check_json`; sizes and stride bound the memory that a video takes.
"""
MOTION_KIND = {
    "action_backbone": one_of("", *motion_maps.BACKBONE_MAPS),
    "sha256": str,
    "flow_histograms": bool,
}
"""Fields of `MotionFacts` in a JSON file."""
BOUT_SECONDS_KIND = {str: number(0.001, 1e9)}
"""Of `Manifest.bout_seconds` in a JSON file."""
_SHARD_NAME = kind_of(
    lambda value: isinstance(value, str) and is_file_name(value), "a file name"
)
_KIND = {
    **FACTS,
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


def load_current(
    path: str | os.PathLike, kind: Any, missing: str, remake: str
) -> dict[str, Any]:
    """Read a JSON file with the fields of FORMAT, as `load_json` does.

    Args:
      kind: of its other fields.
      missing, remake: the remedies for a missing or damaged file, and for one of
        another format.

    Raises:
      InputError: see `load_json`; or the file is of another format.
    """
    fields = load_json(path, {}, missing)
    schema = fields.get("schema")
    if schema != SCHEMA:
        version = fields.get("written_by", "before its release")
        raise InputError(
            f"{path}: format {schema} of a2d_tf {version}; version {a2d_tf.__version__}"
            f" reads format {SCHEMA}; {remake}, or use that version"
        )
    return load_json(path, kind, missing)


class MotionFields(TypedDict):
    """`MotionFacts` in a JSON file, of MOTION_KIND."""

    action_backbone: str
    sha256: str
    flow_histograms: bool


@dataclasses.dataclass(frozen=True)
class MotionFacts:
    """The motion maps that records have (see `ops.motion_maps`).

    Attributes:
      action_backbone: a name in `motion_maps.BACKBONE_MAPS`; '' without its maps.
      sha256: digest of its published weights; '' without one.
      flow_histograms: whether there are flow histograms.
    """

    action_backbone: str
    sha256: str
    flow_histograms: bool

    @classmethod
    def from_fields(cls, fields: MotionFields) -> MotionFacts:
        """Return the facts of a JSON file."""
        return cls(
            action_backbone=fields["action_backbone"],
            sha256=fields["sha256"],
            flow_histograms=fields["flow_histograms"],
        )


NO_MOTION = MotionFacts("", "", False)


class ShardEntry(TypedDict):
    """The manifest's entry of a shard; entries of old versions may have no `videos`."""

    name: str
    split: str
    records: int
    bytes: int
    sha256: str
    videos: list[str]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The contents of `manifest.json`.

    Attributes:
      flow_method, image_height, image_width, clip_frames, clip_stride: as of
        `clips.ConversionSettings`.
      counts: {split: {'videos', 'records', 'instances', 'pairs': {code: instances}}};
        also 'boxes_only', the instances without masks, where there are any.
      sizes: {'<height>x<width>': records}, the sizes of the stored frames.
      native_sizes: {'<height>x<width>': videos}, the sizes of the videos that have
        records.
      files: the shards.
      skipped: list of {'item', 'reason'}, what --on_error skip left out, by path in the
        release.
      repaired: list of {'item', 'note'}, the annotations with known faults that were
        repaired.
      labels: the fields of the label space, as in its JSON file.
      source: hash of the settings and of every file of the release that was read.
      motion: None without motion maps.
      bout_seconds: as of `source.Source`.
      directory: the folder it was loaded from; not part of the file.
    """

    flow_method: str
    image_height: int
    image_width: int
    clip_frames: int
    clip_stride: int
    counts: dict
    sizes: dict
    native_sizes: dict
    files: list[ShardEntry]
    skipped: list
    repaired: list
    labels: dict
    source: str
    motion: MotionFacts | None = None
    bout_seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    directory: str = ""

    @classmethod
    def load(cls, records_dir: str | os.PathLike) -> Manifest:
        """Load the manifest of a folder of records.

        Raises:
          InputError: the manifest is missing or damaged, or a shard is missing or of
            another size.
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
        """Write `manifest.json` atomically, which marks the folder as complete."""
        fields = dataclasses.asdict(self)
        del fields["directory"]
        if self.motion is None:
            del fields["motion"]
        if not self.bout_seconds:
            del fields["bout_seconds"]
        write_json(os.path.join(records_dir, NAME), {**FORMAT, **fields})

    def check_kept(self) -> None:
        """Raise InputError if the records have changed or are damaged meanwhile."""
        if Manifest.load(self.directory).source != self.source:
            raise InputError(
                f"{self.directory}: other records than when this began; build them in a"
                " folder of their own, and put these back"
            )

    @property
    def label_space(self) -> LabelSpace:
        """The label space of the codes."""
        return LabelSpace.from_fields(self.labels)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have records."""
        splits_of_shards = {file["split"] for file in self.files if file["records"]}
        return tuple(split for split in SPLITS if split in splits_of_shards)

    @property
    def trains_masks(self) -> bool:
        """Whether an instance of the training split has a mask."""
        counts = self.counts.get("train", {})
        boxes_only = counts.get("boxes_only", 0)
        return not boxes_only or boxes_only < counts["instances"]

    def videos(self, split: str) -> set[str]:
        """Return the names of a split's videos."""
        videos: set[str] = set()
        for shard in self.files:
            if shard["split"] == split:
                videos.update(shard.get("videos", ()))
        return videos

    @property
    def split_of(self) -> dict[str, str]:
        """The split of each video."""
        split_of = {}
        for split in SPLITS:
            for video in self.videos(split):
                split_of[video] = split
        return split_of

    def check_frames(self, frames: int) -> None:
        """Raise an InputError if clips have fewer frames than a network needs."""
        if self.clip_frames < frames:
            raise InputError(
                f"records have clips of {self.clip_frames} frames, but the network"
                f" needs {frames}; build them with --clip_frames={frames}, or lower"
                " --temporal_layers"
            )

    def check_motion(self, action_backbone: str, flow_histograms: bool) -> None:
        """Raise an InputError if records lack motion maps that a network needs.

        Args:
          action_backbone, flow_histograms: of the network's settings.
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
        """Return the paths of a split's shards; 'val' is in those of 'train'.

        Raises:
          InputError: the split has no records.
        """
        if split == "val":
            split = "train"
        if split not in self.splits:
            raise InputError(
                f"{self.directory}: no records for split '{split}', only for"
                f" {self.splits}; see 'usage' in videoset.csv, or 'split' in the COCO"
                " file"
            )
        paths = []
        for shard in self.files:
            if shard["split"] == split:
                paths.append(os.path.join(self.directory, shard["name"]))
        return paths
