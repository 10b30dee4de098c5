"""Predictions of videos beside their truth, for the scores over time."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from a2d_tf.annotations.document import DEFAULTS, AnnotatedFrame
from a2d_tf.annotations.formats import read_export
from a2d_tf.annotations.frame_names import split_frame_name
from a2d_tf.annotations.names import Names, check_label_space
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.segmentations import decode_parts
from a2d_tf.evaluation.coco_results import encode_mask
from a2d_tf.evaluation.scenes import Frame, Objects
from a2d_tf.video import predictions
from a2d_tf.video.views import pages

_Numbered = dict[int, AnnotatedFrame]


class Truth:
    """The annotated videos of a YouTube-VIS file.

    Attributes:
      path: the file.
      videos: {name: {1-based number, as in `AnnotatedFrame`: frame}}.
    """

    def __init__(self, path: str | os.PathLike):
        """Read the file.

        Raises:
          InputError: it is missing, damaged or no YouTube-VIS, or two of several have a frame.
        """
        self.path = pathlib.Path(path)
        if not self.path.exists():
            raise InputError(f"{self.path}: no such file; --truth names annotations of YouTube-VIS")
        self.videos: dict[str, _Numbered] = {}
        for document in read_export(self.path, DEFAULTS, "youtube_vis"):
            for frame in document.frames:
                numbered = self.videos.setdefault(frame.video or "", {})
                if frame.number in numbered:
                    raise InputError(
                        f"{document.path}: {frame.where}: another file of {self.path} has this "
                        "frame, too; name one file"
                    )
                numbered[frame.number] = frame

    def objects(self, frame: AnnotatedFrame, size: tuple[int, int], labels: LabelSpace) -> Objects:
        """Decode the objects of a frame whose video has this (height, width).

        Raises:
          InputError: another size or label, a damaged mask, or a track twice; names the place.
        """
        where = f"{self.path}: {frame.where}"
        if frame.size not in (None, size):
            height, width = frame.size or size
            raise InputError(
                f"{where}: is {width}x{height}, but the prediction {size[1]}x{size[0]} (width x "
                "height); annotate and predict the same video"
            )
        names = Names(known=labels)
        check_label_space(((self.path, instance) for instance in frame.instances), names, labels)
        tracks, codes, masks = [], [], []
        for instance in frame.instances:
            actor, action = names.pair(instance) or ("", "")
            try:
                masks.append(encode_mask(decode_parts(instance.parts, size, size)))
            except InputError as error:
                raise InputError(f"{self.path}: {instance.where}: {error}") from error
            if instance.track in tracks:
                raise InputError(
                    f"{self.path}: {instance.where}: track {instance.track} is twice in this "
                    "frame; give each object a 'track_id' of its own"
                )
            tracks.append(instance.track)
            codes.append(labels.encode(labels.actors.index(actor), labels.actions.index(action)))
        return Objects(
            np.array(tracks, np.int64), np.array(codes, np.int64), masks, np.ones(len(codes))
        )


def folders(predicted: Sequence[str | os.PathLike]) -> list[pathlib.Path]:
    """Find the folders of predictions: those given, and those in a library given.

    Raises:
      InputError: a path holds none.
    """
    found: list[pathlib.Path] = []
    tracks = predictions.KINDS["tracks"]
    for path in map(pathlib.Path, predicted):
        alone = (path / tracks).is_file()
        inside = [path] if alone else pages.predictions(path)
        if not inside:
            raise InputError(
                f"--predicted={path}: neither a prediction nor a library of predictions, for there "
                f"is no {tracks}; a2d_tf.predict makes them"
            )
        found += inside
    return found


def read(
    truth: Truth, places: Iterable[pathlib.Path], labels: LabelSpace | None = None
) -> tuple[dict[str, list[Frame]], LabelSpace, list[str]]:
    """Compare predictions with the truth in the frames that are annotated.

    A frame that is annotated and was not segmented counts as one in which nothing was found.

    Args:
      truth: the annotated videos.
      places: folders of predictions.
      labels: the label space; by default that of the predictions.

    Returns:
      ({name of a video: its frames}, their label space, a line on each thing that was not scored).

    Raises:
      InputError: two predictions of a video, none of a video of the truth, other labels or sizes,
        or a damaged file.
    """
    videos: dict[str, list[Frame]] = {}
    notes, unknown = [], []
    for place in places:
        found = predictions.read_detections(place)
        labels = labels or found.facts.labels
        if _classes(labels) != _classes(found.facts.labels):
            raise InputError(
                f"{found.folder / predictions.VIDEO}: labels: not the label space of the others, "
                "or of --labels; score predictions of one label space together"
            )
        if found.name not in truth.videos:
            known = ", ".join(list(truth.videos)[:5])
            unknown.append(
                f"{found.folder}: is of the video '{found.name}', which {truth.path} does not "
                f"annotate; it has {known}{', ...' if len(truth.videos) > 5 else ''}"
            )
            continue
        if found.name in videos:
            raise InputError(f"{found.folder}: another prediction of '{found.name}'; give one")
        numbered = _placed(truth.videos[found.name], found.facts.images)
        videos[found.name] = _compare(truth, found, numbered, labels)
        unanswered = len(set(numbered) - set(found.frames))
        if unanswered:
            notes.append(
                f"{found.name}: {unanswered} of {len(numbered)} annotated frames were not "
                "segmented; all in them counts as missed"
            )
    if unknown and not videos:
        raise InputError(unknown[0])
    notes += [f"{problem}; not scored" for problem in unknown]
    left = len(truth.videos) - len(videos)
    if left:
        notes.append(f"{left} of {len(truth.videos)} annotated videos have no prediction")
    return videos, labels or A2D, notes


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


def _compare(truth, found, numbered, labels):
    """The frames of a prediction beside the truth."""
    last = max(numbered)
    if found.frame_count is not None and last > found.frame_count:
        raise InputError(
            f"{truth.path}: {numbered[last].where}: is frame {last}, but '{found.name}' has "
            f"{found.frame_count}; name its first frame {found.name}/00000.jpg"
        )
    frames = []
    for number in sorted(numbered):
        size = found.facts.size
        objects = found.objects.get(number, Objects.none())
        frames.append(Frame(truth.objects(numbered[number], size, labels), objects))
    return frames
