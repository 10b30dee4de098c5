"""Find the videos of a library, and choose the folders of their predictions.

A library is a folder of videos, a glob or a list. A video file, a camera or a folder of
images is a single video.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from a2d_tf.annotations.matching.video_names import name_of_path
from a2d_tf.behaviour.prediction_folder import (
    RECORD_FILE,
    RESULT_FILES,
    RESULTS,
    VIDEO_FILE,
)
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import is_file_name
from a2d_tf.data.decoding import video_paths
from a2d_tf.video.library.library_files import FAILED, is_own
from a2d_tf.video.reading import image_reader


@dataclasses.dataclass(frozen=True)
class Job:
    """A video of a library that is to be predicted.

    Attributes:
      path: path of the video, a file or a folder of images.
      output: path of the folder of its prediction, in the folder of the library.
    """

    path: str
    output: str

    @property
    def name(self) -> str:
        """The name of the video in the library: that of its prediction's folder."""
        return os.path.basename(self.output)


def plan(video: str | None, videos: str | None, output: str) -> tuple[Job, ...] | None:
    """Find the videos of a library, by either --video or --videos.

    Args:
      video: value of --video: a folder of videos, each a file or a folder of images; or
        a glob; or a single video. None if `videos` is given.
      videos: value of --videos: path of a text file of videos, one a line, relative to
        the current folder or to the folder of the file. None if `video` is given.
      output: path of the folder of the library.

    Returns:
      a job for each video, in order of path or of the list; None if `video` is a single
      video.

    Raises:
      InputError: there is no video, there are images beside videos, two videos have the
        same name, or `output` has files of these names that belong to no library.
    """
    if videos:
        paths = _read_list(videos)
    elif video and os.path.isdir(video):
        sources = _sources(video, _entries(video))
        # Beside images, a folder of images may be anything.
        if not sources.videos or sources.images:
            return None
        paths = sources.videos
    elif video and not os.path.exists(video) and glob.has_magic(video):
        sources = _sources(video, glob.glob(video, recursive=True))
        if sources.images or not sources.videos:
            suffixes = ", ".join(video_paths.VIDEOS)
            raise InputError(
                f"--video={video}: no videos ({suffixes}, or folders of images) match;"
                " --videos takes a list of any files"
            )
        paths = sources.videos
    else:
        return None
    jobs = []
    for path in paths:
        absolute = pathlib.Path(os.path.abspath(path))
        jobs.append(Job(path, os.path.join(output, name_of_path(absolute))))
    _check_names(jobs)
    _check_output(output)
    return tuple(jobs)


def _check_output(output: str) -> None:
    """Raise InputError if the tables would replace files of something else."""
    if not os.path.isdir(output):
        return
    own_names = sorted(filter(is_own, os.listdir(output)))
    records = os.path.join(glob.escape(output), "*", RECORD_FILE)
    # Without a prediction, a library has its list of what failed.
    if own_names and FAILED not in own_names and not glob.glob(records):
        raise InputError(
            f"{os.path.join(output, own_names[0])}: is not part of a prediction"
            " library, and would be replaced; use another --output"
        )


def _entries(folder: str) -> list[str]:
    """Return the paths in a folder that are not hidden."""
    with os.scandir(folder) as entries:
        return [entry.path for entry in entries if not entry.name.startswith(".")]


class _Sources(NamedTuple):
    """Paths of videos, and of single images."""

    videos: list[str]
    images: list[str]


def _sources(name: str, paths: Sequence[str]) -> _Sources:
    """Return the videos and the single images among some paths.

    A folder of images is a video. Results of predictions are left out.

    Args:
      name: what errors call the paths.
    """
    files = _files(name, paths)
    folders = [path for path in paths if _holds_images(path)]
    return _Sources(sorted([*files.videos, *folders]), files.images)


def _files(name: str, paths: Sequence[str]) -> _Sources:
    """Return the video files and the images; raise InputError if there are both."""
    videos = []
    images = []
    for path in sorted(paths):
        # A pattern may reach into the predictions of an earlier call.
        if _is_predicted(path):
            continue
        if _has_suffix(path, video_paths.VIDEOS):
            videos.append(path)
        if _has_suffix(path, image_reader.IMAGES):
            images.append(path)
    if images and videos:
        raise InputError(
            f"{name}: has images ({os.path.basename(images[0])}) and videos"
            f" ({os.path.basename(videos[0])}); put the images of each video into a"
            " separate folder"
        )
    return _Sources(videos, images)


def _has_suffix(path: str, suffixes: tuple[str, ...]) -> bool:
    """Return whether a path has one of the suffixes and is no folder.

    The path may be a broken link; its prediction then fails.
    """
    return path.lower().endswith(suffixes) and not os.path.isdir(path)


def _holds_images(path: str) -> bool:
    """Return whether a path is a folder with images.

    Raises:
      InputError: the folder also has videos.
    """
    return os.path.isdir(path) and bool(_files(path, _entries(path)).images)


def _is_predicted(path: str) -> bool:
    """Return whether a path is a result in the folder of a prediction."""
    folder, name = os.path.split(path)
    if os.path.basename(folder) == RESULT_FILES["label_maps"]:
        folder, name = os.path.split(folder)
    return name in RESULTS and os.path.exists(os.path.join(folder, VIDEO_FILE))


def _read_list(file: str) -> list[str]:
    """Return the paths in a list of videos.

    Raises:
      InputError: a line names no video, or there is none.
    """
    paths = []
    # The file may be a video by mistake.
    text = pathlib.Path(file).read_bytes().decode("utf-8-sig", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry:
            continue
        path = entry
        if not os.path.exists(path):
            path = os.path.join(os.path.dirname(file), entry)
        if not os.path.exists(path) or _has_suffix(path, image_reader.IMAGES):
            problem = f"{quoted(entry)} is not a video file or folder of images"
            raise InputError(f"--videos={file}, line {number}: {problem}")
        paths.append(path)
    if not paths:
        raise InputError(f"--videos={file}: lists no videos; add one per line")
    return paths


def _check_names(jobs: Sequence[Job]) -> None:
    """Raise InputError if two videos have one name, or a name is not possible."""
    jobs_by_name: dict[str, Job] = {}
    for job in jobs:
        first_job = jobs_by_name.setdefault(job.name, job)
        is_usable = is_file_name(job.name) and not is_own(job.name)
        if first_job is not job:
            problem = f"{quoted(job.name)}, like those of {first_job.path}"
        elif not is_usable or job.name.startswith("."):
            problem = quoted(job.name)
        else:
            problem = ""
        if problem:
            raise InputError(
                f"{job.path}: its results cannot be named {problem}; rename the video"
            )
        source = os.path.join(os.path.realpath(job.path), "")
        output = os.path.join(os.path.realpath(job.output), "")
        if source.startswith(output):
            raise InputError(f"{job.path}: would be overwritten; use another --output")
