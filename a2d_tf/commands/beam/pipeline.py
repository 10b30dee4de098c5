"""A function applied to items by a runner of Beam; the results come back to this process.

Nothing large passes between workers: items are plans, results a few lines of JSON each. A runner
may do an item twice, where a worker died or seemed to; the function must bear that.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import pathlib
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from a2d_tf.commands.beam import files
from a2d_tf.core.errors import InputError

_RUNNERS = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}  # unknown to Beam
LOCAL = "FnApiRunner"  # DirectRunner would first download a server of its own
_QUIET = "--default_sdk_harness_log_level=WARNING"
_GRACE = 10  # seconds in which Beam itself ends when a worker that it knows has died


def options(words: Sequence[str]) -> Any:
    """Return Beam's PipelineOptions of the words of a command line, and import its plugins.

    Raises:
      InputError: Beam or a plugin is not installed.
    """
    try:
        from apache_beam.options import pipeline_options
    except ImportError as error:
        raise InputError(
            f"Apache Beam cannot be imported ({error}); install the extra: pip install "
            "'a2d_tf[beam]', or pip install '.[beam]' in a clone"
        ) from error
    given = pipeline_options.PipelineOptions([_QUIET, *words])
    standard = given.view_as(pipeline_options.StandardOptions)
    standard.runner = _RUNNERS.get(standard.runner, standard.runner or LOCAL)
    if standard.runner in _RUNNERS.values():
        from apache_beam.runners.dask.dask_runner import DaskOptions

        # By default 128 items would go to one worker, one after the other.
        dask = given.view_as(DaskOptions)
        if not dask.npartitions and not dask.partition_size:
            dask.partition_size = 1
    for plugin in given.view_as(pipeline_options.SetupOptions).beam_plugins or ():
        _import(plugin)
    return given


def check(words: Sequence[str]) -> None:
    """Raise InputError where the words of Beam's command line name no runner that there is."""
    given = options(words)
    from apache_beam.options.pipeline_options import StandardOptions
    from apache_beam.runners.runner import create_runner

    name = given.view_as(StandardOptions).runner
    try:
        create_runner(name)
    except (ImportError, ValueError) as error:
        raise InputError(f"--runner={name}: {error}") from error


def _import(plugin):
    """Import a module, or that of a class, as Beam names its plugins."""
    try:
        importlib.import_module(plugin)
    except ImportError as error:
        module = plugin.rpartition(".")[0]
        if not module:
            raise InputError(f"--beam_plugins={plugin}: {error}") from error
        importlib.import_module(module)


def run(
    function: Callable[[Any], Any], items: Sequence[Any], words: Sequence[str], folder: str
) -> list[Any]:
    """Apply a function to items, each on some worker.

    Args:
      function: returns JSON; it is pickled, by name where it is of a module.
      items: pickled too.
      words: of Beam's command line; see `options`.
      folder: path or URL, which all workers reach; the results pass through a file in it.

    Returns:
      the results, in no order.

    Raises:
      InputError: the runner failed.
    """
    import apache_beam as beam

    _help_workers_import()
    place, given = files.join(folder, f".on_beam-{secrets.token_hex(8)}.json"), options(words)
    try:
        with _noticing_lost_workers(), beam.Pipeline(_runner(given), given) as pipeline:
            results = (
                pipeline
                | beam.Create(list(items))
                | beam.Reshuffle()
                | "Do" >> beam.Map(functools.partial(_do, function, tuple(words)))
                | beam.GroupByKey()
            )
            results | "Write" >> beam.Map(functools.partial(_write, place, tuple(words)))  # noqa: B018
        return json.loads(files.read(place))
    except InputError:
        raise
    except Exception as error:
        last = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"the runner failed ({last[0][:300]}); what is finished is kept, so mend that and run "
            "the same command again"
        ) from error
    finally:
        files.delete([place])


@contextlib.contextmanager
def _noticing_lost_workers() -> Iterator[None]:
    """Raise RuntimeError where a worker process of the local runner ends before it connects.

    Beam waits for its connection without end, and the thread that notices its end only raises.
    """
    lost: list[str] = []
    before, ended = threading.excepthook, threading.Event()

    def interrupt():
        # Again, should what Beam does at that moment swallow it.
        while not ended.wait(_GRACE):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt, daemon=True)

    def hook(arguments, /):
        if not (arguments.thread and arguments.thread.name == "run_worker"):
            before(arguments)
        elif not lost:
            lost.append(str(arguments.exc_value))
            interrupter.start()

    threading.excepthook = hook
    # Commands that a script starts in the background ignore it.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt as error:
        if not lost:
            raise
        raise RuntimeError(lost[0]) from error
    finally:
        ended.set()
        signal.signal(signal.SIGINT, handler)
        threading.excepthook = before


def _runner(given):
    """The runner of some options: its name, or Beam's local one that knows the options.

    By its name alone the workers of the local one would not know how much to log.
    """
    from apache_beam.options.pipeline_options import StandardOptions
    from apache_beam.portability.api import beam_provision_api_pb2 as provision
    from apache_beam.runners.portability.fn_api_runner import fn_runner
    from apache_beam.runners.portability.portable_runner import JobServiceHandle

    name = given.view_as(StandardOptions).runner
    if name != LOCAL:
        return name
    encoded = JobServiceHandle.encode_pipeline_options(given.get_all_options())
    facts = fn_runner.ExtendedProvisionInfo(provision.ProvisionInfo(pipeline_options=encoded))
    return fn_runner.FnApiRunner(provision_info=facts)


def _do(function, words, item):
    """In a worker: (one key for all, the result as JSON)."""
    files.connect(words)
    return 0, json.dumps(function(item))


def _write(place, words, keyed):
    """In a worker: write all results."""
    files.connect(words)
    files.write(place, f"[{','.join(sorted(keyed[1]))}]".encode())


def _help_workers_import():
    """Let worker processes of this machine find this package where it is not installed."""
    root = str(pathlib.Path(__file__).resolve().parents[3])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if root not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([root, *filter(None, paths)])
