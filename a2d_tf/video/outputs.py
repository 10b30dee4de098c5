"""The files of a prediction, written frame by frame: memory grows with the bouts
alone.
"""

from __future__ import annotations

import array
import collections
import contextlib
import json
import operator
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.behaviour.prediction_folder import (
    PART,
    RECORD,
    RESULT_FILES,
    RESULTS,
    VIDEO,
    read_video_info,
)
from a2d_tf.core import devices
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_csv, write_json
from a2d_tf.core.folders import hidden_folder, replace_folder
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.progress import progress_bar
from a2d_tf.core.workers import in_threads, stop_on_signal
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.evaluation import coco_json
from a2d_tf.ops import tracking, visualize
from a2d_tf.video import pages, streaming
from a2d_tf.video.video_files import Reader, Writer

if TYPE_CHECKING:
    from a2d_tf.video.predictor import Predictor

HIDDEN = ".prediction-"  # begins the name of a folder of results that are not yet whole
COLUMNS = (
    *(
        "track_id",
        "actor",
        "action",
        "start_second",
        "end_second",
        "start_frame",
        "end_frame",
    ),
    "mean_score",
)
_IN_MEMORY = 1 << 15  # bytes of a track's rows that are held in memory


def predict(
    load: Callable[[], Predictor],
    reader: Reader,
    output: str,
    span: streaming.Span = streaming.EVERY_FRAME,
    *,
    linking: tracking.Linking = tracking.LINKING,
    kinds: Collection[str] = tuple(RESULT_FILES),
    record: dict[str, Any] | None = None,
    progress: str | None = "predict",
) -> tuple[Predictor, int, bool]:
    """Predict the frames of a video into a folder.

    Ctrl-C or SIGTERM ends the prediction after the current frame; the files are then
    whole and hold the frames so far. Before the first frame, an earlier prediction
    stays as it was.

    Args:
      load: returns the predictor; called when `output` is known to be writable.
      reader, span, linking: as for `streaming.watch`.
      kinds, record: as for `opened`; with a record, a signal discards the frames so
        far.
      progress: what the bar is called; None for no bar.

    Returns:
      (the predictor, frames written, whether a signal ended it).

    Raises:
      InputError: `output` cannot be written, or there are no frames.
      KeyboardInterrupt: a signal came, and there is nothing to keep.
    """
    place = opened(output, reader, span.every, kinds=kinds, record=record)
    with stop_on_signal() as stops, place as files:
        predictor = load()
        if stops:  # nothing is answered: what is there stays
            raise KeyboardInterrupt
        files.facts = {"max_tracks": linking.max_tracks}
        if predictor.facts.get("boxes_only"):
            files.facts["boxes_only"] = True
        answered = streaming.watch(predictor, reader, span, linking, stops=stops)
        bar = progress_bar(
            answered,
            desc=progress,
            total=span.count(reader.expected),
            unit="frame",
            leave=record is None,
            disable=progress is None,
        )
        added = in_threads(
            lambda frame: files.add(frame, predictor.labels),
            bar,
            2,
            1,
            devices.lower_priority,
        )
        # Closed, so that nothing is written any more where this thread is interrupted.
        with contextlib.closing(added):
            collections.deque(added, maxlen=0)
        if not files.frames and not stops:
            raise InputError("no frame of the video lies between --start and --end")
        if stops and record is not None:
            raise KeyboardInterrupt
    return predictor, files.frames, bool(stops)


@contextlib.contextmanager
def opened(
    folder: str,
    reader: Reader,
    every: int = 1,
    *,
    kinds: Collection[str] = tuple(RESULT_FILES),
    record: dict[str, Any] | None = None,
) -> Iterator[Outputs]:
    """Yield the `Outputs` of a prediction, whose files move to their places at the end.

    After an error, or without any frame, nothing in `folder` has changed. Two processes
    do not replace each other's results.

    Args:
      folder: made if missing; results of an earlier prediction there are replaced.
      every: N if each Nth frame is added.
      kinds: those of RESULT_FILES that are written.
      record: what to write to `prediction.json`, with the number of `frames`. The
        folder then appears whole or not at all, and whatever was there is replaced.

    Raises:
      InputError: the folder cannot be written, or holds files of these names that are
        no prediction's.
    """
    parent = folder if record is None else os.path.dirname(folder)
    try:
        _check_place(folder)
        os.makedirs(parent, exist_ok=True)
        with hidden_folder(parent, HIDDEN) as (hidden, alone):
            if record is None and not alone:
                raise InputError(
                    f"--output={folder}: another process is writing to it; use another"
                    " --output"
                )
            before = _mark(folder)
            new = os.path.join(hidden, "new")
            os.mkdir(new)
            with Outputs(new, reader, every, kinds) as files:
                yield files
            if not files.frames:
                return
            if record is None:
                _move_files(new, folder)
            else:
                write_json(
                    os.path.join(new, RECORD), {**record, "frames": files.frames}
                )
                pages.part(pathlib.Path(new))
                if _mark(folder) not in (before, _mark(new)):
                    raise InputError(
                        f"{folder}: another process has meanwhile written other results"
                        " there; use another --output"
                    )
                replace_folder(new, folder, os.path.join(hidden, "old"))
    except OSError as error:
        raise InputError(f"--output={folder}: cannot be written ({error})") from error


