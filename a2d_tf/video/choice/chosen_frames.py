"""Choose the frames of predictions to correct next.

The score of a frame is the sum of the values of its reasons, see `reasons`.
"""

from __future__ import annotations

import collections
import os
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.annotations.matching.video_names import name_of
from a2d_tf.behaviour import prediction_folder
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.data.record_folder.read_records import read_records
from a2d_tf.video.choice.reasons import find_reasons

APART = 0.5  # seconds: frames nearer to an annotated or chosen one show the same again
UNSEEN = 0.1  # score of a frame without a reason, in a video without annotated frames


class Candidate(NamedTuple):
    """A frame that may be corrected.

    Attributes:
      folder: of the prediction.
      video: name of the video.
      frame: its 1-based number in the video.
      position: its 1-based number among the answered frames, those of the overlay.
      seconds: its time in the video.
      score: sum of the values of its reasons.
      reasons: in words.
    """

    folder: pathlib.Path
    video: str
    frame: int
    position: int
    seconds: float
    score: float
    reasons: tuple[str, ...]


class RecordsInfo(NamedTuple):
    """What records say of the frames to choose.

    Attributes:
      counts: {name of a pair: its instances in the records}; None if there are no
        records.
      annotated_frames: {name of a video: numbers of its annotated frames}.
      held_out: names of videos of which no frame is chosen: new frames would change
        what is tested.
    """

    counts: Mapping[str, int] | None = None
    annotated_frames: Mapping[str, Collection[int]] = {}
    held_out: Collection[str] = ()

    @classmethod
    def read(cls, folder: str | os.PathLike) -> RecordsInfo:
        """Read it from a folder of records; InputError if they are damaged."""
        manifest = Manifest.load(folder)
        labels = manifest.label_space
        pairs = manifest.counts.get("train", {}).get("pairs", {})
        annotated_frames: dict[str, list[int]] = collections.defaultdict(list)
        for record in read_records(manifest, manifest.splits):
            annotated_frames[record.truth.video].append(record.truth.frame)
        return cls(
            counts={labels.name(int(code)): count for code, count in pairs.items()},
            annotated_frames=annotated_frames,
            held_out=manifest.videos("test"),
        )


NO_RECORDS = RecordsInfo()


def find_candidates(
    folder: str | os.PathLike, records: RecordsInfo = NO_RECORDS
) -> list[Candidate]:
    """Return the frames that there is a reason to correct, in order of time.

    Frames less than `APART` seconds from an annotated one are left out. If the records
    have no frame of the video, and it gives no other reason, this is one to look at it:
    a network is sure of labels for behaviours that it was never taught, too.

    Args:
      folder: of a prediction.

    Raises:
      InputError: a file of the prediction is missing or damaged.
    """
    video = _Video.read(folder, records)
    if video is None:
        return []
    reasons = find_reasons(folder, video.info, video.times, records.counts)
    candidates = []
    for candidate in video.answered_frames():
        frame_reasons = sorted(reasons.get(candidate.frame, ()), reverse=True)
        distances = abs(candidate.seconds - video.annotated_seconds)
        if frame_reasons and np.all(distances >= APART - 1e-6):
            score = sum(reason.value for reason in frame_reasons)
            texts = tuple(reason.text for reason in frame_reasons)
            candidates.append(candidate._replace(score=score, reasons=texts))
    if not candidates and not video.annotated_frames and records.counts is not None:
        return _least_near(video)
    return candidates


def find_least_near(
    folder: str | os.PathLike, records: RecordsInfo = NO_RECORDS
) -> list[Candidate]:
    """Return the frames that are not annotated, in order of time.

    Their score is how many seconds the nearest annotated frame is away; `UNSEEN` if
    no frame of the video is annotated.

    Args, errors: as of `find_candidates`.
    """
    video = _Video.read(folder, records)
    if video is None:
        return []
    return _least_near(video)


