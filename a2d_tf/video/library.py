"""Libraries of videos: find the videos, and predict each, whole or not at all.

A folder of videos, a glob or a list is a library; a file, a camera or a folder of
images is not.

`prediction.json` marks a video as finished, and tells by which settings. The tables and
the page of the library are written once every video is finished or has failed, in
whichever process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import glob
import hashlib
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from itertools import filterfalse
from typing import TYPE_CHECKING, Any

from a2d_tf.behaviour import time_budget
from a2d_tf.behaviour.prediction_folder import (
    PART,
    RECORD,
    RESULT_FILES,
    RESULTS,
    VIDEO,
    VIDEOS,
)
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.command_line import flag_text
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import is_file_name, read_csv, write_csv
from a2d_tf.core.folders import hidden_folder
from a2d_tf.core.progress import progress_bar
from a2d_tf.core.workers import ALONE, Task, stop_at_once
from a2d_tf.data import video_frames
from a2d_tf.ops import tracking
from a2d_tf.video import outputs, pages, streaming, video_files

if TYPE_CHECKING:
    from a2d_tf.video.predictor import Predictor

SUMMARY, FAILED = "summary.csv", "failed.csv"
SKIPPING = "; --on_error=skip skips it"  # ends the error of a video that fails
# of a disk that takes no results at all
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_RECORD = {
    **{"video": str, "bytes": (int, None), "digest": (str, None)},
    **{"model": str, "model_sha256": str, "settings": {}},
}
ENDS = 1 << 18
"""Bytes of a file that tell it from another, from its start and to its end."""


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
      video: a folder of videos, each a file or a folder of images; or a glob.
      videos: text file of videos, one a line, relative to the current folder or to that
        of the file.

    Returns:
      the jobs; None where `video` is one video.

    Raises:
      InputError: nothing to predict, images beside videos, or two videos of one name.
    """
    if videos:
        paths = _listed(videos)
    elif video and os.path.isdir(video):
        paths, images = _found(video, _entries(video))
        if not paths or images:  # beside images, a folder of images may be anything
            return None
    elif video and not os.path.exists(video) and glob.has_magic(video):
        paths, images = _found(video, glob.glob(video, recursive=True))
        if images or not paths:
            raise InputError(
                f"--video={video}: no videos ({', '.join(video_frames.VIDEOS)}, or folders of"
                " images) match; --videos takes a list of any files"
            )
    else:
        return None
    places = [pathlib.Path(os.path.abspath(path)) for path in paths]
    names = [place.name if place.is_dir() else place.stem for place in places]
    jobs = tuple(
        Job(path, os.path.join(output, name)) for path, name in zip(paths, names)
    )
    _check_names(jobs)
    there = sorted(filter(is_own, os.listdir(output) if os.path.isdir(output) else ()))
    records = os.path.join(glob.escape(output), "*", RECORD)
    # Without a prediction, a library has its list of what failed.
    if there and FAILED not in there and not glob.glob(records):
        raise InputError(
            f"{os.path.join(output, there[0])}: is not part of a prediction library,"
            " and would be replaced; use another --output"
        )
    return jobs


def is_own(name: str) -> bool:
    """Return whether a file of this name is of a library itself, a table or a page."""
    tables = VIDEOS, SUMMARY, time_budget.TIME_BUDGET, FAILED
    return name in tables or pages.PAGES.fullmatch(name) is not None


def _entries(folder):
    return [
        entry.path for entry in os.scandir(folder) if not entry.name.startswith(".")
    ]


def _found(place, paths):
    """(videos, single images) among some paths; what was predicted is neither."""
    videos, images = _files(place, paths)
    return sorted([*videos, *filter(_holds_images, paths)]), images


def _files(place, paths):
    """(video files, images) among some paths; InputError where there are both."""
    # A pattern may reach into the predictions of an earlier call.
    paths = sorted(filterfalse(_is_predicted, paths))
    videos = [path for path in paths if _is_a(path, video_frames.VIDEOS)]
    images = [path for path in paths if _is_a(path, video_files.IMAGES)]
    if images and videos:
        names = (os.path.basename(found[0]) for found in (images, videos))
        raise InputError(
            "{}: has images ({}) and videos ({}); put the images of each video into a"
            " separate folder".format(place, *names)
        )
    return videos, images


def _is_a(path, suffixes):
    """Whether it is a file, or a link to one that is gone, which fails under its
    name.
    """
    return path.lower().endswith(suffixes) and not os.path.isdir(path)


def _holds_images(path):
    """Whether it is a folder that holds images; InputError if videos too."""
    entries = _entries(path) if os.path.isdir(path) else ()
    return bool(_files(path, entries)[1])


def _is_predicted(path):
    folder, name = os.path.split(path)
    if os.path.basename(folder) == RESULT_FILES["label_maps"]:
        folder, name = os.path.split(folder)
    return name in RESULTS and os.path.exists(os.path.join(folder, VIDEO))