def _mark(folder):
    """What tells a finished prediction of a library from another one."""
    with contextlib.suppress(OSError):
        return pathlib.Path(folder, RECORD).read_bytes()


def _move_files(new, folder):
    """Move results to their places, of which nothing but a prediction's results is
    replaced.
    """
    # First the record, or a library would take these results for its own; then the file
    # that marks a prediction, should this be killed.
    for name in (RECORD, PART, VIDEO, *RESULT_FILES.values()):
        place, made = os.path.join(folder, name), os.path.join(new, name)
        if os.path.isdir(place) or not os.path.exists(made):
            with contextlib.suppress(FileNotFoundError):
                # at once, unlike removing thousands of label maps
                os.replace(place, f"{made}.old")
        if os.path.exists(made):
            os.replace(made, place)


def _check_place(folder):
    """Raise InputError where a prediction would replace something else in its
    folder.
    """
    there = [name for name in RESULTS if os.path.lexists(os.path.join(folder, name))]
    try:
        if there:
            read_video_info(folder)
    except InputError as error:
        place = os.path.join(folder, there[0])
        raise InputError(
            f"{place}: not part of a prediction ({error}); remove it, or use another"
            " --output"
        ) from error


class Outputs(contextlib.AbstractContextManager):
    """Writer of the files of a prediction (docs/prediction.md); a context manager.

    Label maps and detections hold the network's own answer to each frame, the other
    files the labels of the tracks. Tracks are in the order of their ends, rows of the
    summary in that of their starts.

    Args:
      reader, every, kinds: as for `opened`.

    Attributes:
      frames: how many were added.
      facts: further fields of `video.json`; see `prediction_folder.VideoInfo`.
    """

    def __init__(
        self, folder: str, reader: Reader, every: int, kinds: Collection[str]
    ) -> None:
        self._folder, self._reader, self._every, self._kinds = (
            folder,
            reader,
            every,
            kinds,
        )
        self.frames = self._extra = self._unsure = self._damaged = 0
        self.facts: dict[str, Any] = {}
        self._labels: LabelSpace | None = None
        self._times, self._until = array.array("d"), 0.0  # seconds, of what was added
        self._tracks: dict[int, _TrackRows] = {}  # by id, those that have not ended
        if "label_maps" in kinds:
            os.mkdir(self._path("label_maps"))
        self._detections = open(self._path("detections"), "wb")
        self._ended = open(self._path("tracks"), "wb")
        self._bouts: list[list] = []
        self._video = None
        if "overlay" in kinds:
            times = visualize.zoom(reader.size)
            size = times * reader.size[0], times * reader.size[1]
            self._video = Writer(self._path("overlay"), reader.fps / every, size)

    def _path(self, kind):
        """Where results of a kind are written: nowhere if they are not wanted."""
        return (
            os.path.join(self._folder, RESULT_FILES[kind])
            if kind in self._kinds
            else os.devnull
        )

    def add(self, frame: streaming.VideoFrame, labels: LabelSpace) -> None:
        """Append a frame; the numbers of frames must ascend."""
        self.frames += 1
        self._extra += frame.extra > 0
        self._unsure += len(frame.tracks) > 0 and not frame.tracks.any()
        self._damaged += frame.number - 1 in self._reader.damaged
        self._labels, self._until = labels, frame.until
        self._times.append(round(frame.seconds, 6))
        self._lose(frame.lost)
        if self._video:
            self._video.write(_drawn(frame, labels), frame.seconds)
        found = frame.instances
        if "label_maps" in self._kinds:
            png = cv2.imencode(".png", found.label_map)[1]
            with open(
                f"{self._path('label_maps')}/{frame.number:05d}.png", "wb"
            ) as file:
                file.write(png.tobytes())
        number, labelled = (
            frame.number,
            (found.boxes, found.codes, found.scores, found.masks),
        )
        results = coco_json.result_entries(number, *labelled)
        rows = zip(
            frame.tracks.tolist(), frame.codes.tolist(), frame.scores.tolist(), results
        )
        for i, (identity, code, score, result) in enumerate(rows):
            margin, other = found.runner_up(i, labels)
            more = {
                "track_id": identity,
                "runner_up": other,
                "margin": round(margin, 4),
            }
            for field in FIELDS:
                if field.name in found.fields:
                    more[field.name] = field.written(found.fields[field.name][i])
            _next(self._detections).write(json.dumps({**result, **more}).encode())
            if identity:
                if identity not in self._tracks:
                    made = _TrackRows(identity, labels, self._folder, self._bouts)
                    self._tracks[identity] = made
                row = {
                    "category_id": code,
                    "score": round(score, 6),
                    "bbox": result["bbox"],
                }
                self._tracks[identity].add(frame, row)

    def _lose(self, lost):
        """End the actions of lost tracks, {id: whether the track has ended}; write
        what ended.
        """
        for identity, has_ended in lost.items():
            self._tracks[identity].end()
            if has_ended:
                self._tracks.pop(identity).write(_next(self._ended))

    def _describe(self, labels):
        """Write what the video is, and the page of what was found in it."""
        reader = self._reader
        described = {
            "name": reader.name,
            "images": reader.images,
            "frames": reader.length or reader.count,
            "fps": reader.fps,
            **{"height": reader.size[0], "width": reader.size[1], "every": self._every},
            **{"begin": self._times[0], "until": self._until},
            "seconds": round(max(self._until, reader.lasts or 0.0), 6),
            "labels": json.loads(labels.to_json()),
            **{"unsure_frames": self._unsure, "frames_with_extra": self._extra},
            **{"damaged_frames": self._damaged, "times": list(self._times)},
            **self.facts,
        }
        write_json(os.path.join(self._folder, VIDEO), described)
        if "page" in self._kinds:
            pages.write_page(self._folder)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._ended, self._detections:
            if self._video:
                self._video.close()
            self._lose(dict.fromkeys(list(self._tracks), True))
            for file in (self._ended, self._detections):
                file.write(b"\n]\n" if file.tell() else b"[\n]\n")
        if "summary" in self._kinds:
            place = operator.itemgetter(
                COLUMNS.index("start_frame"), COLUMNS.index("track_id")
            )
            write_csv(self._path("summary"), [COLUMNS, *sorted(self._bouts, key=place)])
        if kind is None and self._labels:
            self._describe(self._labels)


