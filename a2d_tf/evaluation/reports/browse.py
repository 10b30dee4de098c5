"""An evaluated split as one HTML page: truth, prediction and errors of its frames, worst first.

The page is self-contained. Its script sorts and filters the frames and keeps the choice in the
address, as in `browse.html#sort=error&actor=dog`; with an actor or an action chosen, the figures
count only their pixels.
"""

from __future__ import annotations

import dataclasses
import html
import pathlib

import cv2
import numpy as np
from tqdm import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import pipeline, records
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import box_data, coco_results, label_maps
from a2d_tf.evaluation.metrics import KINDS, segmentation
from a2d_tf.evaluation.reports import pages, tables
from a2d_tf.ops import visualize

_FILES = pathlib.Path(__file__)  # beside it are browse.css and browse.js
_SIDE = 320  # longest side of a picture, pixels
_QUALITY = 80  # of JPEGs
_SHARE = 0.1  # a box is drawn if at least this share of its mask is visible in the label map
_MEASURES = {"ave": "ave", "glo": "glo", "miou": "mIoU"}
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
      shares: {key of ERRORS: percent of its pixels}.
      pixels: ((true code, predicted code, number of pixels), ...).
    """

    name: str
    miou: float
    shares: dict
    pixels: tuple

    @property
    def wrong(self) -> float:
        """Percent of its pixels whose pair is wrong."""
        return sum(self.shares.values())


def score(folder: pathlib.Path, labels: LabelSpace) -> list[Scored]:
    """Score the frames of an evaluated split one by one.

    Args:
      folder: as written by `runner.Evaluator.evaluate`.
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
        truth, predicted, counts = segmentation.pairs(*maps)
        errors = _errors(truth, predicted, labels)
        shares = {
            key: 100 * float(counts[errors == i].sum() / counts.sum())
            for i, key in enumerate(ERRORS, 1)
        }
        pixels = tuple(zip(truth.tolist(), predicted.tolist(), counts.tolist()))
        scored.append(Scored(name, confusion.metrics()["joint"]["miou"], shares, pixels))
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
    pictures = _pictures(manifest, split, {f.name for f in shown}, folder) if manifest else {}
    truth = box_data.Truth.load(folder / "truth.json", labels, with_masks=True)
    results = coco_results.Results.load(folder / "instances.json", truth, labels)
    palette = _palette(labels)
    cards = [
        _card(frame, folder, labels, palette, pictures.get(frame.name), truth, results)
        for frame in tqdm(shown, desc="page", unit="frame", leave=False)
    ]
    count = f"{len(shown)} of {len(scored)} frames, those of lowest joint mIoU"
    if len(shown) == len(scored):
        count = f"All {len(scored)} frames"
    text = (
        f"{count}. A frame's mIoU is the mean over its pairs, including background; with an actor "
        "or an action chosen, the figures above the pictures are of its pairs only. A box is drawn "
        "where at least a tenth of an instance is visible in the label map; its score is "
        "p(actor) p(action). Point at a picture to see the frame."
    )
    blocks = [
        pages.Text(text),
        *_metrics(folder / "metrics.json"),
        pages.Html(_form(labels)),
        pages.Html(f'<main data-base="{labels.base}">\n' + "\n".join(cards) + "\n</main>"),
        pages.Html(f"<script>\n{_FILES.with_name('browse.js').read_text()}</script>"),
    ]
    return pages.document(title, blocks, _head()), len(shown), len(scored)


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


def _metrics(path):
    """The table of the whole split, and the threshold of painted instances."""
    try:
        metrics = read_json(path)
        rows = [
            [
                kind,
                *(f"{metrics['segmentation'][kind][name]:.1f}" for name in _MEASURES),
                f"{metrics['detection'][kind]:.1f}",
            ]
            for kind in KINDS
        ]
        blocks = [pages.Table(("whole split, percent", *_MEASURES.values(), "mAP of boxes"), rows)]
        if "score_threshold" in metrics:
            least = f"{metrics['score_threshold']:g}"
            blocks.append(pages.Text(f"Painted are instances with p(actor) of {least} or more."))
        return blocks + _further(metrics)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no metrics of a split; evaluate it again") from error


