"""Statistics of records that the settings of a run depend on."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.data.preparation.resizing import fitted_size
from a2d_tf.data.record_folder.deviations import Deviations, Moments, canvas_scale
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.read_records import read_records
from a2d_tf.ops import anchors

if TYPE_CHECKING:
    from a2d_tf.data.clip_records import ClipTruth


@dataclasses.dataclass
class Summary:
    """Counts of what the records of one split show.

    Attributes:
      pair_videos: {code, the number of an actor-action pair: names of the videos with
        an instance of it}.
      per_clip: {number of instances: number of key frames with so many}.
      videos: names of the videos.
    """

    pair_videos: dict[int, set[str]] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(set)
    )
    per_clip: collections.Counter[int] = dataclasses.field(
        default_factory=collections.Counter
    )
    videos: set[str] = dataclasses.field(default_factory=set)

    def add(self, truth: ClipTruth) -> None:
        """Count a record and the instances of its key frame."""
        for code in truth.codes.tolist():
            self.pair_videos[code].add(truth.video)
        self.per_clip[len(truth.codes)] += 1
        self.videos.add(truth.video)

    @property
    def clips(self) -> int:
        """Number of clips that were counted; each has one key frame."""
        return sum(self.per_clip.values())

    def counts(self) -> str:
        """Describe the totals, such as '9 videos, 40 clips, 61 instances'."""
        instances = 0
        for number, clips in self.per_clip.items():
            instances += number * clips
        return f"{len(self.videos)} videos, {self.clips} clips, {instances} instances"


class _CanvasBox(NamedTuple):
    """A box [4] on the canvas, and the (height, width) of its frame there, [2]."""

    box: np.ndarray
    frame_size: np.ndarray


class Boxes:
    """The ground-truth boxes of records, as they lie on the network's canvas.

    Suggested anchor sizes follow from them.

    Args:
      canvas: (height, width) of the network's input, pixels.
    """

    def __init__(self, canvas: tuple[int, int]) -> None:
        self.canvas = canvas
        self._boxes: list[_CanvasBox] = []

    def add(self, truth: ClipTruth) -> None:
        """Add the boxes of a record's key frame, resized to fit the canvas with it."""
        frame_size = np.array(fitted_size(*truth.native_size, *self.canvas))
        ratio = np.tile(frame_size / truth.native_size, 2)
        for box in truth.boxes * ratio:
            self._boxes.append(_CanvasBox(box, frame_size))

    def sides(self) -> np.ndarray:
        """Return the root of each box's area, in pixels of the canvas: float [N]."""
        boxes = self._arrays()[0]
        return np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))

    def overlaps(self, sizes: Sequence) -> np.ndarray:
        """Return the largest IoU of each box with any anchor: float [N], 0 to 1.

        Args:
          sizes: for each of the pyramid's levels, the sides of its anchors in pixels,
            as `anchors.generate` takes them.
        """
        boxes, frame_sizes = self._arrays()
        return anchors.best_overlaps(boxes, frame_sizes, anchors.STRIDES, sizes)

    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes [N, 4], and the sizes of their frames [N, 2]."""
        boxes = [entry.box for entry in self._boxes]
        frame_sizes = [entry.frame_size for entry in self._boxes]
        return np.reshape(boxes, (-1, 4)), np.reshape(frame_sizes, (-1, 2))


@dataclasses.dataclass
class Contents:
    """Statistics of records that the settings of a run depend on.

    Attributes:
      boxes: boxes of the training split, on the canvas.
      deviations: deviations of the training split's key frames; flow is in pixels of
        the canvas.
      summaries: {split: its counts}, for the splits that have records.
    """

    boxes: Boxes
    deviations: Deviations
    summaries: dict[str, Summary]


def gather(manifest: Manifest, canvas: tuple[int, int]) -> Contents:
    """Read all records once and gather the statistics that settings depend on.

    Args:
      manifest: manifest of the records.
      canvas: (height, width) of the network's input, pixels.

    Raises:
      InputError: there is no training split, it has no instance, or a shard is damaged.
    """
    summaries = {split: Summary() for split in manifest.splits}
    boxes = Boxes(canvas)
    moments = Moments()
    for record in read_records(manifest, ["train"], decode=True, frames=1):
        truth = record.truth
        summaries["train"].add(truth)
        boxes.add(truth)
        moments.add(record.fields, canvas_scale(truth, canvas))
    if not summaries["train"].pair_videos:
        raise InputError(
            f"{manifest.directory}: no instances in the training split, so nothing to "
            "learn; annotate some, and rebuild the records"
        )
    other_splits = [split for split in manifest.splits if split != "train"]
    for record in read_records(manifest, other_splits):
        summaries[record.split].add(record.truth)
    return Contents(boxes, moments.deviations(), summaries)
