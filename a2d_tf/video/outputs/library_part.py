"""The part of a prediction that the tables and the page of its library show.

A library is a folder of predictions. The part is kept in `part.json` of a prediction,
so that the tables of many videos are quickly made.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import json
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from a2d_tf.behaviour import bouts, time_budget
from a2d_tf.behaviour.prediction_folder import (
    CSV_REMEDY,
    LEFT_OUT,
    PART_FILE,
    RESULT_FILES,
    SEEN,
    VIDEO_FILE,
    read_video_info,
)
from a2d_tf.core.checked_json import load_json, one_of
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, read_csv, write_text
from a2d_tf.data.decoding import video_frames
from a2d_tf.evaluation.reports.templates import jpeg_url
from a2d_tf.runs.video_splits import SPLITS
from a2d_tf.video.pages.page_tables import PairTotals, TrackTotal, totals_of_pairs

_SOURCES = (VIDEO_FILE, RESULT_FILES["tracks"], RESULT_FILES["summary"])
_KIND = {
    "format": one_of(4),  # changes with the contents of a part
    "sha256": {str: str},
    "note": str,
    "split": (one_of(*SPLITS), None),
    "extra": bool,
    "video": [float],
    "budget": [list],
    "sums": [list],
    "picture": (str, None),
}
_THUMBNAIL_SIDE = 240  # pixels of the longer side
# The frame that a thumbnail shows; all frames before it must be decoded.
_THUMBNAIL_FRAME = 25


@dataclasses.dataclass(frozen=True)
class Part:
    """The part of a prediction that its library shows, as kept in `part.json`.

    Attributes:
      video_seconds: duration of the video, in seconds.
      fps: number of frames a second of the video.
      budget: rows of the time budget of the video, see `time_budget.rows`: how long
        each individual did what.
      pairs: for each actor and action, the total duration of their bouts in each track.
      note: a note on the video for the page, such as its duration and where its bouts
        end.
      split: what the video was to the model: "trained", "held out" or "new"; None if it
        is unknown.
      has_extra: whether a frame has more sure instances than `max_tracks` allows.
      picture: a small picture of the overlay as the data URL of a JPEG; None without an
        overlay.
    """

    video_seconds: float
    fps: float
    budget: Sequence[Sequence]
    pairs: list[PairTotals]
    note: str
    split: str | None
    has_extra: bool
    picture: str | None

    def fields(self) -> dict[str, Any]:
        """Return the fields of `part.json` that hold the part, for `from_fields`."""
        return {
            "video": [self.video_seconds, self.fps],
            "budget": self.budget,
            "sums": self.pairs,
            "note": self.note,
            "split": self.split,
            "extra": self.has_extra,
            "picture": self.picture,
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Part:
        """Return the part that the fields of `part.json` hold.

        Args:
          fields: the fields, as `fields` returns them, after their form was checked.
        """
        seconds, fps = fields["video"]
        pairs = []
        for actor, action, totals in fields["sums"]:
            totals_of_tracks = [TrackTotal(*total) for total in totals]
            pairs.append(PairTotals(actor, action, totals_of_tracks))
        return cls(
            video_seconds=seconds,
            fps=fps,
            budget=fields["budget"],
            pairs=pairs,
            note=fields["note"],
            split=fields["split"],
            has_extra=fields["extra"],
            picture=fields["picture"],
        )


def read_part(folder: pathlib.Path) -> Part:
    """Return the part of a prediction, from `part.json` if that is up to date.

    If the files of the prediction have changed, or there is no `part.json`, the part is
    made from them and written to `part.json`.

    Args:
      folder: path of the folder of the prediction.

    Raises:
      InputError: a file of the prediction is missing, cut or malformed.
    """
    digests = {}
    for name in _SOURCES:
        if (folder / name).is_file():
            digests[name] = file_digest(folder / name)
    with contextlib.suppress(InputError, TypeError, ValueError):
        fields = load_json(folder / PART_FILE, _KIND, "")
        if fields["sha256"] == digests:
            return Part.from_fields(fields)
    part = _make(folder, digests)
    fields = {"format": 4, "sha256": digests, **part.fields()}
    with contextlib.suppress(InputError):  # the file only saves time
        write_text(folder / PART_FILE, json.dumps(fields) + "\n")
    return part


def _make(folder: pathlib.Path, sources: Collection[str]) -> Part:
    """Make the part of a prediction from the files that it has.

    Args:
      folder: path of the folder of the prediction.
      sources: names of those of `_SOURCES` that it has.
    """
    video_info = read_video_info(folder)
    tracks = []
    if RESULT_FILES["tracks"] in sources:
        tracks = bouts.read(folder)
    if len(sources) == len(_SOURCES):
        count = sum(len(track.bouts) for track in tracks)
        read_csv(folder / RESULT_FILES["summary"], CSV_REMEDY, count)
    note = f"{video_info.seconds:,.1f} s of video"
    if tracks:
        last_end = max(track.bouts[-1].end for track in tracks)
        note += f", the last bout ends at {last_end:,.1f} s"
    else:
        note += " without tracks"
    if video_info.unsure_frames:
        note += f"; frames without anything sure enough: {video_info.unsure_frames}"
    if video_info.coded == LEFT_OUT:
        note += "; coded, labels of the fit without it"
    if video_info.coded == SEEN:
        note += "; coded, labels of a fit that has seen it"
    if video_info.damaged_frames:
        note += f"; damaged frames: {video_info.damaged_frames}"
    return Part(
        video_seconds=round(video_info.seconds, 3),
        fps=round(video_info.fps, 3),
        budget=time_budget.rows(
            [bouts.Prediction(video_info.video_name, video_info, tracks)]
        ),
        pairs=totals_of_pairs(tracks, video_info.unsure_below),
        note=note,
        split=video_info.split,
        has_extra=video_info.frames_with_extra > 0,
        picture=_thumbnail(folder / RESULT_FILES["overlay"]),
    )


def _thumbnail(path: pathlib.Path) -> str | None:
    """Return the data URL of a frame near the start of a video; None without one."""
    try:
        frames = video_frames.read(path, remedy="predict the video again")
        first_frames = itertools.islice(frames, _THUMBNAIL_FRAME)
        _, image = collections.deque(first_frames, maxlen=1).pop()
    except (InputError, IndexError):  # IndexError if no frame can be decoded
        return None
    return jpeg_url(image, _THUMBNAIL_SIDE, 70)
