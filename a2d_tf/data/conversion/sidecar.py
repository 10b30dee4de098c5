"""The sidecar of a finished shard: a JSON file that describes it for the manifest."""

from __future__ import annotations

import dataclasses
from typing import Any

from a2d_tf.core.checked_json import load_json
from a2d_tf.core.files import Path, write_json
from a2d_tf.data.clip_record import ClipRecord
from a2d_tf.data.record_folder.manifest import RepairedItem, SkippedItem

_KIND = {
    "fingerprint": str,
    "clips": [
        {
            "video": str,
            "split": str,
            "size": str,
            "native_size": str,
            "codes": [int],
            "boxes_only": int,
        }
    ],
    "skipped": [{"item": str, "reason": str}],
    "repaired": [{"item": str, "note": str}],
    "bytes": int,
    "sha256": str,
}


@dataclasses.dataclass(frozen=True)
class ClipSummary:
    """The properties of a clip that the manifest counts.

    Attributes:
      video: name of the clip's video.
      split: 'train' or 'test'.
      size: size of the stored frames in pixels, '<height>x<width>'.
      native_size: size of the video in pixels, '<height>x<width>'.
      codes: number of each instance's actor-action pair, see `LabelSpace`.
      boxes_only: number of instances without masks.
    """

    video: str
    split: str
    size: str
    native_size: str
    codes: list[int]
    boxes_only: int

    @classmethod
    def of(cls, clip: ClipRecord) -> ClipSummary:
        """Return the summary of a clip that is about to be written."""
        annotation = clip.annotation
        height, width = clip.rgb[0].shape[:2]
        native_height, native_width = annotation.label_map.shape
        return cls(
            video=clip.video,
            split=clip.split,
            size=f"{height}x{width}",
            native_size=f"{native_height}x{native_width}",
            codes=annotation.codes.tolist(),
            boxes_only=int((~annotation.has_mask).sum()),
        )

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> ClipSummary:
        """Convert the fields of a JSON file, {attribute: value}, to a summary."""
        return cls(
            video=fields["video"],
            split=fields["split"],
            size=fields["size"],
            native_size=fields["native_size"],
            codes=fields["codes"],
            boxes_only=fields["boxes_only"],
        )


@dataclasses.dataclass
class Sidecar:
    """The description of a finished shard, in a JSON file beside it.

    Attributes:
      fingerprint: hash of the settings and of all files that the shard was made from.
      clips: a summary for each record, in the order of the shard.
      skipped: the files that were left out, each with the reason.
      repaired: the annotations that were repaired, each with a note.
      bytes: size of the shard's file.
      sha256: digest of the shard's file, hexadecimal.
    """

    fingerprint: str
    clips: list[ClipSummary] = dataclasses.field(default_factory=list)
    skipped: list[SkippedItem] = dataclasses.field(default_factory=list)
    repaired: list[RepairedItem] = dataclasses.field(default_factory=list)
    bytes: int = 0
    sha256: str = ""

    def to_fields(self) -> dict[str, Any]:
        """Convert the sidecar to fields of a JSON file, {attribute: value}."""
        return dataclasses.asdict(self)

    def save(self, path: Path) -> None:
        """Write the sidecar to a JSON file."""
        write_json(path, self.to_fields())

    @classmethod
    def load(cls, path: Path) -> Sidecar:
        """Read a sidecar from a JSON file.

        Raises:
          InputError: the file is missing or damaged.
        """
        return cls.from_fields(load_json(path, _KIND, "build the shard"))

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Sidecar:
        """Convert the fields of a JSON file, {attribute: value}, to a sidecar."""
        return cls(
            fingerprint=fields["fingerprint"],
            clips=[ClipSummary.from_fields(clip) for clip in fields["clips"]],
            skipped=fields["skipped"],
            repaired=fields["repaired"],
            bytes=fields["bytes"],
            sha256=fields["sha256"],
        )
