"""Choose the frames of predictions to correct next, by the values of their reasons."""

from __future__ import annotations

import collections
import os
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.behaviour import prediction_folder
from a2d_tf.data.record_folder.manifest import NO_COUNTS, Manifest
from a2d_tf.data.record_folder.read_records import read_records
from a2d_tf.video.choice.reasons import find_reasons

# Seconds between a chosen frame and the nearest annotated or chosen one: nearer frames
# look the same.
APART = 0.5
# Score of a frame without a reason, in a video without annotated frames.
UNSEEN = 0.1


class Candidate(NamedTuple):
    """A frame of a prediction that a user may correct.

    Attributes:
      folder: path of the folder of the prediction.
      video: name of the video.
      frame: number of the frame in the video, from 1.
      position: number of the frame among the answered frames, from 1; the overlay shows
        these.
      seconds: time of the frame in the video.
      score: sum of the values of the reasons, or the time to the nearest annotated
        frame; the higher, the sooner it is chosen.
      reasons: the reasons to correct it, in words.
    """

    folder: pathlib.Path
    video: str
    frame: int
    position: int
    seconds: float
    score: float
    reasons: tuple[str, ...]


class RecordsInfo(NamedTuple):
    """The contents of a folder of records that matter for the choice of frames.

    Attributes:
      counts: {name of a pair of actor and action: number of its training instances};
        None without records.
      annotated_frames: {name of a video: numbers of its annotated frames, from 1}.
      held_out: names of the held-out videos; none of their frames is chosen, because
        new frames would change the test.
    """

    counts: Mapping[str, int] | None = None
    annotated_frames: Mapping[str, Collection[int]] = {}
    held_out: Collection[str] = ()

    @classmethod
    def read(cls, folder: str | os.PathLike) -> RecordsInfo:
        """Read the records: which frames are annotated, which videos are held out.

        Args:
          folder: path of the folder of the records that the model was trained on.

        Raises:
          InputError: the records are damaged.
        """
        manifest = Manifest.load(folder)
        labels = manifest.label_space
        pairs = manifest.counts.get("train", NO_COUNTS)["pairs"]
        annotated_frames: dict[str, list[int]] = collections.defaultdict(list)
        for record in read_records(manifest, manifest.splits):
            annotated_frames[record.truth.video].append(record.truth.frame)
        return cls(
            counts={labels.name(int(code)): count for code, count in pairs.items()},
            annotated_frames=annotated_frames,
            held_out=manifest.videos("test"),
        )


NO_RECORDS = RecordsInfo()
"""The contents if a user has no records: nothing is annotated."""


def find_candidates(
    folder: str | os.PathLike, records: RecordsInfo = NO_RECORDS
) -> list[Candidate]:
    """Find the frames of a prediction with a reason to correct them.

    Frames less than `APART` seconds from an annotated frame are left out. If the
    records have no frame of the video, and no frame has a reason, all frames are
    returned: a network may be sure of wrong labels for behaviours that it was never
    taught.

    Args:
      folder: path of the folder of the prediction.
      records: contents of the records that the model was trained on.

    Returns:
      the frames in order of time; none if the video is held out.

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
    """Return the frames of a prediction that are not annotated, scored by distance.

    The score is the time to the nearest annotated frame in seconds; `UNSEEN` if no
    frame of the video is annotated. `choose` then spreads new annotations over the
    video, whatever was predicted.

    Args:
      folder: path of the folder of the prediction.
      records: contents of the records that the model was trained on.

    Returns:
      the frames in order of time; none if the video is held out.

    Raises:
      InputError: a file of the prediction is missing or damaged.
    """
    video = _Video.read(folder, records)
    if video is None:
        return []
    return _least_near(video)


class _Video(NamedTuple):
    """A predicted video that is not held out, and its annotated frames.

    Attributes:
      folder: path of the folder of the prediction.
      info: contents of its `video.json`.
      times: {number of an answered frame: its time in seconds}.
      annotated_frames: numbers of the annotated frames, from 1.
      annotated_seconds: times of the annotated frames, in seconds.
    """

    folder: pathlib.Path
    info: prediction_folder.VideoInfo
    times: Mapping[int, float]
    annotated_frames: Collection[int]
    annotated_seconds: np.ndarray

    @classmethod
    def read(cls, folder: str | os.PathLike, records: RecordsInfo) -> _Video | None:
        """Read a video from its prediction; None if the records hold it out."""
        info = prediction_folder.read_video_info(folder)
        times = prediction_folder.frame_times(folder)
        name = info.video_name
        if name in records.held_out:
            return None
        frames = records.annotated_frames.get(name, ())
        seconds = _seconds_of(frames, times, info.fps)
        return cls(pathlib.Path(folder), info, times, frames, seconds)

    def answered_frames(self) -> Iterator[Candidate]:
        """Yield all answered frames, with score 0 and without a reason."""
        for position, (frame, seconds) in enumerate(self.times.items(), 1):
            yield Candidate(
                folder=self.folder,
                video=self.info.video_name,
                frame=frame,
                position=position,
                seconds=seconds,
                score=0.0,
                reasons=(),
            )


def _least_near(video: _Video) -> list[Candidate]:
    """Return the frames of a video; see `find_least_near`."""
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

    If n frames of a video are chosen, the scores of its other frames are divided by n +
    1, as votes in D'Hondt's method, and multiplied by t / (t + 1), where t is the
    distance to the nearest chosen frame in seconds. Frames nearer than `APART` to a
    chosen frame are not chosen.

    Args:
      candidates: the frames of all predictions, with their scores.
      count: number of frames to choose.

    Returns:
      the chosen frames; fewer than `count` if the others are too near to these.
    """
    videos = np.array([str(candidate.folder) for candidate in candidates])
    seconds = np.array([candidate.seconds for candidate in candidates])
    scores = np.array([candidate.score for candidate in candidates])
    # For each candidate: the number of chosen frames of its video, and the seconds to
    # the nearest of these.
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


def _seconds_of(
    frames: Collection[int], times: Mapping[int, float], fps: float
) -> np.ndarray:
    """Return the times of frames in seconds, interpolated between answered frames.

    Args:
      frames: numbers of the frames.
      times: {number of an answered frame: its time in seconds}.
      fps: frames a second before the first answered frame and after the last one.
    """
    numbers = list(times)
    frames = np.array(sorted(frames), float)
    frames_inside = np.clip(frames, numbers[0], numbers[-1])
    seconds_beyond = (frames - frames_inside) / fps
    return np.interp(frames_inside, numbers, list(times.values())) + seconds_beyond
