"""Summary of records, as text and as a chart of one page."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops.visualize import figure_png, label_axes

if TYPE_CHECKING:
    from a2d_tf.data.records import ClipTruth

COLOURS = {"train": "#33658a", "test": "#f26419"}
NEUTRAL = "#5f6b73"
_SIZES = 6  # frame sizes shown by name; A2D has dozens, most of them of one video


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
        self.pairs.update(truth.codes.tolist())
        for code in set(truth.codes.tolist()):
            self.pair_videos[code].add(truth.video)
        self.per_clip[len(truth.codes)] += 1
        self.videos[truth.video] = truth.native_size
        sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
        self.areas += (sides.prod(axis=1) / np.prod(truth.native_size)).tolist()

    def counts(self) -> str:
        """Return the totals in words."""
        clips = sum(self.per_clip.values())
        return f"{len(self.videos)} videos, {clips} clips, {len(self.areas)} instances"


def text(
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
        sizes = collections.Counter(_size_name(size) for size in summary.videos.values())
        named = ", ".join(f"{name} ({count})" for name, count in sizes.most_common(_SIZES))
        more = f" and {len(sizes) - _SIZES} more" if len(sizes) > _SIZES else ""
        lines.append(f"  frames, height x width (videos): {named}{more}")
        if not summary.areas:
            continue
        for word, sign in (("most", -1), ("fewest", 1)):
            ranked = sorted(label_space.codes, key=lambda code: sign * summary.pairs[code])
            named = ", ".join(f"{label_space.name(c)} {summary.pairs[c]}" for c in ranked[:4])
            lines.append(f"  {word} instances: {named}")
        per_clip = summary.per_clip
        lines.append(
            f"  instances a clip: {min(per_clip)} to {max(per_clip)}, "
            f"mean {len(summary.areas) / sum(per_clip.values()):.1f}"
        )
        low, middle, high = 100 * np.quantile(summary.areas, [0.05, 0.5, 0.95])
        lines.append(
            f"  box area: median {middle:.2g} % of the frame, nine in ten {low:.2g} to {high:.2g} %"
        )
    lengths = sorted((int(frames), videos) for frames, videos in durations.items())
    if lengths:
        up_to = list(itertools.accumulate(videos for _, videos in lengths))
        middle = next(n for (n, _), videos in zip(lengths, up_to) if 2 * videos >= up_to[-1])
        lines.append(f"all videos: {lengths[0][0]} to {lengths[-1][0]} frames, median {middle}")
    return lines


def chart(
    summaries: Mapping[str, Summary],
    durations: Mapping[str, int],
    label_space: LabelSpace,
    title: str,
) -> bytes:
    """Draw the same as a chart of one page, splits side by side: bytes of a PNG."""
    # Imported here, because only charts need it; without pyplot, which looks for a screen.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import Patch

    codes, layout = label_space.codes, ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    figure = Figure((11.5, max(8.5, 0.2 * len(codes))), dpi=110, layout=layout)
    figure.suptitle(title, x=0.02, ha="left", fontsize=13, parse_math=False)
    handles = [
        Patch(color=COLOURS[split], label=f"{split}: {s.counts()}")
        for split, s in summaries.items()
    ]
    figure.legend(handles=handles, loc="upper right", ncols=len(handles), fontsize=9, frameon=False)
    grid = figure.add_gridspec(4, 2, width_ratios=(1, 1.1), height_ratios=(1, 1, 1, 1.3))

    axes = figure.add_subplot(grid[:, 0])
    _bars(
        axes,
        [label_space.name(code) for code in codes],
        {split: [s.pairs[code] for code in codes] for split, s in summaries.items()},
        "Instances per pair",
    )
    actors = np.array(codes) // label_space.base
    for actor in range(1, len(label_space.actors) + 1, 2):
        rows = np.flatnonzero(actors == actor)
        if len(rows):
            axes.axhspan(rows[0] - 0.5, rows[-1] + 0.5, color="#f0f2f4", zorder=0)

    _histogram_of_areas(figure.add_subplot(grid[0, 1]), summaries)
    _histogram_of_instances(figure.add_subplot(grid[1, 1]), summaries)

    _histogram_of_durations(figure.add_subplot(grid[2, 1]), durations)
    _bars_of_sizes(figure.add_subplot(grid[3, 1]), summaries)
    return figure_png(figure)


def _size_name(size):
    return f"{size[0]}x{size[1]}"


def _bars(axes, names, counts, title):
    """Draw horizontal bars, a group per name; `counts` is {split: [count per name]}."""
    label_axes(axes, title)
    thick = 0.8 / len(counts)
    for i, (split, values) in enumerate(counts.items()):
        rows = np.arange(len(names)) + (i - (len(counts) - 1) / 2) * thick
        bars = axes.barh(rows, values, thick, color=COLOURS[split], zorder=2)
        labels = [value or "" for value in values]
        axes.bar_label(bars, labels, fontsize=6, padding=2, color="#404040")
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _histogram_of_areas(axes, summaries):
    label_axes(axes, "Size of instances", "box area, share of the frame", "% of instances")
    areas = [np.maximum(s.areas, 1e-6) for s in summaries.values()]
    least = min((values.min() for values in areas if len(values)), default=1e-3)
    bins = np.geomspace(10 ** np.floor(np.log10(least)), 1, 25)
    for split, values in zip(summaries, areas):
        weights = np.full(len(values), 100 / max(len(values), 1))
        style = dict(bins=bins, weights=weights, color=COLOURS[split])
        axes.hist(values, histtype="stepfilled", alpha=0.25, **style)
        axes.hist(values, histtype="step", linewidth=1.5, **style)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")


def _histogram_of_instances(axes, summaries):
    label_axes(axes, "Instances per key frame", "instances", "% of clips")
    thick = 0.8 / len(summaries)
    for i, (split, summary) in enumerate(summaries.items()):
        numbers, clips = np.array(sorted(summary.per_clip.items())).reshape(-1, 2).T
        places = numbers + (i - (len(summaries) - 1) / 2) * thick
        axes.bar(places, 100 * clips / max(clips.sum(), 1), thick, color=COLOURS[split])
    axes.xaxis.get_major_locator().set_params(integer=True)


def _histogram_of_durations(axes, durations):
    label_axes(axes, "Durations of all videos", "frames", "videos")
    lengths = np.array([int(frames) for frames in durations], float)
    if len(lengths):
        # Bins of whole frames, so that all hold equally many lengths.
        step = max(1, -(-np.ptp(lengths) // 40))
        bins = np.arange(lengths.min(), lengths.max() + step + 1, step) - 0.5
        axes.hist(lengths, bins, weights=list(durations.values()), color=NEUTRAL, rwidth=0.9)


def _bars_of_sizes(axes, summaries):
    sizes = {
        split: collections.Counter(_size_name(size) for size in s.videos.values())
        for split, s in summaries.items()
    }
    total = sum(sizes.values(), collections.Counter())
    names = [name for name, _ in total.most_common(_SIZES)]
    counts = {split: [of_split[name] for name in names] for split, of_split in sizes.items()}
    if len(total) > _SIZES:
        names.append(f"{len(total) - _SIZES} others")
        for split, of_split in sizes.items():
            counts[split].append(sum(of_split.values()) - sum(counts[split]))
    _bars(axes, names, counts, "Videos per frame size, height x width")
