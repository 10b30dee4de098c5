"""The report of a reproduction: the paper's tables and figures, published rows beside
ours.

Differences between two networks have the confidence intervals of a paired bootstrap
over videos: videos rather than frames are resampled, since the frames of a video are
correlated, and both networks are scored on the same samples, so that the difficulty of
a sample cancels.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import zlib

import numpy as np

from a2d_tf.core.checked_json import load_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import box_data, label_maps
from a2d_tf.evaluation.metrics import KINDS, detection, figure, scalars, segmentation
from a2d_tf.evaluation.metrics.detection import Detection
from a2d_tf.evaluation.metrics.segmentation import Segmentation
from a2d_tf.evaluation.reports import charts
from a2d_tf.evaluation.reports.blocks import Block, Heading, HtmlTable, Picture, Text
from a2d_tf.ops import visualize
from a2d_tf.paper import experiments
from a2d_tf.paper.experiments import DETECTION, SEGMENTATION
from a2d_tf.runs import scores

_FULL = "Ji et al., full"  # published
# Experiment -> name of our row, and the published rows beside it in Tables 1 or 3, and
# in Table 2.
ROWS = {
    "full": ("full", _FULL, _FULL),
    "mask_rcnn_baseline": ("Mask R-CNN baseline", "Mask R-CNN baseline", None),
    "no_mask": ("w/o mask + SM", "w/o mask + SM", None),
    "no_temporal": ("w/o temporal", "w/o temporal", None),
    "no_flow": ("w/o flow", "w/o flow", None),
    "no_joint": ("w/o joint", "w/o joint", None),
    "cartesian": ("cross-product labels", None, "TSCT"),
    "hierarchical": ("hierarchical labels", None, "TSHR"),
    "late_fusion": ("late fusion", None, None),
    "no_mask_strong": ("w/o mask + strong segmenter", None, None),
}
_TABLE_1 = ("Trilayer", "GPM+TSP", "GPM+GBH", "TSMT+GBH", "TSMT+SM", _FULL)
_COMPARED = {
    **{f"segmentation/{kind}_miou": f"{kind} mIoU" for kind in KINDS},
    "detection/joint_map": "joint mAP",
}
_OF_FOLDS = {
    **_COMPARED,
    **{f"detection/{kind}_map": f"{kind} mAP" for kind in KINDS},
    "over_time/joint_frame_map50": "frame-mAP .5",
    "over_time/joint_frame_map50_tracks": "frame-mAP .5 of tracks",
    **{
        f"over_time/joint_video_map{iou}": f"video-mAP .{iou // 10}" for iou in (20, 50)
    },
}
"""Figures by their tags of `scalars`: those compared, and those of a report across
folds.
"""
_PICTURED = (
    "full",
    "mask_rcnn_baseline",
    "no_mask",
    "no_temporal",
    "no_flow",
    "no_joint",
)
_FRAMES = 6  # frames shown
SAMPLES = 500
LEVEL = 95  # percent of the samples inside an interval


@dataclasses.dataclass(frozen=True)
class Result:
    """An experiment, done or failed.

    Attributes:
      name: of `experiments`.
      seed: of its trainings.
      folder: the scored run folder.
      error: why it failed; '' if it did not.
      final: the scored run folder of its final run, on all training videos, if it has
        one.
      fold: the fold that is its test split, or "".
    """

    name: str
    seed: int
    folder: pathlib.Path
    error: str
    final: pathlib.Path | None = None
    fold: str = ""

    @property
    def where(self) -> str:
        """Row, fold and seed."""
        return ", ".join(
            [self.name, *[f"fold {self.fold}"] * bool(self.fold), f"seed {self.seed}"]
        )

    @property
    def test(self) -> pathlib.Path:
        """The folder of its scores on the test split, of the final run if there is
        one.
        """
        return scores.folder_of(self.final or self.folder)

    def metrics(self) -> dict:
        """Read its `metrics.json`; InputError where it is missing or damaged."""
        return load_json(self.test / "metrics.json", dict, "delete it and run again")


def build(results: list[Result], manifest: Manifest, origin: str) -> list[Block]:
    """Build the blocks of the report.

    Args:
      results: all experiments; the folders of those without an error are read.
      origin: introduction: the data, and what figures on it do and do not show.
    """
    done, blocks = _begin(results, origin)
    if not done:
        return blocks
    seeds = collections.Counter(result.seed for result in done)
    first = min(seeds, key=lambda seed: (-seeds[seed], seed))
    shown = {result.name: result for result in done if result.seed == first}
    blocks.append(Text(_training_videos(done)))
    if len(seeds) > 1:
        said = f"Differences and the last table are of all seeds, the rest of {first}."
        blocks.append(Text(said))
    metrics = {name: result.metrics() for name, result in shown.items()}
    space = manifest.label_space
    rows = {name: metrics[name] for name in ROWS if name in metrics}
    blocks += _tables(rows) + _differences(done, space)
    if "full" in shown:  # like the zero-shot rows, without the videos held out
        metrics["full"] = dataclasses.replace(shown["full"], final=None).metrics()
    blocks += _zero_shot(metrics, space) + _frames(shown, manifest)
    return blocks + (_spread(done, _COMPARED) if len(seeds) > 1 else [])


def build_folds(results: list[Result], labels: LabelSpace, origin: str) -> list[Block]:
    """Build the blocks of a report across folds: means over folds and seeds, nothing
    published.
    """
    done, blocks = _begin(results, origin)
    if not done:
        return blocks
    each = []
    for result in done:
        found = scalars(result.metrics())
        cells = [figure(found.get(tag)) for tag in _OF_FOLDS]
        each.append([result.name, result.fold, str(result.seed), *cells])
    return [
        *blocks,
        *_spread(done, _OF_FOLDS),
        *_differences(done, labels, published=False),
        Heading("Each run"),
        _table(("", "fold", "seed", *_OF_FOLDS.values()), each),
    ]


def _table(heads, lines):
    """A table without the columns that have no figure."""
    kept = [i for i in range(len(heads)) if any(line[i] != "-" for line in lines)]
    return HtmlTable(
        tuple(heads[i] for i in kept), [[line[i] for i in kept] for line in lines]
    )


def _begin(results, origin):
    """The results without an error; the introduction, which names the others."""
    failed = [Text(f"Failed: {r.where}: {r.error}.") for r in results if r.error]
    return [result for result in results if not result.error], [Text(origin), *failed]


def _training_videos(done):
    """Tell which figures are of final runs, in one line."""
    if not any(result.final for result in done):
        return "No figure is of a final run on all training videos."
    others = [
        f"{ROWS[r.name][0]}, seed {r.seed}"
        for r in done
        if r.name in ROWS and not r.final
    ]
    return (
        "Figures are of final runs, on all training videos, with the threshold that the"
        " run before chose on those it held out. Figures of the runs before: "
        + "; ".join([*others, "Fig. 4."])
    )


def _tables(rows):
    """The paper's Tables 1 to 3, our rows in bold."""
    table_1 = [(name, None) for name in _TABLE_1] + [(None, "full")]
    table_3 = [(published, name) for name, (_, published, _) in ROWS.items()]
    table_2 = []
    for published in DETECTION:
        ours = [name for name in ROWS if ROWS[name][2] == published]
        table_2 += [(published, None), *((None, name) for name in ours)]
    return [
        Heading("Table 1: joint actor-action segmentation"),
        _beside(Segmentation, SEGMENTATION, rows, table_1),
        Heading("Table 3: what each part is worth, and beyond it"),
        _beside(Segmentation, SEGMENTATION, rows, table_3),
        Heading("Table 2: detection of actors and actions"),
        _beside(Detection, DETECTION, rows, table_2),
    ]


