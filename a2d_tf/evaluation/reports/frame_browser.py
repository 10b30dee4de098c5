"""An evaluated split as one HTML page: truth, prediction and errors of its frames,
worst first.

The page is self-contained. Its script orders the frames, and filters them by actor and
action.
"""

from __future__ import annotations

import collections
import pathlib

import numpy as np

from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import pipeline
from a2d_tf.data.a2d_annotations import paint
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import box_data, label_maps
from a2d_tf.evaluation import metrics as registry
from a2d_tf.evaluation.metrics import segmentation
from a2d_tf.evaluation.reports import templates
from a2d_tf.ops import visualize

_SIDE = 320  # longest side of a picture, pixels
_QUALITY = 80  # of JPEGs
# Kinds of errors of a pixel: name and colour.
ERRORS = {
    "missed": (47, 126, 216),
    "false alarm": (250, 204, 21),
    "wrong actor": (214, 40, 57),
    "wrong action": (249, 115, 22),
}


def page(
    title: str,
    folder: pathlib.Path,
    labels: LabelSpace,
    manifest: Manifest,
    *,
    split: str,
    limit: int,
) -> tuple[str, int, int]:
    """Render the worst frames of an evaluated split as HTML.

    They are those with most objects missed, then with most other mistakes, of which
    `metrics.json` tells for own labels, and then of the lowest joint mIoU. Boxes are
    filled if no frame has a true label map, for lack of masks.

    Args:
      folder: of the scores; labels: of the split.
      split: of the frames; limit: their maximal number.

    Returns:
      (text, number of frames shown, number of frames in the split).

    Raises:
      InputError: the split was not evaluated; a label map is damaged; the records do
        not hold the frames.
      OSError: a label map is missing.
    """
    truth = box_data.Truth.load(folder / "truth.json", labels)
    metrics = load_json(folder / "metrics.json", dict, "evaluate it again")
    scored = _scored(folder, labels, truth, metrics.get("mistakes"))
    names = {name for name, _ in scored[:limit]}
    images = dict(pipeline.key_frames(manifest, split, names))
    if len(images) < len(names):
        raise InputError(
            f"{manifest.directory}: split '{split}' lacks {min(names - set(images))},"
            f" so {folder} was made from other records; pass those as --records"
        )
    tables = [
        (table, [[kind, *map(registry.figure, row)] for kind, row in table.lines()])
        for _, table in registry.tables(registry.of_own_labels(metrics))
    ]
    cards = [
        {"told": told, **_card(name, folder, labels, truth, images[name])}
        for name, told in scored[:limit]
    ]
    shown: dict = {"labels": labels, "errors": ERRORS, "own": "mistakes" in metrics}
    shown |= {"cards": cards, "count": len(scored), "tables": tables}
    text = templates.render("browse.html", title, data={}, **shown)
    return text, len(names), len(scored)


def _scored(folder, labels, truth, mistakes):
    """Return (name, what is wrong in words) of each frame, the worst first."""
    scored = []
    for name in label_maps.frames_of(folder) or truth.frames.tolist():
        confusion = segmentation.Confusion(labels)
        confusion.update(*_maps(folder, name, labels, truth))
        miou, made = (
            confusion.metrics()["joint"]["miou"],
            (mistakes or {}).get(name, []),
        )
        told = f"mIoU {miou:.1f}" if mistakes is None else _told(made, labels)
        missed = sum(true > 0 for true, _ in made)
        scored.append((-missed, -len(made), miou, name, told))
    return [each[-2:] for each in sorted(scored)]


def _told(mistakes, labels):
    """Say what is wrong in a frame: [(true code, found code)], 0 where there is
    none.
    """
    told: collections.Counter = collections.Counter()
    for pair in mistakes:
        kind = "" if all(pair) else "missed: " if pair[0] else "not there: "
        told[
            kind + " taken for ".join(labels.spoken(code) for code in pair if code)
        ] += 1
    times = (
        f"{each} ({count} times)" if count > 1 else each for each, count in told.items()
    )
    return "; ".join(times) or "no mistake"


def _maps(folder, name, labels, truth):
    """Read the label maps of a frame: truth, of boxes alone these filled, and
    prediction.
    """
    if (folder / "label_truth").exists():
        return label_maps.read_maps(folder, name, labels)
    predicted = label_maps.read_label_map(folder / "label_maps" / f"{name}.png", labels)
    rows = np.flatnonzero(truth.frames[truth.box_frame] == name)
    masks = np.zeros((len(rows), *predicted.shape), bool)
    for mask, (y1, x1, y2, x2) in zip(masks, np.round(truth.boxes[rows]).astype(int)):
        mask[y1:y2, x1:x2] = True
    return [paint(masks, truth.codes[rows], predicted.dtype), predicted]


def _card(name, folder, labels, truth, image):
    """Return the fields of the template for a frame, whose picture is `image`."""
    expected, predicted = _maps(folder, name, labels, truth)
    figures = []
    for side, codes in (("truth", expected), ("prediction", predicted)):
        painted = visualize.paint(image, codes, labels.palette)
        found = (labels.split(int(code)) for code in np.unique(codes) if code)
        pairs = [
            (labels.actors[actor - 1], labels.actions[action - 1])
            for actor, action in found
        ]
        figures.append((side, templates.jpeg_url(painted, _SIDE, _QUALITY), pairs))
    colours = np.array([(0, 0, 0), *ERRORS.values()], np.uint8)
    other_actor = labels.split(expected)[0] != labels.split(predicted)[0]
    cases = [expected == predicted, predicted == 0, expected == 0, other_actor]
    wrong = np.select(cases, [0, 1, 2, 3], 4).astype(np.uint8)  # indices of colours
    shares = 100 * np.bincount(wrong.ravel(), minlength=len(colours))[1:] / wrong.size
    painted = visualize.paint(image, wrong, colours)
    url = templates.jpeg_url(painted, _SIDE, _QUALITY)
    return {"name": name, "figures": figures, "errors": url, "shares": shares.tolist()}
