"""Predict the videos of a library, each whole or not at all.

A job is a video of the library, and the folder of its prediction.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.errors import InputError
from a2d_tf.core.folders import DISK_ERRORS
from a2d_tf.core.machine.signals import stop_at_once
from a2d_tf.video import video_prediction
from a2d_tf.video.library.library_request import Request
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.reading import video_reader
from a2d_tf.video.reading.shortfall import shortfall
from a2d_tf.video.reading.span import Span

if TYPE_CHECKING:
    from a2d_tf.video.predictors.network_predictor import LoadedModel

SKIPPING = "; --on_error=skip skips it"  # ends the error of a video that fails
"""The end of the error of a video that fails."""


def predict(
    load: Callable[[], LoadedModel],
    jobs: Sequence[Job],
    request: Request,
    on_error: str = "fail",
) -> dict[str, str]:
    """Predict the videos of a library by one model, one after the other.

    Videos that are finished meanwhile by another process are skipped. Notes on videos
    go to stderr.

    Args:
      load: function that returns the model; it is called once.
      jobs: the videos that are not finished.
      request: the settings of the prediction.
      on_error: 'fail' to stop at the first video that fails, 'skip' to go on.

    Returns:
      {name of a video that failed: the reason}.

    Raises:
      InputError: a video failed (with 'fail'), or the disk is full.
      KeyboardInterrupt: a signal ended it; the current video is discarded.
    """
    failures: dict[str, str] = {}
    with stop_at_once():
        model = load()
        # Smoothing 0 estimates the time left by the mean rate: videos differ in length.
        with progress_bar(jobs, "predict", unit="video", smoothing=0) as bar:
            for job in bar:
                note = ""
                try:
                    problem = predict_video(lambda: model, job, request, job.name)
                    if problem:
                        note = f"note: {job.path} {problem}"
                except Exception as error:
                    failures[job.name] = reason(job, error)
                    if getattr(error.__cause__, "errno", None) in DISK_ERRORS:
                        raise  # the disk takes no results at all
                    if on_error == "fail":
                        raise InputError(failures[job.name] + SKIPPING) from error
                    note = f"skipped {failures[job.name]}"
                if note:
                    bar.write(note, file=sys.stderr)
    return failures


def predict_video(
    load: Callable[[], LoadedModel],
    job: Job,
    request: Request,
    progress: str | None = None,
) -> str:
    """Predict a video of a library, whole or not at all, unless it is finished.

    Args:
      load: function that returns the model.
      job: the video, and the folder of its prediction.
      request: the settings of the prediction.
      progress: title of the progress bar; None for no bar.

    Returns:
      a clause on the frames that the video lacks, see `shortfall`; "" if it lacks none.

    Raises:
      InputError: the video cannot be read or has no frame in the span, or its folder
        cannot be written or holds a prediction of other settings.
      KeyboardInterrupt: a signal came; nothing of the video is kept.
    """
    if request.is_finished(job):  # by another process meanwhile
        return ""
    reader = video_reader.open_video(job.path, request.fps)
    span = Span.of_seconds(reader, request.start, request.end, request.every)
    video_prediction.predict(
        load,
        reader,
        job.output,
        span,
        track_settings=request.track_settings,
        kinds=request.kinds,
        record=request.record(job),
        progress=progress,
    )
    return shortfall(reader, span)


def reason(job: Job, error: Exception) -> str:
    """Return why a video failed, in one line that names the video.

    Args:
      job: the video.
      error: the exception; its type is named if it is no InputError.
    """
    line = " ".join(str(error).split())[:1000]
    if not isinstance(error, InputError):
        line = f"unexpected {type(error).__name__}: {line}"
    if job.path in line:
        return line
    return f"{job.path}: {line}"
