"""Predict the videos of a library one after the other, each whole or not at all.

Each is built in a hidden folder beside its place and renamed. What goes wrong with a video is known
by its name; `summary.csv` and `failed.csv` of the library are written once every video is finished,
or has failed in one of the processes that share the library.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import glob
import io
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_file, write_text
from a2d_tf.core.locks import sweep
from a2d_tf.core.workers import ALONE, Task, stop_on_signal
from a2d_tf.ops import tracking
from a2d_tf.video import finished, library, outputs, streaming, video_files
from a2d_tf.video.library import FAILED, SUMMARY, Job
from a2d_tf.video.views import library as views
from a2d_tf.video.views import page

if TYPE_CHECKING:
    from a2d_tf.video.predictor import Predictor

ON_ERROR = ("fail", "skip")
Predict = Callable[..., "dict[str, str]"]  # `predict`, or another way to do it


@dataclasses.dataclass(frozen=True)
class Request:
    """What is predicted of each video of a library, and written of it.

    Attributes:
      start, end, every, window, threshold: as for `Predictor.video`.
      kinds: those of `outputs.KINDS` that are written.
      model: of `finished.model`.
      settings: further settings that tell predictions apart, as {flag: value}.
    """

    start: float = 0.0
    end: float | None = None
    every: int = 1
    window: int = tracking.WINDOW
    threshold: float = 0.0
    kinds: tuple[str, ...] = tuple(outputs.KINDS)
    model: dict[str, str] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)

    def record(self, job: Job) -> dict[str, Any]:
        """The contents of a job's `prediction.json`, but for the number of frames."""
        span = {name: getattr(self, name) for name in ("start", "end", "every", "window")}
        settings = {**span, "results": ",".join(self.kinds), **self.settings}
        return finished.record(job, {**self.model, "settings": settings})


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
      watched: (the frames, how many are expected or None) -> the same frames, for progress.

    Returns:
      a remark on the video, or "".

    Raises:
      InputError: it cannot be read or written, or has no frame between start and end.
      KeyboardInterrupt: it was given up.
    """
    reader = video_files.Reader(job.path)
    span = streaming.Span.of_seconds(reader, request.start, request.end, request.every)
    window, threshold, record = request.window, request.threshold, request.record(job)
    try:
        files = outputs.Outputs(
            job.output,
            reader.fps,
            reader.size,
            span.every,
            source=reader,
            kinds=request.kinds,
            record=record,
        )
        with files:
            frames = streaming.watch(
                predictor, reader, span, window, threshold=threshold, stops=stops
            )
            streaming.write(
                watched(frames, span.count(reader.expected)), files, predictor.labels, stops
            )
            if stops:
                raise KeyboardInterrupt
    except OSError as error:
        # Where another process has finished it meanwhile, its folder cannot be replaced.
        if not finished.is_finished(job, record, overwrite=True):
            raise outputs.OutputError(f"{job.output}: cannot be written ({error})") from error
    return streaming.shortfall(reader, span, files.frames)


def unfinished(jobs: Sequence[Job], request: Request, overwrite: bool = False) -> list[Job]:
    """The jobs whose results are not there.

    Raises:
      InputError: as of `finished.is_finished`.
    """
    return [
        job
        for job in tqdm(jobs, "Comparing with what is there", unit="video", leave=False)
        if not finished.is_finished(job, request.record(job), overwrite)
    ]


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
    for parent in {os.path.dirname(job.output) for job in jobs}:
        sweep(parent, outputs.HIDDEN)
    with stop_on_signal() as stops:
        predictor = load()
        with _Progress(len(jobs)) as progress:
            for job in jobs:
                try:
                    note = predict_video(
                        predictor, job, request, stops=stops, watched=progress.watch
                    )
                    if note:
                        progress.say(f"note: {job.path} {note}")
                except outputs.OutputError:
                    raise
                except Exception as error:
                    why = reason(job, error)
                    if on_error == "fail":
                        raise InputError(why) from error
                    failures[job.name] = why
                    progress.say(f"skipped {why}")
                progress.next()
    return failures


def reason(job: Job, error: Exception) -> str:
    """Why a video failed, in a line that names it."""
    line = " ".join(str(error).split())[:1000]
    if not isinstance(error, InputError):
        line = f"unexpected {type(error).__name__}: {line}"
    return line if job.path in line else f"{job.path}: {line}"


class _Progress:
    """A bar in videos that also moves while a long one lasts; a context manager."""

    def __init__(self, count):
        form = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} videos [{elapsed}<{remaining}]"
        # Smoothing 0: the time left by the mean rate, for videos differ in length.
        self._bar = tqdm(total=count, desc="predict", bar_format=form, smoothing=0)
        self._done = 0

    def watch(self, frames: Iterable, expected: int | None) -> Iterator:
        """Pass on a video's frames, of which so many are expected."""
        for number, frame in enumerate(frames, 1):
            yield frame
            if expected:
                self._move(self._done + min(number / expected, 1.0))

    def next(self) -> None:
        """Go to the next video."""
        self._done += 1
        self._move(self._done)

    def _move(self, place):
        self._bar.update(place - self._bar.n)

    def say(self, line: str) -> None:
        """Print a line to stderr, above the bar."""
        self._bar.write(line, file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()


def conclude(
    output: str,
    jobs: Sequence[Job],
    request: Request,
    failures: dict[str, str],
    task: Task = ALONE,
) -> bool:
    """Write the library's own files, if by now each video is finished or has failed.

    `summary.csv` has the rows of every finished video, `failed.csv` the videos that failed and why;
    it is absent where none did. Until then the failures of a task wait in a file of its own.

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
    _write_failures(own, failures)
    pattern = os.path.join(glob.escape(output), f"{name}-*-of-*{suffix}")
    failed: dict[str, str] = {}
    for path in [os.path.join(output, FAILED), *sorted(glob.glob(pattern))]:
        failed.update(library.failures(path))
    whole = []
    for job in jobs:
        if finished.is_finished(job, request.record(job), overwrite=True):
            whole.append(job)
        elif job.name not in failed:
            return False
    summary = os.path.join(output, SUMMARY)
    if "summary" in request.kinds:
        write_file(summary, lambda file: _write_summary(file, whole))
    else:
        _remove(summary)
    names = {job.name for job in whole}
    lost = {job.name: failed[job.name] for job in jobs if job.name not in names}
    _write_failures(os.path.join(output, FAILED), lost)
    if "page" in request.kinds:
        folders = [pathlib.Path(job.output) for job in whole]
        views.write_library_page(output, folders=folders, failed=lost)
    else:
        _remove(os.path.join(output, page.NAME))
    for path in glob.glob(pattern):
        _remove(path)
    return True


def _remove(path):
    with contextlib.suppress(FileNotFoundError):  # it was not there, or another task was faster
        os.remove(path)


def _write_failures(path, failures):
    """Write videos that failed and why; where there are none, there is no file."""
    if not failures:
        _remove(path)
        return
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerows([("video", "reason"), *failures.items()])
    write_text(path, text.getvalue())


def _write_summary(file, jobs):
    """Write the rows of the summaries of some jobs, each after its video's name."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("video", *outputs.COLUMNS))
    for job in jobs:
        path = os.path.join(job.output, outputs.KINDS["summary"])
        with open(path, encoding="utf-8", newline="") as own:
            rows.writerows((job.name, *row) for row in list(csv.reader(own))[1:])
    text.detach()
