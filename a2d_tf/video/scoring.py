"""Predictions of videos beside their truth, for the scores over time."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from a2d_tf.annotations.document import DEFAULTS, AnnotatedFrame
from a2d_tf.annotations.formats import read_export
from a2d_tf.annotations.frame_names import split_frame_name
from a2d_tf.annotations.names import Names, check_label_space
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.segmentations import decode_parts, encode_mask
from a2d_tf.evaluation.tracks import Frame, Objects
from a2d_tf.video import predictions

_Numbered = dict[int, AnnotatedFrame]


def read(
    truth: str | os.PathLike,
    predicted: Sequence[str | os.PathLike],
    labels: LabelSpace | None = None,
) -> tuple[dict[str, list[Frame]], LabelSpace, list[str]]:
    """Compare predictions with the truth in the frames that are annotated.

    A frame that is annotated and was not segmented counts as one in which nothing was found.

    Args:
      truth: path of YouTube-VIS's JSON.
      predicted: folders of predictions, or of libraries.
      labels: the label space; by default that of the predictions.

    Returns:
      ({name of a video: its frames}, their label space, a line on each thing that was not scored).

    Raises:
      InputError: two predictions of a video, none of a video of the truth, other labels or sizes,
        or a missing or damaged file.
    """
    truth = pathlib.Path(truth)
    annotated = _annotated(truth)
    videos: dict[str, list[Frame]] = {}
    notes, unknown = [], []
    for folder in _folders(predicted):
        found = predictions.read_detections(folder)
        name, facts = found.name, found.facts
        labels = labels or facts.labels
        if _classes(labels) != _classes(facts.labels):
            raise InputError(
                f"{folder / predictions.VIDEO}: labels: not the label space of the others, "
                "or of --labels; score predictions of one label space together"
            )
        if name not in annotated:
            known = ", ".join([*list(annotated)[:5], *["..."] * (len(annotated) > 5)])
            unknown.append(
                f"{folder}: is of the video '{name}', which {truth} does not annotate; it has "
                f"{known}"
            )
            continue
        if name in videos:
            raise InputError(f"{folder}: another prediction of '{name}'; give one")
        numbered = _placed(annotated[name], facts.images)
        last = max(numbered)
        if found.frame_count is not None and last > found.frame_count:
            raise InputError(
                f"{numbered[last].where}: is frame {last}, but '{name}' has "
                f"{found.frame_count}; name its first frame {name}/00000.jpg"
            )
        videos[name] = [
            Frame(
                _objects(frame, facts.size, labels),
                found.objects.get(number, Objects.none()),
            )
            for number, frame in sorted(numbered.items())
        ]
        unanswered = len(set(numbered) - set(found.frames))
        if unanswered:
            notes.append(
                f"{name}: {unanswered} of {len(numbered)} annotated frames were not "
                "segmented; all in them counts as missed"
            )
    if unknown and not videos:
        raise InputError(unknown[0])
    notes += [f"{problem}; not scored" for problem in unknown]
    left = len(annotated) - len(videos)
    if left:
        notes.append(f"{left} of {len(annotated)} annotated videos have no prediction")
    return videos, labels or A2D, notes


def _annotated(path) -> dict[str, _Numbered]:
    """The videos of a YouTube-VIS file: {name: {1-based number: frame}}."""
    if not path.exists():
        raise InputError(f"{path}: no such file; --truth names annotations of YouTube-VIS")
    videos: dict[str, _Numbered] = {}
    for document in read_export(path, DEFAULTS, "youtube_vis"):
        for frame in document.frames:
            numbered = videos.setdefault(frame.video or "", {})
            if frame.number in numbered:
                raise InputError(
                    f"{frame.where}: another file of {path} has this frame, too; " "name one file"
                )
            numbered[frame.number] = frame
    return videos


def _folders(predicted):
    """The folders of predictions: those given, and those in a library given."""
    found: list[pathlib.Path] = []
    tracks = predictions.KINDS["tracks"]
    for path in map(pathlib.Path, predicted):
        inside = [path] if (path / tracks).is_file() else predictions.of_library(path)
        if not inside:
            raise InputError(
                f"--predicted={path}: neither a prediction nor a library of predictions, for there "
                f"is no {tracks}; a2d_tf.predict makes them"
            )
        found += inside
    return found


def _classes(labels):
    """What tells label spaces apart: not their colours."""
    return labels.actors, labels.actions, tuple(labels.codes)


def _placed(numbered: _Numbered, images: Sequence[str] | None) -> _Numbered:
    """Number frames by their places in the video, of whose images they may have the names.

    YouTube-VIS names frames from 00000.jpg on, and a folder of images may begin with another number
    or lack some. Names of which the folder has not all count places, as those of a video file do.
    """
    found = [split_frame_name(name) for name in images or ()]
    places = {name[1]: place for place, name in enumerate(found, 1) if name}
    named = {places.get(number - 1, 0): frame for number, frame in numbered.items()}
    return numbered if 0 in named or len(places) < len(found) else named


def _objects(frame: AnnotatedFrame, size: tuple[int, int], labels: LabelSpace) -> Objects:
    """Decode the objects of a frame whose video has this (height, width)."""
    if frame.size not in (None, size):
        height, width = frame.size or size
        raise InputError(
            f"{frame.where}: is {width}x{height}, but the prediction {size[1]}x{size[0]} "
            "(width x height); annotate and predict the same video"
        )
    names = Names(known=labels)
    check_label_space(frame.instances, names, labels)
    tracks, codes, masks = [], [], []
    for instance in frame.instances:
        try:
            masks.append(encode_mask(decode_parts(instance.parts, size, size)))
        except InputError as error:
            raise InputError(f"{instance.where}: {error}") from error
        if instance.track in tracks:
            raise InputError(
                f"{instance.where}: track {instance.track} is twice in this frame; give "
                "each object a 'track_id' of its own"
            )
        tracks.append(instance.track)
        codes.append(names.code(instance, labels))
    return Objects(
        np.array(tracks, np.int64), np.array(codes, np.int64), masks, np.ones(len(codes))
    )
