"""Build records or predict videos on the workers of an Apache Beam runner.

  a2d on-beam records --release=A2D/Release --output=records -- --runner=FnApiRunner
  a2d on-beam predict --saved_model=export --video=gs://bucket/videos \\
    --output=gs://bucket/predicted -- --runner=DaskRunner \\
    --dask_client_address=tcp://host:8786

The first word says what to do, then come the flags of `a2d records` or of `a2d
predict`, which their --help shows; after -- those of Beam and its runner. The same
command, given again, leaves out finished work. Paths may be URLs of Beam's file
systems, which are copied to each machine; others are of a disk that every worker sees.
docs/performance.md says more. Needs `pip install .[beam]`.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

from a2d_tf import predict
from a2d_tf.commands import records
from a2d_tf.commands.beam import beam_runner, remote_files
from a2d_tf.commands.beam import shards_on_workers as shards
from a2d_tf.commands.beam import videos_on_workers as videos
from a2d_tf.commands.beam.beam_runner import BeamSetup, InputCopy
from a2d_tf.core.command import command_help, command_line
from a2d_tf.core.errors import InputError
from a2d_tf.video.reading import video_content

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
# URL, or NAME=URL as of --annotations.
_URL = re.compile(r"((?:[^/:]*=)?)([A-Za-z][A-Za-z0-9+.-]*://.*)", re.DOTALL)


class _Command(NamedTuple):
    """A command that Beam's workers share.

    Attributes:
      flags: of the local command; they have `--staging` while it runs on Beam.
      run: takes argv and the setup; returns the exit status.
    """

    flags: command_line.Register
    run: Callable[[list[str], BeamSetup], int | None]


def _main(
    argv: list[str], *, command: _Command, beam_words: Sequence[str]
) -> int | None:
    """Run a command, whose flags are parsed, on Beam's workers."""
    flags = command.flags
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
        copies = Copies(folder, staging)
        copies.replace_urls(flags)
        setup = BeamSetup(tuple(beam_words), tuple(copies.inputs), copies.urls, staging)
        return command.run(argv, setup)


@dataclasses.dataclass
class Copies:
    """The paths of this machine that stand for URLs of a command line.

    Attributes:
      folder: of this command, for what it makes of the output and of videos.
      staging: folder of this machine, for copies of other inputs.
      inputs, urls: see `BeamSetup`.
    """

    folder: str
    staging: str
    inputs: list[InputCopy] = dataclasses.field(default_factory=list)
    urls: dict[str, str] = dataclasses.field(default_factory=dict)

    def replace_urls(self, flags: command_line.Register) -> None:
        """Replace URLs in the values of flags by paths of their local copies."""
        for name in flags:
            flag = flags[name]
            if isinstance(flag.value, str):
                flag.value = self._local_text(name, flag.value)
            elif isinstance(flag.value, list):
                flag.value = [self._local_text(name, text) for text in flag.value]

    def _local_text(self, flag: str, text: str) -> str:
        """Return the text of a flag's value with a local path if it has a URL."""
        match = _URL.fullmatch(text)
        if not match:
            return text
        name_and_sign, url = match.groups()
        path = self._local_path(flag, url)
        print(f"{url}: local path {path}")
        return name_and_sign + path

    def _local_path(self, flag: str, url: str) -> str:
        """Return the path that stands for the URL of a flag; copy what is needed."""
        if flag == "output":
            path = os.path.join(self.folder, "output")
            self.urls[path] = url.rstrip("/")
            return path
        if flag == "video":
            # Here the ends of videos are enough; a worker copies the whole.
            videos_folder = os.path.join(self.folder, "videos")
            root = remote_files.download(
                url, videos_folder, lambda name: False, video_content.ENDS
            )
            self.urls[videos_folder] = root
            return videos_folder + url.rstrip("/")[len(root) :]  # a glob stays one
        path = remote_files.path_of_copy(url, self.staging)
        remote_files.download_once(url, path)
        self.inputs.append(InputCopy(url, path))
        return path


def _run_records(argv: list[str], setup: BeamSetup) -> int | None:
    """Build records; a worker builds a shard at a time."""
    output = records.FLAGS.output or ""
    url = setup.url_of(output)
    if url:
        remote_files.download(url, output)
    status = records.main(argv, builder=functools.partial(shards.build_all, setup))
    if url and not records.FLAGS.check:
        shards.publish(output, url)
        print(f"{url}: records written")
    return status


def _run_predict(argv: list[str], setup: BeamSetup) -> int | None:
    """Predict a library; a worker predicts a video at a time."""
    output = os.path.normpath(predict.FLAGS.output or "")
    videos.download_small_files(setup, output)
    status = predict.main(
        argv, predict_elsewhere=functools.partial(videos.predict, setup, output)
    )
    videos.publish(setup, output)
    return status


_COMMANDS = {
    "records": _Command(records.FLAGS, _run_records),
    "predict": _Command(predict.FLAGS, _run_predict),
}


def _reject(name: str, _: list[str]) -> None:
    raise InputError(f"a2d on-beam {name}: expected records or predict")


def run(words: Sequence[str] | None = None) -> None:
    """Start the command that the first word names, with its flags and --staging.

    Args:
      words: the program's name, then the words; by default `sys.argv`.
    """
    program, *words = words or sys.argv
    name = words[0] if words else ""
    if name not in _COMMANDS:
        reject = functools.partial(_reject, name)
        asked = [program]
        if command_help.wants_help([program, *words]):
            asked.append("--help")
        return command_line.run(reject, FLAGS, asked, help_module=__name__)
    command = _COMMANDS[name]
    _define_staging(command.flags)
    end = words.index("--") if "--" in words else len(words)
    try:
        command_line.run(
            functools.partial(_main, command=command, beam_words=words[end + 1 :]),
            command.flags,
            [program, *words[1:end]],
            help_module=__name__,
        )
    finally:
        del command.flags.staging  # the local command has no such flag
