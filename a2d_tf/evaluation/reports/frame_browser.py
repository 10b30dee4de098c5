"""An evaluated split as one HTML page: truth, prediction and errors of its frames.

The worst frames come first. The page is self-contained. Its script orders the frames,
and filters them by actor and action.
"""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.batches import pipeline
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.sources.annotation import paint
from a2d_tf.evaluation.boxes import instance_tables
from a2d_tf.evaluation.frames import label_maps
from a2d_tf.evaluation.metrics import segmentation, summaries
from a2d_tf.evaluation.metrics.tables import Table, figure
from a2d_tf.evaluation.own_labels import behaviour_files
from a2d_tf.evaluation.own_labels.object_scores import metrics_of_tracks
from a2d_tf.evaluation.reports import templates
from a2d_tf.ops import visualize
from a2d_tf.runs.scores import METRICS, TRUTH

_SIDE = 320  # longest side of a picture, pixels
_QUALITY = 80  # of JPEGs
ERRORS = {
    "missed": (47, 126, 216),
    "false alarm": (250, 204, 21),
    "wrong actor": (214, 40, 57),
    "wrong action": (249, 115, 22),
}
"""{kind of error of a pixel: its colour on the page, (red, green, blue)}."""


class Page(NamedTuple):
    """The page of an evaluated split.

    Attributes:
      text: the HTML of the page.
      shown_count: the number of frames on the page.
      frame_count: the number of frames in the split.
    """

    text: str
    shown_count: int
    frame_count: int


class _Picture(NamedTuple):
    """A picture of a label map.

    Attributes:
      caption: the text below it, "truth" or "prediction".
      url: the picture as a data URL.
      pairs: the (actor, action) of each code in it.
    """

    caption: str
    url: str
    pairs: list[tuple[str, str]]


class _Card(NamedTuple):
    """The part of the page for one frame.

    Attributes:
      name: the name of the frame.
      description: a sentence on what is wrong.
      pictures: the pictures of the true and of the predicted label map.
      errors_url: the picture of the errors as a data URL.
      shares: for each of ERRORS the percentage of the pixels of objects, true or
        predicted, that have this error.
    """

    name: str
    description: str
    pictures: list[_Picture]
    errors_url: str
    shares: list[float]


class _Scores(NamedTuple):
    """A table of scores, and its rows as text."""

    table: Table
    rows: list[list[str]]


class _ScoredFrame(NamedTuple):
    """The scores of a frame, by which the worst frames are found.

    Attributes:
      name: the name of the frame.
      missed_count: the number of missed objects.
      mistake_count: the number of all mistakes.
      miou: the joint mIoU of the frame in percent.
      description: a sentence on what is wrong.
    """

    name: str
    missed_count: int
    mistake_count: int
    miou: float
    description: str

    def rank(self) -> tuple:
        """Return a key by which the worst frames sort first."""
        return (-self.missed_count, -self.mistake_count, self.miou, self.name)


class _Maps(NamedTuple):
    """The places of the label maps of a split.

    Attributes:
      folder: the folder of scores.
      predicted: the folder of the predicted label maps.
      labels: the label space of the codes.
      truth: the true instances.
    """

    folder: pathlib.Path
    predicted: pathlib.Path
    labels: LabelSpace
    truth: instance_tables.Truth

    def read(self, name: str) -> label_maps.LabelMaps:
        """Read the label maps of a frame; without a true one, its boxes are filled."""
        path = self.predicted / f"{name}.png"
        predicted = label_maps.read_label_map(path, self.labels)
        true_path = self.folder / "label_truth" / f"{name}.png"
        if true_path.exists():
            true_map = label_maps.read_label_map(true_path, self.labels)
            return label_maps.LabelMaps(true_map, predicted)
        truth = self.truth
        rows = np.flatnonzero(truth.frames[truth.box_frame] == name)
        masks = np.zeros((len(rows), *predicted.shape), bool)
        for mask, (y1, x1, y2, x2) in zip(
            masks, np.round(truth.boxes[rows]).astype(int)
        ):
            mask[y1:y2, x1:x2] = True
        filled = paint(masks, truth.codes[rows], predicted.dtype)
        return label_maps.LabelMaps(filled, predicted)


