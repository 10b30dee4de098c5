"""Build records, or predict a library of videos, on the workers of an Apache Beam
runner.

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
from collections.abc import Callable
from typing import Any

from a2d_tf import predict
from a2d_tf.commands import records
from a2d_tf.commands.beam import files, workers
from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.video import library_request

FLAGS = command_line.Register()
_STAGING = (
    "staging",
    None,
    (
        "Folder on each machine for copies of files given as URLs; by default"
        " a2d_tf-beam-UID in the temporary folder. Copies of inputs and models are kept"
        " for the next run."
    ),
)
FLAGS.define_string(*_STAGING)
_LOCAL = ("task", "workers")  # which share the work without Beam
_OF_URL = re.compile(
    r"(--?(\w+)=(?:[^/:]*=)?)([A-Za-z][A-Za-z0-9+.-]*://.*)", re.DOTALL
)


def _main(
    argv: list[str], *, module: Any, share: Callable, words: tuple[str, ...]
) -> int | None:
    """Run the main of a module; `words` are those of Beam."""
    known = module.FLAGS
    for name in _LOCAL:
        if name in known and known[name].present:
            raise InputError(
                f"--{name}: the runner distributes the work; pass its flags after --"
            )
    # Beam says at its import what it does without
    logging.getLogger().setLevel(logging.ERROR)
    workers.options(words)
    place = os.path.join(tempfile.gettempdir(), f"a2d_tf-beam-{os.getuid()}")
    staging = os.path.abspath(known.staging or place)
    os.makedirs(staging, mode=0o700, exist_ok=True)  # a new one is for this user alone
    with tempfile.TemporaryDirectory(dir=staging) as folder:
        copies, stands, own = _copied(sys.argv[1:], folder, staging)
        # The same command, with copies in place of URLs.
        known.unparse_flags()
        argv = command_line.parse([argv[0], *own], known)
        return share(known, argv, workers.Setup(words, copies, stands, staging))


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
                stands[place] = files.get(
                    url, place, lambda name: False, library_request.ENDS
                )
                place += url.rstrip("/")[len(stands[place]) :]  # a glob stays one
            else:
                place = files.place_of_copy(url, staging)
                files.ensure(url, place)
                copies.append((url, place))
            print(f"{url}: local path {place}")
            word = before + place
        own.append(word)
    return tuple(copies), stands, own


def _records(given, argv, setup):
    url = setup.url_of(given.output or "")
    if url:
        files.get(url, given.output)
    status = records.main(argv, functools.partial(workers.build_all, setup))
    if url and not given.check:
        workers.publish_records(given.output, url)
        print(f"{url}: records written")
    return status


def _predict(given, argv, setup):
    output = os.path.normpath(given.output or "")
    workers.fetch_small(setup, output)
    status = predict.main(argv, functools.partial(workers.predict, setup, output))
    workers.publish_library(setup, output)
    return status


_COMMANDS = {"records": (records, _records), "predict": (predict, _predict)}


def _complain(argv: list[str]) -> None:
    raise InputError(f"a2d on-beam {' '.join(argv[1:2])}: expected records or predict")


def run() -> None:
    """Start the command that the first word names, with its flags and --staging."""
    name, words = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if name not in _COMMANDS:
        if name and not command_line.wants_help(sys.argv):
            # what follows are words, of which `_complain` complains
            sys.argv[1:1] = ["--"]
        return command_line.run(_complain, FLAGS)
    module, share = _COMMANDS[name]
    module.FLAGS.define_string(*_STAGING)
    end = words.index("--") if "--" in words else len(words)
    sys.argv[1:] = words[:end]
    main = functools.partial(
        _main, module=module, share=share, words=tuple(words[end + 1 :])
    )
    main.__module__ = __name__  # whose text --help shows
    return command_line.run(main, module.FLAGS)
