"""The report of a reproduction: the paper's tables and figures, published rows beside ours."""

from __future__ import annotations

import collections
import dataclasses
import json
import logging
import os
import pathlib
import re
import statistics

import cv2
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from a2d_tf.core.files import load_json
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import label_maps
from a2d_tf.evaluation.metrics import KINDS, zero_shot
from a2d_tf.evaluation.metrics.detection import Detection
from a2d_tf.evaluation.metrics.segmentation import Confusion, Segmentation
from a2d_tf.evaluation.reports import bootstrap, charts, tables
from a2d_tf.evaluation.reports.pages import Block, Details, Heading, Picture, Table, Text
from a2d_tf.ops import visualize
from a2d_tf.training import experiments

_FULL = "Ji et al., full"  # published
# Experiment -> name of our row, and the published rows beside it in Tables 1 or 3, and in Table 2.
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
}
_TABLE_1 = ("Trilayer", "GPM+TSP", "GPM+GBH", "TSMT+GBH", "TSMT+SM", _FULL)
_COMPARED = {
    **{f"{kind} mIoU": ("segmentation", kind, "miou") for kind in KINDS},
    "joint mAP": ("detection", "joint"),
}
_PICTURED = ("full", "mask_rcnn_baseline", "no_mask", "no_temporal", "no_flow", "no_joint")
_FRAMES = 6  # frames shown


@dataclasses.dataclass(frozen=True)
class Result:
    """An experiment, done or failed.

    Attributes:
      name: of `experiments`.
      seed: of its trainings.
      folder: the scored run folder.
      seconds: total time of its sittings.
      sittings: number of times that it was started.
      error: why it failed; '' if it did not.
      versions: {package: version} of the last sitting.
    """

    name: str
    seed: int
    folder: str
    seconds: float
    sittings: int
    error: str
    versions: dict

    @property
    def test(self) -> pathlib.Path:
        """The folder of its scores on the test split."""
        return pathlib.Path(self.folder) / "evaluation" / experiments.SPLIT

    def metrics(self) -> dict:
        """Read its `metrics.json`; InputError where it is missing or damaged."""
        return load_json(self.test / "metrics.json", dict, "delete it, run again")


def build(results: list[Result], manifest: Manifest, origin: str) -> list[Block]:
    """Build the blocks of the report.

    Args:
      results: all experiments; the folders of those without an error are read.
      manifest: of the records.
      origin: introduction: the data, and what figures on it do and do not show.
    """
    done = [result for result in results if not result.error]
    blocks: list[Block] = [Text(origin)]
    blocks += [Text(f"Failed: {r.name}, seed {r.seed}: {r.error}.") for r in results if r.error]
    if not done:
        return blocks
    seeds = collections.Counter(result.seed for result in done)
    first = min(seeds, key=lambda seed: (-seeds[seed], seed))
    shown = {result.name: result for result in done if result.seed == first}
    if len(seeds) > 1:
        blocks.append(Text(f"All but the section Seeds shows seed {first}."))
    metrics = {name: result.metrics() for name, result in shown.items()}
    space = manifest.label_space
    rows = {name: metrics[name] for name in ROWS if name in metrics}
    blocks += _tables(rows) + _differences(rows, shown, space)
    blocks += _zero_shot(metrics, space) + _further(rows) + _seeds(done)
    blocks += _frames(shown, manifest) + _classes(shown, rows, space)
    return blocks + _curves(shown) + _runs(results)


def _tables(rows):
    """The paper's Tables 1 to 3, our rows in bold."""
    table_1 = [(name, None) for name in _TABLE_1] + [(None, "full")]
    table_3 = [(published, name) for name, (_, published, _) in ROWS.items()]
    table_2 = []
    for published in Detection.published:
        ours = [name for name in ROWS if ROWS[name][2] == published]
        table_2 += [(published, None), *((None, name) for name in ours)]
    return [
        Heading("Table 1: joint actor-action segmentation"),
        _beside(Segmentation, rows, table_1),
        Heading("Table 3: what each part is worth, and beyond it"),
        _beside(Segmentation, rows, table_3),
        Heading("Table 2: detection of actors and actions"),
        _beside(Detection, rows, table_2),
    ]


def _beside(metric, rows, lines):
    """A table of `lines`: (published row or None, experiment or None) each."""
    cells, ours = [], set()
    for published, name in lines:
        if published:
            values = metric.published[published]
            cells.append([f"{published}, published", *map(tables.figure, values)])
        if name in rows:
            ((_, values),) = tables.lines(metric.rows(rows[name])[0])
            ours.add(len(cells))
            cells.append([f"ours, {ROWS[name][0]}", *map(tables.figure, values)])
    return Table(("", *metric.columns.values()), cells, frozenset(ours))


