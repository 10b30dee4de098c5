"""What a library needs of one of its predictions, kept in `part.json`."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import json
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from a2d_tf.annotations.matching.video_names import name_of
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
    "format": one_of(4),  # another number wherever what a part holds becomes another
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
# The frame that a thumbnail shows; later ones cost more, as they are decoded in order.
_THUMBNAIL_FRAME = 25


@dataclasses.dataclass(frozen=True)
class Part:
    """What the tables and the page of a library need of a prediction.

    Attributes:
      video_seconds, fps: of the video.
      budget: rows of `time_budget.rows`.
      pairs: who did what for how long.
      note: of the video, in words.
      split: of `video_splits.SPLITS`, what it was to the model; None if nobody says.
      has_extra: whether instances were beyond the number of individuals.
      picture: a data URL; None without an overlay.
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
        """Return it as in `part.json`."""
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
        """Return the part that `part.json` holds."""
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
    """Return what the tables and the page of a library need of a prediction.

    It is kept in the folder, and made anew if the files that it is made from have
    changed.

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
    with contextlib.suppress(InputError):  # it only saves time
        write_text(folder / PART_FILE, json.dumps(fields) + "\n")
    return part


def _make(folder: pathlib.Path, sources: Collection[str]) -> Part:
    """Make the part of a prediction from those of its files that are there."""
    video_info = read_video_info(folder)
    tracks = []
    if RESULT_FILES["tracks"] in sources:
        tracks = bouts.read(folder)
    if len(sources) == len(_SOURCES):
        count = sum(len(track.bouts) for track in tracks)
        read_csv(folder / RESULT_FILES["summary"], CSV_REMEDY, count)
    name = name_of(video_info.name, is_folder=video_info.images is not None)
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
        budget=time_budget.rows([bouts.Prediction(name, video_info, tracks)]),
        pairs=totals_of_pairs(tracks, video_info.unsure_below),
        note=note,
        split=video_info.split,
        has_extra=video_info.frames_with_extra > 0,
        picture=_thumbnail(folder / RESULT_FILES["overlay"]),
    )


def _thumbnail(path: pathlib.Path) -> str | None:
    """Return a frame near the start of a video, as a JPEG's data URL, or None."""
    try:
        frames = video_frames.read(path, remedy="predict the video again")
        first_frames = itertools.islice(frames, _THUMBNAIL_FRAME)
        _, image = collections.deque(first_frames, maxlen=1).pop()
    except (InputError, IndexError):  # IndexError if no frame can be decoded
        return None
    return jpeg_url(image, _THUMBNAIL_SIDE, 70)
