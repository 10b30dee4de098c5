"""Which frames of predictions to correct next, and why.

The score of a frame is the sum of its reasons, each of at most 1: a small margin
between the two best labels of an instance (Scheffer et al., "Active Hidden Markov
Models for Information Extraction", IDA 2001), a track whose label changes or that is
lost, two tracks that overlap, and a pair that is rare in the records. Tracks whose
label is a mere guess give no reason.
"""

from __future__ import annotations

import collections
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.tracked_video import name_of
from a2d_tf.behaviour import prediction_folder
from a2d_tf.core.checked_json import load_json, number, whole

SMALL = 0.3  # margins from here on are no reason
OVERLAP = 0.1  # IoU of boxes from which two tracks may be confused
LOST = 3  # answered frames in a row that miss a track that is lost
FEW = 15  # instances in the records from which on a pair is not rare
# Mean score of a track. In unseen videos of DAVIS 3 of 18 below follow an object, 24 of
# 41 above.
GUESS = 0.05
APART = 0.5  # seconds: frames that are nearer to an annotated one show the same again
# of the frame's longer side: tracks that are lost so near to its edge have left it
_EDGE = 0.02


class Candidate(NamedTuple):
    """A frame.

    Attributes:
      folder: of the prediction; video: name of the video.
      frame: its 1-based number in the video.
      place: its 1-based number among the frames that were answered, those of the
        overlay.
      seconds: its time in the video.
      score: of its reasons, the sum.
      reasons: in words.
    """

    folder: pathlib.Path
    video: str
    frame: int
    place: int
    seconds: float
    score: float
    reasons: tuple[str, ...]


def candidates(
    folder: str | os.PathLike,
    counts: Mapping[str, int] | None = None,
    known: Mapping[str, Collection[int]] = {},
    held_out: Collection[str] = (),
) -> list[Candidate]:
    """Return the frames that there is a reason to correct, in order of time.

    Args:
      folder: of a prediction.
      counts: {name of a pair: its instances in the records}; None if there are no
        records.
      known: {name of a video: numbers of its annotated frames}; frames less than
        `APART` seconds from one of these are left out.
      held_out: names of videos that are left out: new frames would change what is
        tested.

    Raises:
      InputError: a file of the prediction is missing or damaged.
    """
    video_info = prediction_folder.read_video_info(folder)
    times = prediction_folder.frame_times(folder)
    numbers = list(times)
    name = name_of(video_info.name, video_info.images)
    if name in held_out:
        return []
    reasons = _find_reasons(folder, video_info, numbers, counts)
    annotated = np.array(sorted(known.get(name, ())), float)
    inside = np.clip(annotated, numbers[0], numbers[-1])
    seconds_beyond = (annotated - inside) / video_info.fps
    annotated = np.interp(inside, numbers, list(times.values())) + seconds_beyond
    frames = []
    for place, (frame, seconds) in enumerate(times.items(), 1):
        frame_reasons = sorted(reasons[frame].values(), reverse=True)
        is_apart = np.all(abs(seconds - annotated) >= APART - 1e-6)
        if frame_reasons and is_apart:
            frames.append(
                Candidate(
                    folder=pathlib.Path(folder),
                    video=name,
                    frame=frame,
                    place=place,
                    seconds=seconds,
                    score=sum(reason.value for reason in frame_reasons),
                    reasons=tuple(reason.text for reason in frame_reasons),
                )
            )
    return frames


class _Reason(NamedTuple):
    """A reason to correct a frame: its value, at most 1, and its words."""

    value: float
    text: str


class _Row(NamedTuple):
    """A track in a frame; its box is x, y, width, height, pixels."""

    track: int
    code: int
    box: list[float]


def _read_rows(folder, labels):
    """Read {frame: its rows} of the tracks that are no mere guess."""
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


def _read_answers(folder, labels):
    """Read {(frame, track): the network's answer, with its margin}."""
    code = whole(0, labels.max_code)
    kind = {
        "image_id": whole(),
        "track_id": whole(),
        "category_id": code,
        "runner_up": code,
        "margin": number(0, 1),
    }
    path = pathlib.Path(folder, prediction_folder.RESULT_FILES["detections"])
    answers = load_json(path, [kind], "predict the video again")
    return {(answer["image_id"], answer["track_id"]): answer for answer in answers}