class _Video(NamedTuple):
    """A predicted video that is not held out, and its annotated frames.

    Attributes:
      folder: of the prediction.
      info: of the video.
      times: {number of an answered frame: seconds}.
      annotated_frames: numbers of the annotated frames.
      annotated_seconds: [number of annotated frames], when these begin.
    """

    folder: pathlib.Path
    info: prediction_folder.VideoInfo
    times: Mapping[int, float]
    annotated_frames: Collection[int]
    annotated_seconds: np.ndarray

    @classmethod
    def read(cls, folder: str | os.PathLike, records: RecordsInfo) -> _Video | None:
        """Read it from a prediction; None if the records hold the video out."""
        info = prediction_folder.read_video_info(folder)
        times = prediction_folder.frame_times(folder)
        name = _name(info)
        if name in records.held_out:
            return None
        frames = records.annotated_frames.get(name, ())
        seconds = _seconds_of(frames, times, info.fps)
        return cls(pathlib.Path(folder), info, times, frames, seconds)

    def answered_frames(self) -> Iterator[Candidate]:
        """Yield all answered frames, as yet without a score or a reason."""
        for position, (frame, seconds) in enumerate(self.times.items(), 1):
            yield Candidate(
                folder=self.folder,
                video=_name(self.info),
                frame=frame,
                position=position,
                seconds=seconds,
                score=0.0,
                reasons=(),
            )


def _least_near(video: _Video) -> list[Candidate]:
    """Return the frames of a video as `find_least_near` does."""
    candidates = []
    for candidate in video.answered_frames():
        if candidate.frame in video.annotated_frames:
            continue
        score = UNSEEN
        reason = "no frame of this video is annotated"
        if video.annotated_frames:
            distances = abs(candidate.seconds - video.annotated_seconds)
            score = float(np.min(distances))
            reason = f"{score:.2f} s from the nearest annotated frame"
        candidates.append(candidate._replace(score=score, reasons=(reason,)))
    return candidates


def choose(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Choose frames, best first, spread over videos and time.

    The score of a frame is divided by one more than the frames that are chosen from its
    video, as D'Hondt's method divides votes, and is multiplied by t / (t + 1), t
    seconds from the nearest of these. Frames that are nearer than `APART` to one of
    these are not chosen, so there may be fewer than `count`.
    """
    videos = np.array([str(candidate.folder) for candidate in candidates])
    seconds = np.array([candidate.seconds for candidate in candidates])
    scores = np.array([candidate.score for candidate in candidates])
    # Of each candidate: how many frames of its video are chosen, and how many seconds
    # it is away from the nearest of these.
    chosen_counts = np.zeros(len(candidates))
    distances = np.full(len(candidates), np.inf)
    best_frames: list[Candidate] = []
    while len(best_frames) < min(count, len(candidates)):
        values = scores * (1 - 1 / (1 + distances)) / (1 + chosen_counts)
        values[distances < APART - 1e-6] = -1.0
        best = int(np.argmax(values))
        if values[best] < 0:
            break
        best_frames.append(candidates[best])
        is_same_video = videos == videos[best]
        best_distances = abs(seconds[is_same_video] - seconds[best])
        chosen_counts += is_same_video
        distances[is_same_video] = np.minimum(distances[is_same_video], best_distances)
    return best_frames


def _name(video_info: prediction_folder.VideoInfo) -> str:
    """Return the name of a video, as records have it."""
    return name_of(video_info.name, is_folder=video_info.images is not None)


def _seconds_of(
    frames: Collection[int], times: Mapping[int, float], fps: float
) -> np.ndarray:
    """Return when frames begin, by the times of the answered ones.

    Args:
      frames: their numbers.
      times: {number of an answered frame: seconds}.
      fps: the rate before the first answered frame and behind the last.
    """
    numbers = list(times)
    frames = np.array(sorted(frames), float)
    frames_inside = np.clip(frames, numbers[0], numbers[-1])
    seconds_beyond = (frames - frames_inside) / fps
    return np.interp(frames_inside, numbers, list(times.values())) + seconds_beyond
