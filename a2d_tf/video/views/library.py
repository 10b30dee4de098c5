"""The page of a library of videos: `index.html` above the folders of their predictions."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
import pathlib
import urllib.parse
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_text
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data import frames
from a2d_tf.ops import visualize
from a2d_tf.video.views import bouts, colours, facts, page

PICTURES = 1000  # videos with a thumbnail; each is about 6 kB
_WIDE = 240  # pixels of the longest side of a thumbnail
_FRAME = 25  # the one that is shown; later ones cost more, since they are decoded one by one
_STEPS, _LANES = 300, 8  # of the timeline in small
_BODY = """
<button id="theme" type="button" title="light or dark (t)" aria-label="light or dark"></button>
<p class="note">{totals}</p>
<form id="filter"><div class="filter"><span>actor</span><span id="actors" class="chips"></span>
<span>action</span><span id="actions" class="chips"></span></div>
<div class="bar"><input name="search" type="search" placeholder="name of a video (/)"
aria-label="name of a video"> <label>order <select name="order"><option value="name">name</option>
<option value="matching">longest such action</option><option value="seconds">longest video</option>
<option value="tracks">most tracks</option></select></label>
<output id="count" class="end"></output></div></form>
<main>
{cards}
</main>
{failed}<h2>Who did what how long</h2>
<div class="bar"><label>a row for <select name="by" form="filter">
<option value="all">an actor and action</option>
<option value="video">a video, actor and action</option></select></label>
<button id="csv" type="button">Save as CSV</button></div>
<div class="wide"><table id="table"></table></div>
<p><button id="more" type="button" hidden></button></p>
"""


@dataclasses.dataclass(frozen=True)
class _Video:
    """A prediction of the library: its folder and what is in it."""

    folder: pathlib.Path
    tracks: list[bouts.Track]

    @property
    def name(self) -> str:
        return page.printable(self.folder.name)

    @property
    def link(self) -> str:
        return f"{urllib.parse.quote(os.fsencode(self.folder.name))}/{page.NAME}"

    @property
    def end(self) -> float:
        """Where the last track ends, seconds."""
        return max((track.end for track in self.tracks), default=0.0)


def predictions(output: str | os.PathLike) -> list[pathlib.Path]:
    """The folders of a library that hold a `tracks.json`, by name; hidden ones do not count."""
    paths = pathlib.Path(output).glob("*/tracks.json")
    return sorted(path.parent for path in paths if not path.parent.name.startswith("."))


def write_library_page(
    output: str | os.PathLike,
    title: str | None = None,
    *,
    labels: LabelSpace | None = None,
    folders: Sequence[pathlib.Path] | None = None,
    failed: Mapping[str, str] | None = None,
) -> pathlib.Path:
    """Write the page of a library into its folder, from the `tracks.json` of its predictions.

    Args:
      output: folder of the predictions. Those with a page are linked to.
      title: of the page; by default the name of the folder.
      labels: gives the order of the actions, and so their colours; by default the predictions'.
      folders: those of the predictions in it; by default each with a `tracks.json`.
      failed: {name of a video: why it has no prediction}.

    Returns:
      the path of the page.

    Raises:
      InputError: there is no prediction, a `tracks.json` is malformed, or the page cannot be
        written.
    """
    output = pathlib.Path(output)
    folders = predictions(output) if folders is None else folders
    if not folders and not failed:
        raise InputError(f"{output}: no folder with a tracks.json in it; name that of a library")
    videos = [_Video(folder, bouts.read(folder)) for folder in folders]
    every = [bout for video in videos for track in video.tracks for bout in track.bouts]
    labels = labels or facts.labels_of(folders)
    shades = colours.of_actions((bout.action for bout in every), labels)
    data = _data(videos, sorted({bout.actor for bout in every}), list(shades))
    data["title"] = title = page.printable(title or os.path.basename(os.path.abspath(output)))
    data["colours"] = list(shades.values())
    cards = [
        _card(video, shades, i < PICTURES)
        for i, video in enumerate(tqdm(videos, "page", unit="video", leave=False))
    ]
    body = _BODY.format(
        totals=_totals(videos), cards="\n".join(cards), failed=_failures(failed or {})
    )
    path = output / page.NAME
    styles, scripts = ("views.css", "library.css"), ("common.js", "library.js")
    write_text(path, page.document(title, body, data, styles, scripts))
    return path


def _data(videos: Sequence[_Video], actors: list[str], actions: list[str]) -> dict:
    """The totals for the script, see library.js."""
    of_actor = {name: i for i, name in enumerate(actors)}
    of_action = {name: i for i, name in enumerate(actions)}
    rows = []
    for video in videos:
        counts = collections.Counter((b.actor, b.action) for t in video.tracks for b in t.bouts)
        sums = [
            [of_actor[pair[0]], of_action[pair[1]], round(seconds, 3), counts[pair]]
            for pair, seconds in bouts.time_budget(video.tracks).items()
        ]
        rows.append([video.name, len(video.tracks), round(video.end, 3), sums])
    links = {video.name: video.link for video in videos if (video.folder / page.NAME).is_file()}
    return {"actors": actors, "actions": actions, "videos": rows, "links": links}


def _totals(videos):
    tracks = sum(len(video.tracks) for video in videos)
    seconds = sum(sum(bouts.time_budget(video.tracks).values()) for video in videos)
    counts = _counted(len(videos), "video"), _counted(tracks, "track")
    text = f"{counts[0]}, {counts[1]}, {seconds:,.1f} s of tracks."
    if len(videos) > PICTURES:
        text += f" The first {PICTURES} have a picture."
    return text


def _counted(count, name):
    return f"{count:,} {name}{'s' * (count != 1)}"


def _card(video: _Video, shades: dict[str, str], with_picture: bool) -> str:
    """Render a video: its picture, name, totals and timeline, a link to its page."""
    overlay, name = video.folder / page.OVERLAY, page.escape(video.folder.name)
    picture = '<span class="blank">no overlay</span>'
    # An empty file stands for one that is not on this disk.
    if with_picture and overlay.is_file() and overlay.stat().st_size:
        picture = f'<img alt="a frame of {name}" loading="lazy" src="{_thumbnail(overlay)}">'
    budget: dict[str, float] = collections.defaultdict(float)
    for (_, action), seconds in bouts.time_budget(video.tracks).items():
        budget[action] += seconds
    longest = sorted(budget, key=lambda action: -budget[action])[:3]
    most = ", ".join(f"{page.escape(action)} {budget[action]:,.1f} s" for action in longest)
    inside = (
        f"{picture}<h2>{name}</h2><p>{_counted(len(video.tracks), 'track')} in {video.end:,.1f} s"
        f"</p><p>{most or 'nobody'}</p>{_timeline(video, shades)}"
    )
    if (video.folder / page.NAME).is_file():
        inside = f'<a href="{video.link}">{inside}</a>'
    return f"<article>{inside}</article>"


def _thumbnail(path):
    """A frame near the start of a video as the data URL of a small JPEG."""
    read = frames.read(path, remedy="predict the video again")
    (_, rgb) = collections.deque(itertools.islice(read, _FRAME), maxlen=1).pop()
    return visualize.jpeg_url(rgb, _WIDE, 70)


def _timeline(video: _Video, shades: dict[str, str]) -> str:
    """Draw the tracks in small, those that do not meet in one lane, as an SVG."""
    length = max(video.end, 1e-3)
    ends: list[float] = []  # of the lanes, in steps
    parts = []
    for track in video.tracks:
        start = round(_STEPS * track.start / length)
        lane = next((i for i, end in enumerate(ends) if end <= start), len(ends))
        if lane >= _LANES:
            continue
        ends[lane : lane + 1] = [round(_STEPS * track.end / length)]
        painted = start
        for bout in track.bouts:
            left, right = (round(_STEPS * x / length) for x in (bout.start, bout.end))
            left, right = max(left, painted), max(right, left + 1)
            if right > painted:  # a step is of the first bout in it, so that long videos stay small
                shape = f'x="{left}" y="{lane}" width="{right - left}"'
                parts.append(f'<rect {shape} height=".8" fill="{shades[bout.action]}"/>')
                painted = right
    lanes = max(len(ends), 3)
    return (
        f'<svg viewBox="0 0 {_STEPS} {lanes}" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )


def _failures(failed: Mapping[str, str]) -> str:
    """The videos without a prediction, and why."""
    rows = "".join(
        f"<tr><td>{page.escape(name)}</td><td class=name>{page.escape(reason)}</td></tr>"
        for name, reason in failed.items()
    )
    return f"<h2>Failed</h2><div class=wide><table>{rows}</table></div>\n" if rows else ""
