"""Predict a library on Beam's workers; each item of work is one video.

A worker process loads its model once, and predicts one video at a time.
"""

from __future__ import annotations

import functools
import os
import pathlib
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from a2d_tf.behaviour import prediction_folder
from a2d_tf.commands.beam import remote_files
from a2d_tf.commands.beam.beam_runner import BeamSetup
from a2d_tf.core.errors import InputError
from a2d_tf.video.library import (
    library_files,
    library_prediction,
    library_request,
    library_videos,
)

if TYPE_CHECKING:
    from a2d_tf.video.predictors.network_predictor import LoadedModel

_SMALL = (
    prediction_folder.RECORD_FILE,
    prediction_folder.PART_FILE,
    prediction_folder.VIDEO_FILE,
    prediction_folder.RESULT_FILES["tracks"],
    prediction_folder.RESULT_FILES["summary"],
    library_files.FAILED,
)
"""What the library's own files are made from."""
_one_at_a_time = threading.Lock()
_loaded: dict[str, Any] = {}  # of this process: at most one predictor, by its key


class _VideoResult(NamedTuple):
    """What a worker made of a video.

    Attributes:
      name: of the video in the library.
      note: what the user should know; '' if there is nothing.
      problem: the message of an error; '' if there was none.
    """

    name: str
    note: str
    problem: str


def predict(
    setup: BeamSetup,
    output: str,
    load: Callable[[], LoadedModel],
    jobs: Sequence[library_videos.Job],
    request: library_request.Request,
    on_error: str = "fail",
) -> dict[str, str]:
    """Predict videos on Beam's workers, in place of `library_prediction.predict`.

    Args:
      setup: Beam's options, and the URLs and their local folders.
      output: the folder of the library.
      load: loads the model; called once in each worker process that needs it.
      jobs: the videos to predict, each with its own folder of results.
      request: the model and the settings of the prediction.
      on_error: "fail" raises the error of the first failed video by name, but only
        after all other videos are predicted; otherwise failed videos are returned.

    Returns:
      {name of a failed video: the message of its error}.

    Raises:
      InputError: the runner failed, or a video failed and `on_error` is "fail".
    """
    os.makedirs(output, exist_ok=True)
    predict_one = functools.partial(_predict, setup, load, request)
    results = []
    for values in setup.run(predict_one, jobs, output):
        results.append(_VideoResult(*values))
    download_small_files(setup, output)
    failures = {}
    for result in sorted(results):
        if result.note:
            print(f"note: {result.note}")
        if result.problem and on_error == "fail":
            raise InputError(result.problem + library_prediction.SKIPPING)
        if result.problem:
            failures[result.name] = result.problem
    return failures


def _predict(
    setup: BeamSetup,
    load: Callable[[], LoadedModel],
    request: library_request.Request,
    job: library_videos.Job,
) -> _VideoResult:
    """In a worker: predict a video, by copies if it or its output is a URL."""
    video_url = setup.url_of(job.path)
    output_url = setup.url_of(job.output)
    video_name = video_url or job.path  # as the user gave it
    with _one_at_a_time, tempfile.TemporaryDirectory(dir=setup.staging) as folder:
        path = job.path
        output = job.output
        if video_url:
            path = os.path.join(folder, os.path.basename(job.path))
        if output_url:
            output = os.path.join(folder, "out", job.name)
        local_job = library_videos.Job(path, output)
        try:
            if video_url:
                remote_files.download(video_url, path)
            note = library_prediction.predict_video(
                lambda: _predictor(setup, load, request), local_job, request
            )
            if output_url:
                former_files = remote_files.list_files(output_url).files.values()
                remote_files.delete(metadata.path for metadata in former_files)
                # The record last: with it they count as finished.
                remote_files.upload(
                    output, output_url, last=prediction_folder.RECORD_FILE
                )
            if note:
                note = f"{video_name} {note}"
            return _VideoResult(job.name, note, "")
        except Exception as error:  # the others go on
            problem = library_prediction.reason(local_job, error).replace(
                path, video_name
            )
            return _VideoResult(job.name, "", problem)


def _predictor(
    setup: BeamSetup, load: Callable[[], LoadedModel], request: library_request.Request
) -> LoadedModel:
    """Return the predictor, loaded once in a process."""
    key = repr((load, request.model))
    if key not in _loaded:
        setup.download_inputs()
        _loaded.clear()
        _loaded[key] = load()
    return _loaded[key]


def download_small_files(setup: BeamSetup, output: str) -> None:
    """Copy the files from which a library's tables and pages are made to this machine.

    Other files of the library get empty copies. Without a URL nothing is done.

    Args:
      setup: has the URL that `output` stands for, if any.
      output: the folder of the library.
    """
    url = setup.url_of(output)
    if url:
        remote_files.download(
            url, output, lambda name: os.path.basename(name) in _SMALL
        )


def publish(setup: BeamSetup, output: str) -> None:
    """Copy a library's tables and pages to its URL, and delete outdated ones there.

    Results of single videos are not copied, because workers have done so. Without a
    URL nothing is done.

    Args:
      setup: has the URL that `output` stands for, if any.
      output: the local folder of the library, with its tables and pages.
    """
    url = setup.url_of(output)
    if not url:
        return
    names = set(filter(library_files.is_own, os.listdir(output)))
    for name in names:
        content = pathlib.Path(output, name).read_bytes()
        remote_files.write(remote_files.join(url, name), content)
    former_names = set(filter(library_files.is_own, remote_files.list_files(url).files))
    remote_files.delete(remote_files.join(url, name) for name in former_names - names)
