"""Statistics of records: counts, sizes, motion."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

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

    pair_videos: dict[int, set[str]] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(set)
    )
    per_clip: collections.Counter[int] = dataclasses.field(
        default_factory=collections.Counter
    )
    videos: set[str] = dataclasses.field(default_factory=set)

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
        instances = 0
        for number, clips in self.per_clip.items():
            instances += number * clips
        return f"{len(self.videos)} videos, {self.clips} clips, {instances} instances"


class _CanvasBox(NamedTuple):
    """A box [4] on the canvas, and the (height, width) of its frame there, [2]."""

    box: np.ndarray
    frame_size: np.ndarray


class Boxes:
    """Ground-truth boxes on the network's canvas, (height, width)."""

    def __init__(self, canvas: tuple[int, int]) -> None:
        self.canvas = canvas
        self._boxes: list[_CanvasBox] = []

    def add(self, truth: ClipTruth) -> None:
        """Add the boxes of a record."""
        frame_size = np.array(fitted_size(*truth.native_size, *self.canvas))
        ratio = np.tile(frame_size / truth.native_size, 2)
        for box in truth.boxes * ratio:
            self._boxes.append(_CanvasBox(box, frame_size))

    def sides(self) -> np.ndarray:
        """Return the square root of each box's area: [N]."""
        boxes = self._arrays()[0]
        return np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))

    def overlaps(self, sizes: Sequence) -> np.ndarray:
        """Return each box's IoU with its best anchor, [N].

        `sizes` are those of the anchors, as of `anchors.generate`.
        """
        boxes, frame_sizes = self._arrays()
        return anchors.best_overlaps(boxes, frame_sizes, anchors.STRIDES, sizes)

    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes [N, 4], and the sizes of their frames [N, 2]."""
        boxes = [entry.box for entry in self._boxes]
        frame_sizes = [entry.frame_size for entry in self._boxes]
        return np.reshape(boxes, (-1, 4)), np.reshape(frame_sizes, (-1, 2))


class Deviations(NamedTuple):
    """Standard deviations over key frames: roots of the channels' mean variance.

    ImageNet's filters and norms expect RGB, and flow is many times smaller: hence
    --flow_scale.

    Attributes:
      rgb: in levels.
      flow: in pixels.
    """

    rgb: float
    flow: float


class _Moments:
    """Sums the moments of key frames, each of which has the same weight."""

    def __init__(self) -> None:
        self._rgb: list[np.ndarray] = []
        self._flow: list[np.ndarray] = []

    def add(self, fields: dict[str, np.ndarray], scale: float = 1.0) -> None:
        """Add the only frame of a record.

        Args:
          fields: as of `clip_records.parse`, with one frame.
          scale: pixels of the flow's unit by those of the record.
        """
        self._rgb.append(_moments(fields["rgb"][0]))
        self._flow.append(_moments(fields["flow"][0] * scale))

    def deviations(self) -> Deviations:
        return Deviations(_deviation(self._rgb), _deviation(self._flow))


def _moments(image: np.ndarray) -> np.ndarray:
    """Return the mean and the mean square of each channel of an image: [2, C]."""
    values = image.reshape(-1, image.shape[-1]).astype(np.float64)
    return np.stack([values.mean(axis=0), np.square(values).mean(axis=0)])


def _deviation(moments_of_frames: Sequence[np.ndarray]) -> float:
    """Return the root of the channels' mean variance over frames."""
    mean, mean_square = np.mean(moments_of_frames, axis=0)
    variances = mean_square - np.square(mean)
    return float(np.sqrt(np.mean(variances)))


@dataclasses.dataclass
class Contents:
    """Statistics of records that the settings of a run depend on.

    Attributes:
      boxes: those of the training split, on the canvas.
      deviations: of the training split's key frames, in pixels of the canvas.
      summaries: {split: Summary} of the splits that there are.
    """

    boxes: Boxes
    deviations: Deviations
    summaries: dict[str, Summary]


class InspectedRecord(NamedTuple):
    """A record: its split, fields of `clip_records.parse` as arrays, and its truth."""

    split: str
    fields: dict[str, np.ndarray]
    truth: ClipTruth


