"""Statistics of records: counts, sizes, motion, rare labels; as text and as a chart."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.flow import fit
from a2d_tf.data.manifest import Manifest
from a2d_tf.ops import anchors
from a2d_tf.ops.visualize import figure_png, label_axes

if TYPE_CHECKING:
    from a2d_tf.data.records import ClipTruth

COLOURS = {"train": "#33658a", "test": "#f26419"}
IOUS = (anchors.ROI_POSITIVE_IOU, anchors.POSITIVE_IOU)
"""IoU at which a RoI, and at which an anchor, is positive."""
FEW_VIDEOS = 3
FEW_INSTANCES = 10
"""Rules of thumb: a label of one or two videos is learned as their backgrounds and colours."""
STILL = 0.05
"""Pixels a frame below which nothing can be said to move: flow of 8 bits, on compressed video."""
_SIZES = 6  # frame sizes shown by name; A2D has dozens, most of them of one video
_NAMED = 12  # labels of a line
_BOUNDS = (0, 8, 16, 32, 64, 128, np.inf)  # square root of a box's area, in pixels


@dataclasses.dataclass
class Summary:
    """Counts over the records of one split.

    Attributes:
      pairs: {code: instances}.
      pair_videos: {code: VIDs with an instance}.
      areas: area of each instance's box, as a fraction of its frame.
      per_clip: {instances of a key frame: clips}.
      videos: {VID: (height, width)}.
    """

    pairs: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    pair_videos: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(set))
    areas: list = dataclasses.field(default_factory=list)
    per_clip: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    videos: dict = dataclasses.field(default_factory=dict)

    def add(self, truth: ClipTruth) -> None:
        """Count a record."""
        codes = truth.codes.tolist()
        self.pairs.update(codes)
        for code in set(codes):
            self.pair_videos[code].add(truth.video)
        self.per_clip[len(codes)] += 1
        self.videos[truth.video] = truth.native_size
        sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
        self.areas += (sides.prod(axis=1) / np.prod(truth.native_size)).tolist()

    @property
    def clips(self) -> int:
        """Number of clips."""
        return sum(self.per_clip.values())

    def counts(self) -> str:
        """Return the totals in words."""
        return f"{len(self.videos)} videos, {self.clips} clips, {len(self.areas)} instances"


class Boxes:
    """Ground-truth boxes on the network's canvas, (height, width)."""

    def __init__(self, canvas: tuple[int, int]) -> None:
        self.canvas = canvas
        self._boxes: list[np.ndarray] = []
        self._frames: list[np.ndarray] = []

    def add(self, truth: ClipTruth) -> None:
        """Add the boxes of a record."""
        frame = np.array(fit(*truth.native_size, *self.canvas))
        self._boxes += list(truth.boxes * np.tile(frame / truth.native_size, 2))
        self._frames += [frame] * len(truth.boxes)

    def sides(self) -> np.ndarray:
        """Return the square root of each box's area: [N]."""
        boxes = np.reshape(self._boxes, (-1, 4))
        return np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))

    def overlaps(self, sizes: Sequence) -> np.ndarray:
        """Return each box's IoU with its best anchor, [N]; `sizes` as of `anchors.generate`."""
        boxes, frames = np.reshape(self._boxes, (-1, 4)), np.reshape(self._frames, (-1, 2))
        return anchors.best_overlaps(boxes, frames, anchors.STRIDES, sizes)


class InputScale:
    """Running moments of RGB and flow over the key frames of records.

    A motion backbone with ImageNet's weights has filters, and frozen norms, for photographs, but
    flow in pixels is many times smaller than mean-subtracted RGB: hence --flow_scale.
    """

    def __init__(self) -> None:
        self._moments = {name: np.zeros((3, size)) for name, size in (("rgb", 3), ("flow", 2))}

    def add(self, rgb: np.ndarray, flow: np.ndarray) -> None:
        """Add a key frame: RGB 0..255 [h, w, 3] and flow (u, v) in pixels [h, w, 2]."""
        for name, image in (("rgb", rgb), ("flow", flow)):
            values = np.reshape(image, (-1, image.shape[-1])).astype(np.float64)
            count = np.full(values.shape[1], len(values))
            self._moments[name] += [count, values.sum(axis=0), np.square(values).sum(axis=0)]

    def deviation(self, name: str) -> float:
        """Return the standard deviation of 'rgb' or 'flow', with the channels' mean variance."""
        count, total, squares = self._moments[name]
        return float(np.sqrt(np.mean(squares / count - np.square(total / count))))


