"""Lists of annotated videos: their lengths and splits, as in A2D's videoset.csv."""

from __future__ import annotations

import csv
import dataclasses
import io
import pathlib
import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import is_file_name, read_text
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.data.record_folder.manifest import SPLITS

_COLUMNS = "vid label start end height width frames annotated usage".split()
_RANGES = {
    "label": (0, 10**9),
    "annotated": (0, 10**9),
    "height": (1, MAX_SIDE),
    "width": (1, MAX_SIDE),
    "frames": (1, 10**9),
    "usage": (0, 1),
}


@dataclasses.dataclass(frozen=True)
class Video:
    """An annotated video, as a row of `videoset.csv` lists it.

    Attributes:
      vid: VID, the name of the video, which is that of its file without suffix.
      frames: number of frames; 0 if the source does not list it.
      annotated: number of annotated frames.
      split: 'train' or 'test'.
      height, width: size of the annotations in pixels; 0 if they state it themselves.
    """

    vid: str
    frames: int
    annotated: int
    split: str
    height: int = 0
    width: int = 0


class MalformedRow(NamedTuple):
    """A row of `videoset.csv` that describes no video.

    Attributes:
      vid: content of the row's first cell, the name of the video.
      problem: the error message, with file, line and remedy.
    """

    vid: str
    problem: str


class VideoList(NamedTuple):
    """The rows of `videoset.csv`, in their order.

    Attributes:
      videos: the videos that rows describe.
      malformed_rows: the rows that describe no video.
    """

    videos: tuple[Video, ...]
    malformed_rows: tuple[MalformedRow, ...]


def read_videoset(path: pathlib.Path) -> VideoList:
    """Read A2D's list of videos, `videoset.csv`, with or without a header line.

    Args:
      path: the file.

    Raises:
      InputError: the file cannot be read, or no row describes a video.
    """
    rows = []
    try:
        file = io.StringIO(read_text(path), newline="")
        for line, cells in enumerate(csv.reader(file), 1):
            if any(cells):
                rows.append((line, cells))
    except (OSError, ValueError, csv.Error) as error:
        problem = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path}: not a readable CSV file ({problem}); --release must be the folder"
            " with videoset.csv, clips320H and Annotations"
        ) from error
    # The published list has no header line; some copies have one.
    if rows and _is_header(rows[0][1]):
        del rows[0]
    video_of: dict[str, Video] = {}
    malformed_rows = []
    for line, cells in rows:
        where = f"{path}, line {line}"
        try:
            video = _parse_row(where, cells)
            if video.vid in video_of:
                raise InputError(
                    f"{where}: vid '{video.vid}' is listed twice; remove it"
                )
            video_of[video.vid] = video
        except InputError as error:
            malformed_rows.append(MalformedRow(cells[0].strip(), str(error)))
    if not video_of:
        if malformed_rows:
            raise InputError(malformed_rows[0].problem)
        raise InputError(f"{path}: lists no videos; restore it")
    return VideoList(tuple(video_of.values()), tuple(malformed_rows))


def _is_header(cells: Sequence[str]) -> bool:
    """Return whether a row has words in the columns of numbers."""
    cells_of_numbers = cells[4:]
    if not any(cells_of_numbers):
        return False
    return not any(re.fullmatch(r"\s*-?\d+\s*", cell) for cell in cells_of_numbers)


def _parse_row(where: str, cells: Sequence[str]) -> Video:
    """Return the Video of a row; messages begin with `where`."""
    fields: dict[str, Any] = {}
    for column, cell in zip(_COLUMNS, cells):
        fields[column] = cell.strip()
    for column, (least, most) in _RANGES.items():
        cell = fields.get(column, "")
        if not re.fullmatch(r"\d{1,10}", cell) or not least <= int(cell) <= most:
            raise InputError(
                f"{where}: {column} {quoted(cell)} is not an integer from {least} to"
                f" {most}; correct the row"
            )
        fields[column] = int(cell)
    if not is_file_name(fields["vid"]):
        vid = quoted(fields["vid"])
        raise InputError(
            f"{where}: vid {vid} is not a valid file name; rename the video"
        )
    return Video(
        vid=fields["vid"],
        frames=fields["frames"],
        annotated=fields["annotated"],
        split=SPLITS[fields["usage"]],
        height=fields["height"],
        width=fields["width"],
    )


def keep_only(video_list: VideoList, path: pathlib.Path, videoset: str) -> VideoList:
    """Return the part of a list of videos that a text file names.

    Args:
      video_list: all videos, and all malformed rows.
      path: the text file, with one VID (name of a video) a line.
      videoset: path of the CSV that `video_list` was read from, for messages.

    Raises:
      InputError: the text file lists no VID, or a VID that has no row.
    """
    vids = {line.strip() for line in read_text(path).splitlines()}
    vids.discard("")
    if not vids:
        raise InputError(
            f"{path}: lists no videos; add VIDs from {videoset}, one per line"
        )
    unknown_vids = set(vids)
    videos = []
    for video in video_list.videos:
        unknown_vids.discard(video.vid)
        if video.vid in vids:
            videos.append(video)
    malformed_rows = []
    for row in video_list.malformed_rows:
        unknown_vids.discard(row.vid)
        if row.vid in vids:
            malformed_rows.append(row)
    if unknown_vids:
        raise InputError(
            f"{path}: {quoted(min(unknown_vids))} is not in {videoset}; remove the line"
        )
    return VideoList(tuple(videos), tuple(malformed_rows))


def with_tests(
    videos: tuple[Video, ...],
    test_vids: Collection[str],
    malformed_rows: Sequence[MalformedRow] = (),
) -> tuple[Video, ...]:
    """Divide videos into training and test videos by the names of the test videos.

    Args:
      videos: the videos, each with a split.
      test_vids: names of the videos to test on; all others are trained on. If empty,
        the videos keep their splits. A name that only a malformed row has is left out.
      malformed_rows: rows of the list that describe no video.

    Returns:
      the videos with their new splits, in the same order.

    Raises:
      InputError: a test video is not listed, or all of them are left out.
    """
    if not test_vids:
        return videos
    problem_of = {row.vid: row.problem for row in malformed_rows}
    left_out_vids = set(test_vids) - {video.vid for video in videos}
    for vid in sorted(left_out_vids):
        if vid not in problem_of:
            raise InputError(
                f"--test_videos: unknown video {quoted(vid)}; correct the name"
            )
    if left_out_vids == set(test_vids):
        raise InputError(
            f"--test_videos: all are left out; {problem_of[min(left_out_vids)]}"
        )
    train, test = SPLITS
    split_videos = []
    for video in videos:
        split = test if video.vid in test_vids else train
        split_videos.append(dataclasses.replace(video, split=split))
    return tuple(split_videos)
