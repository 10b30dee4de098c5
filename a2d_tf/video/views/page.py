"""The page of a prediction: `index.html` beside its files, which needs no server.

The overlay plays above a timeline with a row a track, and a table of who did what how long. Names
come from users: in HTML they are escaped, and in the data nothing can end its element.
"""

from __future__ import annotations

import html
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from a2d_tf.core.files import write_text
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.reports import pages
from a2d_tf.video.views import bouts, colours, facts

NAME = "index.html"
OVERLAY = "overlay.mp4"
_FILES = pathlib.Path(__file__)  # beside it are the styles and scripts
_BODY = """
<button id="theme" type="button" title="light or dark (t)" aria-label="light or dark"></button>
{figure}
<div class="bar">
<button id="play" type="button">▶ Play</button> <output id="time"></output>
<select id="speed" aria-label="speed" title="speed"><option value="0.25">¼×</option>
<option value="0.5">½×</option><option value="1" selected>1×</option><option value="2">2×</option>
<option value="4">4×</option></select>
<span class="end"><button id="out" type="button" title="zoom out (-)">−</button>
<button id="in" type="button" title="zoom in (+)">+</button></span></div>
<div id="now" class="now"></div>
<div id="scroller" tabindex="0" role="group" aria-label="timeline of the tracks; the table below
holds the same"><div id="space"><div id="view"><canvas></canvas><div id="head"></div>
<div id="tip" hidden></div></div></div></div>
<form id="filter">
<div class="filter"><span>actor</span><span id="actors" class="chips"></span>
<span>action</span><span id="actions" class="chips"></span></div>
<div class="bar">
<label>score at least <input name="score" type="range" min="0" max="100" value="0">
<output name="least"></output></label>
<label>order <select name="order"><option value="start">first seen</option>
<option value="actor">actor</option><option value="longest">longest</option></select></label>
<label><input name="present" type="checkbox"> only who is there now</label>
<output id="count" class="end"></output></div></form>
<details id="help"><summary>Keys</summary><p>
<kbd>space</kbd> play or pause, <kbd>←</kbd> <kbd>→</kbd> a second, <kbd>j</kbd> <kbd>l</kbd> ten,
<kbd>,</kbd> <kbd>.</kbd> a frame, <kbd>Home</kbd> <kbd>End</kbd>,
<kbd>↑</kbd> <kbd>↓</kbd> choose a track, <kbd>Enter</kbd> go to its start,
<kbd>[</kbd> <kbd>]</kbd> last or next start of an action, <kbd>+</kbd> <kbd>-</kbd> <kbd>0</kbd>
zoom (or Ctrl and the wheel), <kbd>t</kbd> light or dark, <kbd>?</kbd> this help.</p></details>
<h2>Who did what how long</h2>
<div class="bar"><label>a row for <select name="by" form="filter">
<option value="track">a track and action</option><option value="actor">an actor and action</option>
</select></label> <button id="csv" type="button">Save as CSV</button></div>
<div class="wide"><table id="table"></table></div>
<p><button id="more" type="button" hidden></button></p>
"""
_FIGURE = f"""<figure><video src="{OVERLAY}" preload="auto" muted playsinline
aria-label="the video with masks and names"></video>
<p id="trouble" class="note" hidden>This browser cannot play {OVERLAY}; the time runs without
it.</p></figure>"""
_NO_FIGURE = '<p class="note">Predicted without an overlay: the time runs without a picture.</p>'


def write_page(
    folder: str | os.PathLike,
    title: str | None = None,
    *,
    labels: LabelSpace | None = None,
) -> pathlib.Path:
    """Write the page of a prediction into its folder, from its `tracks.json` and `video.json`.

    Of a prediction of an earlier version, the times of the overlay are read from the label maps and
    the tracks.

    Args:
      folder: of `a2d_tf.predict`; with or without an `overlay.mp4`.
      title: of the page; by default the name of the video, else of the folder.
      labels: gives the order of the actions, and so their colours; by default the prediction's.

    Returns:
      the path of the page.

    Raises:
      InputError: a file is missing or malformed, or the page cannot be written.
    """
    folder = pathlib.Path(folder)
    tracks, video = bouts.read(folder), facts.read(folder)
    span, step = (video.span, video.step) if video.span else _guessed(folder, tracks)
    shades = colours.of_actions((b.action for t in tracks for b in t.bouts), labels or video.labels)
    has_video = (folder / OVERLAY).is_file()
    data = _data(tracks, list(shades))
    title = title or video.name or os.path.basename(os.path.abspath(folder))
    data["title"] = title = printable(title)
    data["colours"] = list(shades.values())
    data["start"], data["end"] = span
    data["step"] = step
    body = _BODY.format(figure=_FIGURE if has_video else _NO_FIGURE)
    scripts = ("common.js", "timeline.js", "page.js")
    path = folder / NAME
    write_text(path, document(title, body, data, ("views.css", "page.css"), scripts))
    return path


def _guessed(folder, tracks):
    """((start, end), from one answer to the next) in seconds, as far as the files tell."""
    rate = bouts.rate_of(tracks)
    names = [path.stem for path in folder.glob("label_maps/*.png")]
    numbers = sorted(int(name) for name in names if name.isdecimal())
    end = max((track.end for track in tracks), default=0.0)
    if not numbers or not rate:
        return (0.0, end), 1 / (rate or 25)
    every = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    last = numbers[-1] - 1 + every
    start = round((numbers[0] - 1) / rate, 3)
    return (start, max(round(last / rate, 3), end)), every / rate


def _data(tracks: Sequence[bouts.Track], actions: list[str]) -> dict[str, Any]:
    """The tracks for the scripts: [id, actor, [[actor, action, start, end, score], ...]] each."""
    actors = sorted({b.actor for t in tracks for b in t.bouts} | {t.actor for t in tracks})
    of_actor = {name: i for i, name in enumerate(actors)}
    of_action = {name: i for i, name in enumerate(actions)}
    rows = [
        [
            track.number,
            of_actor[track.actor],
            [
                [of_actor[b.actor], of_action[b.action], b.start, b.end, round(b.score, 4)]
                for b in track.bouts
            ],
        ]
        for track in tracks
    ]
    return {"actors": actors, "actions": actions, "tracks": rows}


def printable(name: str) -> str:
    """A name of a file as UTF-8 can write it."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def document(
    title: str, body: str, data: dict, styles: Sequence[str], scripts: Sequence[str]
) -> str:
    """Render a page of its own style, which loads nothing but the files beside it.

    Args:
      title: plain text.
      body: HTML.
      data: JSON for the scripts.
      styles, scripts: files beside this module.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    style, script = (
        "".join(_FILES.with_name(name).read_text(encoding="utf-8") for name in names)
        for names in (styles, scripts)
    )
    policy = (
        "default-src 'none'; img-src data:; media-src 'self' file:; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'"
    )
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>\n{style}</style>\n"
    )
    content = (
        f'{body}<script id="data" type="application/json">{text}</script>\n'
        f"<script>\n{script}</script>"
    )
    return pages.document(title, [pages.Html(content)], head)


def escape(name: str) -> str:
    """A name as HTML shows it."""
    return html.escape(printable(name))
