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
    """Return the frames of a prediction that there is a reason to correct, in order of
    time.

    Args:
      counts: {name of a pair: its instances in the records}; None if there are no
        records.
      known: {name of a video: numbers of its annotated frames}; frames less than
        `APART` seconds from one of these are left out.
      held_out: names of videos that are left out: new frames would change what is
        tested.

    Raises:
      InputError: a file of the prediction is missing or damaged.
    """
    facts, times = (
        prediction_folder.read_video_info(folder),
        prediction_folder.frame_times(folder),
    )
    numbers = list(times)
    name, listed = name_of(facts.name, facts.images), []
    if name in held_out:
        return []
    reasons = _reasons(folder, facts, numbers, counts)
    annotated = np.array(sorted(known.get(name, ())), float)
    inside = np.clip(annotated, numbers[0], numbers[-1])
    beyond = (annotated - inside) / facts.fps
    annotated = np.interp(inside, numbers, list(times.values())) + beyond
    for place, (frame, seconds) in enumerate(times.items(), 1):
        values = sorted(reasons[frame].values(), reverse=True)
        if values and np.all(abs(seconds - annotated) >= APART - 1e-6):
            score, why = (
                sum(value for value, _ in values),
                tuple(text for _, text in values),
            )
            listed.append(
                Candidate(pathlib.Path(folder), name, frame, place, seconds, score, why)
            )
    return listed


def _read(folder, labels):
    """Read {frame: its (track, code, box) rows}, and {(frame, track): its entry of
    margins}.
    """
    code = whole(0, labels.max_code)
    row_kind = {"frame": whole(), "category_id": code, "bbox": [float]}
    answer_kind = {"image_id": whole(), "track_id": whole(), "category_id": code}
    answer_kind |= {"runner_up": code, "margin": number(0, 1)}
    rows: dict[int, list[tuple[int, int, list[float]]]] = collections.defaultdict(list)
    kind = {"track_id": whole(), "mean_score": number(0, 1), "frames": [row_kind]}
    for fields in prediction_folder.read_tracks(folder, kind):
        for row in fields["frames"] if fields["mean_score"] >= GUESS else ():
            rows[row["frame"]].append(
                (fields["track_id"], row["category_id"], row["bbox"])
            )
    path = pathlib.Path(folder, prediction_folder.RESULT_FILES["detections"])
    answers = load_json(path, [answer_kind], "predict the video again")
    return rows, {
        (answer["image_id"], answer["track_id"]): answer for answer in answers
    }


def _reasons(folder, facts, numbers, counts):
    """Find the reasons of the answered frames: {frame: {kind: (value, text)}}."""
    labels = facts.labels
    rows, margins = _read(folder, labels)
    height, width = facts.size
    near = _EDGE * max(facts.size)
    reasons: dict[int, dict[str, tuple[float, str]]] = collections.defaultdict(dict)
    seen: dict[int, int] = {}  # track: its last code
    # {track: box} of the frames before.
    recent: collections.deque[dict[int, list[float]]] = collections.deque(maxlen=LOST)

    def note(frame: int, kind: str, value: float, text: str) -> None:
        if value > reasons[frame].get(kind, (0.0, ""))[0]:
            reasons[frame][kind] = value, text

    def named(track: int, code: int) -> str:
        return f"#{track} {labels.name(code)}"

    for place, frame in enumerate(numbers):
        tracks, codes, boxes = zip(*rows[frame]) if rows[frame] else [()] * 3
        last, since = (
            recent[0] if len(recent) == LOST else {},
            {*tracks}.union(*[*recent][1:]),
        )
        for track, (x, y, w, h) in last.items():
            inside = min(x, y, width - x - w, height - y - h) > near
            if track not in since and inside:
                text = f"{named(track, seen[track])} is lost away from the image edge"
                note(numbers[place - LOST + 1], "lost", 1.0, text)
        recent.append(dict(zip(tracks, boxes)))
        for track, code in zip(tracks, codes):
            if seen.get(track, code) != code:
                text = f"{named(track, seen[track])} becomes {labels.name(code)}"
                note(frame, "changed", 1.0, text)
            if (frame, track) in margins:
                answer = margins[frame, track]
                other, margin = labels.name(answer["runner_up"]), answer["margin"]
                text = f"{named(track, answer['category_id'])} is nearly {other}"
                note(
                    frame, "margin", 1 - margin / SMALL, f"{text} (margin {margin:.2f})"
                )
            if counts is not None:
                count = counts.get(labels.name(code), 0)
                text = (
                    f"{named(track, code)} is rare in the records (instances: {count})"
                )
                note(frame, "rare", 1 - count / FEW, text)
            seen[track] = code
        if len(tracks) > 1:
            iou = np.triu(
                rle_tools.iou(*[np.array(boxes, float)] * 2, [0] * len(boxes)), 1
            )
            one, two = np.unravel_index(np.argmax(iou), iou.shape)
            if iou[one, two] > OVERLAP:
                text = (
                    f"{named(tracks[one], codes[one])} and"
                    f" {named(tracks[two], codes[two])}"
                )
                note(frame, "crossing", float(iou[one, two]), f"{text} overlap")
    return reasons


def choose(listed: Sequence[Candidate], count: int) -> list[Candidate]:
    """Choose frames, best first, spread over videos and time.

    The score of a frame is divided by one more than the frames that its video has
    already, as D'Hondt's method divides votes, and is multiplied by t / (t + 1), t
    seconds from the nearest of these.
    """
    videos = np.array([str(candidate.folder) for candidate in listed])
    seconds = np.array([candidate.seconds for candidate in listed])
    values = np.array([candidate.score for candidate in listed])
    taken, away = np.zeros(len(listed)), np.full(len(listed), np.inf)
    chosen: list[Candidate] = []
    while len(chosen) < min(count, len(listed)):
        best = int(np.argmax(values * (1 - 1 / (1 + away)) / (1 + taken)))
        chosen.append(listed[best])
        same = videos == videos[best]
        taken += same
        away[same] = np.minimum(away[same], abs(seconds[same] - seconds[best]))
        values[best] = -1.0
        away[best] = np.inf
    return chosen
