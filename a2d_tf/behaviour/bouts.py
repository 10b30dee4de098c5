"""Read the bouts of predictions, periods with one action, and add them up.

A bout is a period in which a track does one thing, as ethology calls it (Martin and
Bateson, Measuring Behaviour). A track is one individual, followed through a video; its
actor is the kind of individual, such as mouse.
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
    """A period in which a track does one thing.

    Attributes:
      actor: the actor that the track is taken for in it.
      action: the action.
      start: the start in seconds from the first frame of the video.
      end: the end in seconds from the first frame of the video.
      score: the mean of p(actor) * p(action) over its frames.
    """

    actor: str
    action: str
    start: float
    end: float
    score: float

    @property
    def seconds(self) -> float:
        """The length of the bout in seconds."""
        return self.end - self.start


class TrackBouts(NamedTuple):
    """A track with its bouts.

    Attributes:
      number: the number of the track in its video, from 1.
      actor: the actor that the track is taken for in most frames; each bout has its
        own.
      score: the mean score over the frames of the track.
      bouts: the bouts in order of time, at least one.
      name: the name of the individual; None if it has none.
    """

    number: int
    actor: str
    score: float
    bouts: tuple[Bout, ...]
    name: str | None = None

    @property
    def subject(self) -> str:
        """The text that names the track in tables: its name, or actor and number."""
        return self.name or f"{self.actor} {self.number}"

    @property
    def changes_actor(self) -> bool:
        """Whether the track is taken for different actors in different bouts."""
        return len({bout.actor for bout in self.bouts}) > 1


class Prediction(NamedTuple):
    """The prediction of one video: the video and the bouts of its tracks.

    Attributes:
      name: the name of the video, that of its file without suffix, or of its folder.
      video: the facts of the video and of its prediction.
      tracks: the tracks in the order of their starts.
    """

    name: str
    video: VideoInfo
    tracks: list[TrackBouts]

    def at_rate(self, fps: float) -> Prediction:
        """Return the prediction with all times changed to another rate of images.

        Args:
          fps: images per second; what was predicted for an image stays there.
        """
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
        """Return the prediction without short bouts and short gaps between bouts.

        The result is that of `a2d predict --min_bout --merge_gap`. Tracks without a
        bout that is long enough are left out.

        Args:
          lengths: the least lengths of bouts and of gaps.
        """
        tracks = []
        for track in self.tracks:
            bouts = _tidied_bouts(track, lengths)
            if bouts:
                tracks.append(track._replace(bouts=bouts))
        return self._replace(tracks=_in_order_of_starts(tracks))


def spans_of_actions(track: TrackBouts, lengths: BoutLengths) -> list[LabelledSpan]:
    """Return the periods in which a track does one action.

    The actor does not matter: bouts that follow each other and differ only in the actor
    are one period.

    Args:
      track: the track with its bouts.
      lengths: the least lengths of periods and of the gaps between them.

    Returns:
      the periods in order of time, each labelled with its action.
    """
    spans = []
    for bout in track.bouts:
        spans.append(LabelledSpan(bout.action, bout.start, bout.end))
    joining = dataclasses.replace(
        lengths, merge_gap=max(lengths.merge_gap, LEAST_SECONDS)
    )
    return tidy(spans, joining)


def _tidied_bouts(track: TrackBouts, lengths: BoutLengths) -> tuple[Bout, ...]:
    """Return the bouts of a track without short gaps and short bouts.

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
    """Read the bouts of a prediction from its `tracks.json`.

    Args:
      folder: the folder of a prediction, which `a2d predict` wrote.
      min_score: tracks with a lower mean score are left out.

    Returns:
      the tracks with their bouts, in the order of their starts.

    Raises:
      InputError: the file is missing, or a field is missing or malformed; the message
        names it.
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
    """Read the predictions of different videos.

    Args:
      folders: the folders of the predictions.
      min_score: tracks with a lower mean score are left out.

    Raises:
      InputError: a file is missing or damaged, two predictions are of videos with the
        same name, or a video's name is no file name.
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
      bouts: the number of bouts.
      seconds: their length together, in seconds.
      start: the start of the first one, in seconds of the video.
      score: the mean of their scores, weighted by their seconds; if all have length 0,
        the plain mean.
    """

    bouts: int
    seconds: float
    start: float
    score: float


def total_by_pair(
    tracks: Iterable[TrackBouts],
) -> dict[tuple[str, str], BoutTotals]:
    """Add up the bouts of tracks for each pair of an actor and an action.

    Returns:
      {(actor, action): totals}, in the order in which tracks and bouts come.
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
    """Count how often a track went from one action to another.

    Bouts that follow each other and differ only in the actor are one.

    Args:
      predictions: the predictions whose tracks are counted.
      actions: the names of all actions that occur, in the order of rows and columns.

    Returns:
      a row of numbers for each first action, a column for each following one; the
      diagonal is 0.
    """
    index = {action: i for i, action in enumerate(actions)}
    counts = np.zeros((len(actions), len(actions)), int)
    for prediction in predictions:
        for track in prediction.tracks:
            for bout, following in zip(track.bouts, track.bouts[1:]):
                if bout.action != following.action:
                    counts[index[bout.action], index[following.action]] += 1
    return counts.tolist()
