"""The work that Beam's workers do: a shard of records or a video an element.

Nothing large passes between workers: items are plans, results a few lines of JSON each.
A runner may do an item twice, where a worker died or seemed to; shards and predictions
bear that. A worker keeps its model, and does one video at a time.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import os
import pathlib
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from a2d_tf.behaviour import prediction_folder
from a2d_tf.commands.beam import files
from a2d_tf.core import processes
from a2d_tf.core.errors import InputError
from a2d_tf.data import manifest
from a2d_tf.data.convert import PARTIAL, Conversion, Shard
from a2d_tf.video import library, library_files, library_request, library_videos

if TYPE_CHECKING:
    from a2d_tf.video.predictor import Predictor

# unknown to Beam
_RUNNERS = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}
_LOCAL = "FnApiRunner"  # DirectRunner would first download a server of its own
_SMALL = (
    prediction_folder.RECORD,
    prediction_folder.PART,
    "video.json",
    "tracks.json",
    "summary.csv",
    "failed.csv",
)
"""What the library's own files are made from."""
_one_at_a_time = threading.Lock()
_loaded: dict[str, Any] = {}  # of this process: at most one predictor, by its key


@dataclasses.dataclass(frozen=True)
class Setup:
    """What all workers of a command know.

    Attributes:
      words: Beam's command line.
      copies: (URL, path of its copy on each machine) of inputs.
      stands: {local folder: its URL}; a worker copies only what its item needs of it.
      staging: folder of each machine, for what it must hold for a while.
    """

    words: tuple[str, ...]
    copies: tuple[tuple[str, str], ...]
    stands: dict[str, str]
    staging: str

    def url_of(self, path: str) -> str | None:
        """Return the URL that a path stands for; None for other paths."""
        for folder, url in self.stands.items():
            if path == folder or path.startswith(folder + os.sep):
                return url + path[len(folder) :].replace(os.sep, "/")
        return None

    def fetch_copies(self) -> None:
        """Copy the inputs to this machine, unless they are there."""
        for url, place in self.copies:
            files.ensure(url, place)

    def run(
        self, function: Callable[[Any], Any], items: Sequence[Any], folder: str
    ) -> list[Any]:
        """Apply a function to items, each on some worker.

        Args:
          function: returns JSON; it is pickled, by name where it is of a module.
          items: pickled too.
          folder: that all workers see, or that stands for a URL; the results pass
            through a file in it.

        Returns:
          the results, in no order.

        Raises:
          InputError: the runner failed.
        """
        import apache_beam as beam

        if not items:
            return []
        # Worker processes of this machine find this package where it is not installed,
        # too.
        os.environ.update(processes.environment())
        passing = files.join(self.url_of(folder) or folder, ".on_beam-")
        place = f"{passing}{secrets.token_hex(8)}.json"
        work = functools.partial(_work, function, self.words)
        write = functools.partial(_write, self.words, place)
        try:
            with beam.Pipeline(options=options(self.words)) as pipeline:
                results = (
                    pipeline
                    | beam.Create(list(items))
                    | beam.Reshuffle()
                    | beam.Map(work)
                )
                results | beam.GroupByKey() | "Write" >> beam.Map(write)  # noqa: B018
            found = json.loads(files.read(place))
        except Exception as error:  # each runner has its own
            last = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"the runner failed ({last[0][:300]}); fix that and run the same"
                " command again; finished work is kept"
            ) from error
        files.delete([passing], "*.json")  # those of killed commands, too
        return found


def options(words: Sequence[str]) -> Any:
    """Return Beam's PipelineOptions of the words of a command line; its file systems
    take them.

    Raises:
      InputError: Beam or a plugin is not installed.
    """
    try:
        from apache_beam.io.filesystems import FileSystems
        from apache_beam.options import pipeline_options

        quiet = "--default_sdk_harness_log_level=WARNING"
        given = pipeline_options.PipelineOptions([quiet, *words])
        for plugin in given.view_as(pipeline_options.SetupOptions).beam_plugins or ():
            importlib.import_module(plugin)
    except ImportError as error:
        raise InputError(
            f"Apache Beam, or a plugin, cannot be imported ({error}); pip install"
            " 'a2d_tf[beam]', or pip install '.[beam]' in a clone"
        ) from error
    standard = given.view_as(pipeline_options.StandardOptions)
    standard.runner = _RUNNERS.get(standard.runner, standard.runner or _LOCAL)
    if standard.runner in _RUNNERS.values():
        from apache_beam.runners.dask.dask_runner import DaskOptions

        # By default 128 items would go to one worker, one after the other.
        dask = given.view_as(DaskOptions)
        if not dask.npartitions and not dask.partition_size:
            dask.partition_size = 1
    FileSystems.set_options(given)
    return given


def _work(function, words, item):
    """In a worker: (one key for all, the result)."""
    options(words)
    return 0, json.dumps(function(item))


