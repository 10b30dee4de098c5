"""The files of a prediction, written frame by frame: memory does not grow with the video."""

from __future__ import annotations

import collections
import contextlib
import csv
import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection
from typing import Any, BinaryIO

import cv2
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import replace_folder, write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.locks import HiddenFolder
from a2d_tf.evaluation import coco_results
from a2d_tf.ops import tracking, visualize
from a2d_tf.video import encoder
from a2d_tf.video.instances import VideoFrame
from a2d_tf.video.video_files import Reader
from a2d_tf.video.views import facts, page

KINDS = {
    "overlay": "overlay.mp4",
    "label_maps": "label_maps",
    "detections": "detections.json",
    "tracks": "tracks.json",
    "summary": "summary.csv",
    "page": page.NAME,
}
"""Kind of result, as `--results` names it -> its file or folder."""
VIDEO = facts.NAME
RESULTS = (*KINDS.values(), VIDEO)
RECORD = "prediction.json"
HIDDEN = ".prediction-"  # begins the name of a folder of results that are not yet whole
_NEEDS = {"page": ("overlay", "tracks")}
COLUMNS = (
    "track_id",
    "actor",
    "action",
    "start_second",
    "end_second",
    "start_frame",
    "end_frame",
    "mean_score",
)
_NEVER = (0, 0.0)  # frame, second
_IN_MEMORY = 1 << 14  # bytes of a track's rows that are held in memory


def with_needs(kinds: Collection[str]) -> tuple[str, ...]:
    """Return kinds of results with those that they need, in the order of KINDS."""
    wanted = {need for kind in kinds for need in (kind, *_NEEDS.get(kind, ()))}
    return tuple(kind for kind in KINDS if kind in wanted)


class OutputError(InputError):
    """The results cannot be written, whatever the video."""


