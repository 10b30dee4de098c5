"""An evaluated split as one HTML page: truth, prediction and errors of its frames, worst first.

The page is self-contained. Its script sorts and filters the frames and keeps the choice in the
address, as in `browse.html#sort=error&actor=dog`; with an actor or an action chosen, the figures
count only their pixels.
"""

from __future__ import annotations

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
from a2d_tf.evaluation import metrics as registry
from a2d_tf.evaluation.metrics import KINDS, segmentation
from a2d_tf.evaluation.reports import pages
from a2d_tf.ops import visualize

_SIDE = 320  # longest side of a picture, pixels
_QUALITY = 80  # of JPEGs
_SHARE = 0.1  # a box is drawn if at least this share of its mask is visible in the label map
_METRICS = {
    "segmentation": dict.fromkeys(KINDS, {"ave": float, "glo": float, "miou": float}),
    "detection": dict.fromkeys(KINDS, float),
    "score_threshold?": float,
}
# Kinds of errors of a pixel: name and colour.
ERRORS = {
    "missed": ("missed", (47, 126, 216)),
    "extra": ("false alarm", (250, 204, 21)),
    "who": ("wrong actor", (214, 40, 57)),
    "what": ("wrong action", (249, 115, 22)),
}


def score(folder: pathlib.Path, labels: LabelSpace) -> list[tuple[float, str, list]]:
    """Score the frames of an evaluated split one by one.

    Args:
      folder: as written by `Evaluator.evaluate`.
      labels: the label space.

    Returns:
      Of each frame its joint mIoU in percent, its name, and [(true code, predicted code, number of
      pixels), ...]; the worst first.

    Raises:
      InputError: the split was not evaluated, or a label map is missing or damaged.
    """
    truths = folder / "label_truth"
    names = label_maps.frames_of(folder)
    if not names:
        raise InputError(
            f"{truths}: no label maps there; run a2d_tf.evaluate on this split first, or annotate "
            "masks, for boxes alone make none"
        )
    scored = []
    for name in tqdm(names, desc="score", unit="frame", leave=False):
        maps = label_maps.read_maps(folder, name, labels)
        confusion = segmentation.Confusion(labels)
        try:
            pairs = segmentation.pairs(*maps)
            confusion.add(*pairs)
        except InputError as error:
            raise InputError(f"{truths / name}.png: {error}") from error
        pixels = list(zip(*(column.tolist() for column in pairs)))
        scored.append((confusion.metrics()["joint"]["miou"], name, pixels))
    return sorted(scored)


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
    frames = [{"name": name, "pixels": pixels} for _, name, pixels in scored[:limit]]
    names = [name for _, name, _ in scored[:limit]]
    remedy = "no metrics of a split; evaluate it again"
    metrics = load_json(folder / "metrics.json", _METRICS, remedy)
    pictures = _pictures(manifest, split, set(names), folder) if manifest else {}
    truth = box_data.Truth.load(folder / "truth.json", labels, with_masks=True)
    results = box_data.Results.load(folder / "instances.json", truth, labels)
    palette = np.array([visualize.bright(colour) for colour in labels.palette], np.uint8)
    text = pages.render(
        "browse.html",
        title,
        data={"base": labels.base, "frames": frames},
        count=len(scored),
        kinds=KINDS,
        metrics=metrics,
        further=[
            (
                table.title,
                ("", *table.columns.values()),
                [[kind, *map(registry.figure, row)] for kind, row in table.lines()],
            )
            for _, table in registry.tables(metrics)
            if not table.published
        ],
        labels=labels,
        errors=ERRORS,
        cards=[
            _card(name, folder, labels, palette, truth, results)
            for name in tqdm(names, desc="page", unit="frame", leave=False)
        ],
        pictures=pictures,
    )
    return text, len(frames), len(scored)


def _pictures(manifest, split, names, folder):
    """Return {name: data URL} of the key frames with these names."""
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
    other = labels.split(truth)[0] != labels.split(predicted)[0]
    cases = [truth == predicted, predicted == 0, truth == 0, other]
    return np.select(cases, [0, 1, 2, 3], 4).astype(np.uint8)


def _overlay(indices, palette):
    """Encode palette[indices], transparent where an index [H, W] is 0."""
    indices = visualize.shrink(indices, _SIDE, cv2.INTER_NEAREST)
    alpha = np.where(indices > 0, 255, 0).astype(np.uint8)
    image = np.dstack([palette[indices][..., ::-1], alpha])
    png = cv2.imencode(".png", image, (cv2.IMWRITE_PNG_COMPRESSION, 9))[1]
    return visualize.data_url(png.tobytes())


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


def _card(name, folder, labels, palette, truth, results):
    """What the template shows of a frame."""
    maps = label_maps.read_maps(folder, name, labels)
    place = truth.frames.tolist().index(name)
    rows = np.flatnonzero(truth.box_frame == place)
    painted = _painted(np.flatnonzero(results.box_frame == place), results, maps[1])
    scores = [f" {100 * results.scores[i]:.0f} %" for i in painted]
    figures = []
    for side, label_map, instances, chosen, ends in (
        ("truth", maps[0], truth, rows, [""] * len(rows)),
        ("prediction", maps[1], results, painted, scores),
    ):
        names = [labels.name(code) for code in np.unique(label_map) if code]
        caption = ", ".join(names) or "background only"
        boxes = [
            _box(instances.boxes[i], label_map.shape, labels.name(code) + end, palette[code])
            for i, code, end in zip(chosen, instances.codes[chosen], ends)
        ]
        figures.append((side, _overlay(label_map, palette), caption, boxes))
    colours = np.array([(0, 0, 0), *(colour for _, colour in ERRORS.values())], np.uint8)
    wrong = _errors(*maps, labels)
    shares = 100 * np.bincount(wrong.ravel(), minlength=len(colours))[1:] / wrong.size
    caption = [(kind, f"{x:.1f}") for kind, x in zip(ERRORS, shares) if x >= 0.05]
    figures.append(("errors", _overlay(wrong, colours), caption, []))
    height, width = wrong.shape
    return {"name": name, "ratio": f"{width}/{height}", "figures": figures}


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
