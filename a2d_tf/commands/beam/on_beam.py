"""Build records or predict videos on the workers of an Apache Beam runner.

  a2d on-beam records --release=A2D/Release --output=records -- --runner=FnApiRunner
  a2d on-beam predict --saved_model=export --video=gs://bucket/videos \\
    --output=gs://bucket/predicted -- --runner=DaskRunner
    --dask_client_address=tcp://host:8786

The first word says what to do, then come the flags of `a2d records` or of `a2d
predict`, which their --help shows; after -- those of Beam and its runner. The same
command, given again, leaves out finished work. Paths may be URLs of Beam's file
systems, which are copied to each machine; others are of a disk that every worker sees.
docs/performance.md says more. Needs `pip install .[beam]`.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from a2d_tf import predict
from a2d_tf.commands import records
from a2d_tf.commands.beam import beam_runner, remote_files
from a2d_tf.commands.beam import shards_on_workers as shards
from a2d_tf.commands.beam import videos_on_workers as videos
from a2d_tf.commands.beam.beam_runner import BeamSetup
from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.video import library_request

FLAGS = command_line.Register()


def _define_staging(flags: command_line.Register) -> None:
    """Define `--staging`."""
    flags.define_string(
        "staging",
        None,
        "Folder on each machine for copies of files given as URLs; by default"
        " a2d_tf-beam-UID in the temporary folder. Copies of inputs and models are kept"
        " for the next run.",
    )


_define_staging(FLAGS)
_LOCAL_FLAGS = ("task", "workers")  # which share the work without Beam
# --flag=URL, or --flag=NAME=URL as of --annotations.
_FLAG_WITH_URL = re.compile(
    r"(--?(\w+)=(?:[^/:]*=)?)([A-Za-z][A-Za-z0-9+.-]*://.*)", re.DOTALL
)


class _Command(NamedTuple):
    """A command that Beam's workers share.

    Attributes:
      module: has its `main`, and its FLAGS.
      run: takes the flags, argv and the setup; returns the exit status.
    """

    module: Any
    run: Callable[[Any, list[str], BeamSetup], int | None]


class _LocalCommandLine(NamedTuple):
    """A command line with local paths in place of URLs; see `BeamSetup`."""

    words: list[str]
    inputs: tuple[tuple[str, str], ...]
    urls: dict[str, str]


def _main(argv: list[str], *, command: _Command, beam_words: Sequence[str]) -> Any:
    """Run a command, whose flags are those of `sys.argv`, on Beam's workers."""
    flags = command.module.FLAGS
    for name in _LOCAL_FLAGS:
        if name in flags and flags[name].present:
            raise InputError(
                f"--{name}: the runner distributes the work; pass its flags after --"
            )
    # Beam says at its import what it does without
    logging.getLogger().setLevel(logging.ERROR)
    beam_runner.pipeline_options(beam_words)
    default = os.path.join(tempfile.gettempdir(), f"a2d_tf-beam-{os.getuid()}")
    staging = os.path.abspath(flags.staging or default)
    os.makedirs(staging, mode=0o700, exist_ok=True)  # a new one is for this user alone
    with tempfile.TemporaryDirectory(dir=staging) as folder:
        local = _replace_urls(sys.argv[1:], folder, staging)
        flags.unparse_flags()
        argv = command_line.parse([argv[0], *local.words], flags)
        setup = BeamSetup(tuple(beam_words), local.inputs, local.urls, staging)
        return command.run(flags, argv, setup)


def _replace_urls(words: Sequence[str], folder: str, staging: str) -> _LocalCommandLine:
    """Replace the URLs in the words of a command line by local paths.

    Args:
      folder: of this command, for what it makes of the output and of videos.
      staging: of this machine, for copies of other inputs.
    """
    inputs = []
    urls = {}
    local_words = []
    for word in words:
        match = _FLAG_WITH_URL.fullmatch(word)
        if not match:
            local_words.append(word)
            continue
        flag_and_sign, flag, url = match.groups()
        if flag == "output":
            path = os.path.join(folder, "output")
            urls[path] = url.rstrip("/")
        elif flag == "video":
            # Here the ends of videos are enough; a worker copies the whole.
            videos_folder = os.path.join(folder, "videos")
            root = remote_files.download(
                url, videos_folder, lambda name: False, library_request.ENDS
            )
            urls[videos_folder] = root
            path = videos_folder + url.rstrip("/")[len(root) :]  # a glob stays one
        else:
            path = remote_files.path_of_copy(url, staging)
            remote_files.download_once(url, path)
            inputs.append((url, path))
        print(f"{url}: local path {path}")
        local_words.append(flag_and_sign + path)
    return _LocalCommandLine(local_words, tuple(inputs), urls)


def _run_records(flags: Any, argv: list[str], setup: BeamSetup) -> int | None:
    url = setup.url_of(flags.output or "")
    if url:
        remote_files.download(url, flags.output)
    status = records.main(argv, builder=functools.partial(shards.build_all, setup))
    if url and not flags.check:
        shards.publish(flags.output, url)
        print(f"{url}: records written")
    return status


def _run_predict(flags: Any, argv: list[str], setup: BeamSetup) -> int | None:
    output = os.path.normpath(flags.output or "")
    videos.download_small_files(setup, output)
    status = predict.main(
        argv, predict_elsewhere=functools.partial(videos.predict, setup, output)
    )
    videos.publish(setup, output)
    return status


_COMMANDS = {
    "records": _Command(records, _run_records),
    "predict": _Command(predict, _run_predict),
}


def _complain(argv: list[str]) -> None:
    raise InputError(f"a2d on-beam {' '.join(argv[1:2])}: expected records or predict")


def run() -> None:
    """Start the command that the first word names, with its flags and --staging."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in _COMMANDS:
        if name and not command_line.wants_help(sys.argv):
            # what follows are words, of which `_complain` complains
            sys.argv[1:1] = ["--"]
        return command_line.run(_complain, FLAGS)
    command = _COMMANDS[name]
    _define_staging(command.module.FLAGS)
    words = sys.argv[2:]
    end = words.index("--") if "--" in words else len(words)
    sys.argv[1:] = words[:end]
    main = functools.partial(_main, command=command, beam_words=words[end + 1 :])
    return command_line.run(main, command.module.FLAGS, help_module=__name__)
