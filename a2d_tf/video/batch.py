"""Predict the videos of a library one after the other, each whole or not at all.

`prediction.json` marks a video as finished: it holds the video's file and size, the model, the
settings and the number of frames, so that the same command given again knows what it need not do,
and another command what it must not replace. What goes wrong with a video is known by its name.
`summary.csv` and `failed.csv` of the library are written once every video is finished, or has
failed in one of the processes that share the library.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import glob
import hashlib
import io
import itertools
import math
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from a2d_tf.core.command_line import written
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, load_json, write_file
from a2d_tf.core.workers import ALONE, Task, stop_on_signal
from a2d_tf.data import frames
from a2d_tf.ops import tracking
from a2d_tf.video import library, outputs, streaming, video_files
from a2d_tf.video.library import FAILED, SUMMARY, Job
from a2d_tf.video.predictions import KINDS, RECORD, RESULTS
from a2d_tf.video.views import pages

if TYPE_CHECKING:
    from a2d_tf.video.predictor import Predictor

ON_ERROR = ("fail", "skip")
Predict = Callable[..., "dict[str, str]"]  # `predict`, or another way to do it
_FAILURE = ("video", "reason")
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} videos [{elapsed}<{remaining}]"
_RECORD = {"video": str, "bytes": (int, None), "model": str, "model_sha256": str, "settings": {}}


def model(path: str) -> dict[str, str]:
    """Identify a model, without TensorFlow.

    Args:
      path: an exported folder, a run folder, a packed model or a file of weights.

    Returns:
      its name, and the digest of what tells it from others: all of a file; of a folder its facts,
      graph and settings, and the indices of its variables, which hold their checksums.
    """
    digest = hashlib.sha256()
    if os.path.isdir(path):
        pattern = os.path.join(glob.escape(path), "**", "*.index")
        files = [os.path.join(path, name) for name in os.listdir(path)]
        files = [file for file in files if file.endswith((".json", ".npz", ".pb", ".txt"))]
        for file in sorted([*files, *glob.glob(pattern, recursive=True)]):
            digest.update(f"{os.path.relpath(file, path)} {file_digest(file)}\n".encode())
    elif os.path.isfile(path):
        digest.update(file_digest(path).encode())
    else:  # weights that are known by a name
        digest.update(path.encode())
    name = os.path.basename(os.path.abspath(path))
    return {"model": name, "model_sha256": digest.hexdigest()}


@dataclasses.dataclass(frozen=True)
class Request:
    """What is predicted of each video of a library, and written of it.

    Attributes:
      start, end, every, window, threshold: as for `Predictor.video`.
      kinds: those of `predictions.KINDS` that are written.
      model: of `model`.
      settings: further settings that tell predictions apart, as {flag: value}.
    """

    start: float = 0.0
    end: float | None = None
    every: int = 1
    window: int = tracking.WINDOW
    threshold: float = 0.0
    kinds: tuple[str, ...] = tuple(KINDS)
    model: dict[str, str] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)

    def record(self, job: Job) -> dict[str, Any]:
        """The contents of a job's `prediction.json`, but for the number of frames.

        `bytes` is None if the video, or the file that a link leads to, is gone.
        """
        span = {name: getattr(self, name) for name in ("start", "end", "every", "window")}
        settings = {**span, "results": ",".join(self.kinds), **self.settings}
        try:
            files = frames.files(job.path, video_files.IMAGES)
            size = sum(file.stat().st_size for file in files)
        except OSError:
            size = None
        name = os.path.basename(os.path.abspath(job.path))
        return {"video": name, "bytes": size, **self.model, "settings": settings}

    def is_finished(self, job: Job, overwrite: bool = False) -> bool:
        """Whether the results of a job are there and whole.

        Args:
          job: the job.
          overwrite: whether a prediction of other settings counts as none, rather than as an error.

        Raises:
          InputError: its place is taken: by a prediction that is not the wanted one, with the field
            that differs, or by something else.
        """
        place = job.output
        if os.path.lexists(place) and not os.path.isdir(place):
            raise InputError(f"{place}: not a folder; remove it, or give another --output")
        there = set(os.listdir(place)) if os.path.isdir(place) else set()
        if all(name.startswith(".") for name in there):
            return False
        try:
            found = load_json(os.path.join(place, RECORD), _RECORD, "no prediction of a library")
            difference = _difference(found, self.record(job))
        except InputError as error:
            difference = str(error)
        if not difference and {KINDS[kind] for kind in self.kinds} <= there:
            return True
        if difference and not overwrite:
            raise InputError(f"{place}: {difference}; give another --output, or --overwrite")
        strange = sorted(there - {*RESULTS, RECORD})
        if strange:
            raise InputError(
                f"{place}: holds {strange[0]}, which is no result and would be removed; move it, "
                "or give another --output"
            )
        return False


def _difference(there, wanted):
    """Describe in what a prediction is not the wanted one; None where it is."""
    if there["model_sha256"] != wanted["model_sha256"]:
        return f"finished by another model or other weights ({there['model']})"
    for name in sorted({*there["settings"], *wanted["settings"]}):
        was, now = (each["settings"].get(name) for each in (there, wanted))
        if was != now:
            return f"finished {_flag(name, was)}, not {_flag(name, now)}"
    # A video that is gone since is not another one.
    same = wanted["bytes"] in (None, there["bytes"])
    if there["video"] != wanted["video"] or not same:
        return (
            f"finished for {there['video']} of {there['bytes']} bytes, not {wanted['video']} of "
            f"{wanted['bytes']}"
        )
    return None


def _flag(name, value):
    return f"without --{name}" if value is None else f"with --{name}={written(value)}"


def predict_video(
    predictor: Predictor,
    job: Job,
    request: Request,
    *,
    stops: Sequence[Any] = (),
    watched: Callable[[Iterator, int | None], Iterator] = lambda frames, _: frames,
) -> str:
    """Predict a video, whole or not at all, in any thread.

    Args:
      predictor: of the video's instances.
      job: the video, and its place.
      request: what to predict and to write.
      stops: as soon as this is not empty, the video is given up.
      watched: as for `streaming.write`.

    Returns:
      a remark on the video, or "".

    Raises:
      InputError: it cannot be read or written, or has no frame between start and end.
      KeyboardInterrupt: it was given up.
    """
    reader = video_files.Reader(job.path)
    span = streaming.Span.of_seconds(reader, request.start, request.end, request.every)
    place = outputs.opened(
        job.output, reader, span.every, kinds=request.kinds, record=request.record(job)
    )
    try:
        with place as files:
            options = {"window": request.window, "threshold": request.threshold}
            streaming.write(predictor, reader, files, span, stops=stops, watched=watched, **options)
            if stops:
                raise KeyboardInterrupt
    except outputs.OutputError:
        # Where another process has finished it meanwhile, its folder cannot be replaced.
        if not request.is_finished(job, overwrite=True):
            raise
    return streaming.shortfall(reader, span, files.frames)


def unfinished(jobs: Sequence[Job], request: Request, overwrite: bool = False) -> list[Job]:
    """The jobs whose results are not there.

    Raises:
      InputError: as of `Request.is_finished`.
    """
    compared = tqdm(jobs, "Comparing with what is there", unit="video", leave=False)
    return [job for job in compared if not request.is_finished(job, overwrite)]


def predict(
    load: Callable[[], Predictor],
    jobs: Sequence[Job],
    request: Request,
    on_error: str = "fail",
) -> dict[str, str]:
    """Predict videos one after the other, by one model.

    Ctrl-C or SIGTERM ends it after the frame in hand: what is finished stays, the video in hand is
    given up.

    Args:
      load: returns the predictor.
      jobs: the videos, none of which is finished.
      request: what to predict of each, and to write.
      on_error: 'fail' ends it at the first video that fails, 'skip' goes on.

    Returns:
      {name of a video that failed: why}.

    Raises:
      InputError: a video failed (with 'fail'), or nothing can be written.
      KeyboardInterrupt: a signal ended it.
    """
    failures: dict[str, str] = {}
    with stop_on_signal() as stops:
        predictor = load()
        # Smoothing 0: the time left by the mean rate, for videos differ in length.
        with tqdm(total=len(jobs), desc="predict", bar_format=_BAR, smoothing=0) as bar:

            def watched(frames, expected):  # the bar also moves while a long video lasts
                for number, frame in enumerate(frames, 1):
                    yield frame
                    bar.update(done + min(number / (expected or math.inf), 1.0) - bar.n)

            for done, job in enumerate(jobs):
                note = ""
                try:
                    note = predict_video(predictor, job, request, stops=stops, watched=watched)
                    note = note and f"note: {job.path} {note}"
                except outputs.OutputError:
                    raise
                except Exception as error:
                    failures[job.name] = reason(job, error)
                    if on_error == "fail":
                        raise InputError(failures[job.name]) from error
                    note = f"skipped {failures[job.name]}"
                if note:
                    bar.write(note, file=sys.stderr)
                bar.update(done + 1 - bar.n)
    return failures


def reason(job: Job, error: Exception) -> str:
    """Why a video failed, in a line that names it."""
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
) -> bool:
    """Write the library's own files, if by now each video is finished or has failed.

    `summary.csv` has the rows of every finished video, `failed.csv` the videos that failed and why;
    it is absent where none did. Until then the failures of a task wait in a file of its own. What
    killed processes left is removed.

    Args:
      output: folder of the library.
      jobs: all of the library, not this task's alone.
      request: as for `predict`.
      failures: of this task; it has no others.
      task: this process's task.

    Returns:
      whether they were written.
    """
    name, suffix = os.path.splitext(FAILED)
    own = os.path.join(output, f"{name}-{task.number}-of-{task.count}{suffix}")
    _write_rows(own, _FAILURE, failures.items() or None)
    pattern = os.path.join(glob.escape(output), f"{name}-*-of-*{suffix}")
    failed: dict[str, str] = {}
    for path in [os.path.join(output, FAILED), *sorted(glob.glob(pattern))]:
        failed.update(library.failures(path))
    whole = [job for job in jobs if request.is_finished(job, overwrite=True)]
    missing = [job.name for job in jobs if job not in whole]
    if not failed.keys() >= set(missing):
        return False
    lost = {name: failed[name] for name in missing}
    rows = _summary(whole) if "summary" in request.kinds else None
    _write_rows(os.path.join(output, SUMMARY), ("video", *outputs.COLUMNS), rows)
    _write_rows(os.path.join(output, FAILED), _FAILURE, lost.items() or None)
    if "page" in request.kinds:
        folders = [pathlib.Path(job.output) for job in whole]
        pages.write_library_page(output, folders, lost)
    else:
        _remove(os.path.join(output, KINDS["page"]))
    for path in glob.glob(pattern):
        _remove(path)
    outputs.sweep(output)
    return True


def _remove(path):
    with contextlib.suppress(FileNotFoundError):  # it was not there, or another task was faster
        os.remove(path)


def _write_rows(path, head, rows):
    """Write a CSV; without rows there shall be none."""

    def write(file):
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        csv.writer(text, lineterminator="\n").writerows(itertools.chain([head], rows))
        text.detach()

    if rows is None:
        _remove(path)
    else:
        write_file(path, write)


def _summary(jobs):
    """Yield the rows of the summaries of some jobs, each after its video's name."""
    for job in jobs:
        path = os.path.join(job.output, KINDS["summary"])
        with open(path, encoding="utf-8", newline="") as own:
            yield from ((job.name, *row) for row in list(csv.reader(own))[1:])
