"""Build records, or predict a library of videos, on the workers of an Apache Beam runner.

  python tools/on_beam.py records --release=A2D/Release --output=records -- --runner=FnApiRunner
  python tools/on_beam.py predict --saved_model=export --video=gs://bucket/videos \\
    --output=gs://bucket/predicted -- --runner=DaskRunner --dask_client_address=tcp://host:8786

The first word says what to do, then come the flags of tools/build_records.py or of a2d_tf.predict,
which their --help shows; after -- those of Beam and its runner. The same command, given again,
leaves out finished work. Paths may be URLs of Beam's file systems, which are copied to each
machine; others are of a disk that every worker sees. docs/scaling.md says more. Needs
`pip install .[beam]`.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import re
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # inherited by the workers

from absl import flags

from a2d_tf.commands.beam import files, workers
from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.video import library

FLAGS = flags.FLAGS
_STAGING = flags.DEFINE_string(
    "staging",
    None,
    "Folder on each machine for copies of what URLs name; by default a2d_tf-beam-UID among the "
    "temporary files. Copies of inputs and models stay there for the next time.",
)
_LOCAL = ("task", "workers")  # which share the work without Beam
_OF_URL = re.compile(r"(--?(\w+)=(?:[^/:]*=)?)([A-Za-z][A-Za-z0-9+.-]*://.*)", re.DOTALL)


def main(argv: list[str], command: str = "", words: tuple[str, ...] = ()) -> int | None:
    """Run a command; `words` are those of Beam."""
    if command not in _COMMANDS:
        raise InputError(f"{' '.join(argv[1:2])}: say what to do first: records, or predict")
    for name in _LOCAL:
        if name in FLAGS and FLAGS[name].present:
            raise InputError(f"--{name}: here the runner shares the work; give its flags after --")
    logging.getLogger().setLevel(logging.ERROR)  # Beam says at its import what it does without
    workers.options(words)
    staging = _staging()
    with tempfile.TemporaryDirectory(dir=staging) as folder:
        copies, stands, own = _copied(sys.argv[1:], folder, staging)
        # The same command, with copies in place of URLs.
        FLAGS.unparse_flags()
        argv = command_line.parse([argv[0], *own])
        setup = workers.Setup(words, copies, stands, staging)
        module, share = _COMMANDS[command]
        return share(sys.modules[module].main, argv, setup)


def _staging():
    """Make the folder of the copies; a new one is for this user alone."""
    own = os.path.join(tempfile.gettempdir(), f"a2d_tf-beam-{os.getuid()}")
    folder = os.path.abspath(_STAGING.value or own)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def _copied(words, folder, staging):
    """Replace URLs in the words of a command line."""
    copies, stands, own = [], {}, []
    for word in words:
        found = _OF_URL.fullmatch(word)
        if found:
            before, name, url = found.groups()
            if name == "output":
                place = os.path.join(folder, "output")
                stands[place] = url.rstrip("/")
            elif name == "video":
                place = os.path.join(folder, "videos")
                stands[place] = files.get(url, place, lambda name: False, library.ENDS)
                place += url.rstrip("/")[len(stands[place]) :]  # a glob stays one
            else:
                place = files.place_of_copy(url, staging)
                files.ensure(url, place)
                copies.append((url, place))
            print(f"{url}: here {place}")
            word = before + place
        own.append(word)
    return tuple(copies), stands, own


def _records(main, argv, setup):
    url = setup.url_of(FLAGS.output or "")
    if url:
        files.get(url, FLAGS.output)
    status = main(argv, functools.partial(workers.build_all, setup))
    if url and not FLAGS.check:
        workers.publish_records(FLAGS.output, url)
        print(f"{url}: the records")
    return status


def _predict(main, argv, setup):
    output = os.path.normpath(FLAGS.output or "")
    workers.fetch_small(setup, output)
    status = main(argv, functools.partial(workers.predict, setup, output))
    workers.publish_library(setup, output)
    return status


_COMMANDS = {
    "records": ("a2d_tf.commands.build_records", _records),
    "predict": ("a2d_tf.predict", _predict),
}


def run() -> None:
    command, words = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[1:]
    if command in _COMMANDS:  # its flags alone, for the two have some of the same names
        importlib.import_module(_COMMANDS[command][0])
        end = words.index("--") if "--" in words else len(words)
        sys.argv[1:], words = words[1:end], words[end + 1 :]
    elif command and not command_line.wants_help(sys.argv):
        sys.argv[1:1] = ["--"]  # what follows are words, of which `main` complains
    start = functools.partial(main, command=command, words=tuple(words))
    start.__module__ = __name__  # whose text --help shows
    command_line.run(start)
