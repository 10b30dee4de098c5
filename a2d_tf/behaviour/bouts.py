"""Who did what from when to when in predictions: read, and added up.

A bout is a period in which a track does one thing, as ethology calls it (Martin and
Bateson, Measuring Behaviour).
"""

from __future__ import annotations

import collections
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.behaviour.prediction_folder import (
    SECONDS,
    VideoInfo,
    read_tracks,
    read_video_info,
)
from a2d_tf.core.checked_json import number, whole
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import is_file_name
from a2d_tf.tracking.bout_lengths import (
    LEAST_SECONDS,
    BoutLengths,
    LabelledSpan,
    tidy,
)

_BOUT = {  # fields of a bout in `tracks.json`
    "actor": str,
    "action": str,
    "start_second": SECONDS,
    "end_second": SECONDS,
    "mean_score": number(0, 1),
}
_TRACK = {
    "track_id": whole(1),
    "actor": str,
    "name?": str,
    "mean_score": number(0, 1),
    "actions": [_BOUT],
}


class Bout(NamedTuple):
    """An action of a track.

    Attributes:
      start, end: seconds in the video.
      score: mean p(actor) p(action) of its frames.
    """

    actor: str
    action: str
    start: float
    end: float
    score: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start


class TrackBouts(NamedTuple):
    """An actor while it is followed.

    Attributes:
      number: its id in the video.
      actor: what it was in most frames; a bout has its own.
      score: mean over its frames.
      bouts: at least one, in order of time.
      name: of the individual; None if it has none.
    """

    number: int
    actor: str
    score: float
    bouts: tuple[Bout, ...]
    name: str | None = None

    @property
    def subject(self) -> str:
        """What tables of individuals call it: its name, or actor and number."""
        return self.name or f"{self.actor} {self.number}"

    @property
    def changes_actor(self) -> bool:
        """Whether its bouts are of several actors."""
        return len({bout.actor for bout in self.bouts}) > 1


class Prediction(NamedTuple):
    """A prediction by the name of its video.

    Attributes:
      name: as names of frames contain it, see `video_names.name_of`.
      tracks: in order of their starts.
    """

    name: str
    video: VideoInfo
    tracks: list[TrackBouts]

    def at_rate(self, fps: float) -> Prediction:
        """Return the prediction in the seconds of another rate of its images."""
        scale = self.video.fps / fps
        if scale == 1:
            return self
        start, end = self.video.span
        video = dataclasses.replace(
            self.video,
            fps=fps,
            fps_is_assumed=False,
            span=(scale * start, scale * end),
            seconds=scale * self.video.seconds,
        )
        tracks = []
        for track in self.tracks:
            bouts = []
            for bout in track.bouts:
                bouts.append(
                    bout._replace(start=scale * bout.start, end=scale * bout.end)
                )
            tracks.append(track._replace(bouts=tuple(bouts)))
        return Prediction(self.name, video, tracks)

    def tidied(self, lengths: BoutLengths) -> Prediction:
        """Return the prediction as `a2d predict` writes it with lengths of bouts.

        Tracks without a bout that is long enough are left out.
        """
        tracks = []
        for track in self.tracks:
            bouts = _tidied_bouts(track, lengths)
            if bouts:
                tracks.append(track._replace(bouts=bouts))
        return self._replace(tracks=_in_order_of_starts(tracks))


def spans_of_actions(track: TrackBouts, lengths: BoutLengths) -> list[LabelledSpan]:
    """Return from when to when a track does what, whatever actor it is taken for.

    Spans are labelled by actions.

    Args:
      lengths: how short these and the gaps between them may be.
    """
    spans = []
    for bout in track.bouts:
        spans.append(LabelledSpan(bout.action, bout.start, bout.end))
    joining = dataclasses.replace(
        lengths, merge_gap=max(lengths.merge_gap, LEAST_SECONDS)
    )
    return tidy(spans, joining)


def _tidied_bouts(track: TrackBouts, lengths: BoutLengths) -> tuple[Bout, ...]:
    """Return the bouts of a track without short gaps and short ones.

    If only the actor changes, both bouts are judged by their joint length. The score of
    a bout with filled gaps is the mean of those of its parts.
    """
    if lengths.are_unlimited:
        return track.bouts
    bouts: list[Bout] = []
    for span in spans_of_actions(track, lengths):
        parts: list[Bout] = []  # of the newest bout
        for bout in track.bouts:
            if bout.start < span.start or span.end < bout.end:
                continue
            if bout.action != span.label:  # in a gap
                bouts[-1] = bouts[-1]._replace(end=bout.end)
            elif parts and parts[0].actor == bout.actor:
                parts.append(bout)
                bouts[-1] = bouts[-1]._replace(end=bout.end, score=_mean_score(parts))
            else:
                parts = [bout]
                bouts.append(bout)
    return tuple(bouts)


