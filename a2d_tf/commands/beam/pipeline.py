"""A function applied to items by a runner of Beam; the results come back to this process.

Nothing large passes between workers: items are plans, results a few lines of JSON each. A runner
may do an item twice, where a worker died or seemed to; the function must bear that.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import os
import pathlib
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from a2d_tf.commands.beam import files
from a2d_tf.core.errors import InputError

_RUNNERS = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}  # unknown to Beam
_LOCAL = "FnApiRunner"  # DirectRunner would first download a server of its own


@dataclasses.dataclass(frozen=True)
class Setup:
    """What all workers of a command know.

    Attributes:
      words: Beam's command line.
      copies: (URL, path of its copy on each machine) of inputs.
      stands: {folder of this machine: URL} of what an item alone reads or writes, by copies.
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

    def run(self, function: Callable[[Any], Any], items: Sequence[Any], folder: str) -> list[Any]:
        """Apply a function to items, each on some worker.

        Args:
          function: returns JSON; it is pickled, by name where it is of a module.
          items: pickled too.
          folder: that all workers see, or that stands for a URL; the results pass through a file
            in it.

        Returns:
          the results, in no order.

        Raises:
          InputError: the runner failed.
        """
        import apache_beam as beam

        # Worker processes of this machine find this package where it is not installed, too.
        root = str(pathlib.Path(__file__).resolve().parents[3])
        os.environ["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
        place = files.join(self.url_of(folder) or folder, f".on_beam-{secrets.token_hex(8)}.json")
        work = functools.partial(_work, function, self.words)
        write = functools.partial(_write, self.words, place)
        try:
            with beam.Pipeline(options=options(self.words)) as pipeline:
                results = pipeline | beam.Create(list(items)) | beam.Reshuffle() | beam.Map(work)
                results | beam.GroupByKey() | "Write" >> beam.Map(write)  # noqa: B018
            found = json.loads(files.read(place))
        except Exception as error:  # each runner has its own
            last = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"the runner failed ({last[0][:300]}); what is finished is kept, so mend that and "
                "run the same command again"
            ) from error
        files.delete([place])
        return found


def options(words: Sequence[str]) -> Any:
    """Return Beam's PipelineOptions of the words of a command line; its file systems take them.

    Raises:
      InputError: Beam or a plugin is not installed.
    """
    try:
        from apache_beam.io.filesystems import FileSystems
        from apache_beam.options import pipeline_options
    except ImportError as error:
        raise InputError(
            f"Apache Beam cannot be imported ({error}); install the extra: pip install "
            "'a2d_tf[beam]', or pip install '.[beam]' in a clone"
        ) from error
    quiet = "--default_sdk_harness_log_level=WARNING"
    given = pipeline_options.PipelineOptions([quiet, *words])
    standard = given.view_as(pipeline_options.StandardOptions)
    standard.runner = _RUNNERS.get(standard.runner, standard.runner or _LOCAL)
    if standard.runner in _RUNNERS.values():
        from apache_beam.runners.dask.dask_runner import DaskOptions

        # By default 128 items would go to one worker, one after the other.
        dask = given.view_as(DaskOptions)
        if not dask.npartitions and not dask.partition_size:
            dask.partition_size = 1
    for plugin in given.view_as(pipeline_options.SetupOptions).beam_plugins or ():
        try:
            importlib.import_module(plugin)
        except ImportError as error:
            raise InputError(f"--beam_plugins={plugin}: {error}") from error
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