def page(
    title: str,
    folder: pathlib.Path,
    labels: LabelSpace,
    manifest: Manifest,
    *,
    split: str,
    limit: int,
) -> Page:
    """Render the worst frames of an evaluated split as HTML, for `a2d browse`.

    With a user's own labels, for which `metrics.json` lists mistakes, the worst frames
    are those with the most missed objects, and then with the most mistakes. With equal
    numbers, and with A2D's labels, they are those with the lowest joint mIoU. After
    `a2d score objects` mistakes and pictures are those of tracks. If an instance of a
    frame has no mask, there is no true label map, and the true boxes are filled
    instead.

    Args:
      title: the title of the page.
      folder: the folder of scores that `a2d evaluate` wrote.
      labels: the label space of the split.
      manifest: the manifest of the records, which hold the frames.
      split: the split that was evaluated: "train", "val" or "test".
      limit: the largest number of frames on the page.

    Raises:
      InputError: the split was not evaluated; a label map is damaged; the records do
        not hold the frames.
      OSError: a label map is missing.
    """
    truth = instance_tables.Truth.load(folder / TRUTH, labels)
    metrics = load_json(folder / METRICS, dict, "evaluate it again")
    predicted = folder / "label_maps"
    objects = folder / behaviour_files.OBJECTS
    if objects.is_file():
        predicted = folder / label_maps.TRACK_MAPS
        fields = load_json(objects, dict, "score the objects again")
        metrics = metrics_of_tracks(metrics, fields)
    maps = _Maps(folder, predicted, labels, truth)
    scored = _scored_frames(maps, metrics.get("mistakes"))
    worst = sorted(scored, key=_ScoredFrame.rank)[:limit]
    names = {frame.name for frame in worst}
    images = dict(pipeline.key_frames(manifest, split, names))
    if len(images) < len(names):
        raise InputError(
            f"{manifest.directory}: split '{split}' lacks {min(names - set(images))},"
            f" so {folder} was made from other records; pass those as --records"
        )
    scores = []
    for _, table in summaries.all_tables(summaries.of_own_labels(metrics)):
        rows = []
        for name, values in table.lines():
            rows.append([name, *map(figure, values)])
        scores.append(_Scores(table, rows))
    cards = []
    for frame in worst:
        # Their label maps are read again: those of a whole split may not fit in memory.
        maps_of_frame = maps.read(frame.name)
        cards.append(_card(frame, maps_of_frame, labels, images[frame.name]))
    text = templates.render(
        "browse.html",
        title,
        data={},
        labels=labels,
        errors=ERRORS,
        is_ranked_by_mistakes="mistakes" in metrics,
        is_of_tracks=objects.is_file(),
        cards=cards,
        count=len(scored),
        scores=scores,
    )
    return Page(text, shown_count=len(names), frame_count=len(scored))


def _scored_frames(
    maps: _Maps, mistakes: Mapping[str, Sequence] | None
) -> list[_ScoredFrame]:
    """Score each frame.

    Args:
      mistakes: {name of a frame: [(true code, predicted code)]} of `metrics.json`, for
        own labels, or None.
    """
    scored = []
    labels = maps.labels
    for name in maps.truth.frames.tolist():
        confusion = segmentation.Confusion(labels)
        maps_of_frame = maps.read(name)
        confusion.update(maps_of_frame.truth, maps_of_frame.prediction)
        miou = confusion.metrics()["joint"]["miou"]
        frame_mistakes: Sequence = []
        if mistakes is None:
            description = f"mIoU {miou:.1f}"
        else:
            frame_mistakes = mistakes.get(name, [])
            description = _describe(frame_mistakes, labels)
        scored.append(
            _ScoredFrame(
                name=name,
                missed_count=sum(true_code > 0 for true_code, _ in frame_mistakes),
                mistake_count=len(frame_mistakes),
                miou=miou,
                description=description,
            )
        )
    return scored


def _describe(mistakes: Sequence[Sequence[int]], labels: LabelSpace) -> str:
    """Say what is wrong in a frame.

    Args:
      mistakes: [(true code, predicted code)], 0 where there is none.
    """
    counts: collections.Counter = collections.Counter()
    for true_code, code in mistakes:
        if not code:
            counts[f"missed: {labels.spoken(true_code)}"] += 1
        elif not true_code:
            counts[f"not there: {labels.spoken(code)}"] += 1
        else:
            true_name = labels.spoken(true_code)
            counts[f"{true_name} taken for {labels.spoken(code)}"] += 1
    sentences = []
    for sentence, count in counts.items():
        if count > 1:
            sentence = f"{sentence} ({count} times)"
        sentences.append(sentence)
    return "; ".join(sentences) or "no mistake"


def _card(
    frame: _ScoredFrame,
    maps: label_maps.LabelMaps,
    labels: LabelSpace,
    image: np.ndarray,
) -> _Card:
    """Make the part of the page for a frame, whose picture is `image`."""
    pictures = []
    for caption, codes in maps._asdict().items():
        pairs = []
        for code in np.unique(codes):
            if code:
                actor, action = labels.indices(int(code))
                pairs.append((labels.actors[actor], labels.actions[action]))
        painted = visualize.overlay_indices(image, codes, labels.palette)
        url = templates.jpeg_url(painted, _SIDE, _QUALITY)
        pictures.append(_Picture(caption, url, pairs))
    # Indices of colours: 0 of pixels that are right, then those of ERRORS.
    true_actors, _ = labels.split(maps.truth)
    actors, _ = labels.split(maps.prediction)
    cases = [
        maps.truth == maps.prediction,
        maps.prediction == 0,
        maps.truth == 0,
        true_actors != actors,
    ]
    wrong = np.select(cases, [0, 1, 2, 3], 4).astype(np.uint8)
    colours = np.array([(0, 0, 0), *ERRORS.values()], np.uint8)
    pixels = np.bincount(wrong.ravel(), minlength=len(colours))[1:]
    objects = np.count_nonzero((maps.truth > 0) | (maps.prediction > 0))
    shares = 100 * pixels / max(objects, 1)
    painted = visualize.overlay_indices(image, wrong, colours)
    url = templates.jpeg_url(painted, _SIDE, _QUALITY)
    return _Card(
        name=frame.name,
        description=frame.description,
        pictures=pictures,
        errors_url=url,
        shares=shares.tolist(),
    )
