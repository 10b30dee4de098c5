"""The pages of predictions, `index.html`, which need no server.

The page of a video lies beside its files: the overlay plays above a timeline with a row for each
track and a table of who did what for how long. The page of a library lies above its predictions.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import os
import pathlib
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_text
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import frames
from a2d_tf.evaluation.reports.pages import printable, render
from a2d_tf.ops import visualize
from a2d_tf.video.predictions import KINDS, read_facts
from a2d_tf.video.views import bouts

PICTURES = 1000  # videos with a thumbnail; each is about 6 kB
_TEMPLATES = pathlib.Path(__file__).parent
NAME, _OVERLAY = KINDS["page"], KINDS["overlay"]
_WIDE = 240  # pixels of the longest side of a thumbnail
_FRAME = 25  # the one that is shown; later ones cost more, since they are decoded one by one
_STEPS, _LANES = 300, 8  # of the timeline in small


class _Names:
    """The names of actors and actions on a page, which its script knows by their indices.

    Attributes:
      shades: {action: colour}.
    """

    def __init__(self, pairs: Collection[tuple[str, str]], labels: LabelSpace | None):
        self.shades = bouts.colours((action for _, action in pairs), labels)
        self.actors, self._actions = sorted({actor for actor, _ in pairs}), list(self.shades)

    def pair(self, actor: str, action: str) -> list[int]:
        """Return the indices of an actor and an action."""
        return [self.actors.index(actor), self._actions.index(action)]

    def data(self, title: str) -> dict[str, Any]:
        """Return the data of the scripts of both pages."""
        colours = list(self.shades.values())
        return {
            "title": title,
            "actors": self.actors,
            "actions": self._actions,
            "colours": colours,
        }


def _write(folder, template, data, **values):
    path = pathlib.Path(folder, NAME)
    write_text(path, render(template, data["title"], _TEMPLATES, data=data, **values))
    return path


def write_page(folder: str | os.PathLike) -> pathlib.Path:
    """Write the page of a prediction into its folder, from its `tracks.json` and `video.json`.

    Args:
      folder: of `a2d_tf.predict`; with or without an `overlay.mp4`.

    Returns:
      the path of the page.

    Raises:
      InputError: a file is missing or malformed, or the page cannot be written.
    """
    tracks, video = bouts.read(folder), read_facts(folder)
    # A track may be called what none of its bouts is.
    pairs = {(track.actor, bout.action) for track in tracks for bout in track.bouts}
    names = _Names(pairs | set(bouts.time_budget(tracks)), video.labels)

    def bout_of(bout):
        return [*names.pair(bout.actor, bout.action), bout.start, bout.end, round(bout.score, 4)]

    data = {
        **names.data(video.name),
        # [id, actor, [[actor, action, start, end, score], ...]] of each.
        "tracks": [
            [t.number, names.actors.index(t.actor), [bout_of(b) for b in t.bouts]] for t in tracks
        ],
        "start": video.span[0],
        "end": video.span[1],
        "step": video.step,
    }
    overlay = _OVERLAY if os.path.isfile(os.path.join(folder, _OVERLAY)) else None
    return _write(folder, "page.html", data, overlay=overlay)


@dataclasses.dataclass(frozen=True)
class _Video:
    """A prediction of the library: its folder and what is in it."""

    folder: pathlib.Path
    tracks: list[bouts.Track]

    @property
    def name(self) -> str:
        return printable(self.folder.name)

    @property
    def link(self) -> str | None:
        """The address of its page, where there is one."""
        if not (self.folder / NAME).is_file():
            return None
        return f"{urllib.parse.quote(os.fsencode(self.folder.name))}/{NAME}"

    @property
    def end(self) -> float:
        """Where the last track ends, seconds."""
        return max((track.end for track in self.tracks), default=0.0)

    @functools.cached_property
    def budget(self) -> dict[tuple[str, str], float]:
        """See `bouts.time_budget`."""
        return bouts.time_budget(self.tracks)

    def sums(self, names: _Names) -> list[list]:
        """Return [actor, action, seconds, number of bouts] of each pair, for the script."""
        counts = collections.Counter((b.actor, b.action) for t in self.tracks for b in t.bouts)
        return [[*names.pair(*p), round(s, 3), counts[p]] for p, s in self.budget.items()]

    def card(self, shades: dict[str, str], with_picture: bool) -> dict[str, Any]:
        """Return the template's data: a picture, name, totals, timeline, and the page."""
        budget: dict[str, float] = collections.defaultdict(float)
        for (_, action), seconds in self.budget.items():
            budget[action] += seconds
        longest = sorted(budget, key=lambda action: -budget[action])[:3]
        bars, lanes = self._timeline(shades)
        return {
            "name": self.name,
            "link": self.link,
            "picture": _thumbnail(self.folder / _OVERLAY) if with_picture else None,
            "tracks": f"{_counted(len(self.tracks), 'track')} in {self.end:,.1f} s",
            "longest": ", ".join(f"{action} {budget[action]:,.1f} s" for action in longest),
            "bars": bars,
            "steps": _STEPS,
            "lanes": lanes,
        }

    def _timeline(self, shades):
        """The tracks in small, those that do not meet in one lane, of _STEPS.

        Returns:
          ([(left, lane, width, colour)], number of lanes).
        """
        scale = _STEPS / max(self.end, 1e-3)
        ends: list[float] = []  # of the lanes, in steps
        bars = []
        for track in self.tracks:
            painted = round(scale * track.start)
            lane = next((i for i, end in enumerate(ends) if end <= painted), len(ends))
            if lane >= _LANES:
                continue
            ends[lane : lane + 1] = [round(scale * track.end)]
            for bout in track.bouts:
                left = max(round(scale * bout.start), painted)
                right = max(round(scale * bout.end), round(scale * bout.start) + 1)
                if right > painted:  # a step is of the first bout in it: long videos stay small
                    bars.append((left, lane, right - left, shades[bout.action]))
                    painted = right
        return bars, max(len(ends), 3)