def _beside(metric, others, rows, lines):
    """A table of `lines`: (row of the published `others` or None, experiment or
    None) each.
    """
    cells, ours = [], set()
    for published, name in lines:
        if published:
            cells.append([f"{published}, published", *map(figure, others[published])])
        for table in metric.tables(rows[name]) if name in rows else ():
            ((_, values),) = table.lines()
            ours.add(len(cells))
            cells.append([f"ours, {ROWS[name][0]}", *map(figure, values)])
    return HtmlTable(("", *metric.columns.values()), cells, frozenset(ours))


def _differences(done, space, published=True):
    """Differences to the full model of the same fold and seed, with the intervals of a
    bootstrap.

    Of several folds and seeds they are means, also in each sample, of those that have a
    figure.
    """
    full = {(r.fold, r.seed): r for r in done if r.name == "full"}
    draws, lines = {}, []

    def mean(results: list[Result]) -> tuple[np.ndarray, np.ndarray]:
        """The figures of _COMPARED, and their samples."""
        for r in results:
            if r not in draws:
                print(f"bootstrap of {r.where}", flush=True)
                # folds are drawn apart, rows of one alike
                seed = zlib.crc32(r.fold.encode())
                sampled = bootstrap(r.test, space, SAMPLES, seed)
                maps, joint = sampled["segmentation"], sampled["detection"]["joint"]
                mious = (
                    maps[kind]["miou"] if maps else np.nan * joint for kind in KINDS
                )
                draws[r] = [*mious, joint]
        figures = np.ma.masked_invalid([_figures(r, _COMPARED) for r in results]).mean(
            axis=0
        )
        drawn = np.ma.masked_invalid([draws[r] for r in results]).mean(axis=0)
        return figures, drawn.filled(np.nan)

    for name in ROWS:
        own = [r for r in done if r.name == name and (r.fold, r.seed) in full]
        if name != "full" and own:
            pairs = own, [full[r.fold, r.seed] for r in own]
            (ours, drawn), (whole, whole_drawn) = map(mean, pairs)
            cells = [ROWS[name][0]]
            if published:
                beside, joint = ROWS[name][1], SEGMENTATION[_FULL][-1]
                theirs = SEGMENTATION[beside][-1] if beside else None
                cells.append(f"{theirs - joint:+.1f}" if theirs and joint else "-")
            for difference, *pair in zip(ours - whole, drawn, whole_drawn):
                if difference is np.ma.masked:
                    cells.append("-")
                    continue
                low, high = interval(*pair)
                # none of one video
                between = f" [{low:+.1f}, {high:+.1f}]" * (low < high)
                cells.append(f"{difference:+.1f}{between}")
            lines.append(cells)
    if not lines:
        return []
    return [
        Heading("Difference to the full model"),
        Text(
            f"Points, with {LEVEL} % intervals of a paired bootstrap over the test "
            f"videos ({SAMPLES} samples); the seed of training adds to them."
        ),
        _table(
            ("", *["joint mIoU, published"] * published, *_COMPARED.values()), lines
        ),
    ]