def _differences(rows, shown, space):
    """Differences to the full model, with the intervals of a paired bootstrap."""
    if "full" not in rows or len(rows) < 2:
        return []
    draws = {}
    for name in rows:
        print(f"bootstrap of {name}", flush=True)
        draws[name] = bootstrap.figures(shown[name].test, space)
    published, lines = Segmentation.published, []
    for name in (name for name in rows if name != "full"):
        beside = ROWS[name][1]
        paper = f"{published[beside][-1] - published[_FULL][-1]:+.1f}" if beside else "-"
        cells = [ROWS[name][0], paper]
        for part in _COMPARED.values():
            change = _at(rows[name], part) - _at(rows["full"], part)
            low, high = bootstrap.interval(_at(draws[name], part), _at(draws["full"], part))
            cells.append(f"{change:+.1f} [{low:+.1f}, {high:+.1f}]")
        lines.append(cells)
    return [
        Heading("Difference to the full model"),
        Text(
            f"Points, with {bootstrap.LEVEL} % intervals of a paired bootstrap over the test "
            f"videos ({bootstrap.SAMPLES} samples); the seed of training adds to them."
        ),
        Table(("", "joint mIoU, published", *_COMPARED), lines),
    ]


def _at(figures, path):
    for key in path:
        figures = figures[key]
    return figures


