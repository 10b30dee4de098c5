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
from collections.abc import Sequence

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import is_file_name, read_text
from a2d_tf.data import frames
from a2d_tf.video import outputs, video_files
from a2d_tf.video.views import page

VIDEOS = (
    *frames.VIDEOS,
    *(".3gp", ".asf", ".flv", ".m2ts", ".m4v", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv"),
    *(".ts", ".wmv"),
)
"""Suffixes by which a folder or a glob has videos; a list may name any file."""
SUMMARY, FAILED = "summary.csv", "failed.csv"
_TAKEN = (SUMMARY, FAILED, page.NAME)  # names of the library's own files


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
        if not _holds_videos(video):
            _check_subfolders(video)
            return None
        paths = _chosen(video, [entry.path for entry in _entries(video)])
    elif video and not os.path.exists(video) and glob.has_magic(video):
        paths = _chosen(video, glob.glob(video, recursive=True))
        if not paths:
            raise InputError(
                f"--video={video}: no video of that name ({', '.join(VIDEOS)}, or a folder of "
                "images); --videos takes a list of any files"
            )
    else:
        return None
    jobs = tuple(Job(path, os.path.join(output, _name(path))) for path in paths)
    _check(jobs)
    _check_place(output)
    return jobs


def _entries(folder):
    """The entries of a folder that are not hidden."""
    try:
        return [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error


def _is_a(path, suffixes):
    """Whether it is a file; so is a link to one that is gone, which fails under its name."""
    return path.lower().endswith(suffixes) and (
        os.path.isfile(path) or os.path.islink(path) and not os.path.exists(path)
    )


def _holds_videos(folder):
    """Whether a folder is a library: images beside no video file are one video."""
    entries = _entries(folder)
    videos = {entry.name for entry in entries if _is_a(entry.path, VIDEOS)}
    images = any(_is_a(entry.path, video_files.IMAGES) for entry in entries)
    if images and videos == {outputs.KINDS["overlay"]}:
        return False  # predicted into the folder itself
    return bool(videos) or not images and any(_is_video_of_images(entry.path) for entry in entries)


def _check_subfolders(folder):
    """Raise InputError where a folder holds neither videos nor images, but its subfolders do."""
    if any(_is_a(entry.path, video_files.IMAGES) for entry in _entries(folder)):
        return
    pattern = os.path.join(glob.escape(folder), "**")
    found = glob.iglob(pattern, recursive=True)
    if any(_is_a(path, VIDEOS) and not _is_of_prediction(path) for path in found):
        raise InputError(
            f"{folder}: no image in this folder, and no video ({', '.join(VIDEOS)}); for videos in "
            f"its subfolders, give --video='{pattern}'"
        )


def _is_video_of_images(path):
    """Whether it is a folder that holds images, and no prediction; InputError if videos too."""
    if not os.path.isdir(path) or os.path.exists(os.path.join(path, outputs.RECORD)):
        return False
    names = [entry.name.lower() for entry in _entries(path)]
    images = [name for name in names if name.endswith(video_files.IMAGES)]
    videos = [name for name in names if name.endswith(VIDEOS)]
    if images and videos:
        raise _mixed(path, images[0], videos[0])
    return bool(images)


def _is_of_prediction(path):
    """Whether a path is of a prediction's results."""
    folder, name = os.path.split(path)
    if os.path.basename(folder) == outputs.KINDS["label_maps"]:
        folder, name = os.path.split(folder)
    marks = [outputs.RECORD, *[outputs.VIDEO] * (name in outputs.RESULTS)]
    return any(os.path.exists(os.path.join(folder, mark)) for mark in marks)


def _mixed(place, image, video):
    image, video = os.path.basename(image), os.path.basename(video)
    return InputError(
        f"{place}: holds images ({image}) and videos ({video}); put the images of each video into "
        "a folder of their own"
    )


def _chosen(place, paths):
    """Those of some paths that are videos, in order; `place` names them in errors."""
    # A pattern may reach into the predictions of an earlier call.
    paths = sorted(path for path in paths if not _is_of_prediction(path))
    images = [path for path in paths if _is_a(path, video_files.IMAGES)]
    videos = [path for path in paths if _is_a(path, VIDEOS) or _is_video_of_images(path)]
    if images and videos:
        raise _mixed(place, images[0], videos[0])
    if images:
        raise InputError(f"{place}: images; name their folder, which is one video")
    return videos


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
        where = f"{file}, line {number}: {shown(line)}"
        places = [line, os.path.join(os.path.dirname(file), line)]
        path = next((place for place in places if os.path.exists(place)), None)
        if path is None:
            raise InputError(f"{where}: no such file; a line names a video or a folder of images")
        if os.path.isdir(path) and not _is_video_of_images(path):
            raise InputError(f"{where}: no image in this folder; a line names one video")
        if _is_a(path, video_files.IMAGES):
            raise InputError(f"{where}: an image; name its folder, which is one video")
        paths.append(path)
    if not paths:
        raise InputError(f"--videos={file}: names no video; give one a line")
    return paths


def _name(path):
    """The name of a video in the library: its file's without suffix, or its folder's."""
    name = os.path.basename(os.path.abspath(path))
    return name if os.path.isdir(path) else os.path.splitext(name)[0]


def _check_place(output: str) -> None:
    """Raise InputError where the library's own files would replace others."""
    there = [name for name in _TAKEN if os.path.lexists(os.path.join(output, name))]
    records = os.path.join(glob.escape(output), "*", outputs.RECORD)
    # Without a prediction, a library has its list of what failed.
    if there and FAILED not in there and not glob.glob(records):
        raise InputError(
            f"{os.path.join(output, there[0])}: is there, but no prediction of a library; it would "
            "be replaced: give another --output"
        )


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