def _mean_score(bouts: Sequence[Bout]) -> float:
    """Return the mean score of bouts, as of `BoutTotals`."""
    seconds = math.fsum(bout.seconds for bout in bouts)
    if seconds > 0:
        return math.fsum(bout.seconds * bout.score for bout in bouts) / seconds
    return math.fsum(bout.score for bout in bouts) / len(bouts)


def read(folder: str | os.PathLike, min_score: float = 0.0) -> list[TrackBouts]:
    """Read the tracks of a prediction, in the order of their starts.

    Args:
      folder: of `a2d predict`, with a `tracks.json`.
      min_score: tracks with a lower mean score are left out.

    Raises:
      InputError: the file is missing, or names the field that is missing or malformed.
    """
    tracks = []
    for row in read_tracks(folder, _TRACK):
        if row["mean_score"] < min_score:
            continue
        if not row["actions"]:
            problem = f"track {row['track_id']} has no actions; predict the video again"
            raise InputError(f"{pathlib.Path(folder, 'tracks.json')}: {problem}")
        bouts = []
        for action in row["actions"]:
            bout = Bout(
                actor=action["actor"],
                action=action["action"],
                start=action["start_second"],
                end=action["end_second"],
                score=action["mean_score"],
            )
            bouts.append(bout)
        track = TrackBouts(
            row["track_id"],
            row["actor"],
            row["mean_score"],
            tuple(bouts),
            row.get("name"),
        )
        tracks.append(track)
    return _in_order_of_starts(tracks)


def _in_order_of_starts(tracks: Iterable[TrackBouts]) -> list[TrackBouts]:
    return sorted(tracks, key=lambda track: (track.bouts[0].start, track.number))


def read_all(
    folders: Iterable[str | os.PathLike], min_score: float = 0.0
) -> list[Prediction]:
    """Read predictions of different videos; tracks below a mean score are left out.

    Raises:
      InputError: a file is missing or damaged, or two predictions are of videos of one
        name.
    """
    folder_of: dict[str, pathlib.Path] = {}  # by name of the video
    predictions = []
    for folder in map(pathlib.Path, folders):
        video = read_video_info(folder)
        name = video.video_name
        problem = ""
        if name in folder_of:
            problem = f"as in {folder_of[name]}; pass only one"
        elif not is_file_name(name):
            problem = "not a file name"
        if problem:
            raise InputError(f"{folder}: the video is named {quoted(name)}, {problem}")
        folder_of[name] = folder
        predictions.append(Prediction(name, video, read(folder, min_score)))
    return predictions


class BoutTotals(NamedTuple):
    """The totals of several bouts.

    Attributes:
      bouts: how many there are.
      seconds: how long they last together.
      start: where the first one starts, seconds in the video.
      score: the mean of their scores, weighted by their seconds; of moments alone the
        plain mean.
    """

    bouts: int
    seconds: float
    start: float
    score: float


def total_by_pair(
    tracks: Iterable[TrackBouts],
) -> dict[tuple[str, str], BoutTotals]:
    """Add up the bouts of tracks for each (actor, action).

    The pairs are in the order of their first bouts.
    """
    bouts_of: dict[tuple[str, str], list[Bout]] = collections.defaultdict(list)
    for track in tracks:
        for bout in track.bouts:
            bouts_of[bout.actor, bout.action].append(bout)
    totals = {}
    for pair, bouts in bouts_of.items():
        totals[pair] = BoutTotals(
            bouts=len(bouts),
            seconds=math.fsum(bout.seconds for bout in bouts),
            start=min(bout.start for bout in bouts),
            score=_mean_score(bouts),
        )
    return totals


def transitions(
    predictions: Iterable[Prediction], actions: Sequence[str]
) -> list[list[int]]:
    """Count how often a track went from one action (row) to another (column).

    Bouts that differ only in the actor are one, so that the diagonal is 0.
    """
    index = {action: i for i, action in enumerate(actions)}
    counts = np.zeros((len(actions), len(actions)), int)
    for prediction in predictions:
        for track in prediction.tracks:
            for bout, following in zip(track.bouts, track.bouts[1:]):
                if bout.action != following.action:
                    counts[index[bout.action], index[following.action]] += 1
    return counts.tolist()