def _further(metrics):
    """Tables and the chart of what the paper does not have, as far as the evaluation has it."""
    blocks: list[pages.Block] = [pages.Html("<details><summary>More scores</summary>")]
    for table in tables.further(metrics):
        lines = [[name, *map(tables.figure, values)] for name, values in tables.lines(table)]
        blocks += [pages.Text(f"{table.title}:"), pages.Table(("", *table.columns.values()), lines)]
    return [*blocks, pages.Html("</details>")] if len(blocks) > 1 else []


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
    """Render a frame."""
    maps = label_maps.read_maps(folder, frame.name, labels)
    place = truth.frames.tolist().index(frame.name)
    height, width = maps[0].shape

    def boxes(instances, rows, scores=None):
        for i in rows:
            code, name = instances.codes[i], labels.name(instances.codes[i])
            if scores is not None:
                name += f" {100 * scores[i]:.0f} %"
            yield _box(instances.boxes[i], maps[0].shape, name, palette[code])

    painted = _painted(np.flatnonzero(results.roi_frame == place), results, maps[1])
    drawn = (
        "".join(boxes(truth, np.flatnonzero(truth.box_frame == place))),
        "".join(boxes(results, painted, results.scores)),
    )
    codes = [[int(code) for code in np.unique(label_map) if code] for label_map in maps]
    figures = [
        _figure(side, _overlay(label_map, palette), html.escape(_listed(present, labels)), inside)
        for side, label_map, present, inside in zip(("truth", "prediction"), maps, codes, drawn)
    ]
    colours = np.array([(0, 0, 0), *(colour for _, colour in ERRORS.values())], np.uint8)
    kinds = [
        f'<span class="{key}">{ERRORS[key][0]} {share:.1f} %</span>'
        for key, share in frame.shares.items()
        if share >= 0.05
    ]
    errors = _overlay(_errors(*maps, labels), colours)
    figures.append(_figure("errors", errors, "whole frame: " + (", ".join(kinds) or "none")))
    view = f"--ratio:{width}/{height}"
    if picture:
        view += f";--frame:url({picture})"
    fields = {
        "name": frame.name,
        "miou": f"{frame.miou:.3f}",
        "error": f"{frame.wrong:.3f}",
        **{key: f"{share:.3f}" for key, share in frame.shares.items()},
        "truth": " ".join(map(str, codes[0])),
        "prediction": " ".join(map(str, codes[1])),
        "pixels": " ".join(",".join(map(str, row)) for row in frame.pixels),
    }
    data = " ".join(f'data-{key}="{html.escape(value)}"' for key, value in fields.items())
    return (
        f'<article {data} style="{view}"><h2>{html.escape(frame.name)}</h2>'
        f'<p><span class="of"></span>mIoU <b class="miou">{frame.miou:.1f}</b>, wrong pixels '
        f'<b class="error">{frame.wrong:.1f} %</b><span class="key"></span></p>'
        f"{''.join(figures)}</article>"
    )


def _box(box, size, name, colour):
    """Render a box, x1, y1, x2, y2 in pixels of a picture of (height, width), and its name."""
    (x1, y1, x2, y2), (height, width) = box, size
    left, top, wide, tall = (
        100 * v for v in (x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height)
    )
    # Dark text on bright colours.
    ink = "#000" if colour @ (0.299, 0.587, 0.114) > 128 else "#fff"
    # The name's relative place is that of the box, so that it never leaves the picture.
    along = 100 * left / (100 - wide) if wide < 100 else 0
    paint = f"--c:rgb({','.join(map(str, colour))});--k:{ink}"
    return (
        f'<i style="left:{left:.1f}%;top:{top:.1f}%;width:{wide:.1f}%;height:{tall:.1f}%;'
        f'{paint}"></i><b style="--x:{along:.1f}%;--y:{top:.1f}%;{paint}">'
        f"{html.escape(name)}</b>"
    )


def _listed(codes, labels):
    return ", ".join(labels.name(code) for code in codes) or "background only"


def _figure(side, overlay, caption, inside=""):
    return (
        f'<figure class="{side}"><div><img alt="{side}" loading="lazy" src="{overlay}">{inside}'
        f"</div><figcaption><b>{side}:</b> {caption}</figcaption></figure>"
    )


def _form(labels):
    """The form that sorts and filters; the names of its fields are those in the address."""
    errors = {key: f"{name} pixels" for key, (name, _) in ERRORS.items()}
    sorts = {"miou": "joint mIoU", "error": "wrong pixels", **errors, "name": "name"}
    choices = {
        "sort": ("sort by", sorts),
        "order": ("", {"worst": "worst first", "best": "best first"}),
        "actor": ("actor", {"": "any", **{name: name for name in labels.actors}}),
        "action": ("action", {"": "any", **{name: name for name in labels.actions}}),
        "side": (
            "in",
            {"either": "truth or prediction", "truth": "truth", "prediction": "prediction"},
        ),
    }
    parts = []
    for name, (title, options) in choices.items():
        inner = "".join(
            f'<option value="{html.escape(value)}">{html.escape(shown)}</option>'
            for value, shown in options.items()
        )
        parts.append(f'<label>{title} <select name="{name}">{inner}</select></label>')
    legend = "".join(f'<span class="{key}">{name}</span>' for key, (name, _) in ERRORS.items())
    return (
        f"<form>{''.join(parts)}"
        '<label>masks <input name="masks" type="range" min="0" max="100" value="55"></label>'
        f'<output></output><span class="legend">{legend}</span></form>'
    )


def _head():
    """The page's own part of the head: nothing may be loaded from elsewhere."""
    colours = "\n".join(
        f".{key}::before {{ background: rgb{colour}; }}" for key, (_, colour) in ERRORS.items()
    )
    return (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        f"<style>\n{_FILES.with_name('browse.css').read_text()}{colours}\n</style>\n"
    )
