"""Read the files of a prediction back, as the tracks of a video."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import re
from typing import Any

import cv2
import numpy as np

from a2d_tf.annotations.tracked_video import Shape, Track, TrackedVideo, name_of
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import is_file_name, read_json
from a2d_tf.core.labels import LabelSpace, is_name
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.data.segmentations import runs_of
from a2d_tf.evaluation.scenes import Objects
from a2d_tf.video.outputs import VIDEO

_REMEDY = "predict again"


def read(
    folder: str | os.PathLike, min_score: float = 0.0, source: str | None = None
) -> TrackedVideo:
    """Read the folder that a2d_tf.predict wrote.

    Labels are those of the tracks, which are steadier than the detections'. A track has one actor:
    where its actor changes, another track begins. Masks without a pixel are left out.

    Args:
      folder: with `tracks.json`, `detections.json`, `label_maps` and `video.json`; predictions of
        earlier versions have no `video.json`, and their label space is what occurs.
      min_score: tracks with a lower mean score are left out.
      source: name of the video's file; by default as in `video.json`, else the folder's name.

    Raises:
      InputError: a file is missing or damaged; names the field.
    """
    return _Prediction(pathlib.Path(folder), min_score, source).video()


@dataclasses.dataclass(frozen=True)
class Sights:
    """What a prediction has seen, frame by frame.

    Attributes:
      folder: of the prediction.
      name: of the video, see `TrackedVideo.name`.
      size: (height, width) of its frames, pixels.
      images: file names of its images, in order; None for a video file.
      frame_count: number of its frames; None if unknown.
      frames: 1-based numbers of the frames that were looked at, ascending.
      labels: the label space; None in predictions of earlier versions.
      objects: {number of a frame: what is in it}, with the labels and scores of the tracks.
    """

    folder: pathlib.Path
    name: str
    size: tuple[int, int]
    images: tuple[str, ...] | None
    frame_count: int | None
    frames: tuple[int, ...]
    labels: LabelSpace | None
    objects: dict[int, Objects]


def read_sights(folder: str | os.PathLike) -> Sights:
    """Read the folder that a2d_tf.predict wrote, with its tracks as they are; errors as of `read`.

    Masks without a pixel are left out.
    """
    return _Prediction(pathlib.Path(folder), 0.0, None).sights()


class _Prediction:
    """The parsed files of a prediction."""

    def __init__(self, folder, min_score, source):
        self._folder = folder
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; a2d_tf.predict makes one")
        self._frames = self._numbers()
        self._tracks = [
            track
            for track in self._list("tracks.json")
            if self._field(track, "tracks.json", "mean_score", (int, float)) >= min_score
        ]
        self._facts = self._read(VIDEO) if (folder / VIDEO).is_file() else {}
        if not isinstance(self._facts, dict):
            raise self._error(VIDEO, "no object")
        self._size = self._read_size()
        self._masks = self._segmentations()
        self._source = source or self._facts.get("name") or folder.absolute().name
        if not (isinstance(self._source, str) and is_file_name(self._source)):
            raise InputError(
                f"{folder / VIDEO}: name: {shown(self._source)} is no file's; give it by --video"
            )

    def video(self) -> TrackedVideo:
        """Return the tracks of the video."""
        names = self._names()
        actions: dict[str, list[str]] = {}
        for actor, action in names.values():
            actions.setdefault(actor, []).append(action)
        images = self._images()
        return TrackedVideo(
            source=self._source,
            images=images,
            size=self._size,
            frame_count=self._count(images),
            frames=self._frames,
            actions={actor: tuple(all_) for actor, all_ in actions.items()},
            tracks=self._split(names),
        )

    def sights(self) -> Sights:
        """Return what is seen in each frame."""
        rows: dict[int, list] = collections.defaultdict(list)
        for identity, frame, code, row, mask in self._rows():
            score = self._field(row, "tracks.json", "score", (int, float))
            rows[frame].append((identity, code, mask, float(score)))
        objects = {}
        for frame, seen in rows.items():
            tracks, codes, masks, scores = zip(*seen)
            objects[frame] = Objects(
                np.array(tracks, np.int64), np.array(codes, np.int64), masks, np.array(scores)
            )
        images = self._images()
        return Sights(
            folder=self._folder,
            name=name_of(self._source, images),
            size=self._size,
            images=images,
            frame_count=self._count(images),
            frames=self._frames,
            labels=self._label_space(),
            objects=objects,
        )

    def _error(self, name, problem):
        return InputError(f"{self._folder / name}: {problem}; {_REMEDY}")

    def _read(self, name):
        try:
            return read_json(self._folder / name)
        except (OSError, ValueError) as error:
            raise self._error(name, f"no readable JSON of a prediction ({error})") from error

    def _list(self, name):
        entries = self._read(name)
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise self._error(name, "no list of objects")
        return entries

    def _field(self, entry: Any, name: str, field: str, kind: Any) -> Any:
        value = entry.get(field) if isinstance(entry, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self._error(name, f"{field}: {shown(value)} is missing or of another kind")
        return value

    def _numbers(self):
        """The numbers of the frames that were answered, by the names of the label maps."""
        folder = self._folder / "label_maps"
        if not folder.is_dir():
            raise self._error("label_maps", "no such folder, so no whole prediction")
        found = (re.fullmatch(r"([0-9]{5,9})\.png", path.name) for path in folder.iterdir())
        return tuple(sorted(int(match[1]) for match in found if match))

    def _segmentations(self):
        """{(frame, track): its RLE, or None where no pixel is in it}."""
        masks, known, name = {}, set(self._frames), "detections.json"
        for i, entry in enumerate(self._list(name)):
            frame, track = (self._field(entry, name, key, int) for key in ("image_id", "track_id"))
            rle = self._field(entry, name, "segmentation", dict)
            counts = self._field(rle, name, "counts", str)
            if frame not in known:
                raise self._error(name, f"[{i}].image_id: {frame} has no label map")
            if rle.get("size") != list(self._size):
                raise self._error(
                    name,
                    f"[{i}].segmentation.size: {shown(rle.get('size'))} is not [height, width] of "
                    f"the video, {list(self._size)}",
                )
            try:
                runs = runs_of(counts, self._size[0] * self._size[1])
            except InputError as error:
                raise self._error(name, f"[{i}].segmentation: {error}") from error
            masks[frame, track] = rle if any(runs[1::2]) else None
        return masks

    def _names(self):
        """{code: (actor, action)} of the label space, else of what occurs."""
        labels = self._label_space()
        if labels:
            return {
                code: (labels.actors[actor], labels.actions[action])
                for code, (actor, action) in zip(labels.codes, labels.pairs.tolist())
            }
        names = {}
        for track in self._tracks:
            for action in self._field(track, "tracks.json", "actions", list):
                code = self._field(action, "tracks.json", "category_id", int)
                pair = tuple(
                    self._field(action, "tracks.json", field, str) for field in ("actor", "action")
                )
                if not all(map(is_name, pair)):
                    raise self._error("tracks.json", f"{shown(pair)} are no names")
                names[code] = pair
        return dict(sorted(names.items()))

    def _label_space(self):
        """The label space of the prediction, or None."""
        if "labels" not in self._facts:
            return None
        try:
            return LabelSpace.from_fields(self._facts["labels"])
        except InputError as error:
            raise self._error(VIDEO, f"labels: {error}") from error

    def _rows(self):
        """Yield (track, frame, code, its entry in tracks.json, RLE) of what has a pixel."""
        for track in self._tracks:
            identity = self._field(track, "tracks.json", "track_id", int)
            for row in self._field(track, "tracks.json", "frames", list):
                frame = self._field(row, "tracks.json", "frame", int)
                code = self._field(row, "tracks.json", "category_id", int)
                if (frame, identity) not in self._masks:
                    problem = f"no entry for track {identity} in frame {frame}, as in tracks.json"
                    raise self._error("detections.json", problem)
                mask = self._masks[frame, identity]
                if mask:
                    yield identity, frame, code, row, mask

    def _split(self, names):
        """The tracks, one for each actor of each."""
        shapes: dict[tuple[int, str], list[Shape]] = {}
        for identity, frame, code, _, mask in self._rows():
            if code not in names:
                raise self._error("tracks.json", f"category_id: {code} has no name")
            actor, action = names[code]
            shapes.setdefault((identity, actor), []).append(Shape(frame, action, mask))
        free = max((identity for identity, _ in shapes), default=0) + 1
        tracks, taken = [], set()
        for (identity, actor), found in sorted(shapes.items()):
            if identity in taken:
                identity, free = free, free + 1
            taken.add(identity)
            tracks.append(Track(identity, actor, tuple(sorted(found, key=lambda s: s.frame))))
        return tuple(sorted(tracks, key=lambda track: track.id))

    def _images(self):
        images = self._facts.get("images")
        if images is None:
            return None
        if not isinstance(images, list) or not all(
            isinstance(name, str) and is_file_name(name) for name in images
        ):
            raise self._error(VIDEO, "images: no list of file names")
        return tuple(images)

    def _count(self, images):
        """The number of frames; None if unknown, or where more were read than the file claims."""
        count, last = self._facts.get("frames"), self._frames[-1] if self._frames else 0
        if count is not None and type(count) is not int:
            raise self._error(VIDEO, f"frames: {shown(count)} is no number")
        if images is not None and len(images) < last:
            raise self._error(
                VIDEO, f"images: {len(images)} of them, but frame {last} is predicted"
            )
        return count if count is None or count >= last else None

    def _read_size(self):
        """The (height, width) of the video, else of a label map."""
        size = [self._facts.get("height"), self._facts.get("width")]
        if not self._facts and self._frames:
            path = self._folder / "label_maps" / f"{self._frames[0]:05d}.png"
            label_map = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            size = size if label_map is None else list(label_map.shape[:2])
        if not all(type(side) is int and 0 < side <= MAX_SIDE for side in size):
            raise self._error(VIDEO, f"height, width: {shown(size)} is no size of a video")
        return tuple(size)
