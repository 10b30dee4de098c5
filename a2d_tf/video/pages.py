"""The pages of predictions, `index.html`, which need no server.

The page of a video lies beside its files: the overlay plays above a timeline with a row
for each track and a table of who did what for how long. The page of a library lies
above its predictions.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import math
import os
import pathlib
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

from a2d_tf.annotations.tracked_video import name_of
from a2d_tf.behaviour import action_colours, bouts, time_budget
from a2d_tf.behaviour.prediction_folder import (
    PART,
    RESULT_FILES,
    VIDEO,
    read_video_info,
)
from a2d_tf.core.checked_json import load_json, one_of
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, read_csv, write_text
from a2d_tf.data import video_frames
from a2d_tf.evaluation.reports.templates import jpeg_url, render
from a2d_tf.runs import scores

PICTURES = 200  # videos of a library on a page with their pictures, of about 6 to 14 kB
_TEMPLATES = pathlib.Path(__file__).parent
PAGES = re.compile(r"index(_[0-9]+)?\.html")  # names of the pages of a library
NAME, _OVERLAY = RESULT_FILES["page"], RESULT_FILES["overlay"]
_COLUMNS = ("actor", "action", "tracks", "seconds", "bouts", "mean score")
_WIDE = 240  # pixels of the longest side of a thumbnail
# the one that is shown; later ones cost more, since they are decoded one by one
_FRAME = 25
# Another number wherever what a part holds becomes another.
_PART = {"format": one_of(1), "sha256": {str: str}, "note": str, "extra": bool}
_PART |= {**dict.fromkeys(("video", "budget", "sums"), list), "picture": (str, None)}
_TICKS = 8  # of the timeline at most
_STEPS = (
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
"""Seconds from one tick to the next, whose labels are exact."""


def _write(path, template, title, sums, facts, **values):
    """Write a page with tables of `sums`, (name, *one of `_sums`), and of all of
    these together.
    """
    parts: dict[tuple[str, str], list] = collections.defaultdict(list)
    for _, actor, action, own in sums:
        parts[actor, action] += own
    values["actors"] = sorted({actor for actor, _ in parts})
    values["shades"] = action_colours.colours(
        (action for _, action in parts), facts and facts.labels
    )
    values["limit"] = facts and facts.max_tracks
    values["tables"] = (
        [("all", *pair, own) for pair, own in sorted(parts.items())],
        sums,
    )
    write_text(path, render(template, title, _TEMPLATES, **values))


def _sums(tracks: Iterable[bouts.TrackBouts]) -> list[tuple[str, str, list]]:
    """Return (actor, action, parts), a part a track: its score; seconds, bouts, seconds
    x score.

    The page adds up the parts of the tracks above the least score that is chosen.
    """
    parts = collections.defaultdict(list)
    for track in tracks:
        for pair, own in bouts.sums([track]).items():
            added = round(own.seconds, 3), own.bouts, round(own.seconds * own.score, 6)
            parts[pair].append((track.score, *added))
    return [(*pair, own) for pair, own in sorted(parts.items())]


def _clock(seconds):
    """Seconds as 1:02:03.4 or, to the millisecond, 2:03.456; the hours where there
    are any.
    """
    minutes, rest = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    digits = f"{rest / 1000:06.3f}"
    text = digits[:4] + digits[4:].rstrip("0")
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{text}"


def _ticks(start, seconds):
    """Places, percent of the timeline, and labels of round times in the video."""
    step = next((step for step in _STEPS if step * _TICKS >= seconds), seconds / _TICKS)
    first, end = (math.ceil(time / step - 1e-6) for time in (start, start + seconds))
    times = [i * step for i in range(first, end)]
    return [(f"{100 * (time - start) / seconds:.3f}", _clock(time)) for time in times]


def write_page(folder: str | os.PathLike) -> None:
    """Write the page of a prediction into its folder, from its `tracks.json` and
    `video.json`.

    Args:
      folder: of `a2d predict`; with or without an `overlay.mp4`.

    Raises:
      InputError: a file is missing or malformed, or the page cannot be written.
    """
    tracks, video = bouts.read(folder), read_video_info(folder)
    start, seconds = video.span[0], max(video.span[1] - video.span[0], 1e-3)

    def shown(bout: bouts.Bout) -> dict[str, str]:
        spoken = (
            f"{bout.actor} {bout.action}, {_clock(bout.start)} to {_clock(bout.end)}"
        )
        return {
            "actor": bout.actor,
            "action": bout.action,
            "title": f"{spoken}, score {bout.score:.2f}",
            "left": f"{100 * (bout.start - start) / seconds:.3f}",
            "width": f"{100 * bout.seconds / seconds:.3f}",
        }

    names = {track.number: f"#{track.number} {track.actor}" for track in tracks}
    _write(
        os.path.join(folder, NAME),
        "page.html",
        video.name,
        [(names[track.number], *row) for track in tracks for row in _sums([track])],
        video,
        columns=("track", *_COLUMNS),
        data={"seconds": seconds},
        overlay=_OVERLAY if os.path.isfile(os.path.join(folder, _OVERLAY)) else None,
        ticks=_ticks(start, seconds),
        rows=[
            (names[t.number], t.score, [shown(bout) for bout in t.bouts])
            for t in tracks
        ],
        unsure=video.unsure_frames,
        damaged=video.damaged_frames,
        extra=f"{video.frames_with_extra} frames" if video.frames_with_extra else "",
    )


def _thumbnail(path):
    """A frame near the start of a video as the data URL of a small JPEG, or None."""
    try:
        read = video_frames.read(path, remedy="predict the video again")
        (_, rgb) = collections.deque(itertools.islice(read, _FRAME), maxlen=1).pop()
    except (InputError, IndexError):  # IndexError where no frame decodes
        return None
    return jpeg_url(rgb, _WIDE, 70)


def part(folder: pathlib.Path) -> dict[str, Any]:
    """Return what the tables and the page of a library need of a prediction.

    It is kept in the folder, and made anew where the files that it is made from have
    changed.

    Returns:
      `video`, seconds and frames a second; `budget`, rows of `time_budget.rows`;
      `sums`, rows (actor, action, parts) of the page's tables; `note`, in words;
      `extra`, whether instances were beyond the number of individuals; `picture`, a
      data URL, None without an overlay.

    Raises:
      InputError: a file of the prediction is missing, cut or malformed.
    """
    files = (
        folder / name
        for name in (VIDEO, RESULT_FILES["tracks"], RESULT_FILES["summary"])
    )
    digests = {file.name: file_digest(file) for file in files if file.is_file()}
    with contextlib.suppress(InputError):
        kept = load_json(folder / PART, _PART, "")
        if kept["sha256"] == digests:
            return kept
    facts = read_video_info(folder)
    tracks = bouts.read(folder) if RESULT_FILES["tracks"] in digests else []
    if len(digests) == 3:
        read_csv(
            folder / RESULT_FILES["summary"], sum(len(track.bouts) for track in tracks)
        )
    name = name_of(facts.name, facts.images)
    counts = {"unsure": facts.unsure_frames, "damaged": facts.damaged_frames}
    notes = [f"; {kind} frames: {number}" for kind, number in counts.items() if number]
    end = max((track.bouts[-1].end for track in tracks), default=0.0)
    made = {
        **{"format": 1, "sha256": digests},
        "video": facts.cells,
        "budget": time_budget.rows([bouts.Prediction(name, facts, tracks)]),
        "sums": _sums(tracks),
        "note": f"{end:,.1f} s{''.join(notes)}",
        "extra": facts.frames_with_extra > 0,
        "picture": _thumbnail(folder / _OVERLAY),
    }
    with contextlib.suppress(InputError):  # it only saves time
        write_text(folder / PART, json.dumps(made) + "\n")
    return made


def write_library_page(
    output: str | os.PathLike,
    parts: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, str],
    run: str | None = None,
) -> None:
    """Write the page of a library, the index; of many videos the pictures are on
    further pages.

    Args:
      output: folder of the predictions.
      parts: {name of a folder in it: `part` of the prediction there}.
      failed: {name of a video: why it has no prediction}.
      run: folder of the run that predicts, whose training videos are marked.

    Raises:
      InputError: a page cannot be written.
    """
    browse = scores.folder_of(run or output) / "browse.html"
    kind, remedy = {"videos": [str]}, "train it again"
    records = run and load_json(os.path.join(run, "records.json"), kind, remedy)
    names = list(parts)
    facts = read_video_info(pathlib.Path(output, names[0])) if names else None
    title = f"Predictions in {'/'.join(pathlib.Path(output).absolute().parts[-2:])}"
    pages = {NAME: names}
    for first in range(0, len(names), PICTURES) if len(names) > PICTURES else ():
        pages[f"index_{first // PICTURES + 1}.html"] = names[first : first + PICTURES]
    for page, own in pages.items():
        _write(
            os.path.join(output, page),
            "library.html",
            title if page == NAME else f"{title}: {own[0]} to {own[-1]}",
            [(name, *row) for name in own for row in parts[name]["sums"]],
            facts,
            data={},
            columns=("video", *_COLUMNS),
            extra=", ".join(name for name in own if parts[name]["extra"]),
            browse=browse.is_file()
            and urllib.parse.quote(os.fsencode(os.path.relpath(browse, output))),
            **{
                "parts": parts,
                "trained": records["videos"] if records else (),
                "failed": failed,
            },
            **{"page": page, "pages": pages, "size": PICTURES},
        )