def _drawn(frame, labels):
    # the best one is drawn last, on top
    order = np.argsort(frame.scores, kind="stable")
    order = order[frame.tracks[order] > 0]
    # One after the other: all of a large frame would fill the memory.
    masks = (rle_tools.decode(frame.instances.masks[i]) for i in order)
    return visualize.draw_instances(
        frame.image,
        frame.instances.boxes[order],
        frame.codes[order],
        masks,
        label_space=labels,
        scores=frame.scores[order],
        ids=frame.tracks[order],
        stamp=f"{frame.seconds:.2f} s",
        times=visualize.zoom(frame.image.shape[:2]),
    )


def _next(file):
    """Return a file with a JSON list, an item a line, to which the next item is to
    be written.
    """
    file.write(b",\n" if file.tell() else b"[\n")
    return file


class _TrackRows:
    """The JSON object and the rows of the summary of a track, gathered while it
    lasts.
    """

    def __init__(
        self, identity: int, labels: LabelSpace, folder: str, bouts: list[list]
    ) -> None:
        self._id, self._labels, self._bouts = identity, labels, bouts
        self._actors: collections.Counter[str] = collections.Counter()
        self._actions: list[dict[str, Any]] = []
        # the one in progress; empty while the track is lost
        self._action: dict[str, Any] = {}
        # of that action; of the track
        self._score, self._count, self._total = 0.0, 0, 0.0
        # A row a frame: beyond a size they move to disk.
        self._frames = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=folder)

    def add(self, frame: streaming.VideoFrame, result: dict[str, Any]) -> None:
        """Append an instance; an action that it ends is then a row of the summary."""
        code = result["category_id"]
        if self._action.get("category_id") != code:
            self.end()
            actor, action = self._labels.split(code)
            names = self._labels.actors[actor - 1], self._labels.actions[action - 1]
            self._action = {"category_id": code, "actor": names[0], "action": names[1]}
            self._action["start_second"] = round(frame.seconds, 3)
            self._action |= {"end_second": None, "start_frame": frame.number}
        self._action |= {"end_second": round(frame.until, 3), "end_frame": frame.number}
        self._actors[self._action["actor"]] += 1
        self._score, self._count = self._score + result["score"], self._count + 1
        self._total += result["score"]
        row = json.dumps({"frame": frame.number, **result})
        self._frames.write(f"{', ' if self._frames.tell() else ''}{row}".encode())

    def end(self) -> None:
        """End the action in progress, which becomes a row of the summary; there may
        be none.
        """
        if self._action:
            score = round(self._score / self._count, 6)
            self._actions.append({**self._action, "mean_score": score})
            self._bouts.append(
                [self._id, *(self._actions[-1][name] for name in COLUMNS[1:])]
            )
        self._action, self._score, self._count = {}, 0.0, 0

    def write(self, file: BinaryIO) -> None:
        """Write an ended track as a JSON object to a binary file, and release its
        rows.
        """
        first, last = self._actions[0], self._actions[-1]
        head = {
            "track_id": self._id,
            "actor": self._actors.most_common(1)[0][0],
            "start_second": first["start_second"],
            "end_second": last["end_second"],
            "start_frame": first["start_frame"],
            "end_frame": last["end_frame"],
            "mean_score": round(self._total / sum(self._actors.values()), 6),
            "actions": self._actions,
        }
        file.write(f'{json.dumps(head)[:-1]}, "frames": ['.encode())
        rows: Any = self._frames
        with rows:
            rows.seek(0)
            shutil.copyfileobj(rows, file)
        file.write(b"]}")