def _thumbnail(path):
    """A frame near the start of a video as the data URL of a small JPEG, or None.

    On Beam a file of zeros may stand for a video that is elsewhere.
    """
    try:
        read = frames.read(path, remedy="predict the video again")
        (_, rgb) = collections.deque(itertools.islice(read, _FRAME), maxlen=1).pop()
    except InputError:
        return None
    return visualize.jpeg_url(rgb, _WIDE, 70)


def write_library_page(
    output: str | os.PathLike,
    folders: Sequence[pathlib.Path],
    failed: Mapping[str, str],
) -> pathlib.Path:
    """Write the page of a library into its folder, from the `tracks.json` of its predictions.

    Args:
      output: folder of the predictions. Those with a page are linked to.
      folders: those of the predictions in it.
      failed: {name of a video: why it has no prediction}.

    Returns:
      the path of the page.

    Raises:
      InputError: a `tracks.json` is malformed, or the page cannot be written.
    """
    videos = [_Video(folder, bouts.read(folder)) for folder in folders]
    labels = read_facts(folders[0]).labels if folders else None
    names = _Names({pair for video in videos for pair in video.budget}, labels)
    rows = [[v.name, len(v.tracks), round(v.end, 3), v.sums(names)] for v in videos]
    data = {
        **names.data(os.path.basename(os.path.abspath(output))),
        "videos": rows,
        "links": {video.name: video.link for video in videos if video.link},
    }
    seconds = sum(sum(video.budget.values()) for video in videos)
    tracks = sum(len(video.tracks) for video in videos)
    totals = f"{_counted(len(videos), 'video')}, {_counted(tracks, 'track')}, {seconds:,.1f} s"
    more = f" The first {PICTURES} have a picture." if len(videos) > PICTURES else ""
    cards = [
        video.card(names.shades, i < PICTURES)
        for i, video in enumerate(tqdm(videos, "page", unit="video", leave=False))
    ]
    text = f"{totals} of tracks.{more}"
    return _write(output, "library.html", data, totals=text, cards=cards, failed=failed)


def _counted(count, name):
    return f"{count:,} {name}{'s' * (count != 1)}"
