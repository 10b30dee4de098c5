"""The plan of a library of videos: which there are, and the folder of each one's prediction.

A folder of videos, a glob or a list is a library. A file, a camera or a folder of images is one
video and no library.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import glob
import os
from collections.abc import Iterable, Sequence

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import is_file_name, read_text
from a2d_tf.data import frames
from a2d_tf.video import video_files
from a2d_tf.video.predictions import KINDS, RECORD, RESULTS, VIDEO

VIDEOS = (
    *frames.VIDEOS,
    *(".3gp", ".asf", ".flv", ".m2ts", ".m4v", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv"),
    *(".ts", ".wmv"),
)
"""Suffixes by which a folder or a glob has videos; a list may name any file."""
SUMMARY, FAILED = "summary.csv", "failed.csv"
_TAKEN = (SUMMARY, FAILED, KINDS["page"])  # names of the library's own files


def failures(path: str | os.PathLike) -> dict[str, str]:
    """Read a file such as `failed.csv`, {name of a video: why it failed}; empty without one."""
    with contextlib.suppress(FileNotFoundError):
        with open(path, encoding="utf-8", newline="") as file:
            return {row["video"]: row["reason"] for row in csv.DictReader(file)}
    return {}


@dataclasses.dataclass(frozen=True)
class Job:
    """A video, by its path, and the folder of its prediction."""

    path: str
    output: str

    @property
    def name(self) -> str:
        """The name of the video in the library."""
        return os.path.basename(self.output)


def plan(video: str | None, videos: str | None, output: str) -> tuple[Job, ...] | None:
    """Find the videos of a library; one of `video` and `videos` is given.

    Args:
      video: a folder of videos, each a file or a folder of images; or a glob. Suffixes tell what is
        a video and what an image, whatever else there is does not count.
      videos: text file of videos, one a line, relative to the current folder or to that of the
        file.
      output: folder of the library's predictions.

    Returns:
      the jobs, those of a folder or a glob by their names; None where `video` is one video.

    Raises:
      InputError: nothing to predict, images beside videos, two videos of one name, or one that
        cannot be the name of a folder in `output`.
    """
    if videos:
        paths = _listed(videos)
    elif video and os.path.isdir(video):
        paths, images = _found(_entries(video))
        # Beside images, a folder of images may be anything.
        if not paths or images and all(map(os.path.isdir, paths)):
            return None
        _check_kinds(video, paths, images)
    elif video and not os.path.exists(video) and glob.has_magic(video):
        paths, images = _found(glob.glob(video, recursive=True))
        _check_kinds(video, paths, images)
        if not paths:
            raise InputError(
                f"--video={video}: no video of that name ({', '.join(VIDEOS)}, or a folder of "
                "images); --videos takes a list of any files"
            )
    else:
        return None
    jobs = tuple(Job(path, os.path.join(output, _name(path))) for path in paths)
    _check(jobs)
    there = [name for name in _TAKEN if os.path.lexists(os.path.join(output, name))]
    records = os.path.join(glob.escape(output), "*", RECORD)
    # Without a prediction, a library has its list of what failed.
    if there and FAILED not in there and not glob.glob(records):
        raise InputError(
            f"{os.path.join(output, there[0])}: is there, but no prediction of a library; it would "
            "be replaced: give another --output"
        )
    return jobs


def _entries(folder):
    """The paths in a folder that are not hidden."""
    try:
        return [entry.path for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error


def _found(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """(videos, single images) among some paths, in order; what was predicted is neither."""
    # A pattern may reach into the predictions of an earlier call.
    paths = sorted(path for path in paths if not _is_predicted(path))
    videos = [path for path in paths if _is_a(path, VIDEOS) or _holds_images(path)]
    return videos, [path for path in paths if _is_a(path, video_files.IMAGES)]


def _is_a(path, suffixes):
    """Whether it is a file; so is a link to one that is gone, which fails under its name."""
    return path.lower().endswith(suffixes) and (
        os.path.isfile(path) or os.path.islink(path) and not os.path.exists(path)
    )


def _holds_images(path):
    """Whether it is a folder that holds images, and no prediction; InputError if videos too."""
    if not os.path.isdir(path) or os.path.exists(os.path.join(path, RECORD)):
        return False
    entries = [entry for entry in _entries(path) if not _is_predicted(entry)]
    images = [entry for entry in entries if _is_a(entry, video_files.IMAGES)]
    _check_kinds(
        path, [entry for entry in entries if _is_a(entry, VIDEOS)] if images else [], images
    )
    return bool(images)


def _is_predicted(path):
    """Whether a path is of a prediction's results."""
    folder, name = os.path.split(path)
    if os.path.basename(folder) == KINDS["label_maps"]:
        folder, name = os.path.split(folder)
    marks = [RECORD, *[VIDEO] * (name in RESULTS)]
    return any(os.path.exists(os.path.join(folder, mark)) for mark in marks)


def _check_kinds(place, videos, images):
    """Raise InputError where a place has single images beside videos, or where a glob names any."""
    if images and videos:
        names = (os.path.basename(paths[0]) for paths in (images, videos))
        raise InputError(
            "{}: holds images ({}) and videos ({}); put the images of each video into a folder of "
            "their own".format(place, *names)
        )
    if images and not os.path.isdir(place):
        raise InputError(f"{place}: images; name their folder, which is one video")


def _listed(file):
    """The videos of a list."""
    try:
        lines = [line.strip() for line in read_text(file).splitlines()]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--videos={file}: not a readable text file ({reason})") from error
    paths = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        places = [line, os.path.join(os.path.dirname(file), line)]
        path = next((place for place in places if os.path.exists(place)), None)
        is_video = path and (
            _holds_images(path) if os.path.isdir(path) else not _is_a(path, video_files.IMAGES)
        )
        if not is_video:
            problem = "an image, or a folder without any" if path else "no such file"
            raise InputError(
                f"{file}, line {number}: {shown(line)}: {problem}; a line names a video or a "
                "folder of images"
            )
        paths.append(path)
    if not paths:
        raise InputError(f"--videos={file}: names no video; give one a line")
    return paths


def _name(path):
    """The name of a video in the library: its file's without suffix, or its folder's."""
    name = os.path.basename(os.path.abspath(path))
    return name if os.path.isdir(path) else os.path.splitext(name)[0]


def _check(jobs: Sequence[Job]) -> None:
    """Raise InputError where two predictions would have one place, or one no place."""
    seen: dict[str, str] = {}
    for job in jobs:
        if not is_file_name(job.name) or job.name in _TAKEN or job.name.startswith("."):
            raise InputError(
                f"{job.path}: {shown(job.name)} cannot be the name of its results; rename it"
            )
        if job.name in seen:
            raise InputError(
                f"{job.path}: its results would be those of {seen[job.name]}, for both are named "
                f"{shown(job.name)}; rename one of them"
            )
        seen[job.name] = job.path
        source, place = os.path.realpath(job.path), os.path.realpath(job.output)
        if os.path.join(source, "").startswith(os.path.join(place, "")):
            raise InputError(f"{job.path}: would be overwritten; give another --output")
