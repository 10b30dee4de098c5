"""An evaluated split as one HTML page: truth, prediction and errors of its frames, worst first.

The page is self-contained. Its script sorts and filters the frames and keeps the choice in the
address, as in `browse.html#sort=error&actor=dog`; with an actor or an action chosen, the figures
count only their pixels.
"""

from __future__ import annotations

import dataclasses
import pathlib

import cv2
import numpy as np
from tqdm import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import load_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import pipeline, records
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import box_data, label_maps
from a2d_tf.evaluation.metrics import KINDS, segmentation
from a2d_tf.evaluation.reports import pages, tables
from a2d_tf.ops import visualize

_SIDE = 320  # longest side of a picture, pixels
_QUALITY = 80  # of JPEGs
_SHARE = 0.1  # a box is drawn if at least this share of its mask is visible in the label map
_MEASURES = {"ave": "ave", "glo": "glo", "miou": "mIoU"}
_METRICS = {
    "segmentation": {str: dict.fromkeys(_MEASURES, float)},
    "detection": {str: float},
    "score_threshold?": float,
}
# Kinds of errors of a pixel: name and colour.
ERRORS = {
    "missed": ("missed", (47, 126, 216)),
    "extra": ("false alarm", (250, 204, 21)),
    "who": ("wrong actor", (214, 40, 57)),
    "what": ("wrong action", (249, 115, 22)),
}


@dataclasses.dataclass(frozen=True)
class Scored:
    """The errors of a frame.

    Attributes:
      name: `<VID>/<%05d>`.
      miou: joint mIoU of this frame alone, percent.
      pixels: [(true code, predicted code, number of pixels), ...].
    """

    name: str
    miou: float
    pixels: list[tuple[int, int, int]]


def score(folder: pathlib.Path, labels: LabelSpace) -> list[Scored]:
    """Score the frames of an evaluated split one by one.

    Args:
      folder: as written by `Evaluator.evaluate`.
      labels: the label space.

    Returns:
      The frames, worst joint mIoU first.

    Raises:
      InputError: the split was not evaluated, or a label map is missing or damaged.
    """
    truths = folder / "label_truth"
    names = label_maps.frames_of(folder)
    if not names:
        raise InputError(f"{truths}: no label maps there; run a2d_tf.evaluate on this split first")
    scored = []
    for name in tqdm(names, desc="score", unit="frame", leave=False):
        maps = label_maps.read_maps(folder, name, labels)
        confusion = segmentation.Confusion(labels)
        try:
            confusion.update(*maps)
        except InputError as error:
            raise InputError(f"{truths / name}.png: {error}") from error
        pixels = list(zip(*(column.tolist() for column in segmentation.pairs(*maps))))
        scored.append(Scored(name, confusion.metrics()["joint"]["miou"], pixels))
    return sorted(scored, key=lambda frame: (frame.miou, frame.name))


def page(
    title: str,
    folder: pathlib.Path,
    labels: LabelSpace,
    manifest: Manifest | None,
    *,
    split: str,
    limit: int,
) -> tuple[str, int, int]:
    """Render the worst frames of an evaluated split as HTML.

    Args:
      title: of the page.
      folder, labels: see `score`.
      manifest: of the records that hold the frames; None to show label maps only.
      split: 'train', 'val' or 'test'.
      limit: maximal number of frames.

    Returns:
      (text, number of frames shown, number of frames in the split).

    Raises:
      InputError: see `score`; a file of the evaluation or the records are missing, damaged or do
        not match.
    """
    if manifest and manifest.label_space != labels:
        raise InputError(f"{manifest.directory}: the records have another label space")
    scored = score(folder, labels)
    shown = scored[:limit]
    metrics = load_json(
        folder / "metrics.json", _METRICS, "no metrics of a split; evaluate it again"
    )
    pictures = _pictures(manifest, split, {f.name for f in shown}, folder) if manifest else {}
    truth = box_data.Truth.load(folder / "truth.json", labels, with_masks=True)
    results = box_data.Results.load(folder / "instances.json", truth, labels)
    palette = _palette(labels)
    cards = [
        _card(frame, folder, labels, palette, pictures.get(frame.name), truth, results)
        for frame in tqdm(shown, desc="page", unit="frame", leave=False)
    ]
    whole = len(shown) == len(scored)
    count = f"{len(shown)} of {len(scored)} frames, those of lowest joint mIoU"
    figures = [(metrics["segmentation"][kind], metrics["detection"][kind]) for kind in KINDS]
    text = pages.render(
        "browse.html",
        title,
        data={
            "base": labels.base,
            "frames": [{"name": frame.name, "pixels": frame.pixels} for frame in shown],
        },
        count=f"All {len(scored)} frames" if whole else count,
        heads=("whole split, percent", *_MEASURES.values(), "mAP of boxes"),
        rows=[
            [kind, *(f"{row[name]:.1f}" for name in _MEASURES), f"{boxes:.1f}"]
            for kind, (row, boxes) in zip(KINDS, figures)
        ],
        threshold=metrics.get("score_threshold"),
        further=[
            (
                table.title,
                ("", *table.columns.values()),
                [[kind, *map(tables.figure, row)] for kind, row in tables.lines(table)],
            )
            for table in tables.further(metrics)
        ],
        choices=_choices(labels),
        errors=ERRORS,
        cards=cards,
    )
    return text, len(shown), len(scored)