def _figures(result, tags):
    """The figures of a run by their tags of `scalars`, NaN where there are none."""
    found = scalars(result.metrics())
    return [found.get(tag, np.nan) for tag in tags]


def _zero_shot(metrics, space):
    """Fig. 4."""
    rows, lines = {}, []
    for i, actor in enumerate(space.actors, 1):
        found = metrics.get(f"{experiments.ZERO_SHOT}{actor}", {}).get("zero_shot")
        if found:
            full = (
                metrics["full"]["zero_shot_actor_ap"][str(i)]
                if "full" in metrics
                else None
            )
            rows[actor] = ap, _, chance = found["ap"], full, found["chance"]
            ratios = [f"{value / full:.2f}" if full else "-" for value in (ap, chance)]
            lines.append([actor, *map(figure, rows[actor]), *ratios])
    if not rows:
        return []
    columns = dict(zip(("zero-shot", "full model", "chance"), zip(*rows.values())))
    png = charts.bars(columns, list(rows), "AP per held-out actor")
    return [
        Heading("Fig. 4: actions of an actor whose action labels were withheld"),
        Picture(
            "zero_shot", png, "AP per held-out actor, beside the full model and chance."
        ),
        HtmlTable(
            ("held out", "AP", "full model", "chance", "r_zs", "r of chance"), lines
        ),
    ]


def _spread(done, columns):
    """The mean of each row over its folds and seeds, and its deviation, by {tag:
    heading}.
    """
    lines = []
    for name in ROWS:
        figures = [_figures(result, columns) for result in done if result.name == name]
        if figures:
            known = np.ma.masked_invalid(figures)
            cells = [figure(mean) for mean in known.mean(axis=0).tolist()]
            for i, deviation in enumerate(known.std(axis=0, ddof=1).tolist()):
                cells[i] += "" if deviation is None else f" ± {deviation:.1f}"
            lines.append([ROWS[name][0], str(len(figures)), *cells])
    heading = Heading("Mean over folds and seeds, and deviation")
    return [heading, Text("Percent."), _table(("", "runs", *columns.values()), lines)]