def _find_reasons(folder, video_info, numbers, counts):
    """Find the reasons of the answered frames: {frame: {kind: _Reason}}."""
    labels = video_info.labels
    rows_of_frames = _read_rows(folder, labels)
    answers = _read_answers(folder, labels)
    reasons: dict[int, dict[str, _Reason]] = collections.defaultdict(dict)
    last_codes: dict[int, int] = {}  # of each track
    # {track: box} of each of the LOST frames before.
    recent: collections.deque[dict[int, list[float]]] = collections.deque(maxlen=LOST)

    def note(frame: int, kind: str, value: float, text: str) -> None:
        best = reasons[frame].get(kind, _Reason(0.0, ""))
        if value > best.value:
            reasons[frame][kind] = _Reason(value, text)

    def named(track: int, code: int) -> str:
        return f"#{track} {labels.name(code)}"

    for place, frame in enumerate(numbers):
        rows = rows_of_frames[frame]
        boxes = {row.track: row.box for row in rows}
        if len(recent) == LOST:
            seen_since = set(boxes).union(*list(recent)[1:])
            for track, box in recent[0].items():
                if track not in seen_since and _is_inside(box, video_info.size):
                    name = named(track, last_codes[track])
                    first_missed = numbers[place - LOST + 1]
                    text = f"{name} is lost away from the image edge"
                    note(first_missed, "lost", 1.0, text)
        recent.append(boxes)
        for row in rows:
            name = named(row.track, row.code)
            last_code = last_codes.get(row.track, row.code)
            if last_code != row.code:
                before = named(row.track, last_code)
                text = f"{before} becomes {labels.name(row.code)}"
                note(frame, "changed", 1.0, text)
            if (frame, row.track) in answers:
                answer = answers[frame, row.track]
                margin = answer["margin"]
                answered = named(row.track, answer["category_id"])
                other = labels.name(answer["runner_up"])
                text = f"{answered} is nearly {other} (margin {margin:.2f})"
                note(frame, "margin", 1 - margin / SMALL, text)
            if counts is not None:
                count = counts.get(labels.name(row.code), 0)
                text = f"{name} is rare in the records (instances: {count})"
                note(frame, "rare", 1 - count / FEW, text)
            last_codes[row.track] = row.code
        if len(rows) > 1:
            xywh = np.array([row.box for row in rows], float)
            iou = np.triu(rle_tools.iou(xywh, xywh, [0] * len(rows)), 1)
            first, second = np.unravel_index(np.argmax(iou), iou.shape)
            if iou[first, second] > OVERLAP:
                one = named(rows[first].track, rows[first].code)
                other = named(rows[second].track, rows[second].code)
                text = f"{one} and {other} overlap"
                note(frame, "crossing", float(iou[first, second]), text)
    return reasons


def _is_inside(box, size):
    """Return whether a box is away from the edges of a frame (height, width)."""
    x, y, box_width, box_height = box
    height, width = size
    distance = min(x, y, width - x - box_width, height - y - box_height)
    return distance > _EDGE * max(size)


def choose(listed: Sequence[Candidate], count: int) -> list[Candidate]:
    """Choose frames, best first, spread over videos and time.

    The score of a frame is divided by one more than the frames that its video has
    already, as D'Hondt's method divides votes, and is multiplied by t / (t + 1), t
    seconds from the nearest of these.
    """
    videos = np.array([str(candidate.folder) for candidate in listed])
    seconds = np.array([candidate.seconds for candidate in listed])
    values = np.array([candidate.score for candidate in listed])
    taken = np.zeros(len(listed))  # frames that the video of each has already
    away = np.full(len(listed), np.inf)  # seconds from the nearest of these
    best_frames: list[Candidate] = []
    while len(best_frames) < min(count, len(listed)):
        best = int(np.argmax(values * (1 - 1 / (1 + away)) / (1 + taken)))
        best_frames.append(listed[best])
        is_same_video = videos == videos[best]
        distances = abs(seconds[is_same_video] - seconds[best])
        taken += is_same_video
        away[is_same_video] = np.minimum(away[is_same_video], distances)
        values[best] = -1.0
        away[best] = np.inf
    return best_frames