def _pictures(manifest, split, names, folder):
    """{name: data URL} of the key frames with these names."""
    frames = pipeline.key_frames(manifest, split, names)
    frames = tqdm(frames, "frames", len(names), unit="frame", leave=False)
    pictures = {name: visualize.jpeg_url(rgb, _SIDE, _QUALITY) for name, rgb in frames}
    if len(pictures) < len(names):
        raise InputError(
            f"{manifest.directory}: split '{split}' lacks {min(names - set(pictures))}, so "
            f"{folder} was made from other records; --records names those"
        )
    return pictures


def _errors(truth, predicted, labels):
    """Classify pairs of codes: uint8, 0 where they are equal, else the 1-based index in ERRORS."""
    same = labels.split(truth)[0] == labels.split(predicted)[0]
    cases = [truth == predicted, predicted == 0, truth == 0, ~same]
    return np.select(cases, [0, 1, 2, 3], 4).astype(np.uint8)


def _palette(labels):
    """The colours of overlays: RGB uint8 [max_code + 1, 3]."""
    codes = np.arange(labels.max_code + 1)
    pixels = np.zeros((1, len(codes), 3), np.uint8)
    return visualize.overlay_masks(pixels, codes, np.eye(len(codes))[:, None], labels, alpha=1.0)[0]


def _overlay(indices, palette):
    """Encode palette[indices], transparent where an index [H, W] is 0."""
    indices = visualize.shrink(indices, _SIDE, cv2.INTER_NEAREST)
    alpha = np.where(indices > 0, 255, 0).astype(np.uint8)
    image = np.dstack([palette[indices][..., ::-1], alpha])
    return visualize.data_url(image, ".png", cv2.IMWRITE_PNG_COMPRESSION, 9)


def _painted(rows, results, label_map):
    """Select a frame's instances, best first, whose masks are visible in its label map."""
    seen, free = [], np.ones(label_map.shape, bool)
    rows = rows[np.argsort(-results.scores[rows], kind="stable")]
    masks = records.decode_rles([results.masks[i] for i in rows], *label_map.shape)
    for row, mask in zip(rows, masks):
        visible = mask & free & (label_map == results.codes[row])
        if visible.sum() > _SHARE * mask.sum():
            seen.append(row)
            free &= ~visible
    return seen


def _card(frame, folder, labels, palette, picture, truth, results):
    """What the template shows of a frame."""
    maps = label_maps.read_maps(folder, frame.name, labels)
    place = truth.frames.tolist().index(frame.name)
    rows = np.flatnonzero(truth.box_frame == place)
    painted = _painted(np.flatnonzero(results.roi_frame == place), results, maps[1])

    def boxes(instances, rows, ends):
        for i, end in zip(rows, ends):
            code = instances.codes[i]
            name = labels.name(code) + end
            yield _box(instances.boxes[i], maps[0].shape, name, palette[code])

    scores = [f" {100 * results.scores[i]:.0f} %" for i in painted]
    drawn = (boxes(truth, rows, [""] * len(rows)), boxes(results, painted, scores))
    figures = []
    for side, label_map, inside in zip(("truth", "prediction"), maps, drawn):
        names = [labels.name(code) for code in np.unique(label_map) if code]
        caption = ", ".join(names) or "background only"
        figures.append((side, _overlay(label_map, palette), caption, list(inside)))
    colours = np.array([(0, 0, 0), *(colour for _, colour in ERRORS.values())], np.uint8)
    wrong = _errors(*maps, labels)
    shares = 100 * np.bincount(wrong.ravel(), minlength=len(colours))[1:] / wrong.size
    caption = [(kind, f"{x:.1f}") for kind, x in zip(ERRORS, shares) if x >= 0.05]
    figures.append(("errors", _overlay(wrong, colours), caption, []))
    height, width = wrong.shape
    ratio = f"{width}/{height}"
    return {"name": frame.name, "ratio": ratio, "picture": picture, "figures": figures}


def _box(box, size, name, colour):
    """What the template shows of a box, x1, y1, x2, y2 in pixels of a picture (height, width)."""
    (x1, y1, x2, y2), (height, width) = box, size
    left, top, wide, tall = (
        100 * v for v in (x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height)
    )
    # The name's relative place is that of the box, so that it never leaves the picture.
    along = 100 * left / (100 - wide) if wide < 100 else 0
    sides = {"left": left, "top": top, "width": wide, "height": tall, "along": along}
    return {
        **{side: f"{percent:.1f}" for side, percent in sides.items()},
        "name": name,
        "colour": f"rgb({','.join(map(str, colour))})",
        # Dark text on bright colours.
        "ink": "#000" if colour @ (0.299, 0.587, 0.114) > 128 else "#fff",
    }


def _choices(labels):
    """{field: (title, {value: text})} to sort and filter by; the address has the same fields."""
    errors = {key: f"{name} pixels" for key, (name, _) in ERRORS.items()}
    sides = {"either": "truth or prediction", "truth": "truth", "prediction": "prediction"}
    return {
        "sort": (
            "sort by",
            {"miou": "joint mIoU", "error": "wrong pixels", **errors, "name": "name"},
        ),
        "order": ("", {"worst": "worst first", "best": "best first"}),
        "actor": ("actor", {"": "any", **{name: name for name in labels.actors}}),
        "action": ("action", {"": "any", **{name: name for name in labels.actions}}),
        "side": ("in", sides),
    }