def _zero_shot(metrics, space):
    lines, columns = [], {"zero-shot": [], "full model": [], "chance": []}
    for i, actor in enumerate(space.actors):
        held_out = metrics.get(f"{experiments.ZERO_SHOT}{actor}")
        if held_out is None:
            continue
        ap, chance = held_out["zero_shot"]["ap"], held_out["zero_shot"]["chance"]
        whole = metrics["full"]["zero_shot_actor_ap"][str(i + 1)] if "full" in metrics else None
        ratios = [zero_shot.ratio(value, whole) if whole else None for value in (ap, chance)]
        cells = ["-" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        lines.append([actor, *map(tables.figure, (ap, whole, chance)), *cells])
        for column, value in zip(columns.values(), (ap, whole, chance)):
            column.append(value)
    if not lines:
        return []
    title, names = "AP per held-out actor", [line[0] for line in lines]
    colours = (charts.OURS, charts.FULL, charts.CHANCE)
    return [
        Heading("Fig. 4: actions of an actor whose action labels were withheld"),
        Picture(
            "zero_shot",
            charts.bars(columns, names, title, "%", colours=colours),
            "AP per held-out actor, beside the full model and chance.",
        ),
        Table(("held out", "AP", "full model", "chance", "r_zs", "r of chance"), lines),
    ]


def _further(rows):
    """What the paper does not have, of every row."""
    found: dict[str, Table] = {}
    for name in rows:
        for table in tables.further(rows[name]):
            shown = found.setdefault(table.title, Table(("", *table.columns.values()), []))
            for label, values in tables.lines(table):
                cells = map(tables.figure, values)
                shown.rows.append([", ".join(filter(None, (ROWS[name][0], label))), *cells])
    blocks: list[Block] = [Heading("Beyond the paper")] if found else []
    for title, shown in found.items():
        blocks += [Text(f"{title}:"), shown]
    return blocks


def _seeds(done):
    runs = collections.defaultdict(dict)
    for result in done:
        if result.name in ROWS:
            runs[result.name][result.seed] = result.metrics()
    lines, differences = [], []
    for name in (name for name in ROWS if len(runs[name]) > 1):
        values = [[_at(m, part) for m in runs[name].values()] for part in _COMPARED.values()]
        lines.append([ROWS[name][0], str(len(runs[name])), *(_spread(v, ".1f") for v in values)])
        both = sorted(runs[name].keys() & runs["full"].keys())
        if name != "full" and len(both) > 1:
            values = [
                [_at(runs[name][seed], part) - _at(runs["full"][seed], part) for seed in both]
                for part in _COMPARED.values()
            ]
            cells = (_spread(v, "+.1f") for v in values)
            differences.append([ROWS[name][0], str(len(both)), *cells])
    if not lines:
        return []
    heads = ("", "seeds", *_COMPARED)
    blocks = [
        Heading("Seeds"),
        Text("Mean of the seeds, and the lowest and highest of them; percent."),
        Table(heads, lines),
    ]
    if differences:
        text = "Difference to the full model of the same seed, in points: mean, lowest and highest."
        blocks += [Text(text), Table(heads, differences)]
    return blocks


def _spread(values, form):
    return f"{statistics.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _frames(shown, manifest):
    variants = [name for name in _PICTURED if name in shown]
    if not variants:
        return []
    space, folder = manifest.label_space, shown[variants[0]].test
    # One frame per video, spread over the split.
    video_frames = {name.partition("/")[0]: name for name in label_maps.frames_of(folder)}
    spread = np.linspace(0, len(video_frames) - 1, min(_FRAMES, len(video_frames))).astype(int)
    chosen = [list(video_frames.values())[i] for i in spread]
    inputs = dict(pipeline.key_frames(manifest, experiments.SPLIT, set(chosen)))

    def painted(codes, image):
        codes = cv2.resize(codes, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        grey = (0.5 * image.mean(axis=2, keepdims=True)).astype(np.uint8).repeat(3, axis=2)
        present = [code for code in np.unique(codes) if code]
        masks = [codes == code for code in present]
        return visualize.overlay_masks(grey, present, masks, space, alpha=0.9)

    rows = []
    for name in chosen:
        image = inputs[name]
        pairs = [label_maps.read_maps(shown[n].test, name, space) for n in variants]
        maps = [pairs[0][0], *(predicted for _, predicted in pairs)]
        present = ", ".join(space.name(code) for code in np.unique(maps[0]) if code)
        rows.append((f"{name}: {present}", [image, *(painted(codes, image) for codes in maps)]))
    png = charts.grid(rows, ["input", "truth", *(ROWS[name][0] for name in variants)])
    caption = "Key frame, truth and the prediction of each variant; colours are pairs."
    return [Heading("Fig. 3: frames of the test split"), Picture("frames", png, caption)]


def _classes(shown, rows, space):
    variants = [name for name in ("full", "no_flow", "mask_rcnn_baseline") if name in rows]
    aps = {ROWS[n][0]: [rows[n]["per_pair_ap"][str(c)] for c in space.codes] for n in variants}
    blocks = []
    if aps:
        names = [space.name(code) for code in space.codes]
        png = charts.bars(aps, names, "AP per pair", "%")
        blocks += [Heading("Per class"), Picture("pair_ap", png, "AP of every valid pair.")]
    if "full" in rows:
        folder, confusion = shown["full"].test, Confusion(space)
        for name in label_maps.frames_of(folder):
            confusion.update(*label_maps.read_maps(folder, name, space))
        for kinds in (("actor", "action"), ("joint",)):
            png = charts.confusion(confusion, kinds, space)
            caption = f"Confusion of {' and of '.join(kinds)} pixels, full model, percent of rows."
            blocks.append(Picture(f"confusion_{kinds[0]}", png, caption))
    return blocks


def _curves(shown):
    panels: dict[str, dict] = {}
    for title, part, tag in (
        ("training loss", "train", "loss/total"),
        ("joint mIoU, validation", "validation", "segmentation/joint_miou"),
    ):
        for name in (name for name in ROWS if name in shown):
            points = _scalars(os.path.join(shown[name].folder, "tensorboard", part), tag)
            if points:
                line = tuple(zip(*sorted(points.items())))
                panels.setdefault(title, {})[ROWS[name][0]] = line
    if not panels:
        return []
    caption = "Rows of two phases show the second one."
    return [Heading("Learning curves"), Picture("curves", charts.curves(panels), caption)]


def _scalars(folder, tag):
    """Read {step: value} of a TensorBoard folder; the last value of a repeated step."""
    if not os.path.isdir(folder):
        return {}
    logging.getLogger("tensorboard").setLevel(logging.WARNING)
    accumulator = EventAccumulator(folder, size_guidance={"tensors": 0})
    accumulator.Reload()
    if tag not in accumulator.Tags()["tensors"]:
        return {}
    points = accumulator.Tensors(tag)
    return {event.step: float(make_ndarray(event.tensor_proto)) for event in points}


def _flags(folder):
    """Read a run's `flags.txt`; paths to a first phase become relative to the folder of both."""
    path = pathlib.Path(folder, "flags.txt")
    text = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    return text.replace(os.path.dirname(folder) + os.sep, "")


def _steps(result):
    """Format the steps of each phase: '600 + 600'."""
    folders = (
        pathlib.Path(result.folder).parent / name for name in experiments.phases(result.name)
    )
    found = (re.search(r"^--steps=(\d+)$", _flags(folder), re.MULTILINE) for folder in folders)
    return " + ".join(steps[1] if steps else "?" for steps in found)


def _runs(results):
    lines = []
    for r in results:
        minutes = f"{r.seconds / 60:.1f}"
        lines.append([r.name, str(r.seed), _steps(r), minutes, str(r.sittings), r.error or "done"])
    blocks = [
        Heading("Runs"),
        Text(f"{sum(r.seconds for r in results) / 3600:.1f} hours in all."),
        Table(("run", "seed", "steps", "minutes", "sittings", "state"), lines),
    ]
    versions = {json.dumps(r.versions, indent=1, sort_keys=True) for r in results if r.versions}
    blocks += [Details("Versions", text) for text in sorted(versions)]
    flags = [(f"Flags of {r.name}, seed {r.seed}", _flags(r.folder)) for r in results]
    return blocks + [Details(title, text) for title, text in flags if text]
