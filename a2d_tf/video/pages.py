"""The pages of predictions, `index.html`, which need no server.

The page of a video lies beside its files: the overlay plays above a timeline with a row for each
track and a table of who did what for how long. The page of a library lies above its predictions.
"""

from __future__ import annotations

import collections
import itertools
import math
import operator
import os
import pathlib
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from a2d_tf.behaviour import bouts
from a2d_tf.behaviour.predictions import RESULT_FILES, read_facts
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import load_json, write_text
from a2d_tf.data import frames
from a2d_tf.evaluation.reports.pages import jpeg_url, render
from a2d_tf.runs import scores

PICTURES = 1000  # videos with a thumbnail; each is about 6 kB
_TEMPLATES = pathlib.Path(__file__).parent
NAME, _OVERLAY = RESULT_FILES["page"], RESULT_FILES["overlay"]
_COLUMNS = ("actor", "action", "tracks", "seconds", "bouts", "mean score")
_WIDE = 240  # pixels of the longest side of a thumbnail
_FRAME = 25  # the one that is shown; later ones cost more, since they are decoded one by one
_TICKS = 8  # of the timeline at most
_STEPS = (0.001, 0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400)
"""Seconds from one tick to the next, whose labels are exact."""


def _write(folder, template, title, tracks, labels, tables, **values):
    pairs = {(bout.actor, bout.action) for track in tracks for bout in track.bouts}
    values["actors"] = sorted({actor for actor, _ in pairs})
    values["shades"] = bouts.colours((action for _, action in pairs), labels)
    values.setdefault("data", {})
    page = render(template, title, _TEMPLATES, tables=tables, **values)
    write_text(os.path.join(folder, NAME), page)


def _sums(name: str, tracks: Iterable[bouts.TrackBouts]) -> list[tuple]:
    """A row of `name` and _COLUMNS for each actor and action; ends with what its tracks add to it.

    The page's script counts a part (score of the track, seconds, bouts, score of the bouts) again
    where the least score of a track is chosen.
    """
    tracks, key = list(tracks), operator.attrgetter("actor", "action")
    parts = collections.defaultdict(list)
    for track in tracks:
        for pair, own in bouts.sums([track], key).items():
            parts[pair].append((track.score, round(own.seconds, 3), own.bouts, round(own.score, 6)))
    return [
        (name, *pair, own.tracks, f"{own.seconds:.2f}", own.bouts, f"{own.score:.3f}", parts[pair])
        for pair, own in sorted(bouts.sums(tracks, key).items())
    ]


def _clock(seconds):
    """Seconds as 1:02:03.4 or, to the millisecond, 2:03.456; the hours where there are any."""
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
    """Write the page of a prediction into its folder, from its `tracks.json` and `video.json`.

    Args:
      folder: of `a2d predict`; with or without an `overlay.mp4`.

    Raises:
      InputError: a file is missing or malformed, or the page cannot be written.
    """
    tracks, video = bouts.read(folder), read_facts(folder)
    start, seconds = video.span[0], max(video.span[1] - video.span[0], 1e-3)

    def shown(bout: bouts.Bout) -> dict[str, str]:
        spoken = f"{bout.actor} {bout.action}, {_clock(bout.start)} to {_clock(bout.end)}"
        return {
            "actor": bout.actor,
            "action": bout.action,
            "title": f"{spoken}, score {bout.score:.2f}",
            "left": f"{100 * (bout.start - start) / seconds:.3f}",
            "width": f"{100 * bout.seconds / seconds:.3f}",
        }

    names = {track.number: f"#{track.number} {track.actor}" for track in tracks}
    _write(
        folder,
        "page.html",
        video.name,
        tracks,
        video.labels,
        [_sums("all", tracks), [row for t in tracks for row in _sums(names[t.number], [t])]],
        columns=("track", *_COLUMNS),
        data={"seconds": seconds},
        overlay=_OVERLAY if os.path.isfile(os.path.join(folder, _OVERLAY)) else None,
        ticks=_ticks(start, seconds),
        rows=[(names[t.number], t.score, [shown(bout) for bout in t.bouts]) for t in tracks],
        unsure=video.unsure,
        damaged=video.damaged,
        limit=video.max_tracks,
        extra=f"{video.extra} frames" if video.extra else "",
    )


def _thumbnail(path):
    """A frame near the start of a video as the data URL of a small JPEG, or None."""
    try:
        read = frames.read(path, remedy="predict the video again")
        (_, rgb) = collections.deque(itertools.islice(read, _FRAME), maxlen=1).pop()
    except (InputError, IndexError):  # IndexError where no frame decodes
        return None
    return jpeg_url(rgb, _WIDE, 70)


def write_library_page(
    output: str | os.PathLike,
    folders: Sequence[pathlib.Path],
    failed: Mapping[str, str],
    run: str | None = None,
) -> None:
    """Write the page of a library into its folder, from the `tracks.json` of its predictions.

    Args:
      output: folder of the predictions. Those with a page are linked to.
      folders: those of the predictions in it.
      failed: {name of a video: why it has no prediction}.
      run: folder of the run that predicts, whose training videos are marked.

    Raises:
      InputError: a `tracks.json` is malformed, or the page cannot be written.
    """
    cards: list[dict[str, Any]] = []
    rows, everything, trained = [], [], set()
    browse = scores.folder_of(run or output) / "browse.html"
    if run:
        path = os.path.join(run, "records.json")
        trained = {*load_json(path, {"videos": [str]}, "train it again")["videos"]}
    described = list(map(read_facts, folders))
    for i, (folder, facts) in enumerate(zip(folders, described)):
        tracks, name = bouts.read(folder), folder.name
        counts = {"unsure": facts.unsure, "damaged": facts.damaged}
        notes = [f"; {kind} frames: {number}" for kind, number in counts.items() if number]
        sums = _sums(name, tracks)
        end = max((track.bouts[-1].end for track in tracks), default=0.0)
        cards.append(
            {
                "name": name,
                "link": f"{urllib.parse.quote(name)}/{NAME}" if (folder / NAME).is_file() else None,
                "picture": _thumbnail(folder / _OVERLAY) if i < PICTURES else None,
                "seconds": f"{end:,.1f} s{''.join(notes)}",
                "trained": name in trained,
                "sums": [(row[1], row[2], row[4], row[-1]) for row in sums],
            }
        )
        rows += sums
        everything += tracks
    _write(
        output,
        "library.html",
        f"Predictions in {'/'.join(pathlib.Path(output).absolute().parts[-2:])}",
        everything,
        described[0].labels if described else None,
        [_sums("all", everything), rows],
        columns=("video", *_COLUMNS),
        totals=f"{len(folders)} videos.",
        limit=described[0].max_tracks if described else None,
        extra=", ".join(x.name for x, facts in zip(folders, described) if facts.extra),
        browse=browse.is_file()
        and urllib.parse.quote(os.fsencode(os.path.relpath(browse, output))),
        cards=cards,
        failed=failed,
    )