def _frames(shown, manifest):
    variants = [name for name in _PICTURED if name in shown]
    names = label_maps.frames_of(shown[variants[0]].test) if variants else []
    if not names:  # or the records have boxes alone
        return []
    space = manifest.label_space
    # One frame per video, spread over the split.
    video_frames = {name.partition("/")[0]: name for name in names}
    spread = np.linspace(
        0, len(video_frames) - 1, min(_FRAMES, len(video_frames))
    ).astype(int)
    chosen = [list(video_frames.values())[i] for i in spread]
    inputs = dict(pipeline.key_frames(manifest, scores.TEST, set(chosen)))

    pictures = []
    for name in chosen:
        pairs = [label_maps.read_maps(shown[n].test, name, space) for n in variants]
        maps = [pairs[0][0], *(predicted for _, predicted in pairs)]
        painted = [
            visualize.paint(inputs[name], codes, space.palette) for codes in maps
        ]
        present = ", ".join(space.name(code) for code in np.unique(maps[0]) if code)
        pictures += [
            (f"{name}: {present}", inputs[name]),
            *(("", image) for image in painted),
        ]
    heads = ["input", "truth", *(ROWS[name][0] for name in variants)]
    png = charts.sheet(pictures, len(heads), 1.9, heads)
    caption = "Key frame, truth and the prediction of each variant; colours are pairs."
    return [
        Heading("Fig. 3: frames of the test split"),
        Picture("frames", png, caption),
    ]


def bootstrap(
    folder: str | os.PathLike, label_space: LabelSpace, samples: int, seed: int = 0
) -> dict:
    """Score each bootstrap sample of the videos of an evaluated split.

    Args:
      folder: RUN/evaluation/<split>.
      samples, seed: number and seed of the samples; equal for folders to be compared.

    Returns:
      {"segmentation": {kind: {"ave", "glo", "miou"}}, "detection": {kind}}, as in
      `metrics.json`, each figure an array [samples]; no kind of segmentation where no
      label map has an object. Joint mAP is the mean AP of the pairs with truth in a
      sample, times the share of the pairs with truth in the split.
    """
    folder = pathlib.Path(folder)
    truth = box_data.Truth.load(folder / "truth.json", label_space)
    names = truth.frames.tolist()
    videos, place = np.unique(
        [name.rpartition("/")[0] for name in names], return_inverse=True
    )
    # The multiplicity of each video in each sample, [samples, videos].
    count, rng = len(videos), np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), samples)

    confusions = [segmentation.Confusion(label_space) for _ in videos]
    with_maps = set(label_maps.frames_of(folder))
    for video, name in zip(place, names):
        if name in with_maps:
            confusions[video].update(*label_maps.read_maps(folder, name, label_space))
    figures: dict = {"segmentation": {}}
    for kind in KINDS if any(confusion.pixels for confusion in confusions) else ():
        matrices = np.stack([confusion.matrix(kind) for confusion in confusions])
        drawn = np.tensordot(weights, matrices, axes=1)
        figures["segmentation"][kind] = segmentation.measures(drawn)
    detections = box_data.Detections.load(folder / "detections.npz")
    weights = weights[:, place]
    found = detection.voc_aps(detections, truth, label_space, weights=weights)[
        "detection"
    ]
    # A pair without truth has an AP of 0, which in both networks would pull differences
    # to 0.
    pairs = [truth.box_frame[truth.codes == code] for code in np.unique(truth.codes)]
    present = np.sum([weights[:, frames].any(axis=1) for frames in pairs], axis=0)
    found["joint"] *= len(pairs) / np.maximum(present, 1)
    return {**figures, "detection": found}


def interval(ours: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Compute the (low, high) of ours - other, figures [samples] of the same
    samples.
    """
    tail = (100 - LEVEL) / 2
    low, high = np.nanpercentile(ours - other, [tail, 100 - tail])
    return float(low), float(high)
