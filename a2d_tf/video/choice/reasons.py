"""Find the reasons to correct the frames of a prediction.

There are five kinds of reasons:

- the margin between the two best labels of an instance is small (Scheffer et al.,
  "Active Hidden Markov Models for Information Extraction", IDA 2001),
- the label of a track changes,
- a track is lost,
- two tracks overlap,
- a pair of actor and action is rare in the records.

Tracks with a mean score below `GUESS` give no reason.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.behaviour import prediction_folder
from a2d_tf.core.checked_json import number, whole
from a2d_tf.core.labels import LabelSpace

# A margin between two labels is a reason if it is smaller.
SMALL = 0.3
# Two tracks may be confused if their boxes have at least this IoU.
OVERLAP = 0.1
# A track is lost if this number of answered frames in a row miss it.
LOST = 3
# A pair is rare if the records have fewer instances of it.
FEW = 15
# A track is a guess if its mean score is lower: in unseen videos of DAVIS, 3 of 18
# tracks below this score followed an object, and 24 of 41 tracks above it.
GUESS = 0.05
# A track has left the frame if it is lost within this distance of the edge, a share of
# the frame's longer side.
_EDGE = 0.02


class Reason(NamedTuple):
    """A reason to correct a frame.

    Attributes:
      value: how much the reason counts, above 0 and at most 1.
      text: the reason in words, for the user.
    """

    value: float
    text: str


class _Row(NamedTuple):
    """A track in a frame.

    Attributes:
      track: number of the track.
      code: label of the track in the frame.
      box: x, y, width, height, pixels.
    """

    track: int
    code: int
    box: list[float]


class _Answer(NamedTuple):
    """The network's own label for a track in a frame, and the second best label.

    Attributes:
      code: the label.
      runner_up: the second best label.
      margin: difference of the probabilities of both.
    """

    code: int
    runner_up: int
    margin: float


class _PastFrame(NamedTuple):
    """An answered frame before the newest one.

    Attributes:
      number: number of the frame.
      boxes: {number of a track: its box}.
    """

    number: int
    boxes: dict[int, list[float]]


def find_reasons(
    folder: str | os.PathLike,
    video_info: prediction_folder.VideoInfo,
    frames: Iterable[int],
    counts: Mapping[str, int] | None,
) -> dict[int, list[Reason]]:
    """Find the reasons to correct the frames of a prediction.

    Args:
      folder: path of the folder of the prediction, with `tracks.json` and
        `detections.json`.
      video_info: contents of its `video.json`.
      frames: numbers of the answered frames, from 1, ascending.
      counts: {name of a pair of actor and action: number of its training instances};
        None without records, so that no pair is rare.

    Returns:
      {number of a frame: its reasons, at most one of each kind}, without frames that
      have no reason.

    Raises:
      InputError: a file of the prediction is missing or damaged.
    """
    labels = video_info.labels
    rows_of_frames = _read_rows(folder, labels)
    answers = _read_answers(folder, labels)
    finder = _ReasonFinder(labels, video_info.size, answers, counts)
    for frame in frames:
        finder.add(frame, rows_of_frames[frame])
    reasons = {}
    for frame, best_reasons in finder.best_reasons.items():
        reasons[frame] = list(best_reasons.values())
    return reasons


def _read_rows(folder: str | os.PathLike, labels: LabelSpace) -> dict[int, list[_Row]]:
    """Read {frame: rows of its tracks}, without tracks that are guesses."""
    kind = {
        "track_id": whole(),
        "mean_score": number(0, 1),
        "frames": [
            {
                "frame": whole(),
                "category_id": whole(0, labels.max_code),
                "bbox": [float],
            }
        ],
    }
    rows: dict[int, list[_Row]] = collections.defaultdict(list)
    for track in prediction_folder.read_tracks(folder, kind):
        if track["mean_score"] < GUESS:
            continue
        for row in track["frames"]:
            rows[row["frame"]].append(
                _Row(track["track_id"], row["category_id"], row["bbox"])
            )
    return rows


def _read_answers(
    folder: str | os.PathLike, labels: LabelSpace
) -> dict[tuple[int, int], _Answer]:
    """Read {(frame, track): the network's own answer}."""
    code = whole(0, labels.max_code)
    kind = {
        "image_id": whole(),
        "track_id": whole(),
        "category_id": code,
        "runner_up": code,
        "margin": number(0, 1),
    }
    answers = {}
    for detection in prediction_folder.read_detections(folder, kind):
        answers[detection["image_id"], detection["track_id"]] = _Answer(
            detection["category_id"], detection["runner_up"], detection["margin"]
        )
    return answers


class _ReasonFinder:
    """Finds the reasons to correct frames, which are added in order of time.

    Args:
      labels: the label space of the prediction.
      size: (height, width) of the frames, in pixels.
      answers: the result of `_read_answers`.
      counts: {name of a pair of actor and action: number of its training instances};
        None without records.

    Attributes:
      best_reasons: {number of a frame: {kind of reason: the best reason of this kind}}.
    """

    def __init__(
        self,
        labels: LabelSpace,
        size: tuple[int, int],
        answers: Mapping[tuple[int, int], _Answer],
        counts: Mapping[str, int] | None,
    ) -> None:
        self._labels = labels
        self._size = size
        self._answers = answers
        self._counts = counts
        self.best_reasons: dict[int, dict[str, Reason]] = {}
        self._last_codes: dict[int, int] = {}  # of each track
        self._last_frames: collections.deque[_PastFrame]
        self._last_frames = collections.deque(maxlen=LOST)

    def add(self, frame: int, rows: list[_Row]) -> None:
        """Add a frame, and find the reasons to correct it or an earlier frame."""
        boxes = {row.track: row.box for row in rows}
        self._note_lost_tracks(boxes)
        self._last_frames.append(_PastFrame(frame, boxes))
        for row in rows:
            self._note_change(frame, row)
            self._note_margin(frame, row)
            self._note_rare_pair(frame, row)
            self._last_codes[row.track] = row.code
        if len(rows) > 1:
            self._note_overlap(frame, rows)

    def _note(self, frame: int, kind: str, value: float, text: str) -> None:
        """Keep a reason of a frame if it is the best one of its kind."""
        if value <= 0:
            return
        reasons = self.best_reasons.setdefault(frame, {})
        if kind not in reasons or value > reasons[kind].value:
            reasons[kind] = Reason(value, text)

    def _note_lost_tracks(self, boxes: Mapping[int, Sequence[float]]) -> None:
        """Note the tracks that are missing in the last LOST frames.

        Args:
          boxes: {number of a track: its box} in the newest frame.
        """
        if len(self._last_frames) < LOST:
            return
        last_seen, *later_frames = self._last_frames
        tracks_since = set(boxes)
        for later_frame in later_frames:
            tracks_since.update(later_frame.boxes)
        for track, box in last_seen.boxes.items():
            if track not in tracks_since and _is_inside(box, self._size):
                name = self._name(track, self._last_codes[track])
                text = f"{name} is lost away from the image edge"
                self._note(later_frames[0].number, "lost", 1.0, text)

    def _note_change(self, frame: int, row: _Row) -> None:
        """Note that the label of a track differs from its label before."""
        last_code = self._last_codes.get(row.track, row.code)
        if last_code != row.code:
            name_before = self._name(row.track, last_code)
            text = f"{name_before} becomes {self._labels.name(row.code)}"
            self._note(frame, "changed", 1.0, text)

    def _note_margin(self, frame: int, row: _Row) -> None:
        """Note that the two best labels of an instance are nearly as likely."""
        answer = self._answers.get((frame, row.track))
        if answer is None:
            return
        name = self._name(row.track, answer.code)
        other = self._labels.name(answer.runner_up)
        text = f"{name} or {other}? (margin {answer.margin:.2f})"
        self._note(frame, "margin", 1 - answer.margin / SMALL, text)

    def _note_rare_pair(self, frame: int, row: _Row) -> None:
        """Note that the records have few instances with the label of a track."""
        if self._counts is None:
            return
        count = self._counts.get(self._labels.name(row.code), 0)
        name = self._name(row.track, row.code)
        text = f"{name}, over its track, has few annotated examples ({count})"
        self._note(frame, "rare", 1 - count / FEW, text)

    def _note_overlap(self, frame: int, rows: Sequence[_Row]) -> None:
        """Note the two tracks that overlap most; there must be two tracks or more."""
        boxes = np.array([row.box for row in rows], float)
        are_crowds = np.zeros(len(rows), np.uint8)
        iou = np.triu(rle_tools.iou(boxes, boxes, are_crowds), 1)
        first, second = divmod(int(np.argmax(iou)), len(rows))
        if iou[first, second] > OVERLAP:
            name = self._name(rows[first].track, rows[first].code)
            other = self._name(rows[second].track, rows[second].code)
            text = f"{name} and {other} overlap"
            self._note(frame, "crossing", float(iou[first, second]), text)

    def _name(self, track: int, code: int) -> str:
        """Return the number of a track and a label, in words."""
        return f"#{track} {self._labels.name(code)}"


def _is_inside(box: Sequence[float], size: tuple[int, int]) -> bool:
    """Return whether a box is away from the edges of a frame (height, width)."""
    x, y, box_width, box_height = box
    height, width = size
    distance = min(x, y, width - x - box_width, height - y - box_height)
    return distance > _EDGE * max(size)
