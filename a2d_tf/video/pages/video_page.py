"""The page of a predicted video, `index.html`, which needs no server.

It lies beside the files of the prediction: the overlay plays above a timeline with a
row for each track and a table of who did what for how long.
"""

from __future__ import annotations

import math
import os
from typing import NamedTuple

from a2d_tf.behaviour import action_colours, bouts
from a2d_tf.behaviour.prediction_folder import (
    LEFT_OUT,
    RESULT_FILES,
    SEEN,
    VideoInfo,
    read_video_info,
)
from a2d_tf.video.pages import trust
from a2d_tf.video.pages.page_html import write_html
from a2d_tf.video.pages.page_tables import TableRow, totals_of_pairs

_MOST_TICKS = 8  # of the timeline
_TICK_SECONDS = (
    0.001,
    0.01,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    1800,
    3600,
    14400,
)
"""Seconds between two ticks; the times of these ticks are exact."""


class _Tick(NamedTuple):
    """A mark of the timeline.

    Attributes:
      left: position of the mark, percent of the width, as text.
      time: time of the mark, as text.
    """

    left: str
    time: str


class _Bar(NamedTuple):
    """A bout on the timeline, with its figures as text.

    Attributes:
      actor, action: the label.
      title: the text that the page shows when the mouse is on the bar.
      left, width: position and width, percent of the timeline.
      score: score of the bout.
      seconds: duration of the bout.
    """

    actor: str
    action: str
    title: str
    left: str
    width: str
    score: str
    seconds: str


class _TimelineRow(NamedTuple):
    """A track on the timeline.

    Attributes:
      name: number of the track, and the name or actor of its individual.
      score: mean score of the track.
      changes_actor: whether bouts have different actors; bars then show the actor.
      bouts: a bar for each bout.
    """

    name: str
    score: float
    changes_actor: bool
    bouts: list[_Bar]


def write_page(folder: str | os.PathLike, video_info: VideoInfo | None = None) -> None:
    """Write the page of a prediction, `index.html`, into its folder.

    It is made from `tracks.json` and `video.json`, and plays `overlay.mp4` if there is
    one.

    Args:
      folder: path of the folder of the prediction.
      video_info: facts about the video; None to read them from `video.json`.

    Raises:
      InputError: a file is missing or malformed, or the page cannot be written.
    """
    tracks = bouts.read(folder)
    if video_info is None:
        video_info = read_video_info(folder)
    start, end = video_info.span
    seconds = max(end - start, 1e-3)

    timeline = []
    table = []
    for track in tracks:
        name = f"#{track.number} {track.name or track.actor}"
        bars = [_bar(bout, start, seconds) for bout in track.bouts]
        timeline.append(_TimelineRow(name, track.score, track.changes_actor, bars))
        for pair in totals_of_pairs([track], video_info.unsure_below):
            table.append(TableRow(name, pair.actor, pair.action, pair.totals))

    actors: set[str] = set()
    for track in tracks:
        if track.changes_actor:
            actors.update(bout.actor for bout in track.bouts)
    overlay = None
    if os.path.isfile(os.path.join(folder, RESULT_FILES["overlay"])):
        overlay = RESULT_FILES["overlay"]
    assumed_fps = None
    if video_info.fps_is_assumed:
        assumed_fps = f"{video_info.fps:g}"
    extra = ""
    if video_info.frames_with_extra:
        extra = f"{video_info.frames_with_extra} of its frames"
    write_html(
        os.path.join(folder, RESULT_FILES["page"]),
        "page.html",
        title=video_info.name,
        name_column="track",
        rows=table,
        video_info=video_info,
        data={"seconds": seconds, "unsure_below": video_info.unsure_below},
        overlay=overlay,
        ticks=_ticks(start, seconds),
        timeline=timeline,
        actor_colours=action_colours.actor_colours(actors, video_info.labels),
        assumed_fps=assumed_fps,
        trackless_frames=video_info.unsure_frames,
        damaged=video_info.damaged_frames,
        extra=extra,
        split=video_info.split or "",
        meaning=trust.of_split(video_info.split),
        remarks=_remarks(video_info),
    )


def _remarks(video_info: VideoInfo) -> list[str]:
    """Return sentences on where the labels come from."""
    sentences = []
    if video_info.detector is not None:
        sentences.append(
            f"The individuals are those that the detector {video_info.detector} found,"
            " and followed by their boxes: one may be missing, or go on as another."
        )
    if video_info.kinetics:
        sentences.append(
            "The actions are those of Kinetics-400 that I3D tells apart: it was taught"
            " none of yours, and knows no walking, standing or sitting."
        )
    if video_info.coded == LEFT_OUT:
        sentences.append(
            "Times of this video were coded: its labels here are of the fit that left"
            " it out."
        )
    if video_info.coded == SEEN:
        sentences.append(
            "Times of this video were coded: its labels here are of a fit that has seen"
            " them, so judge by other videos."
        )
    return sentences


def _bar(bout: bouts.Bout, start: float, seconds: float) -> _Bar:
    """Return the bar of a bout on a timeline of some seconds from `start` on."""
    times = f"{_clock(bout.start)} to {_clock(bout.end)}"
    return _Bar(
        actor=bout.actor,
        action=bout.action,
        title=f"{bout.actor} {bout.action}, {times}, score {bout.score:.2f}",
        left=f"{100 * (bout.start - start) / seconds:.3f}",
        width=f"{100 * bout.seconds / seconds:.3f}",
        score=f"{bout.score:g}",
        seconds=f"{bout.seconds:.3f}",
    )


def _ticks(start: float, seconds: float) -> list[_Tick]:
    """Return ticks at round times of the video."""
    step = seconds / _MOST_TICKS
    for exact_step in _TICK_SECONDS:
        if exact_step * _MOST_TICKS >= seconds:
            step = exact_step
            break
    first = math.ceil(start / step - 1e-6)
    end = math.ceil((start + seconds) / step - 1e-6)
    ticks = []
    for i in range(first, end):
        time = i * step
        ticks.append(_Tick(f"{100 * (time - start) / seconds:.3f}", _clock(time)))
    return ticks


def _clock(seconds: float) -> str:
    """Return seconds as 2:03.456, to the millisecond, or with hours as 1:02:03.4."""
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    digits = f"{milliseconds / 1000:06.3f}"
    text = digits[:4] + digits[4:].rstrip("0")
    if hours:
        return f"{hours}:{minutes:02d}:{text}"
    return f"{minutes}:{text}"