@dataclasses.dataclass
class Contents:
    """What the settings of a run depend on in its records.

    Attributes:
      boxes: those of the training split, on the canvas.
      inputs: RGB and flow of the training split's key frames, flow in pixels of the canvas.
      speeds: of the training split's instances, pixels of the canvas a frame; without those on the
        first frame of a video, which has no flow.
      summaries: {split: Summary} of the splits that there are.
    """

    boxes: Boxes
    inputs: InputScale
    speeds: list[float]
    summaries: dict[str, Summary]


def read(
    shards: Iterable[tuple[str, str]],
    limit: int | None = None,
    decode: bool = False,
    frames: int | None = None,
) -> Iterator[tuple[str, dict[str, np.ndarray], ClipTruth]]:
    """Yield (split, fields of `records.parse` as arrays, truth) of each record.

    Args:
      shards: (split, path) of each shard.
      limit: largest number of records; by default all.
      decode: whether to decode frames, flow and masks; otherwise there are no fields.
      frames: number of clip frames to decode, those in the middle; by default all.

    Raises:
      InputError: a shard is missing or damaged.
    """
    import tensorflow as tf  # here, so that a wrong folder is reported at once

    from a2d_tf.data import records

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def parse(serialized):
        return records.parse(serialized, frames)

    every = ((*named, x) for named in shards for x in records.read_shard(named[1]))
    for split, shard, serialized in itertools.islice(every, limit):
        with records.naming(shard):
            truth = records.read_truth(serialized)
            fields = parse(serialized) if decode else {}
            fields = {name: tensor.numpy() for name, tensor in fields.items()}
        yield split, fields, truth


def gather(manifest: Manifest, canvas: tuple[int, int]) -> Contents:
    """Read the records once; `canvas` is the network's (height, width).

    Raises:
      InputError: no training split, or none with an instance; or a damaged shard.
    """
    summaries = {split: Summary() for split in manifest.splits}
    contents = Contents(Boxes(canvas), InputScale(), [], summaries)
    shards = [("train", shard) for shard in manifest.shards("train")]
    for _, fields, truth in read(shards, decode=True, frames=1):
        summaries["train"].add(truth)
        contents.boxes.add(truth)
        scale = min(canvas[0] / truth.size[0], canvas[1] / truth.size[1])
        flow = fields["flow"][0] * scale
        contents.inputs.add(fields["rgb"][0], flow)
        if truth.frame > 1:
            contents.speeds += speeds(flow, fields["masks"])
    if not summaries["train"].areas:
        raise InputError(
            f"{manifest.directory}: no instance in the training split, so there is nothing to "
            "learn; annotate some, and build the records again"
        )
    if "test" in manifest.splits:
        for _, _, truth in read([("test", shard) for shard in manifest.shards("test")]):
            summaries["test"].add(truth)
    return contents


def speeds(flow: np.ndarray, masks: np.ndarray) -> list[float]:
    """Return the mean length of flow in each instance.

    Args:
      flow: float [h, w, 2], (u, v) in pixels; masks: 0/1 [N, h, w], those empty give nothing.
    """
    lengths = np.linalg.norm(flow, axis=-1)
    return [float(lengths[mask != 0].mean()) for mask in masks if mask.any()]