def _listed(file):
    paths = []
    # it may be a video
    text = pathlib.Path(file).read_bytes().decode("utf-8-sig", "replace")
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line:
            continue
        places = [line, os.path.join(os.path.dirname(file), line)]
        path = next((place for place in places if os.path.exists(place)), "")
        if not path or _is_a(path, video_files.IMAGES):
            problem = f"{quoted(line)} is not a video file or folder of images"
            raise InputError(f"--videos={file}, line {number}: {problem}")
        paths.append(path)
    if not paths:
        raise InputError(f"--videos={file}: lists no videos; add one per line")
    return paths


def _check_names(jobs):
    """Raise InputError where two predictions would have one place, or one no place."""
    seen: dict[str, str] = {}
    for job in jobs:
        before = seen.setdefault(job.name, job.path)
        is_name = is_file_name(job.name) and not is_own(job.name) and job.name[0] != "."
        if not is_name or before is not job.path:
            others = "" if before is job.path else f", like those of {before}"
            raise InputError(
                f"{job.path}: its results cannot be named {quoted(job.name)}{others}; "
                "rename the video"
            )
        source, place = (
            os.path.join(os.path.realpath(x), "") for x in (job.path, job.output)
        )
        if source.startswith(place):
            raise InputError(f"{job.path}: would be overwritten; use another --output")


@dataclasses.dataclass(frozen=True)
class Request:
    """What is predicted of each video of a library, and written of it.

    Attributes:
      start, end, every, linking: as for `Predictor.video`.
      kinds: those of `prediction_folder.RESULT_FILES` that are written.
      model: of `packed.identity`.
      settings: further settings that tell predictions apart, as {flag: value}.
      overwrite: whether a prediction of other settings counts as none, rather than as
        an error.
      run: the run folder of the model, if it is one.
    """

    start: float = 0.0
    end: float | None = None
    every: int = 1
    linking: tracking.Linking = tracking.LINKING
    kinds: tuple[str, ...] = tuple(RESULT_FILES)
    model: dict[str, str] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    overwrite: bool = False
    run: str | None = None

    def record(self, job: Job) -> dict[str, Any]:
        """Return a job's `prediction.json`, but for its `frames`; `bytes` is None if
        it is gone.
        """
        span = {"start": self.start, "end": self.end, "every": self.every}
        linking = dataclasses.asdict(self.linking)
        settings = {**span, **linking, "results": ",".join(self.kinds), **self.settings}
        try:
            size, digest = _content(video_frames.files(job.path, video_files.IMAGES))
        except OSError:
            size = digest = None
        name = os.path.basename(os.path.abspath(job.path))
        video = {"video": name, "bytes": size, "digest": digest}
        return {**video, **self.model, "settings": settings}

    def is_finished(self, job: Job) -> bool:
        """Return whether the results of a job are there and whole.

        Raises:
          InputError: another prediction is in its place, with what differs, or other
            files are.
        """
        place = job.output
        there = set(os.listdir(place)) if os.path.lexists(place) else set()
        if all(name.startswith(".") for name in there):
            return False
        try:
            found = load_json(
                os.path.join(place, RECORD), _RECORD, "not a library prediction"
            )
            difference = _difference(found, self.record(job))
        except InputError as error:
            difference = str(error)
        if not difference and {RESULT_FILES[kind] for kind in self.kinds} <= there:
            return True
        if difference and not self.overwrite:
            raise InputError(
                f"{place}: {difference}; use another --output, or --overwrite"
            )
        strange = sorted(
            x for x in there - {*RESULTS, RECORD} if not x.startswith(PART)
        )
        if strange:
            raise InputError(
                f"{place}: contains {strange[0]}, not a result, which would be removed;"
                " move it, or use another --output"
            )
        return False


def _content(files):
    """(bytes in all, digest of the sizes and of the files' first and last bytes) of
    files.
    """
    size, digest = 0, hashlib.sha256()
    for path in files:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            digest.update(f"{end} ".encode())
            for start in (0, max(0, end - ENDS)):
                file.seek(start)
                digest.update(file.read(ENDS))
        size += end
    return size, digest.hexdigest()


def _difference(there, wanted):
    """Describe in what a prediction is not the wanted one; None where it is."""
    if there["model_sha256"] != wanted["model_sha256"]:
        return f"finished with another model or weights ({there['model']})"
    for name in sorted({*there["settings"], *wanted["settings"]}):
        was, now = (each["settings"].get(name) for each in (there, wanted))
        if was != now:
            return f"finished with --{name}={flag_text(was)}, not {flag_text(now)}"
    # A video that is gone since is not another one.
    same = wanted["digest"] in (None, there["digest"])
    if there["video"] != wanted["video"] or not same:
        return f"finished for another {there['video']}, of {there['bytes']} bytes"
    return None


