"""Predictions by Beam: a video an element. A worker keeps its model, and does one at a time."""

from __future__ import annotations

import functools
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from a2d_tf.commands.beam import files
from a2d_tf.commands.beam.pipeline import Setup
from a2d_tf.core.errors import InputError
from a2d_tf.video import library, outputs

if TYPE_CHECKING:
    from a2d_tf.video.predictor import Predictor

_PAGE = "index.html"
_SMALL = ("prediction.json", "video.json", "tracks.json", "summary.csv", "failed.csv")
"""What the library's own files are made from."""
_one_at_a_time = threading.Lock()
_loaded: dict[str, Any] = {}  # of this process: at most one predictor, by its key


def predict(
    setup: Setup,
    output: str,
    load: Callable[[], Predictor],
    jobs: Sequence[library.Job],
    request: library.Request,
    on_error: str = "fail",
) -> dict[str, str]:
    """Predict videos on Beam's workers; see `library.predict`, whose place it takes.

    A video that fails does not stop the others, whatever `on_error` is. `output` is the folder of
    the library.
    """
    os.makedirs(output, exist_ok=True)
    results = setup.run(functools.partial(_predict, setup, load, request), jobs, output)
    mirror(setup, output)
    failures = {}
    for name, note, problem, ends in sorted(results):
        if note:
            print(f"note: {note}")
        if problem and (ends or on_error == "fail"):
            raise InputError(problem)
        if problem:
            failures[name] = problem
    return failures


def mirror(setup: Setup, output: str) -> None:
    """Copy the small files of an output's URL here; others are made empty."""
    url = setup.url_of(output)
    if url:
        files.get(url, output, lambda name: os.path.basename(name) in _SMALL)


def publish(setup: Setup, output: str) -> None:
    """Copy the library's own files, which are written last, to the output's URL."""
    url = setup.url_of(output)
    if not url:
        return
    for name in (library.SUMMARY, library.FAILED, _PAGE):
        place, there = os.path.join(output, name), files.join(url, name)
        if os.path.exists(place):
            with open(place, "rb") as file:
                files.write(there, file.read())
        elif files.listing(there)[1]:
            files.delete([there])


def _predict(setup, load, request, job) -> tuple[str, str, str, bool]:
    """In a worker: predict a video, by copies where the video or its place is a URL.

    Returns:
      (name, a remark, why it failed, whether that ends the command).
    """
    video, place = setup.url_of(job.path), setup.url_of(job.output)
    shown = video or job.path
    with _one_at_a_time, tempfile.TemporaryDirectory(dir=setup.staging) as folder:
        path = os.path.join(folder, os.path.basename(job.path)) if video else job.path
        copy = library.Job(path, os.path.join(folder, "out", job.name) if place else job.output)
        try:
            predictor = _predictor(setup, load, request)
            if video:
                files.get(video, path)
            note = library.predict_video(lambda: predictor, copy, request)
            if place:
                # The record last: with it they count as finished.
                files.delete(entry.path for entry in files.listing(place)[1].values())
                files.put(copy.output, place, last=outputs.RECORD)
            return job.name, note and f"{shown} {note}", "", False
        except Exception as error:  # the others go on
            why = library.reason(copy, error).replace(path, shown)
            return job.name, "", why, isinstance(error, outputs.OutputError)


def _predictor(setup, load, request):
    """The predictor, loaded once in a process."""
    key = repr((load, request.model))
    if key not in _loaded:
        setup.fetch_copies()
        _loaded.clear()
        _loaded[key] = load()
    return _loaded[key]
