"""A function applied to items by the workers of a Beam runner, and what they share.

Nothing large passes between workers: items are plans, results a few lines of JSON each.
A runner may do an item twice, where a worker died or seemed to; the functions must bear
that.
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
    """An input that was given as a URL, and the path of its copy on each machine."""

    url: str
    path: str


@dataclasses.dataclass(frozen=True)
class BeamSetup:
    """What all workers of a command know.

    Attributes:
      beam_words: Beam's command line.
      inputs: those that were given as URLs.
      urls: {local folder: the URL that it stands for}; a worker copies only what its
        item needs of it.
      staging: folder of each machine, for what it must hold for a while.
    """

    beam_words: tuple[str, ...]
    inputs: tuple[InputCopy, ...]
    urls: dict[str, str]
    staging: str

    def url_of(self, path: str) -> str | None:
        """Return the URL that a path stands for; None for other paths."""
        for folder, url in self.urls.items():
            if path == folder or path.startswith(folder + os.sep):
                return url + path[len(folder) :].replace(os.sep, "/")
        return None

    def download_inputs(self) -> None:
        """Copy the inputs to this machine, unless they are there."""
        for copy in self.inputs:
            remote_files.download_once(copy.url, copy.path)

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
          the results, as JSON has them, in no order.

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
