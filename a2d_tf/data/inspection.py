"""Statistics of records: counts, sizes, motion."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.resizing import fitted_size
from a2d_tf.ops import anchors

if TYPE_CHECKING:
    from a2d_tf.data.clip_records import ClipTruth


@dataclasses.dataclass
class Summary:
    """Counts over the records of one split.

    Attributes:
      pair_videos: {code: VIDs with an instance}.
      per_clip: {instances of a key frame: clips}.
      videos: VIDs.
    """

    pair_videos: dict = dataclasses.field(
        default_factory=lambda: collections.defaultdict(set)
    )
    per_clip: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )
    videos: set = dataclasses.field(default_factory=set)

    def add(self, truth: ClipTruth) -> None:
        """Count a record."""
        for code in truth.codes.tolist():
            self.pair_videos[code].add(truth.video)
        self.per_clip[len(truth.codes)] += 1
        self.videos.add(truth.video)

    @property
    def clips(self) -> int:
        """Number of clips."""
        return sum(self.per_clip.values())

    def counts(self) -> str:
        """Return the totals in words."""
        instances = sum(number * clips for number, clips in self.per_clip.items())
        return f"{len(self.videos)} videos, {self.clips} clips, {instances} instances"


class Boxes:
    """Ground-truth boxes on the network's canvas, (height, width)."""

    def __init__(self, canvas: tuple[int, int]) -> None:
        self.canvas = canvas
        self._boxes: list[np.ndarray] = []
        self._frames: list[np.ndarray] = []

    def add(self, truth: ClipTruth) -> None:
        """Add the boxes of a record."""
        frame = np.array(fitted_size(*truth.native_size, *self.canvas))
        self._boxes += list(truth.boxes * np.tile(frame / truth.native_size, 2))
        self._frames += [frame] * len(truth.boxes)

    def sides(self) -> np.ndarray:
        """Return the square root of each box's area: [N]."""
        boxes = np.reshape(self._boxes, (-1, 4))
        return np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))

    def overlaps(self, sizes: Sequence) -> np.ndarray:
        """Return each box's IoU with its best anchor, [N]; `sizes` as of
        `anchors.generate`.
        """
        boxes, frames = (
            np.reshape(self._boxes, (-1, 4)),
            np.reshape(self._frames, (-1, 2)),
        )
        return anchors.best_overlaps(boxes, frames, anchors.STRIDES, sizes)


@dataclasses.dataclass
class Contents:
    """Statistics of records that the settings of a run depend on.

    Attributes:
      boxes: those of the training split, on the canvas.
      deviations: {"rgb", "flow"}, standard deviations over the training split's key
        frames, in levels and in pixels of the canvas: roots of the channels' mean
        variance. ImageNet's filters and norms expect RGB, and flow is many times
        smaller: hence --flow_scale.
      summaries: {split: Summary} of the splits that there are.
    """

    boxes: Boxes
    deviations: dict[str, float]
    summaries: dict[str, Summary]


def read(
    manifest: Manifest,
    splits: Iterable[str],
    limit: int | None = None,
    decode: bool = False,
    frames: int | None = None,
) -> Iterator[tuple[str, dict[str, np.ndarray], ClipTruth]]:
    """Yield (split, fields of `clip_records.parse` as arrays, truth) of each record.

    Args:
      manifest, splits: which records.
      limit: largest number of records; by default all.
      decode: whether to decode frames, flow and masks; otherwise there are no fields.
      frames: number of clip frames to decode, those in the middle; by default all.

    Raises:
      InputError: there is no such split, or a shard is missing or damaged.
    """
    import tensorflow as tf  # here, so that a wrong folder is reported at once

    from a2d_tf.data import clip_records

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return clip_records.parse(serialized, frames)

    shards = [(split, shard) for split in splits for shard in manifest.shards(split)]
    every = ((*named, x) for named in shards for x in clip_records.read_shard(named[1]))
    for split, shard, serialized in itertools.islice(every, limit):
        with clip_records.naming(shard):
            truth = clip_records.read_truth(serialized)
            fields = parse(serialized) if decode else {}
            fields = {name: tensor.numpy() for name, tensor in fields.items()}
        yield split, fields, truth


def gather(manifest: Manifest, canvas: tuple[int, int]) -> Contents:
    """Read the records once; `canvas` is the network's (height, width).

    Raises:
      InputError: no training split, or none with an instance; or a damaged shard.
    """
    summaries = {split: Summary() for split in manifest.splits}
    boxes, moments = Boxes(canvas), collections.defaultdict(list)
    for _, fields, truth in read(manifest, ["train"], decode=True, frames=1):
        summaries["train"].add(truth)
        boxes.add(truth)
        scale = min(canvas[0] / truth.size[0], canvas[1] / truth.size[1])
        for name, image in (
            ("rgb", fields["rgb"][0]),
            ("flow", fields["flow"][0] * scale),
        ):
            values = image.reshape(-1, image.shape[-1]).astype(np.float64)
            moments[name].append([values.mean(axis=0), np.square(values).mean(axis=0)])
    if not summaries["train"].pair_videos:
        raise InputError(
            f"{manifest.directory}: no instances in the training split, so nothing to "
            "learn; annotate some, and rebuild the records"
        )
    for split, _, truth in read(manifest, {*manifest.splits} - {"train"}):
        summaries[split].add(truth)
    deviations = {}
    for name, each in moments.items():
        mean, square = np.mean(each, axis=0)
        deviations[name] = float(np.sqrt(np.mean(square - np.square(mean))))
    return Contents(boxes, deviations, summaries)