class Outputs:
    """Writer of the files of a prediction.

    label_maps/         %05d.png of codes, named by the 1-based frame number of the video
    detections.json     COCO results with `track_id`; `image_id` is the frame number
    overlay.mp4         the answered frames, one after the other
    tracks.json         for each track its actions, and its box and score in each frame
    summary.csv         one row for each action of a track
    video.json          the video: name, number of frames, rate, size; and the label space
    index.html          a page to look at: the overlay above a timeline of the tracks

    The first two hold the network's own answer to each frame, the others the labels of the tracks.
    Tracks and rows of the summary are in the order in which they ended.

    A context manager: the files are written into a hidden folder, and moved to their places at the
    end unless there was an exception.

    Args:
      folder: made if missing; results of an earlier prediction there are replaced.
      fps: frames a second of the video, on average.
      size: (height, width) of its frames, pixels.
      every: one of so many frames is added; each is shown at its time, from the first one's on.
      source: the video's reader, for its name and its number of frames; None if unknown.
      kinds: those of KINDS that are written.
      record: what to write to `prediction.json` beside the results, with their `frames`. The folder
        then appears whole or not at all, and whatever was there is replaced.

    Raises:
      OutputError: the folder cannot be written, or holds files of these names that are no
        prediction's.
    """

    def __init__(
        self,
        folder: str,
        fps: float,
        size: tuple[int, int],
        every: int = 1,
        *,
        source: Reader | None = None,
        kinds: Collection[str] = tuple(KINDS),
        record: dict[str, Any] | None = None,
    ):
        self.folder, self.frames, self._fps, self._every = folder, 0, fps, every
        self._size, self._source = size, source
        self._kinds, self._record = kinds, record
        self._labels: LabelSpace | None = None
        self._begin = self._until = 0.0  # seconds, of what was added
        self._tracks: dict[int, _Track] = {}  # by id, those that may be seen again
        try:
            _check_place(folder)
            self._hidden = HiddenFolder(
                folder if record is None else os.path.dirname(folder), HIDDEN
            )
        except OSError as error:
            raise OutputError(f"--output={folder}: cannot be written ({error.strerror})") from error
        with contextlib.ExitStack() as failed:
            failed.enter_context(self._hidden)
            self._open(fps / every, size)
            failed.pop_all()

    def _open(self, fps, size):
        """Open the files."""
        self.partial = os.path.join(self._hidden.path, "new")
        os.mkdir(self.partial)
        if "label_maps" in self._kinds:
            os.mkdir(self._path("label_maps"))
        self._detections = _List(self._path("detections"))
        self._ended = _List(self._path("tracks"))
        self._summary = open(self._path("summary"), "w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._summary, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        self._video = None
        if "overlay" in self._kinds:
            self._video = encoder.Writer(self._path("overlay"), fps, size)

    def _path(self, kind):
        """Where results of a kind are written: nowhere if they are not wanted."""
        return os.path.join(self.partial, KINDS[kind]) if kind in self._kinds else os.devnull

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        """Append a frame; the numbers of frames must ascend."""
        self.frames += 1
        if self._labels is None:
            self._labels, self._begin = labels, frame.seconds
        self._until = frame.until
        if self._video:
            with _written():
                self._video.write(self._drawn(frame, labels), frame.seconds)
        instances = frame.instances
        if "label_maps" in self._kinds:
            png = cv2.imencode(".png", instances.label_map)[1]
            with open(f"{self._path('label_maps')}/{frame.number:05d}.png", "wb") as file:
                file.write(png.tobytes())
        results = coco_results.entries(
            frame.number,
            instances.boxes,
            instances.codes,
            instances.scores,
            masks=instances.masks,
        )
        rows = zip(frame.tracks.tolist(), frame.codes.tolist(), frame.scores.tolist(), results)
        for identity, code, score, result in rows:
            self._detections.write({**result, "track_id": identity})
            if identity not in self._tracks:
                self._tracks[identity] = _Track(identity, labels, self.partial)
            row = {"category_id": code, "score": round(score, 6), "bbox": result["bbox"]}
            ended = self._tracks[identity].add(self.frames, frame, row)
            if ended:
                self._rows.writerow(ended)
        self._end(self.frames - tracking.PATIENCE - 1)

    def _drawn(self, frame, labels):
        """The frame as the overlay shows it."""
        order = np.argsort(frame.scores, kind="stable")  # the best one is drawn last, on top
        return visualize.draw_instances(
            frame.image,
            frame.instances.boxes[order],
            frame.codes[order],
            map(frame.instances.mask, order),  # all of a large frame would fill the memory
            label_space=labels,
            scores=frame.scores[order],
            ids=frame.tracks[order],
            stamp=f"{frame.seconds:.2f} s",
        )

    def _end(self, last):
        """Write the tracks that were last seen in the answered frame `last` or before it."""
        for identity in [i for i, track in self._tracks.items() if track.seen <= last]:
            track = self._tracks.pop(identity)
            self._rows.writerow(track.end())
            self._ended.write(track)

    def _describe(self, labels):
        """Write what the video is, and the page of what was found in it."""
        source = self._source
        described = {
            "name": source and source.name,
            "images": source and source.images,
            "frames": source and (source.length or source.count),
            "fps": self._fps,
            "height": self._size[0],
            "width": self._size[1],
            "every": self._every,
            "begin": self._begin,
            "until": self._until,
            "labels": json.loads(labels.to_json()),
        }
        write_json(os.path.join(self.partial, VIDEO), described)
        if "page" in self._kinds:
            page.write_page(
                self.partial,
                source.name if source else os.path.basename(os.path.abspath(self.folder)),
            )

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        with self._hidden, _written():
            with self._summary, self._ended, self._detections:
                if self._video:
                    self._video.close()
                self._end(self.frames)
            if kind is None and self._labels:
                self._describe(self._labels)
                self._publish()

    def _publish(self):
        if self._record is not None:
            place = os.path.join(self.partial, RECORD)
            write_json(place, {**self._record, "frames": self.frames})
            replace_folder(self.partial, self.folder, os.path.join(self._hidden.path, "old"))
            return
        # The record first: with it, a library would take these results for its own. Then what tells
        # that they are a prediction's, should this be killed.
        for name in (RECORD, VIDEO, *KINDS.values()):
            place, new = (os.path.join(folder, name) for folder in (self.folder, self.partial))
            if os.path.isdir(place):  # label maps, see `_check_place`
                shutil.rmtree(place)
            if os.path.exists(new):
                os.replace(new, place)
            elif os.path.exists(place):
                os.remove(place)


@contextlib.contextmanager
def _written():
    """Tell what cannot be written from what is wrong with the video."""
    try:
        yield
    except InputError as error:
        raise OutputError(str(error)) from error


def _check_place(folder):
    """Raise OutputError where a prediction would replace something else in its folder."""

    def refuse(name, reason):
        place = os.path.join(folder, name)
        return OutputError(f"{place}: {reason}; remove it, or give another --output")

    there = [name for name in RESULTS if os.path.lexists(os.path.join(folder, name))]
    maps = KINDS["label_maps"]
    for name in there:
        place = os.path.join(folder, name)
        if os.path.islink(place) or os.path.isdir(place) != (name == maps):
            raise refuse(name, "a link or a folder, which no prediction makes")
    if maps in there:
        for name in os.listdir(os.path.join(folder, maps)):
            if not re.fullmatch(r"\d{5,}\.png", name):
                raise refuse(maps, f"holds {name}, which is no prediction")
    if there and not (VIDEO in there or _is_of_an_earlier_version(folder)):
        raise refuse(there[0], f"there is no {VIDEO} beside it, so it is no prediction")
    if VIDEO in there:
        try:
            facts.read(folder)
        except InputError as error:
            raise refuse(VIDEO, "is not of a prediction") from error


def _is_of_an_earlier_version(folder):
    """Whether a folder holds a prediction without VIDEO."""
    if any(os.path.exists(os.path.join(folder, name)) for name in (RECORD, KINDS["tracks"])):
        return True
    with contextlib.suppress(OSError, ValueError):
        with open(os.path.join(folder, KINDS["summary"]), encoding="utf-8") as file:
            return file.readline() == ",".join(COLUMNS) + "\n"
    return False


class _List:
    """A file with a JSON list, one item a line, written item by item."""

    def __init__(self, path):
        self._file, self._start = open(path, "wb"), b"\n"
        self._file.write(b"[")

    def write(self, item: dict | _Track) -> None:
        """Append an item: a JSON object or a track."""
        self._file.write(self._start)
        self._start = b",\n"
        if isinstance(item, _Track):
            item.write(self._file)
        else:
            self._file.write(json.dumps(item).encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self._file:
            self._file.write(b"\n]\n")


class _Track:
    """The JSON object and the rows of the summary of a track, gathered while it lasts.

    Attributes:
      seen: the answered frame where it was last seen, counted from 1.
    """

    def __init__(self, identity: int, labels: LabelSpace, folder: str):
        self._id, self._labels = identity, labels
        self._actors: collections.Counter[int] = collections.Counter()
        self._scores = 0.0
        self._first = self._last = _NEVER
        self.seen = 0
        # The action in progress: [code, begin, end, sum of scores, frames].
        self._action: list = []
        # Both grow with the video; beyond a size they move to disk.
        self._frames, self._actions = (
            tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=folder) for _ in range(2)
        )

    def add(self, index: int, frame: VideoFrame, result: dict[str, Any]) -> list | None:
        """Append an instance.

        Args:
          index: of the answered frame, from 1 on.
          frame: of the video.
          result: its `category_id`, `score` and `bbox`.

        Returns:
          the row of the summary of an action that ended before this frame, or None.
        """
        code, score, row = result["category_id"], result["score"], None
        begin, end = (frame.number, frame.seconds), (frame.number, frame.until)
        if not self._action:
            self._first = begin
        elif self._action[0] != code:
            row = self.end()
        if not self._action:
            self._action = [code, begin, end, 0.0, 0]
        self._action[2:] = end, self._action[3] + score, self._action[4] + 1
        self._actors[self._labels.split(code)[0]] += 1
        self._scores += score
        self._last, self.seen = end, index
        _append(self._frames, {"frame": frame.number, **result})
        return row

    def end(self) -> list:
        """End the action in progress; returns its row of the summary."""
        code, begin, end, scores, count = self._action
        self._action = []
        actor, action = self._labels.split(code)
        row = [
            self._id,
            self._labels.actors[actor - 1],
            self._labels.actions[action - 1],
            *_stretch(begin, end).values(),
            round(scores / count, 6),
        ]
        _append(self._actions, {"category_id": code, **dict(zip(COLUMNS[1:], row[1:]))})
        return row

    def write(self, file: BinaryIO) -> None:
        """Write an ended track as a JSON object to a binary file, and release its rows."""
        actor, count = self._actors.most_common(1)[0][0], sum(self._actors.values())
        head = {
            "track_id": self._id,
            "actor": self._labels.actors[actor - 1],
            **_stretch(self._first, self._last),
            "mean_score": round(self._scores / count, 6),
        }
        file.write(json.dumps(head)[:-1].encode())
        rows: Any
        for name, rows in (("actions", self._actions), ("frames", self._frames)):
            with rows:
                file.write(f', "{name}": ['.encode())
                rows.seek(0)
                shutil.copyfileobj(rows, file)
                file.write(b"]")
        file.write(b"}")


def _stretch(begin, end):
    """The fields of a stretch of time: (frame, second) to (frame, second)."""
    values = (round(begin[1], 3), round(end[1], 3), begin[0], end[0])
    return dict(zip(COLUMNS[3:7], values))


def _append(rows, fields):
    """Append an object to the rows of a JSON list."""
    rows.write(((", " if rows.tell() else "") + json.dumps(fields)).encode())
