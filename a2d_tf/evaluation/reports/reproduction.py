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

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import segmentation, zero_shot
from a2d_tf.evaluation.reports import bootstrap, charts, tables
from a2d_tf.evaluation.reports.pages import Block, Details, Heading, Picture, Table, Text
from a2d_tf.ops import visualize
from a2d_tf.training import experiments

# Experiment -> name of our row, and the published rows beside it in Tables 1 or 3, and in Table 2.
ROWS = {
    "full": ("full", "Ji et al., full", "Ji et al., full"),
    "mask_rcnn_baseline": ("Mask R-CNN baseline", "Mask R-CNN baseline", None),
    "no_mask": ("w/o mask + SM", "w/o mask + SM", None),
    "no_temporal": ("w/o temporal", "w/o temporal", None),
    "no_flow": ("w/o flow", "w/o flow", None),
    "no_joint": ("w/o joint", "w/o joint", None),
    "cartesian": ("cross-product labels", None, "TSCT"),
    "hierarchical": ("hierarchical labels", None, "TSHR"),
    "late_fusion": ("late fusion", None, None),
}
TABLE_1 = ("Trilayer", "GPM+TSP", "GPM+GBH", "TSMT+GBH", "TSMT+SM", "Ji et al., full")
_MEASURES = [(kind, measure) for kind in tables.KINDS for measure in ("ave", "glo", "miou")]
_HEADS = ("", *(f"{kind} {'mIoU' if m == 'miou' else m}" for kind, m in _MEASURES))
_COMPARED = (*(("segmentation", kind, "miou") for kind in tables.KINDS), ("detection", "joint"))
_COMPARED_HEADS = ("actor mIoU", "action mIoU", "joint mIoU", "joint mAP")
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
        return pathlib.Path(self.folder) / "evaluation" / "test"

    def metrics(self) -> dict:
        """Read its `metrics.json`.

        Raises:
          InputError: missing or damaged.
        """
        path = self.test / "metrics.json"
        try:
            return read_json(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: unreadable ({error}); delete it, run again") from error


def build(results: list[Result], manifest: Manifest, origin: str) -> list[Block]:
    """Build the blocks of the report.

    Args:
      results: all experiments; the folders of those without an error are read.
      manifest: of the records.
      origin: introduction: the data, and what figures on it do and do not show.
    """
    done = [result for result in results if not result.error]
    blocks = [Text(origin), *_failures(results)]
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
    draws = {}
    if "full" in rows and len(rows) > 1:
        for name in rows:
            print(f"bootstrap of {name}", flush=True)
            draws[name] = bootstrap.figures(shown[name].test, space)
    blocks += _segmentation(rows) + _detection(rows) + _differences(rows, draws, shown)
    blocks += _zero_shot(metrics, space) + _further(rows) + _seeds(done)
    blocks += _frames(shown, manifest) + _classes(shown, rows, space)
    return blocks + _curves(shown) + _runs(results)


def _failures(results):
    return [
        Text(f"Failed: {r.name}, seed {r.seed}: {r.error}. It is missing below.")
        for r in results
        if r.error
    ]


def _ours(name):
    return f"ours, {ROWS[name][0]}"


def _segmentation_row(metrics):
    return [tables.figure(metrics["segmentation"][kind][measure]) for kind, measure in _MEASURES]


def _segmentation(rows):
    published = dict(tables.SEGMENTATION_ROWS)
    note = Text(
        "Percent, background a class. Rows in bold are ours, the others those that the paper "
        "printed for A2D's test split."
    )
    blocks = [Heading("Table 1: joint actor-action segmentation"), note]
    lines = [[name, *map(tables.figure, published[name])] for name in TABLE_1]
    if "full" in rows:
        lines.append([_ours("full"), *_segmentation_row(rows["full"])])
    blocks.append(Table(_HEADS, lines, frozenset(range(len(TABLE_1), len(lines)))))

    lines, ours = [], set()
    for name in ROWS:
        beside = ROWS[name][1]
        if beside:
            lines.append([f"{beside}, published", *map(tables.figure, published[beside])])
        if name in rows:
            ours.add(len(lines))
            lines.append([_ours(name), *_segmentation_row(rows[name])])
    blocks += [
        Heading("Table 3: what each part is worth, and beyond it"),
        Table(_HEADS, lines, frozenset(ours)),
    ]
    return blocks


def _detection(rows):
    lines, ours = [], set()
    for name, values in tables.DETECTION_ROWS:
        lines.append([f"{name}, published", *map(tables.figure, values)])
        for mine in ROWS:
            if mine in rows and ROWS[mine][2] == name:
                ours.add(len(lines))
                figures = rows[mine]["detection"]
                lines.append(
                    [_ours(mine), *(tables.figure(figures[kind]) for kind in tables.KINDS)]
                )
    return [
        Heading("Table 2: detection of actors and actions"),
        Text(
            "Mean average precision at IoU 0.5, percent. TSCT, TSHR and TSMT differ in the label "
            "space of one two-stream detector; ours differ in it inside this network, whose full "
            "form is multitask. An action's AP ranks regions by p(action) alone."
        ),
        Table(("", *tables.KINDS), lines, frozenset(ours)),
    ]


def _differences(rows, draws, shown):
    if not draws:
        return []
    published = dict(tables.SEGMENTATION_ROWS)
    full = published["Ji et al., full"]
    lines = []
    for name in rows:
        if name == "full":
            continue
        beside = ROWS[name][1]
        paper = published[beside][-1] - full[-1] if beside else None
        cells = [ROWS[name][0], "-" if paper is None else f"{paper:+.1f}"]
        for part in _COMPARED:
            mine, other = (_at(rows[n], part) for n in (name, "full"))
            low, high = bootstrap.interval(_at(draws[name], part), _at(draws["full"], part))
            cells.append(f"{mine - other:+.1f} [{low:+.1f}, {high:+.1f}]")
        lines.append(cells)
    phased = [name for name in rows if len(experiments.phases(name)) > 1]
    steps = [f"{ROWS[name][0]} for {_steps(shown[name])}" for name in [*phased, "full"]]
    return [
        Heading("Difference to the full model"),
        Text(
            f"Points, with {bootstrap.LEVEL} % intervals of a paired bootstrap over the test "
            f"videos ({bootstrap.SAMPLES} samples). They reflect the choice of test videos; the "
            "seed of training adds to them. A pair that a sample does not draw counts 0 in its "
            "mAP, so that intervals of mAP lean towards 0 where pairs are in few videos."
            + (f" Steps of training: {', '.join(steps)}." if phased else "")
        ),
        Table(("", "joint mIoU, published", *_COMPARED_HEADS), lines),
    ]


def _at(figures, path):
    for key in path:
        figures = figures[key]
    return figures


def _zero_shot(metrics, space):
    lines, columns = [], {"zero-shot": [], "full model": [], "chance": []}
    names = []
    for i, actor in enumerate(space.actors):
        held_out = metrics.get(f"{experiments.ZERO_SHOT}{actor}")
        if held_out is None:
            continue
        names.append(actor)
        ap, chance = held_out["zero_shot"]["ap"], held_out["zero_shot"]["chance"]
        whole = metrics["full"]["zero_shot_actor_ap"][str(i + 1)] if "full" in metrics else None
        ratio = zero_shot.ratio(ap, whole) if whole else None
        lines.append(
            [
                actor,
                *map(tables.figure, (ap, whole, chance)),
                "-" if ratio is None else f"{ratio:.2f}",
                "-" if not whole else f"{chance / whole:.2f}",
            ]
        )
        for column, value in zip(columns.values(), (ap, whole, chance)):
            column.append(value)
    if not lines:
        return []
    colours = (charts.OURS, charts.FULL, charts.CHANCE)
    return [
        Heading("Fig. 4: actions of an actor whose action labels were withheld"),
        Text(
            "AP, percent, over the actor's valid actions; r_zs (Eq. 3) is its share of the full "
            "model's. Chance is the same network with its action scores shuffled among that "
            "actor's regions, the mean of 20 shuffles."
        ),
        Picture(
            "zero_shot",
            charts.bars(columns, names, "AP per held-out actor", "%", colours=colours),
            "AP per held-out actor, beside the full model and chance.",
        ),
        Table(("held out", "AP", "full model", "chance", "r_zs", "r of chance"), lines),
    ]


def _further(rows):
    """What the paper does not have: of every row, and the reliability of the full model."""
    found: dict[str, Table] = {}
    for name in rows:
        for title, heads, lines in tables.further(rows[name], ROWS[name][0]):
            shown = found.setdefault(title, Table(("", *heads), []))
            shown.rows.extend(
                [
                    label if label == ROWS[name][0] else f"{ROWS[name][0]}, {label}",
                    *map(tables.figure, values),
                ]
                for label, values in lines
            )
    blocks: list[Block] = [Heading("Beyond the paper")] if found else []
    for title, table in found.items():
        blocks += [Text(f"{title}:"), table]
    if "calibration" in rows.get("full", {}):
        png = charts.reliability(rows["full"]["calibration"])
        blocks.append(Picture("calibration", png, "How often a probability is right, full model."))
    return blocks


def _seeds(done):
    runs = collections.defaultdict(dict)
    for result in done:
        if result.name in ROWS:
            runs[result.name][result.seed] = result.metrics()
    lines, differences = [], []
    for name in (name for name in ROWS if len(runs[name]) > 1):
        seeds = runs[name].values()
        cells = (_spread([_at(m, part) for m in seeds], ".1f") for part in _COMPARED)
        lines.append([ROWS[name][0], str(len(seeds)), *cells])
        both = sorted(runs[name].keys() & runs["full"].keys())
        if name != "full" and len(both) > 1:
            pairs = [(runs[name][seed], runs["full"][seed]) for seed in both]
            cells = (
                _spread([_at(mine, part) - _at(full, part) for mine, full in pairs], "+.1f")
                for part in _COMPARED
            )
            differences.append([ROWS[name][0], str(len(both)), *cells])
    if not lines:
        return []
    heads = ("", "seeds", *_COMPARED_HEADS)
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
    maps = folder / "label_truth"
    # One frame per video, spread over the split.
    video_frames = {name.partition("/")[0]: name for name in segmentation.frames_of(folder)}
    spread = np.linspace(0, len(video_frames) - 1, min(_FRAMES, len(video_frames))).astype(int)
    chosen = [list(video_frames.values())[i] for i in spread]
    inputs = dict(pipeline.key_frames(manifest, "test", set(chosen)))

    def painted(folder, name, image):
        codes = segmentation.read_label_map(folder / f"{name}.png", space)
        codes = cv2.resize(codes, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        grey = (0.5 * image.mean(axis=2, keepdims=True)).astype(np.uint8).repeat(3, axis=2)
        present = [code for code in np.unique(codes) if code]
        return visualize.overlay_masks(
            grey, present, [codes == c for c in present], space, alpha=0.9
        )

    rows = []
    for name in chosen:
        image = inputs[name]
        pictures = [image, painted(maps, name, image)]
        pictures += [painted(shown[n].test / "label_maps", name, image) for n in variants]
        codes = np.unique(segmentation.read_label_map(maps / f"{name}.png", space))
        rows.append((f"{name}: {', '.join(space.name(c) for c in codes if c)}", pictures))
    heads = ["input", "truth", *(ROWS[name][0] for name in variants)]
    return [
        Heading("Fig. 3: frames of the test split"),
        Picture(
            "frames",
            charts.grid(rows, heads),
            "Key frame, truth and the prediction of each variant; colours are pairs.",
        ),
    ]


def _classes(shown, rows, space):
    variants = [name for name in ("full", "no_flow", "mask_rcnn_baseline") if name in rows]
    aps = {ROWS[n][0]: [rows[n]["per_pair_ap"][str(c)] for c in space.codes] for n in variants}
    blocks = []
    if aps:
        names = [space.name(code) for code in space.codes]
        png = charts.bars(aps, names, "AP per pair", "%")
        blocks += [Heading("Per class"), Picture("pair_ap", png, "AP of every valid pair.")]
    if "full" in rows:
        folder, confusion = shown["full"].test, segmentation.Confusion(space)
        for name in segmentation.frames_of(folder):
            confusion.update(*segmentation.read_maps(folder, name, space))
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
    return [
        Heading("Learning curves"),
        Picture("curves", charts.curves(panels), "Rows of two phases show the second one."),
    ]


def _scalars(folder, tag):
    """Read {step: value} of a TensorBoard folder; the last value of a repeated step."""
    if not os.path.isdir(folder):
        return {}
    logging.getLogger("tensorboard").setLevel(logging.WARNING)
    accumulator = EventAccumulator(folder, size_guidance={"tensors": 0, "scalars": 0})
    accumulator.Reload()
    if tag not in accumulator.Tags()["tensors"]:
        return {}
    return {
        event.step: float(event.tensor_proto.float_val[0])
        if event.tensor_proto.float_val
        else float(np.frombuffer(event.tensor_proto.tensor_content, np.float32)[0])
        for event in accumulator.Tensors(tag)
    }


def _steps(result):
    """Format the steps of each phase: '600 + 600'."""
    counts = []
    for phase in experiments.phases(result.name):
        path = pathlib.Path(result.folder).parent / phase / "flags.txt"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        steps = re.search(r"^--steps=(\d+)$", text, re.MULTILINE)
        counts.append(steps[1] if steps else "?")
    return " + ".join(counts)


def _runs(results):
    lines = [
        [
            r.name,
            str(r.seed),
            _steps(r),
            f"{r.seconds / 60:.1f}",
            str(r.sittings),
            r.error or "done",
        ]
        for r in results
    ]
    blocks = [
        Heading("Runs"),
        Text(f"{sum(r.seconds for r in results) / 3600:.1f} hours in all."),
        Table(("run", "seed", "steps", "minutes", "sittings", "state"), lines),
    ]
    versions = {json.dumps(r.versions, sort_keys=True) for r in results if r.versions}
    for text in sorted(versions):
        blocks.append(Details("Versions", json.dumps(json.loads(text), indent=1, sort_keys=True)))
    for result in results:
        path = os.path.join(result.folder, "flags.txt")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                text = file.read().strip()
            # Paths to a first phase are shown relative to the folder of both.
            text = text.replace(os.path.dirname(result.folder) + os.sep, "")
            blocks.append(Details(f"Flags of {result.name}, seed {result.seed}", text))
    return blocks