def predict_video(
    load: Callable[[], Predictor],
    job: Job,
    request: Request,
    progress: str | None = None,
) -> str:
    """Predict a video, whole or not at all; return a remark on it, or "".

    Arguments and errors are those of `outputs.predict`.
    """
    if request.is_finished(job):  # by another process, since the videos were compared
        return ""
    reader = video_files.Reader(job.path)
    span = streaming.Span.of_seconds(reader, request.start, request.end, request.every)
    write = functools.partial(
        outputs.predict, linking=request.linking, kinds=request.kinds
    )
    write(load, reader, job.output, span, record=request.record(job), progress=progress)
    return streaming.shortfall(reader, span)


def predict(
    load: Callable[[], Predictor],
    jobs: Sequence[Job],
    request: Request,
    on_error: str = "fail",
) -> dict[str, str]:
    """Predict videos one after the other, by one model.

    Args:
      jobs: the videos, none of which is finished.
      on_error: 'fail' stops at the first video that fails, 'skip' continues.

    Returns:
      {name of a video that failed: why}.

    Raises:
      InputError: a video failed (with 'fail'), or the disk is full.
      KeyboardInterrupt: a signal ended it; the current video is discarded.
    """
    failures: dict[str, str] = {}
    with stop_at_once():
        predictor = load()
        # Smoothing 0: the time left by the mean rate, for videos differ in length.
        with progress_bar(jobs, "predict", unit="video", smoothing=0) as bar:
            for job in bar:
                try:
                    note = predict_video(lambda: predictor, job, request, job.name)
                    note = note and f"note: {job.path} {note}"
                except Exception as error:
                    failures[job.name] = reason(job, error)
                    if getattr(error.__cause__, "errno", None) in _FULL:
                        raise  # so would all others
                    if on_error == "fail":
                        raise InputError(failures[job.name] + SKIPPING) from error
                    note = f"skipped {failures[job.name]}"
                if note:
                    bar.write(note, file=sys.stderr)
    return failures


def reason(job: Job, error: Exception) -> str:
    """Return why a video failed, in a line that names it."""
    line = " ".join(str(error).split())[:1000]
    if not isinstance(error, InputError):
        line = f"unexpected {type(error).__name__}: {line}"
    return line if job.path in line else f"{job.path}: {line}"


def conclude(
    output: str,
    jobs: Sequence[Job],
    request: Request,
    failures: dict[str, str],
    task: Task = ALONE,
) -> None:
    """Write the library's own files, if by now each video is finished or has failed.

    Until then the failures of a task wait in a file of its own.

    Args:
      jobs: all of the library, not this task's alone.
    """
    place = functools.partial(os.path.join, output)
    name, suffix = os.path.splitext(FAILED)
    _write_failures(place(f"{name}-{task.number}-of-{task.count}{suffix}"), failures)
    waiting = sorted(
        glob.glob(os.path.join(glob.escape(output), f"{name}-*-of-*{suffix}"))
    )
    failed: dict[str, str] = {}
    for path in (place(FAILED), *waiting):
        with contextlib.suppress(FileNotFoundError):
            failed.update((name, why) for name, why in read_csv(path))
    is_finished = dataclasses.replace(request, overwrite=True).is_finished
    whole = dict.fromkeys(filter(is_finished, jobs))
    missing = [job.name for job in jobs if job not in whole]
    if not failed.keys() >= {*missing}:
        pathlib.Path(output, VIDEOS).unlink(missing_ok=True)  # lacks what has come
        return
    lost = {name: failed[name] for name in missing}
    parts = {job.name: pages.part(pathlib.Path(job.output)) for job in whole}
    videos, rows = [(name, *part["video"]) for name, part in parts.items()], []
    for video in videos if "summary" in request.kinds else ():
        for row in read_csv(place(video[0], RESULT_FILES["summary"])):
            rows.append((*video, f"{video[0]}_{row[0]}", *row))
    for name in filter(is_own, os.listdir(output)):  # those of an earlier call
        pathlib.Path(output, name).unlink(missing_ok=True)
    write_csv(place(VIDEOS), [time_budget.VIDEO_COLUMNS[:-1], *videos])
    if "summary" in request.kinds:
        write_csv(
            place(SUMMARY), [(*time_budget.VIDEO_COLUMNS, *outputs.COLUMNS), *rows]
        )
    if {"summary", "tracks"} <= set(request.kinds):
        budget = (row for part in parts.values() for row in part["budget"])
        write_csv(place(time_budget.TIME_BUDGET), [time_budget.COLUMNS, *budget])
    _write_failures(place(FAILED), lost)
    if "page" in request.kinds:
        pages.write_library_page(output, parts, lost, request.run)
    for path in waiting:
        pathlib.Path(path).unlink(missing_ok=True)
    # which removes what killed processes left
    with hidden_folder(output, outputs.HIDDEN):
        pass


def _write_failures(path, failures):
    if failures:
        write_csv(path, [("video", "reason"), *failures.items()])
    else:
        pathlib.Path(path).unlink(missing_ok=True)