def read(
    manifest: Manifest,
    splits: Iterable[str],
    limit: int | None = None,
    decode: bool = False,
    frames: int | None = None,
    every: int = 1,
    wanted: Container[tuple[str, int]] | None = None,
) -> Iterator[InspectedRecord]:
    """Read records, shard after shard.

    Args:
      manifest, splits: which records.
      limit: largest number of records; by default all.
      decode: whether to decode frames, flow and masks; otherwise there are no fields.
      frames: number of clip frames to decode, those in the middle; by default all.
      every: only every so many records are read.
      wanted: (video, key frame) of the records to yield; by default all.

    Raises:
      InputError: there is no such split, or a shard is missing or damaged.
    """
    import tensorflow as tf  # here, so that a wrong folder is reported at once

    from a2d_tf.data import clip_records

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return clip_records.parse(serialized, frames)

    stored_records = _read_shards(manifest, splits)
    some_records = itertools.islice(stored_records, None, None, every)
    for stored in itertools.islice(some_records, limit):
        fields = {}
        with clip_records.naming(stored.shard):
            truth = clip_records.read_truth(stored.serialized)
            if wanted is not None and (truth.video, truth.frame) not in wanted:
                continue
            if decode:
                for name, tensor in parse(stored.serialized).items():
                    fields[name] = tensor.numpy()
        yield InspectedRecord(stored.split, fields, truth)


class _StoredRecord(NamedTuple):
    """A serialised record, its split, and the path of its shard."""

    split: str
    shard: str
    serialized: bytes


def _read_shards(manifest: Manifest, splits: Iterable[str]) -> Iterator[_StoredRecord]:
    """Yield the records of some splits as they are stored."""
    from a2d_tf.data import clip_records

    shards_of = {split: manifest.shards(split) for split in splits}
    for split, shards in shards_of.items():
        for shard in shards:
            for serialized in clip_records.read_shard(shard):
                yield _StoredRecord(split, shard, serialized)


def gather(manifest: Manifest, canvas: tuple[int, int]) -> Contents:
    """Read the records once; `canvas` is the network's (height, width).

    Raises:
      InputError: no training split, or none with an instance; or a damaged shard.
    """
    summaries = {split: Summary() for split in manifest.splits}
    boxes = Boxes(canvas)
    moments = _Moments()
    for record in read(manifest, ["train"], decode=True, frames=1):
        truth = record.truth
        summaries["train"].add(truth)
        boxes.add(truth)
        moments.add(record.fields, _canvas_scale(truth, canvas))
    if not summaries["train"].pair_videos:
        raise InputError(
            f"{manifest.directory}: no instances in the training split, so nothing to "
            "learn; annotate some, and rebuild the records"
        )
    other_splits = [split for split in manifest.splits if split != "train"]
    for record in read(manifest, other_splits):
        summaries[record.split].add(record.truth)
    return Contents(boxes, moments.deviations(), summaries)


def _canvas_scale(truth: ClipTruth, canvas: tuple[int, int]) -> float:
    """Return the pixels of the canvas by those of a record."""
    return min(canvas[0] / truth.size[0], canvas[1] / truth.size[1])


def sample_deviations(
    manifest: Manifest, canvas: tuple[int, int] | None = None, most: int = 256
) -> Deviations:
    """Return the deviations of some of the training split's key frames.

    Args:
      canvas: the network's (height, width), in whose pixels the flow counts; by default
        it counts in those of the stored frames.
      most: about the number of records that are decoded, evenly over the split.

    Raises:
      InputError: no training split, or a damaged shard.
    """
    every = -(-manifest.counts["train"]["records"] // most)
    moments = _Moments()
    for record in read(manifest, ["train"], decode=True, frames=1, every=every):
        scale = 1.0
        if canvas is not None:
            scale = _canvas_scale(record.truth, canvas)
        moments.add(record.fields, scale)
    return moments.deviations()


def describe_flow(deviations: Deviations, flow_scale: float, rgb_scale: float) -> str:
    """Describe how large the flow is beside RGB, as a network sees both.

    Args:
      flow_scale: factor on the flow in pixels.
      rgb_scale: what the weights divide mean-free levels by.
    """
    if not deviations.flow:
        return "flow beside RGB: nothing moves in the key frames"
    ratio = deviations.flow * flow_scale / (deviations.rgb / rgb_scale)
    return (
        f"flow beside RGB: r = {ratio:.2g} with --flow_scale={flow_scale:g}, of a"
        f" deviation of {deviations.flow:.2g} pixels; frozen batch norm is best at 1"
        " (docs/training.md, flow beside RGB)"
    )
