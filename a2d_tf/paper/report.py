"""The report of a reproduction: the paper's tables and figures, ours beside them."""

from __future__ import annotations

import collections
import dataclasses
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import label_maps
from a2d_tf.evaluation.metrics.detection import Detection
from a2d_tf.evaluation.metrics.metric import Metric
from a2d_tf.evaluation.metrics.segmentation import Segmentation
from a2d_tf.evaluation.metrics.summaries import scalars
from a2d_tf.evaluation.metrics.tables import figure
from a2d_tf.evaluation.reports import blocks as report_blocks
from a2d_tf.evaluation.reports import charts
from a2d_tf.evaluation.reports.blocks import Block, Heading, HtmlTable, Picture, Text
from a2d_tf.ops import visualize
from a2d_tf.paper import bootstrap, comparison, published, table_rows
from a2d_tf.paper.folds import Fold
from a2d_tf.paper.published import OUR_ROWS
from a2d_tf.paper.results import Result, without_error
from a2d_tf.runs import scores

_OF_FOLDS = {
    **comparison.COMPARED,
    "detection/actor_map": "actor mAP",
    "detection/action_map": "action mAP",
    "over_time/joint_frame_map50": "frame-mAP .5",
    "over_time/joint_frame_map50_tracks": "frame-mAP .5 of tracks",
    "over_time/joint_video_map20": "video-mAP .2",
    "over_time/joint_video_map50": "video-mAP .5",
}
"""The figures of a report across folds, by their tags of `scalars`: {tag: heading}."""
_PICTURED = (
    "full",
    "mask_rcnn_baseline",
    "no_mask",
    "no_temporal",
    "no_flow",
    "no_joint",
)
_FRAMES = 6  # frames shown


class _ZeroShot(NamedTuple):
    """The figures of Fig. 4 for an actor whose action labels were withheld.

    Attributes:
      actor: its name.
      ap: without its action labels, in percent.
      full_ap: of the full model; None if there is none.
      chance: with actions at chance.
    """

    actor: str
    ap: float
    full_ap: float | None
    chance: float

    def cells(self) -> list[str]:
        """Return the cells of its row, with the ratios to the full model."""
        ratios = ["-", "-"]
        if self.full_ap:
            ratios = [
                f"{self.ap / self.full_ap:.2f}",
                f"{self.chance / self.full_ap:.2f}",
            ]
        aps = [figure(self.ap), figure(self.full_ap), figure(self.chance)]
        return [self.actor, *aps, *ratios]


def write_report(
    workdir: str,
    results: list[Result],
    folds: list[Fold],
    *,
    data: str,
    network: str,
    own_videos: bool,
) -> list[str]:
    """Write `report.md` and `report.html`; return the runs that are missing.

    Args:
      workdir: folder of both.
      results: of all rows in all folds.
      folds: all folds that have records.
      data: what the records are made of, in words.
      network: what is trained, in words.
      own_videos: whether the data are a user's own, of which nothing is published.
    """
    manifest = Manifest.load(folds[-1].records)
    clips = _count_clips(manifest, folds)
    origin = (
        f"Made on {data}: {clips}, flow by {manifest.flow_method}. Network: {network}."
    )
    if own_videos:
        title = "Scores over folds and seeds"
        blocks = build_folds(results, manifest.label_space, origin)
    else:
        title = "The paper's tables, reproduced"
        origin += (
            " Published rows are for A2D's own test split of 2365 clips: compare"
            " figures of that split, and of others the order alone."
        )
        blocks = build(results, manifest, origin)
    report_blocks.write(workdir, title, blocks)
    return [result.where for result in results if result.error]


def _count_clips(manifest, folds):
    """Say how many clips there are, of some folds or in the splits of the records."""
    train = manifest.counts["train"]["records"]
    test = manifest.counts["test"]["records"]
    if [fold.name for fold in folds] == [""]:
        return f"{train} training and {test} test clips"
    return f"{train + test} clips, {len(folds)} folds in turn the test split"


def build(results: list[Result], manifest: Manifest, origin: str) -> list[Block]:
    """Build the blocks of the report of the paper's tables.

    Args:
      results: of all rows; the folders of those without an error are read.
      manifest: of the records.
      origin: introduction: the data, and what figures on it do and do not show.
    """
    done = without_error(results)
    blocks = _introduction(results, origin)
    if not done:
        return blocks
    # Most of the report is of one seed: the one with the most results.
    seeds = collections.Counter(result.seed for result in done)
    first_seed = min(seeds, key=lambda seed: (-seeds[seed], seed))
    of_seed = {result.row: result for result in done if result.seed == first_seed}
    blocks.append(Text(_training_videos(done)))
    if len(seeds) > 1:
        blocks.append(
            Text(
                "Differences and the last table are of all seeds, the rest of"
                f" {first_seed}."
            )
        )
    metrics = {row: result.metrics for row, result in of_seed.items()}
    space = manifest.label_space
    blocks += _tables(metrics)
    blocks += _differences(done, space, beside_published=True)
    if "full" in of_seed:  # like the zero-shot rows, without the videos held out
        before_final = dataclasses.replace(of_seed["full"], final=None)
        metrics["full"] = before_final.metrics
    blocks += _zero_shot(metrics, space)
    blocks += _frames(of_seed, manifest)
    if len(seeds) > 1:
        blocks += _means(done, comparison.COMPARED)
    return blocks