def _write(words, place, keyed):
    """In a worker: write all results."""
    options(words)
    files.write(place, f"[{','.join(keyed[1])}]".encode())


def build_all(
    setup: Setup, conversion: Conversion, shards: Sequence[Shard], workers: int
) -> Iterator[tuple[str, dict]]:
    """Build shards in place of `convert.build_all`; InputError of a worker or of the
    runner.
    """
    output, url = conversion.output, setup.url_of(str(conversion.output))
    if url:  # what an earlier call has finished was copied here
        there = {x: conversion.finished(x, conversion.fingerprint(x)) for x in shards}
        yield from (
            (shard.name, sidecar) for shard, sidecar in there.items() if sidecar
        )
        shards = [shard for shard in shards if not there[shard]]
    results = setup.run(
        functools.partial(_build, setup, conversion), shards, str(output / PARTIAL)
    )
    problem = max((problem for _, _, problem in results), default="")
    if problem:
        raise InputError(problem)
    if url:
        files.get(files.join(url, PARTIAL), str(output / PARTIAL))
    yield from ((name, sidecar) for name, sidecar, _ in results)


def publish_records(output: str, url: str) -> None:
    """Copy records that were published in `output` to a URL, the manifest last."""
    _, there = files.listing(url)
    if manifest.NAME not in there:
        files.put(output, url, last=manifest.NAME)
    files.delete(entry.path for entry in there.values() if f"/{PARTIAL}/" in entry.path)


def _build(
    setup: Setup, conversion: Conversion, shard: Shard
) -> tuple[str, dict | None, str]:
    """In a worker: (the shard's name, its sidecar, what went wrong)."""
    url = setup.url_of(str(conversion.output))
    try:
        setup.fetch_copies()
        if not url:
            return shard.name, conversion.build_in_worker(shard), ""
        with tempfile.TemporaryDirectory(dir=setup.staging) as folder:
            partial = os.path.join(folder, PARTIAL)
            os.mkdir(partial)
            apart = dataclasses.replace(conversion, output=pathlib.Path(folder))
            sidecar = apart.build_in_worker(shard)
            files.put(partial, files.join(url, PARTIAL), last=f"{shard.name}.json")
        return shard.name, sidecar, ""
    except InputError as error:
        return shard.name, None, str(error)


def predict(
    setup: Setup,
    output: str,
    load: Callable[[], Predictor],
    jobs: Sequence[library_videos.Job],
    request: library_request.Request,
    on_error: str = "fail",
) -> dict[str, str]:
    """Predict videos on Beam's workers; see `library.predict`, whose place it takes.

    A video that fails does not stop the others, whatever `on_error` is.
    """
    os.makedirs(output, exist_ok=True)
    results = setup.run(functools.partial(_predict, setup, load, request), jobs, output)
    fetch_small(setup, output)
    failures = {}
    for name, note, problem in sorted(results):
        if note:
            print(f"note: {note}")
        if problem and on_error == "fail":
            raise InputError(problem + library.SKIPPING)
        if problem:
            failures[name] = problem
    return failures


def fetch_small(setup: Setup, output: str) -> None:
    """Copy the small files of an output's URL here; others are made empty."""
    url = setup.url_of(output)
    if url:
        files.get(url, output, lambda name: os.path.basename(name) in _SMALL)


def publish_library(setup: Setup, output: str) -> None:
    """Copy the library's own files, which are written last, to the output's URL."""
    url = setup.url_of(output)
    if not url:
        return
    names = set(filter(library_files.is_own, os.listdir(output)))
    for name in names:
        files.write(files.join(url, name), pathlib.Path(output, name).read_bytes())
    before = set(filter(library_files.is_own, files.listing(url)[1]))
    files.delete(files.join(url, name) for name in before - names)


def _predict(setup, load, request, job) -> tuple[str, str, str]:
    """In a worker: predict a video, by copies where the video or its place is a URL."""
    video, place = setup.url_of(job.path), setup.url_of(job.output)
    shown = video or job.path
    with _one_at_a_time, tempfile.TemporaryDirectory(dir=setup.staging) as folder:
        path = os.path.join(folder, os.path.basename(job.path)) if video else job.path
        copy = library_videos.Job(
            path, os.path.join(folder, "out", job.name) if place else job.output
        )
        try:
            if video:
                files.get(video, path)
            note = library.predict_video(
                lambda: _predictor(setup, load, request), copy, request
            )
            if place:
                # The record last: with it they count as finished.
                files.delete(entry.path for entry in files.listing(place)[1].values())
                files.put(copy.output, place, last=prediction_folder.RECORD)
            return job.name, note and f"{shown} {note}", ""
        except Exception as error:  # the others go on
            return job.name, "", library.reason(copy, error).replace(path, shown)


def _predictor(setup, load, request):
    """The predictor, loaded once in a process."""
    key = repr((load, request.model))
    if key not in _loaded:
        setup.fetch_copies()
        _loaded.clear()
        _loaded[key] = load()
    return _loaded[key]
