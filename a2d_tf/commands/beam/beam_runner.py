"""Run a function on the workers of an Apache Beam runner, once for each item.

Nothing large passes between workers: items are plans, results a few lines of JSON each.
A runner may do an item twice, if a worker died or seemed to; so a function must give
the same result if it is called again.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from a2d_tf.commands.beam import remote_files
from a2d_tf.core.errors import InputError
from a2d_tf.core.machine import processes

# Runners that Beam does not know by their short names.
_RUNNERS = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}
_LOCAL = "FnApiRunner"  # DirectRunner would first download a server of its own


class InputCopy(NamedTuple):
    """An input that the user gave as a URL, and its copy on each machine.

    Attributes:
      url: the URL of a file, a folder or a glob.
      path: the local path of its copy, the same on all machines.
    """

    url: str
    path: str


@dataclasses.dataclass(frozen=True)
class BeamSetup:
    """What every worker of `a2d on-beam` must know to do an item.

    It is pickled and sent to the workers with the function.

    Attributes:
      beam_words: the words of the command line that are Beam's own options.
      inputs: the inputs that were given as URLs; a worker copies all of each.
      urls: {local folder: the URL that it stands for}; of such a folder a worker copies
        only the files that its item needs.
      staging: the path of a folder on each machine, for temporary copies.
    """

    beam_words: tuple[str, ...]
    inputs: tuple[InputCopy, ...]
    urls: dict[str, str]
    staging: str

    def url_of(self, path: str) -> str | None:
        """Return the URL that a local path stands for, or None if there is none."""
        for folder, url in self.urls.items():
            if path == folder or path.startswith(folder + os.sep):
                return url + path[len(folder) :].replace(os.sep, "/")
        return None

    def download_inputs(self) -> None:
        """Copy the inputs to their local paths, unless they are there already."""
        for copy in self.inputs:
            remote_files.download_once(copy.url, copy.path)

    def run(
        self, function: Callable[[Any], Any], items: Sequence[Any], folder: str
    ) -> list[Any]:
        """Apply a function to items, each on some worker.

        Args:
          function: takes an item and returns a value that JSON can hold. It is pickled.
          items: the items; they are pickled, too.
          folder: a folder that all workers see, or that stands for a URL. The results
            pass through a temporary file in it, which is deleted at the end.

        Returns:
          the results as read from JSON (a tuple becomes a list), in any order.

        Raises:
          InputError: the runner failed.
        """
        import apache_beam as beam

        if not items:
            return []
        # Worker processes of this machine find this package where it is not installed,
        # too.
        os.environ.update(processes.environment())
        prefix = remote_files.join(self.url_of(folder) or folder, ".on_beam-")
        results_path = f"{prefix}{secrets.token_hex(8)}.json"
        work = functools.partial(_work, function, self.beam_words)
        write = functools.partial(_write_results, self.beam_words, results_path)
        try:
            with beam.Pipeline(options=pipeline_options(self.beam_words)) as pipeline:
                results = (
                    pipeline
                    | beam.Create(list(items))
                    | beam.Reshuffle()
                    | beam.Map(work)
                )
                results | beam.GroupByKey() | "Write" >> beam.Map(write)  # noqa: B018
            values = json.loads(remote_files.read(results_path))
        except Exception as error:  # each runner has its own
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"the runner failed ({lines[0][:300]}); fix that and run the same"
                " command again; finished work is kept"
            ) from error
        remote_files.delete([prefix], "*.json")  # those of killed commands, too
        return values


def pipeline_options(words: Sequence[str]) -> Any:
    """Return Beam's PipelineOptions for a command line, and set up its file systems.

    Args:
      words: the words of the command line that are Beam's options.

    Raises:
      InputError: Beam or a plugin is not installed.
    """
    try:
        from apache_beam.io.filesystems import FileSystems
        from apache_beam.options import pipeline_options as beam_options

        quiet = "--default_sdk_harness_log_level=WARNING"
        options = beam_options.PipelineOptions([quiet, *words])
        plugins = options.view_as(beam_options.SetupOptions).beam_plugins
        for plugin in plugins or ():
            importlib.import_module(plugin)
    except ImportError as error:
        raise InputError(
            f"Apache Beam, or a plugin, cannot be imported ({error}); pip install"
            " 'a2d_tf[beam]', or pip install '.[beam]' in a clone"
        ) from error
    standard = options.view_as(beam_options.StandardOptions)
    standard.runner = _RUNNERS.get(standard.runner, standard.runner or _LOCAL)
    if standard.runner in _RUNNERS.values():
        from apache_beam.runners.dask.dask_runner import DaskOptions

        # By default 128 items would go to one worker, one after the other.
        dask = options.view_as(DaskOptions)
        if not dask.npartitions and not dask.partition_size:
            dask.partition_size = 1
    FileSystems.set_options(options)
    return options


def _work(
    function: Callable[[Any], Any], beam_words: Sequence[str], item: Any
) -> tuple[int, str]:
    """In a worker: return (one key for all results, the result as JSON)."""
    pipeline_options(beam_words)
    return 0, json.dumps(function(item))


def _write_results(
    beam_words: Sequence[str], path: str, keyed_results: tuple[int, Any]
) -> None:
    """In a worker: write all results, a list in JSON."""
    pipeline_options(beam_words)
    _, results = keyed_results
    remote_files.write(path, f"[{','.join(results)}]".encode())
