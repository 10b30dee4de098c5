"""A scored split as one HTML page: truth, prediction and errors of its frames, the worst first.

The page sorts and filters by itself, and its address keeps what was chosen, such as
`browse.html#sort=error&actor=dog`; with an actor or an action chosen, its figures count the pixels
of these alone. It loads nothing from elsewhere.
"""

import base64
import dataclasses
import html

import cv2
import numpy as np
from tqdm import tqdm

from a2d_tf.core import visualize
from a2d_tf.core.errors import InputError
from a2d_tf.data import pipeline, records
from a2d_tf.evaluation import coco_results, detection, segmentation
from a2d_tf.evaluation.reports import pages, tables

_SIDE = 320  # pixels of the longer side of a picture, at most
_QUALITY = 80  # of JPEGs
_SHARE = 0.1  # of an instance's mask that must be seen in the label map, for its box to be drawn
_MEASURES = {"ave": "ave", "glo": "glo", "miou": "mIoU"}
# What a pixel's error may be: its name, and its colour.
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
      pixels: ((code in truth, code predicted, pixels), ...) of all pairs of codes there are.
    """

    name: str
    miou: float
    shares: dict
    pixels: tuple

    @property
    def wrong(self):
        """Percent of its pixels whose pair is wrong."""
        return sum(self.shares.values())


def score(folder, labels):
    """Score the frames of an evaluated split one by one.

    Args:
      folder: pathlib.Path, as `runner.Evaluator.evaluate` leaves it.
      labels: the LabelSpace.

    Returns:
      list of `Scored`, the worst joint mIoU first.

    Raises:
      InputError: the split was not evaluated, or a label map is missing or damaged.
    """
    truths = folder / "label_truth"
    names = sorted(path.relative_to(truths).with_suffix("") for path in truths.glob("*/*.png"))
    if not names:
        raise InputError(f"{truths}: no label maps there; run a2d_tf.evaluate on this split first")
    scored = []
    for name in tqdm(names, desc="score", unit="frame", leave=False):
        maps = _maps(folder, name, labels)
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
        scored.append(Scored(str(name), confusion.metrics()["joint"]["miou"], shares, pixels))
    return sorted(scored, key=lambda frame: (frame.miou, frame.name))


def page(title, folder, labels, manifest, split, limit):
    """The HTML text of the worst frames of an evaluated split.

    Args:
      title: of the page.
      folder, labels: as for `score`.
      manifest: of the records that hold the frames; None for label maps alone.
      split: 'train', 'val' or 'test'.
      limit: of frames.

    Returns:
      (text, frames shown, frames of the split).

    Raises:
      InputError: as for `score`, or a file of the evaluation, or the records lack or contradict
        what is needed.
    """
    if manifest and manifest.label_space != labels:
        raise InputError(f"{manifest.directory}: the records have another label space")
    scored = score(folder, labels)
    shown = scored[:limit]
    pictures = {}
    if manifest:
        wanted = {frame.name for frame in shown}
        found = pipeline.key_frames(manifest, split, wanted)
        found = tqdm(found, "frames", len(wanted), unit="frame", leave=False)
        pictures = {name: _jpeg(rgb) for name, rgb in found}
        if len(pictures) < len(wanted):
            raise InputError(
                f"{manifest.directory}: split '{split}' lacks {min(wanted - set(pictures))}, so "
                f"{folder} was made from other records; --records names those"
            )
    truth = detection.Truth.load(folder / "truth.json", labels, with_masks=True)
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
        f"{count}. A frame's mIoU is the mean over the pairs in it, background among them; with an "
        "actor or an action chosen, the figures above the pictures are of these pairs alone. A box "
        "is an instance of which a tenth or more is to be seen in the label map, its score "
        "p(actor) p(action). Point at a picture to see the frame."
    )
    blocks = [
        pages.Text(text),
        *_metrics(folder / "metrics.json"),
        pages.Html(_form(labels)),
        pages.Html(f'<main data-base="{labels.base}">\n' + "\n".join(cards) + "\n</main>"),
        pages.Html(f"<script>{_SCRIPT}</script>"),
    ]
    return pages.document(title, blocks, _HEAD), len(shown), len(scored)


def _maps(folder, name, labels):
    """The label maps of a frame: truth and prediction."""
    return [
        segmentation.read_label_map(folder / kind / f"{name}.png", labels)
        for kind in ("label_truth", "label_maps")
    ]


def _errors(truth, predicted, labels):
    """What is wrong with each of some codes: uint8, 0 nothing, else the place in ERRORS from 1."""
    same = labels.split(truth)[0] == labels.split(predicted)[0]
    cases = [truth == predicted, predicted == 0, truth == 0, ~same]
    return np.select(cases, [0, 1, 2, 3], 4).astype(np.uint8)


def _metrics(path):
    """The table of the whole split, and from which p(actor) on instances are painted."""
    metrics = coco_results.read_json(path)
    try:
        rows = [
            [
                kind,
                *(f"{metrics['segmentation'][kind][name]:.1f}" for name in _MEASURES),
                f"{metrics['detection'][kind]:.1f}",
            ]
            for kind in tables.KINDS
        ]
        blocks = [pages.Table(("whole split, percent", *_MEASURES.values(), "mAP of boxes"), rows)]
        if "score_threshold" in metrics:
            least = f"{metrics['score_threshold']:g}"
            blocks.append(pages.Text(f"Painted are instances with p(actor) of {least} or more."))
        return blocks
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no metrics of a split; evaluate it again") from error


def _palette(labels):
    """The colours of overlays: RGB uint8 [max_code + 1, 3]."""
    codes = np.arange(labels.max_code + 1)
    pixels = np.zeros((1, len(codes), 3), np.uint8)
    return visualize.overlay_masks(pixels, codes, np.eye(len(codes))[:, None], labels, alpha=1.0)[0]


def _smaller(image, how):
    height, width = image.shape[:2]
    scale = _SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=how) if scale < 1 else image


def _data(image, extension, *options):
    """A picture, BGR or BGRA, as the data of an URL."""
    data = cv2.imencode(extension, image, options)[1]
    kind = {".jpg": "jpeg", ".png": "png"}[extension]
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _jpeg(rgb):
    image = _smaller(np.ascontiguousarray(rgb[..., ::-1]), cv2.INTER_AREA)
    return _data(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, _QUALITY)


def _overlay(indices, palette):
    """A picture of palette[indices] [H, W], see-through where the index is 0."""
    indices = _smaller(indices, cv2.INTER_NEAREST)
    alpha = np.where(indices > 0, 255, 0).astype(np.uint8)
    image = np.dstack([palette[indices][..., ::-1], alpha])
    return _data(image, ".png", cv2.IMWRITE_PNG_COMPRESSION, 9)


def _painted(rows, results, label_map):
    """Those of a frame's instances, best first, whose mask is to be seen in its label map."""
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
    """The HTML of a frame."""
    maps, place = _maps(folder, frame.name, labels), truth.frames.tolist().index(frame.name)
    height, width = maps[0].shape

    def boxes(of, rows, scores=None):
        for i in rows:
            x1, y1, x2, y2 = of.boxes[i]
            name = labels.name(of.codes[i])
            if scores is not None:
                name += f" {100 * scores[i]:.0f} %"
            # Dark names are for bright colours.
            colour = palette[of.codes[i]]
            ink = "#000" if colour @ (0.299, 0.587, 0.114) > 128 else "#fff"
            left, top, wide, tall = (
                100 * v for v in (x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height)
            )
            # A name is as far along its picture as its box is, and so never leaves it.
            along = 100 * left / (100 - wide) if wide < 100 else 0
            paint = f"--c:rgb({','.join(map(str, colour))});--k:{ink}"
            yield (
                f'<i style="left:{left:.1f}%;top:{top:.1f}%;width:{wide:.1f}%;height:{tall:.1f}%;'
                f'{paint}"></i><b style="--x:{along:.1f}%;--y:{top:.1f}%;{paint}">'
                f"{html.escape(name)}</b>"
            )

    found = _painted(np.flatnonzero(results.roi_frame == place), results, maps[1])
    drawn = (
        "".join(boxes(truth, np.flatnonzero(truth.box_frame == place))),
        "".join(boxes(results, found, results.scores)),
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


def _listed(codes, labels):
    return ", ".join(labels.name(code) for code in codes) or "background only"


def _figure(side, overlay, caption, inside=""):
    return (
        f'<figure class="{side}"><div><img alt="{side}" loading="lazy" src="{overlay}">{inside}'
        f"</div><figcaption><b>{side}:</b> {caption}</figcaption></figure>"
    )


def _form(labels):
    """What the page can be asked for; the names are those in its address."""
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


_COLOURS = "\n".join(
    f".{key}::before {{ background: rgb{colour}; }}" for key, (_, colour) in ERRORS.items()
)
_HEAD = f"""<meta http-equiv="Content-Security-Policy" content="default-src 'none';
 img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
body {{ max-width: 1500px; }}
form {{ position: sticky; top: 0; z-index: 2; background: #fff; padding: .6em 0; display: flex;
       flex-wrap: wrap; gap: .4em 1.1em; align-items: center; border-bottom: 2px solid #5f6b73; }}
form label {{ white-space: nowrap; }} select {{ font: inherit; }}
input {{ width: 6em; vertical-align: middle; }}
output {{ font-weight: 600; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(600px, 100%), 1fr));
       gap: 1.2em 1.8em; margin-top: 1em; }}
article {{ display: grid; align-content: start; grid-template-columns: repeat(3, 1fr); gap: 0 .5em;
          border-top: 1px solid #dde3e8; padding-top: .5em; }}
article[hidden] {{ display: none; }}
article h2 {{ font: 600 14px/1.5 ui-monospace, monospace; margin: 0; grid-column: span 2;
             overflow-wrap: anywhere; }}
article p {{ margin: 0; text-align: right; font-size: 13px; font-variant-numeric: tabular-nums; }}
figure {{ margin: .3em 0 0; }} figcaption {{ line-height: 1.35; margin-top: .2em; }}
figure div {{ position: relative; overflow: hidden; aspect-ratio: var(--ratio); }}
figure div::before {{ content: ""; position: absolute; inset: 0;
                     background: #39424a var(--frame) 0 0 / 100% 100%; }}
.errors div::before {{ filter: grayscale(1) brightness(.75); }}
figure img {{ position: absolute; inset: 0; width: 100%; height: 100%;
             opacity: var(--masks, .55); }}
.errors img {{ opacity: .85; }}
figure i {{ position: absolute; box-sizing: border-box; border: 2px solid var(--c); }}
figure div b {{ position: absolute; left: var(--x); top: var(--y); padding: 0 3px;
              z-index: 1; transform: translate(calc(-1 * var(--x)), calc(-1 * var(--y)));
              background: var(--c); color: var(--k); white-space: nowrap;
              font: 600 10px/1.3 system-ui, sans-serif; }}
figure div:hover img, figure div:hover i, figure div:hover b {{ visibility: hidden; }}
.legend span {{ margin-right: 1em; font-size: 13px; }}
.missed::before, .extra::before, .who::before, .what::before {{ content: ""; width: .75em;
  height: .75em; display: inline-block; margin-right: .3em; border-radius: 2px; }}
{_COLOURS}
</style>
"""
_SCRIPT = """
const form = document.forms[0], fields = form.elements, main = document.querySelector("main");
const cards = [...main.children], base = Number(main.dataset.base), usual = new FormData(form);
const kinds = ["missed", "extra", "who", "what"];

for (const card of cards) {
  card.pixels = card.dataset.pixels.split(" ").map(row => row.split(",").map(Number));
}

/* The frame's mIoU and shares of errors, percent, where the code in truth or the one predicted, as
   the sides say, is a wanted one. As in Python, a code that is in truth nowhere has no IoU. */
function measure(card, wanted, sides) {
  const found = {error: 0}, ious = {};
  let all = 0;
  for (const kind of kinds) found[kind] = 0;
  for (const [truth, predicted, count] of card.pixels) {
    all += count;
    for (const code of truth === predicted ? [truth] : [truth, predicted]) {
      ious[code] ??= {hit: 0, union: 0, truth: false};
      ious[code].union += count;
    }
    ious[truth].truth = true;
    if (truth === predicted) { ious[truth].hit += count; continue; }
    if (!(sides.includes("truth") && wanted(truth))
        && !(sides.includes("prediction") && wanted(predicted))) continue;
    const same = Math.floor(truth / base) === Math.floor(predicted / base);
    found[!predicted ? "missed" : !truth ? "extra" : same ? "what" : "who"] += count;
  }
  for (const kind of kinds) {
    found.error += found[kind];
    found[kind] *= 100 / all;
  }
  found.error *= 100 / all;
  const own = Object.entries(ious).filter(([code, iou]) => iou.truth && wanted(Number(code)));
  const sum = own.reduce((sum, [, iou]) => sum + iou.hit / iou.union, 0);
  found.miou = own.length ? 100 * sum / own.length : 0;
  return found;
}

function apply() {
  const actor = fields.actor.selectedIndex, action = fields.action.selectedIndex;
  const sides = fields.side.value === "either" ? ["truth", "prediction"] : [fields.side.value];
  const every = !actor && !action;
  const wanted = code => every || code > 0 && (!actor || Math.floor(code / base) === actor)
    && (!action || code % base === action);
  const key = fields.sort.value, up = key === "miou" ? 1 : -1;
  const names = [actor && fields.actor.value, action && fields.action.value].filter(Boolean);
  let shown = 0;
  for (const card of cards) {
    const codes = sides.flatMap(side => card.dataset[side].split(" ").map(Number));
    card.hidden = !every && !codes.some(wanted);
    shown += !card.hidden;
    const found = measure(card, wanted, sides);
    for (const name in found) card.dataset[name] = found[name].toFixed(3);
    card.querySelector(".of").textContent = every ? "" : `${names.join("-")}: `;
    card.querySelector(".miou").textContent = found.miou.toFixed(1);
    card.querySelector(".error").textContent = found.error.toFixed(1) + " %";
    card.querySelector(".key").textContent = kinds.includes(key)
      ? `, ${fields.sort.selectedOptions[0].text} ${found[key].toFixed(1)} %` : "";
  }
  const sign = fields.order.value === "best" ? -1 : 1;
  const byName = (a, b) => a.dataset.name < b.dataset.name ? -1 : 1;
  const byError = (a, b) => up * (a.dataset[key] - b.dataset[key]) || sign * byName(a, b);
  cards.sort((a, b) => sign * (key === "name" ? byName : byError)(a, b));
  main.append(...cards);
  main.style.setProperty("--masks", fields.masks.value / 100);
  form.querySelector("output").value = `${shown} of ${cards.length} frames`;
}

function fromAddress() {
  form.reset();
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    if (!usual.has(name)) continue;
    fields[name].value = value;
    if (fields[name].selectedIndex < 0) fields[name].selectedIndex = 0;
  }
  apply();
}

form.addEventListener("input", () => {
  const chosen = [...new FormData(form)].filter(([name, value]) => usual.get(name) !== value);
  history.replaceState(null, "", "#" + new URLSearchParams(chosen));
  apply();
});
form.addEventListener("submit", event => event.preventDefault());
addEventListener("hashchange", fromAddress);
fromAddress();
"""
