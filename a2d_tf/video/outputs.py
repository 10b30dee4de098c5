"""The files of a prediction, written frame by frame: no video is too long for the memory."""

import collections
import csv
import json
import os
import re
import shutil
import tempfile

import cv2
import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core import visualize
from a2d_tf.core.errors import InputError
from a2d_tf.evaluation import coco_results
from a2d_tf.video import tracking, video_files

RESULTS = ("overlay.mp4", "label_maps", "detections.json", "tracks.json", "summary.csv")
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
_IN_MEMORY = 1 << 14  # bytes of a track's rows; more of them go to disk


class Outputs:
    """The files of a prediction, written into a hidden folder beside their places.

    label_maps/         %05d.png of codes, named by the 1-based frame number of the video
    detections.json     COCO results with `track_id`; `image_id` is that number
    overlay.mp4         the answered frames, one after the other
    tracks.json         a track: what it did when, and where it was in each frame
    summary.csv         the same without the frames: an action of a track a row

    The first two hold the network's own answer to each frame, the others the tracks' steady labels.

    Tracks and rows of the summary are in the order in which they ended. As a context manager it
    publishes whole files at the end, and nothing after an exception.

    Args:
      folder: made if missing; results of an earlier prediction there are replaced.
      fps: frames a second of the video.
      size: (height, width) of its frames.
      every: of so many frames one is added; the overlay plays as fast as the video.

    Raises:
      InputError: the folder cannot be written, or holds a `label_maps` of something else.
    """

    def __init__(self, folder, fps, size, every=1):
        self.folder, self.partial = folder, os.path.join(folder, ".partial")
        self.frames, self._fps = 0, fps
        self._tracks = {}  # id -> _Track, of those that may be seen again
        try:
            older = os.path.join(folder, "label_maps")
            for name in os.listdir(older) if os.path.isdir(older) else ():
                if not re.fullmatch(r"\d{5,}\.png", name):
                    raise InputError(
                        f"{older}: holds {name}, which is no prediction; give another --output"
                    )
            shutil.rmtree(self.partial, ignore_errors=True)
            os.makedirs(self._path("label_maps"))
            self._detections = _List(self._path("detections.json"))
            self._ended = _List(self._path("tracks.json"))
            self._summary = open(self._path("summary.csv"), "w", encoding="utf-8", newline="")
        except OSError as error:
            raise InputError(f"--output={folder}: cannot be written ({error.strerror})") from error
        self._rows = csv.writer(self._summary, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        self._video = video_files.Writer(self._path("overlay.mp4"), fps / every, size)

    def _path(self, *names):
        return os.path.join(self.partial, *names)

    def add(self, number, frame, found, ids, codes, scores, labels):
        """Append a frame.

        Args:
          number: 1-based frame number of the video.
          frame: RGB uint8 [H, W, 3].
          found: its `serving.Instances`, with masks as RLEs.
          ids, codes, scores: [N], the track of each instance, and its steady label and score.
          labels: the LabelSpace.
        """
        self.frames += 1
        order = np.argsort(scores, kind="stable")  # the best one is drawn last, on top
        masks = [rle_tools.decode(found.masks[i]) for i in order]
        self._video.write(
            visualize.draw_instances(
                frame,
                found.boxes[order],
                codes[order],
                masks,
                label_space=labels,
                scores=scores[order],
                ids=ids[order],
                stamp=f"{(number - 1) / self._fps:.2f} s",
            )
        )
        png = cv2.imencode(".png", found.label_map)[1]
        with open(self._path("label_maps", f"{number:05d}.png"), "wb") as file:
            file.write(png.tobytes())
        results = coco_results.entries(
            number, found.boxes, found.codes, found.scores, masks=found.masks
        )
        for identity, code, score, result in zip(ids.tolist(), codes, scores, results):
            self._detections.write({**result, "track_id": identity})
            score, box = round(float(score), 6), result["bbox"]
            steady = {"category_id": int(code), "score": score, "bbox": box}
            if identity not in self._tracks:
                self._tracks[identity] = _Track(identity, labels, self._fps, self.partial)
            row = self._tracks[identity].add(self.frames, number, steady)
            if row:
                self._rows.writerow(row)
        self._end(self.frames - tracking.PATIENCE - 1)

    def _end(self, last):
        """Write the tracks that were last seen in the `last` answered frame or before it."""
        for identity in [i for i, track in self._tracks.items() if track.seen <= last]:
            track = self._tracks.pop(identity)
            self._rows.writerow(track.end())
            self._ended.write(track)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self._video.close()
        with self._summary, self._ended, self._detections:
            self._end(self.frames)
        if kind is None and self.frames:
            for name in RESULTS:
                place = os.path.join(self.folder, name)
                if os.path.isdir(place):
                    shutil.rmtree(place)
                os.replace(self._path(name), place)
        shutil.rmtree(self.partial, ignore_errors=True)


class _List:
    """A file with a JSON list, one item a line, written item by item."""

    def __init__(self, path):
        self._file, self._start = open(path, "wb"), b"\n"
        self._file.write(b"[")

    def write(self, item):
        """Append what JSON can hold, or a track."""
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
    """What is written of a track, gathered while it lasts.

    Attributes:
      seen: the answered frame where it was last seen, counted from 1.
    """

    def __init__(self, identity, labels, fps, folder):
        self._id, self._labels, self._fps = identity, labels, fps
        self._actors, self._scores = collections.Counter(), 0.0
        self._first = self._last = self.seen = None
        self._run = None  # [code, first frame, last frame, sum of scores, frames]
        # Both grow with the video: beyond a size they move to disk.
        self._frames, self._actions = (
            tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=folder) for _ in range(2)
        )

    def add(self, index, number, result):
        """Append an instance: its label, score and box in frame `number`, the answered one `index`.

        Returns:
          the row of the summary of an action that is over, or None.
        """
        code, score, row = result["category_id"], result["score"], None
        if self._run is None:
            self._first = number
        elif self._run[0] != code:
            row = self.end()
        if self._run is None:
            self._run = [code, number, number, 0.0, 0]
        self._run[2:] = number, self._run[3] + score, self._run[4] + 1
        self._actors[self._labels.split(code)[0]] += 1
        self._scores += score
        self._last, self.seen = number, index
        _append(self._frames, {"frame": number, **result})
        return row

    def end(self):
        """The action that it was at is over: returns its row of the summary."""
        code, first, last, scores, count = self._run
        self._run = None
        actor, action = self._labels.split(code)
        row = dict(
            zip(
                COLUMNS,
                (
                    self._id,
                    self._labels.actors[actor - 1],
                    self._labels.actions[action - 1],
                    *self._seconds(first, last),
                    first,
                    last,
                    round(scores / count, 6),
                ),
            )
        )
        _append(self._actions, {"category_id": code, **{n: row[n] for n in COLUMNS[1:]}})
        return list(row.values())

    def _seconds(self, first, last):
        """When the first frame begins and the last one ends."""
        return round((first - 1) / self._fps, 3), round(last / self._fps, 3)

    def write(self, file):
        """Write the whole, which has ended, as a JSON object to a binary file, and let go of it."""
        actor, count = self._actors.most_common(1)[0][0], sum(self._actors.values())
        start, end = self._seconds(self._first, self._last)
        head = {
            "track_id": self._id,
            "actor": self._labels.actors[actor - 1],
            "start_second": start,
            "end_second": end,
            "start_frame": self._first,
            "end_frame": self._last,
            "mean_score": round(self._scores / count, 6),
        }
        file.write(json.dumps(head)[:-1].encode())
        for name, rows in (("actions", self._actions), ("frames", self._frames)):
            with rows:
                file.write(f', "{name}": ['.encode())
                rows.seek(0)
                shutil.copyfileobj(rows, file)
                file.write(b"]")
        file.write(b"}")


def _append(rows, fields):
    """Append an object to the rows of a JSON list."""
    rows.write(((", " if rows.tell() else "") + json.dumps(fields)).encode())
