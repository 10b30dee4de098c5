"""Predictions by Beam: a video an element; a process keeps its model, and does one at a time."""

from __future__ import annotations

import dataclasses
import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from a2d_tf.commands.beam import files, pipeline
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json
from a2d_tf.core.locks import sweep
from a2d_tf.video import batch, finished, library, outputs

if TYPE_CHECKING:
    from a2d_tf.video.predictor import Predictor

_one_at_a_time = threading.Lock()
_loaded: dict[str, Any] = {}  # of this process: at most one predictor, by its key


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What the workers know beside the videos.

    Attributes:
      words: Beam's command line.
      output: folder of the library, a URL where not all workers see it on a disk.
      here: the same, but where it is a URL the folder that stands for it in this process.
      copies: (URL, path of its copy on each machine) of the model.
      stands: (folder in the jobs, the URL that it stands for).
      folder: of each machine, for what it must hold for a while.
    """

    words: tuple[str, ...]
    output: str
    here: str
    copies: tuple[tuple[str, str], ...]
    stands: tuple[tuple[str, str], ...]
    folder: str

    def predict(
        self,
        load: Callable[[], Predictor],
        jobs: Sequence[library.Job],
        request: batch.Request,
        on_error: str = "fail",
    ) -> dict[str, str]:
        """Predict videos on Beam's workers; see `batch.predict`, whose place it takes.

        A video that fails does not stop the others, whatever `on_error` is.
        """
        os.makedirs(self.here, exist_ok=True)
        function = functools.partial(_predict, self, load, request)
        try:
            results = pipeline.run(function, jobs, self.words, self.output)
        finally:
            for parent in {os.path.dirname(job.output) for job in jobs}:
                sweep(parent, outputs.HIDDEN)  # of workers that were killed
        results.sort(key=lambda result: result["video"])
        for result in results:
            if result["note"]:
                print(f"note: {result['note']}")
        self.mirror()
        failed = [result for result in results if result["problem"]]
        for result in failed:
            if result["ends"] or on_error == "fail":
                raise InputError(result["problem"])
        return {result["video"]: result["problem"] for result in failed}

    def mirror(self) -> None:
        """Copy what the library's own files are made from to the folder that stands for the output.

        That is which videos are finished, their summaries and tracks, and their label space.
        """
        if self.here == self.output:
            return
        there = files.matches(files.join(files.escape(self.output), "*", "*.*"))
        kinds = outputs.KINDS
        wanted = (outputs.RECORD, outputs.VIDEO, kinds["summary"], kinds["tracks"])
        targets = {
            path: os.path.join(self.here, files.relative(path, self.output))
            for path in there
            if path.endswith(tuple(f"/{name}" for name in wanted))
        }
        files.get_files(targets)
        for place in targets.values():
            if os.path.basename(place) == outputs.RECORD:
                _outline_results(place)

    def publish(self) -> None:
        """Copy the library's own files, which are written last, to its URL."""
        if self.here == self.output:
            return
        names = (library.SUMMARY, library.FAILED, outputs.KINDS["page"])
        written = [name for name in names if os.path.exists(os.path.join(self.here, name))]
        files.delete(files.join(self.output, name) for name in names if name not in written)
        for name in written:
            with open(os.path.join(self.here, name), "rb") as file:
                files.write(files.join(self.output, name), file.read())


def _outline_results(record):
    """Make empty files for the results that a prediction has, for its record was written last."""
    try:
        kinds = read_json(record)["settings"]["results"].split(",")
    except (AttributeError, LookupError, TypeError, ValueError):
        return  # damaged, as will be said
    for kind in set(kinds) & set(outputs.KINDS):
        with open(os.path.join(os.path.dirname(record), outputs.KINDS[kind]), "ab"):
            pass


def _predict(work: Predictions, load, request, job) -> dict[str, Any]:
    """In a worker: predict a video."""
    result = {"video": job.name, "problem": "", "note": "", "ends": False}
    try:
        with _one_at_a_time:
            predictor = _predictor(work, load, request)
            note = _predict_apart(work, predictor, request, job)
            result["note"] = note and f"{_named(job, work)} {note}"
    except Exception as error:  # the others go on
        reason = batch.reason(job, error).replace(job.path, _named(job, work))
        result.update(problem=reason, ends=isinstance(error, outputs.OutputError))
    return result


def _named(job, work):
    return files.url_of(job.path, work.stands) or job.path


def _predictor(work, load, request):
    """The predictor, loaded once in a process."""
    key = repr((load, request.model))
    if key not in _loaded:
        for url, place in work.copies:
            files.ensure(url, place)
        _loaded.clear()
        _loaded[key] = load()
    return _loaded[key]


def _predict_apart(work, predictor, request, job):
    """Predict a video, by copies on this machine where the video or its place is a URL.

    A runner that lost a worker does again what that had done, which is left as it is.
    """
    video, place = (files.url_of(path, work.stands) for path in (job.path, job.output))
    with files.scratch(work.folder) as folder:
        if video:
            job = library.Job(os.path.join(folder, os.path.basename(job.path)), job.output)
            files.get(video, job.path)
        there = job
        if place:
            job = library.Job(job.path, os.path.join(folder, "new", job.name))
            there = library.Job(job.path, os.path.join(folder, "there", job.name))
            record = files.join(place, outputs.RECORD)
            if files.listing(record):
                files.get(record, os.path.join(there.output, outputs.RECORD))
                _outline_results(os.path.join(there.output, outputs.RECORD))
        if finished.is_finished(there, request.record(job), overwrite=True):
            return ""
        try:
            note = batch.predict_video(predictor, job, request)
        except InputError as error:
            raise type(error)(str(error).replace(job.path, video or job.path)) from error
        if place:
            _put(job.output, place)
    return note


def _put(folder, url):
    """Copy the files of a prediction to a URL, the record last: with it they count as finished."""
    old = files.listing(url)
    files.delete([files.join(url, outputs.RECORD)])
    files.delete(path for path in old if files.relative(path, url).split("/")[0] in outputs.RESULTS)
    files.put(folder, url, last=outputs.RECORD)