def describe(
    summaries: Mapping[str, Summary], durations: Mapping[str, int], label_space: LabelSpace
) -> list[str]:
    """Summarise the records in lines of text.

    Args:
      summaries: {split: Summary}.
      durations: {frames of a video: videos}, the manifest's.
      label_space: names the codes.
    """
    lines = []
    for split, summary in summaries.items():
        lines.append(
            f"{split}: {summary.counts()}, {len(summary.pairs)} of {len(label_space.codes)} pairs"
        )
        sizes = collections.Counter(f"{size[0]}x{size[1]}" for size in summary.videos.values())
        named = ", ".join(f"{name} ({count})" for name, count in sizes.most_common(_SIZES))
        more = f" and {len(sizes) - _SIZES} more" if len(sizes) > _SIZES else ""
        lines.append(f"  frames, height x width (videos): {named}{more}")
        if not summary.areas:
            continue
        for word, sign in (("most", -1), ("fewest", 1)):
            ranked = sorted(label_space.codes, key=lambda code: sign * summary.pairs[code])
            named = ", ".join(f"{label_space.name(c)} {summary.pairs[c]}" for c in ranked[:4])
            lines.append(f"  {word} instances: {named}")
        mean = len(summary.areas) / summary.clips
        least, most = min(summary.per_clip), max(summary.per_clip)
        lines.append(f"  instances a clip: {least} to {most}, mean {mean:.1f}")
        low, middle, high = 100 * np.quantile(summary.areas, [0.05, 0.5, 0.95])
        lines.append(
            f"  box area: median {middle:.2g} % of the frame, nine in ten {low:.2g} to {high:.2g} %"
        )
    lengths = sorted(n for frames, videos in durations.items() for n in [int(frames)] * videos)
    if lengths:
        middle = lengths[(len(lengths) - 1) // 2]
        lines.append(f"all videos: {lengths[0]} to {lengths[-1]} frames, median {middle}")
    return lines


def describe_anchors(boxes: Boxes, variants: Mapping[str, Sequence]) -> list[str]:
    """Format the recall of each variant, {name: anchor sizes}, over all boxes and by size."""
    height, width = boxes.canvas
    sides, lines = boxes.sides(), []
    groups = {"all": sides >= 0}
    for low, high in zip(_BOUNDS, _BOUNDS[1:]):
        name = f"{low:g} to {high:g}" if high < np.inf else f"{low:g} and more"
        groups[name] = (sides >= low) & (sides < high)
    for variant, sizes in variants.items():
        best = boxes.overlaps(sizes)
        count = sum(
            len(level) * len(anchors.RATIOS) * -(-height // stride) * -(-width // stride)
            for level, stride in zip(sizes, anchors.STRIDES)
        )
        lines += [
            f"anchors {variant}: {count} on {height}x{width}",
            "  side, pixels      boxes" + "".join(f"   IoU >= {iou:g}" for iou in IOUS),
        ]
        for name, group in groups.items():
            if group.any():
                recall = "".join(f"{100 * (best[group] >= iou).mean():11.1f} %" for iou in IOUS)
                lines.append(f"  {name:<14}{group.sum():>9}{recall}")
    return lines


def describe_rare(summaries: Mapping[str, Summary], label_space: LabelSpace) -> list[str]:
    """Say in sentences which labels are absent or too rare; none where all is well."""
    train, test = (summaries.get(split, Summary()) for split in ("train", "test"))
    codes, base = label_space.codes, label_space.base
    labels = {
        "actor": [
            (n, [c for c in codes if c // base == i]) for i, n in _from_1(label_space.actors)
        ],
        "action": [
            (n, [c for c in codes if c % base == i]) for i, n in _from_1(label_space.actions)
        ],
        "pair": [(label_space.name(code), [code]) for code in codes],
    }
    lines = []
    for kind, named in labels.items():
        rare, absent, unscored = [], [], []
        for name, own in named:
            instances = sum(train.pairs[code] for code in own)
            videos = len(set().union(*(train.pair_videos.get(code, ()) for code in own)))
            if not instances:
                absent.append(name)
            elif not any(test.pairs[code] for code in own):
                unscored.append(name)
            if instances and (videos < FEW_VIDEOS or instances < FEW_INSTANCES):
                many = "1 video" if videos == 1 else f"{videos} videos"
                rare.append((videos, instances, f"{name} ({instances} in {many})"))
        if rare:
            rare.sort(key=lambda label: label[:2])
            lines.append(
                f"too rare to learn, {kind}s in fewer than {FEW_VIDEOS} training videos or with "
                f"fewer than {FEW_INSTANCES} instances: {_listed([text for *_, text in rare])}"
            )
        if absent:
            lines.append(
                f"never learned, {kind}s without an instance in training: {_listed(absent)}; "
                "annotate some, or leave them out of the labels"
            )
        if unscored and "test" in summaries:
            lines.append(
                f"not measured, {kind}s without an instance in the test split, each an AP of 0 in "
                f"the mAP: {_listed(unscored)}"
            )
    if "test" not in summaries:
        lines.append("no test split: nothing will say how well it works")
    return lines


def _from_1(names):
    return enumerate(names, 1)


def _listed(names):
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def chart(
    summaries: Mapping[str, Summary],
    durations: Mapping[str, int],
    label_space: LabelSpace,
    title: str,
) -> bytes:
    """Draw the same as a chart of one page, splits side by side: bytes of a PNG."""
    # Imported here, because only charts need it; without pyplot, which looks for a screen.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    codes = label_space.codes
    figure = Figure((11.5, max(8.5, 0.2 * len(codes))), dpi=110, layout="constrained")
    figure.suptitle(title, x=0.02, ha="left", fontsize=13, parse_math=False)
    grid = figure.add_gridspec(3, 2, width_ratios=(1, 1.1))
    pairs, areas, numbers, lengths = (
        figure.add_subplot(place) for place in (grid[:, 0], *(grid[i, 1] for i in range(3)))
    )
    label_axes(pairs, "Instances per pair")
    label_axes(areas, "Size of instances", "box area, share of the frame", "% of instances")
    label_axes(numbers, "Instances per key frame", "instances", "% of clips")
    label_axes(lengths, "Durations of all videos", "frames", "videos")
    # A box without area has no logarithm.
    shares = {split: np.maximum(s.areas, 1e-6) for split, s in summaries.items()}
    least = min((values.min() for values in shares.values() if len(values)), default=1e-3)
    bins = np.geomspace(10 ** np.floor(np.log10(least)), 1, 25).tolist()
    thick = 0.8 / len(summaries)
    for i, (split, summary) in enumerate(summaries.items()):
        colour, shift = COLOURS[split], (i - (len(summaries) - 1) / 2) * thick
        counts = [summary.pairs[code] for code in codes]
        label = f"{split}: {summary.counts()}"
        pairs.barh(np.arange(len(codes)) + shift, counts, thick, color=colour, label=label)
        weights = np.full(len(shares[split]), 100 / max(len(shares[split]), 1))
        areas.hist(
            shares[split], bins, weights=weights, color=colour, histtype="stepfilled", alpha=0.5
        )
        many, clips = np.array(sorted(summary.per_clip.items())).reshape(-1, 2).T
        numbers.bar(many + shift, 100 * clips / max(clips.sum(), 1), thick, color=colour)
    pairs.set_yticks(range(len(codes)), map(label_space.name, codes), parse_math=False)
    pairs.set_ylim(len(codes) - 0.5, -0.5)
    figure.legend(loc="upper right", ncols=len(summaries), fontsize=9, frameon=False)
    areas.set_xscale("log")
    areas.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    for axis in (pairs.xaxis, numbers.xaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    frames = np.array([int(length) for length in durations], float)
    if len(frames):
        # Bins of whole frames, so that all hold equally many lengths.
        step = max(1, -(-np.ptp(frames) // 40))
        edges = np.arange(frames.min() - 0.5, frames.max() - 0.5 + step + 1, step).tolist()
        lengths.hist(frames, edges, weights=list(durations.values()), color="#5f6b73", rwidth=0.9)
    return figure_png(figure)