def build_folds(results: list[Result], labels: LabelSpace, origin: str) -> list[Block]:
    """Build the blocks of a report across folds: means over folds and seeds.

    Nothing is published beside them. Arguments are as of `build`.
    """
    done = without_error(results)
    blocks = _introduction(results, origin)
    if not done:
        return blocks
    run_rows = []
    for result in done:
        values = scalars(result.metrics)
        row: list[str | None] = [result.row, result.fold, str(result.seed)]
        for tag in _OF_FOLDS:
            row.append(figure(values[tag]) if tag in values else None)
        run_rows.append(row)
    blocks += _means(done, _OF_FOLDS)
    blocks += _differences(done, labels, beside_published=False)
    blocks.append(Heading("Each run"))
    blocks.append(_table(["", "fold", "seed", *_OF_FOLDS.values()], run_rows))
    return blocks


def _introduction(results, origin):
    """Return the origin, and what failed."""
    blocks: list[Block] = [Text(origin)]
    for result in results:
        if result.error:
            blocks.append(Text(f"Failed: {result.where}: {result.error}."))
    return blocks


def _table(heads, rows):
    """Return a table without its empty columns.

    Args:
      rows: texts, or None for a figure that there is not.
    """
    filled = []
    for column in range(len(heads)):
        if any(row[column] is not None for row in rows):
            filled.append(column)
    texts = []
    for row in rows:
        cells = [row[column] for column in filled]
        texts.append(["-" if cell is None else cell for cell in cells])
    return HtmlTable(tuple(heads[column] for column in filled), texts)


def _training_videos(done):
    """Tell in one line which figures are of final runs."""
    if not any(result.final for result in done):
        return "No figure is of a final run on all training videos."
    others = []
    for result in done:
        if result.row in OUR_ROWS and not result.final:
            others.append(f"{OUR_ROWS[result.row].title}, seed {result.seed}")
    others.append("Fig. 4.")
    return (
        "Figures are of final runs, on all training videos, with the threshold that the"
        " run before chose on those it held out. Figures of the runs before: "
        + "; ".join(others)
    )


class _PaperTable:
    """A table of the paper while its rows are added; ours are bold.

    Args:
      metric: gives the columns, and the figures of our rows.
      published_rows: {name: a `SegmentationRow` or `DetectionRow`}.
      metrics: {name of a row of ours: `metrics.json`}.
    """

    def __init__(
        self, metric: type[Metric], published_rows: dict, metrics: dict
    ) -> None:
        self._metric = metric
        self._published_rows = published_rows
        self._metrics = metrics
        self._rows: list[list[str]] = []
        self._ours: set[int] = set()

    def add_published(self, name: str) -> None:
        """Add a published row."""
        cells = [figure(value) for value in self._published_rows[name].figures()]
        self._rows.append([f"{name}, published", *cells])

    def add_ours(self, row: str) -> None:
        """Add a row of ours, if it has these figures."""
        for table in self._metric.tables(self._metrics.get(row, {})):
            ((_, values),) = table.lines()
            self._ours.add(len(self._rows))
            title = OUR_ROWS[row].title
            self._rows.append([f"ours, {title}", *map(figure, values)])

    def block(self, heads: list[str]) -> HtmlTable:
        """Return the table, whose columns have these headings."""
        return HtmlTable(("", *heads), self._rows, frozenset(self._ours))


def _tables(metrics):
    """Return the paper's Tables 1 to 3, our rows in bold."""
    table_1 = _PaperTable(Segmentation, published.SEGMENTATION, metrics)
    for name in published.TABLE_1:
        table_1.add_published(name)
    table_1.add_ours("full")
    table_3 = _PaperTable(Segmentation, published.SEGMENTATION, metrics)
    for row, our_row in OUR_ROWS.items():
        if our_row.segmentation:
            table_3.add_published(our_row.segmentation)
        table_3.add_ours(row)
    table_2 = _PaperTable(Detection, published.DETECTION, metrics)
    for name in published.DETECTION:
        table_2.add_published(name)
        for row, our_row in OUR_ROWS.items():
            if our_row.detection == name:
                table_2.add_ours(row)
    segmentation_heads = list(Segmentation.columns.values())
    return [
        Heading("Table 1: joint actor-action segmentation"),
        table_1.block(segmentation_heads),
        Heading("Table 3: what each part is worth, and beyond it"),
        table_3.block(segmentation_heads),
        Heading("Table 2: detection of actors and actions"),
        table_2.block(list(Detection.columns.values())),
    ]


def _differences(done, space, beside_published):
    """Return the differences to the full model, with the intervals of a bootstrap."""
    rows = []
    for row, differences in comparison.differences(done, space).items():
        cells: list[str | None] = [OUR_ROWS[row].title]
        if beside_published:
            cells.append(_published_difference(OUR_ROWS[row].segmentation))
        for tag in comparison.COMPARED:
            difference = differences[tag]
            if difference is None:
                cells.append(None)
                continue
            text = f"{difference.points:+.1f}"
            if difference.low < difference.high:  # the samples of one video are alike
                text += f" [{difference.low:+.1f}, {difference.high:+.1f}]"
            cells.append(text)
        rows.append(cells)
    if not rows:
        return []
    heads = [""]
    if beside_published:
        heads.append("joint mIoU, published")
    heads += comparison.COMPARED.values()
    return [
        Heading("Difference to the full model"),
        Text(
            f"Points, with {bootstrap.LEVEL} % intervals of a paired bootstrap over"
            f" the test videos ({comparison.SAMPLES} samples); the seed of training"
            " adds to them."
        ),
        _table(heads, rows),
    ]


def _published_difference(name):
    """Return the published joint mIoU of a row minus that of the full model.

    It is None for a row that is not published.
    """
    if name is None:
        return None
    difference = published.joint_miou(name) - published.joint_miou(published.FULL)
    return f"{difference:+.1f}"


def _zero_shot(metrics, space):
    """Return Fig. 4."""
    withheld = []
    for number, actor in enumerate(space.actors, 1):
        row = f"{table_rows.ZERO_SHOT}{actor}"
        figures = metrics.get(row, {}).get("zero_shot")
        if not figures:
            continue
        full_ap = None
        if "full" in metrics:
            full_ap = metrics["full"]["zero_shot_actor_ap"][str(number)]
        withheld.append(
            _ZeroShot(
                actor=actor,
                ap=figures["ap"],
                full_ap=full_ap,
                chance=figures["chance"],
            )
        )
    if not withheld:
        return []
    groups: dict[str, list[float | None]] = {
        "zero-shot": [zero_shot.ap for zero_shot in withheld],
        "full model": [zero_shot.full_ap for zero_shot in withheld],
        "chance": [zero_shot.chance for zero_shot in withheld],
    }
    actors = [zero_shot.actor for zero_shot in withheld]
    png = charts.bars(groups, actors, "AP per held-out actor")
    caption = "AP per held-out actor, beside the full model and chance."
    heads = ("held out", "AP", "full model", "chance", "r_zs", "r of chance")
    return [
        Heading("Fig. 4: actions of an actor whose action labels were withheld"),
        Picture("zero_shot", png, caption),
        HtmlTable(heads, [zero_shot.cells() for zero_shot in withheld]),
    ]


def _means(done, columns):
    """Return the mean and deviation of each row over its folds and seeds.

    Args:
      columns: {tag of `scalars`: heading}.
    """
    rows = []
    for row, our_row in OUR_ROWS.items():
        runs = [result for result in done if result.row == row]
        if not runs:
            continue
        cells: list[str | None] = [our_row.title, str(len(runs))]
        for spread in comparison.spreads(runs, list(columns)):
            cells.append(_mean_and_deviation(spread))
        rows.append(cells)
    return [
        Heading("Mean over folds and seeds, and deviation"),
        Text("Percent."),
        _table(["", "runs", *columns.values()], rows),
    ]


def _mean_and_deviation(spread):
    """Return both in words, without the deviation of a single run; None without any."""
    if spread.mean is None:
        return None
    text = figure(spread.mean)
    if spread.deviation is not None:
        text += f" ± {spread.deviation:.1f}"
    return text


def _frames(of_seed, manifest):
    """Return Fig. 3; nothing if the records have boxes alone."""
    folders = {row: of_seed[row].test for row in _PICTURED if row in of_seed}
    if not folders:
        return []
    all_frames = label_maps.frames_of(next(iter(folders.values())))
    if not all_frames:
        return []
    space = manifest.label_space
    frames = _spread_frames(all_frames)
    images = dict(pipeline.key_frames(manifest, scores.TEST, set(frames)))

    pictures = []
    for frame in frames:
        image = images[frame]
        maps: list[np.ndarray] = []
        for folder in folders.values():
            truth, predicted = label_maps.read_maps(folder, frame, space)
            if not maps:
                maps.append(truth)
            maps.append(predicted)
        present = ", ".join(space.name(code) for code in np.unique(maps[0]) if code)
        pictures.append((f"{frame}: {present}", image))
        for codes in maps:
            pictures.append(
                ("", visualize.overlay_indices(image, codes, space.palette))
            )
    heads = ["input", "truth"]
    heads += [OUR_ROWS[row].title for row in folders]
    png = charts.sheet(pictures, len(heads), 1.9, heads)
    caption = "Key frame, truth and the prediction of each variant; colours are pairs."
    return [
        Heading("Fig. 3: frames of the test split"),
        Picture("frames", png, caption),
    ]


def _spread_frames(frames):
    """Choose one frame of each of _FRAMES videos, spread over the split."""
    frame_of_video = {}
    for frame in frames:
        video, _, _ = frame.partition("/")
        frame_of_video[video] = frame
    count = len(frame_of_video)
    indices = np.linspace(0, count - 1, min(_FRAMES, count)).astype(int)
    last_frames = list(frame_of_video.values())
    return [last_frames[i] for i in indices]
