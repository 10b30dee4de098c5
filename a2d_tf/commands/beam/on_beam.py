"""Build records, or predict a library of videos, on the workers of an Apache Beam runner.

  python tools/on_beam.py records --release=A2D/Release --output=records -- --runner=FnApiRunner
  python tools/on_beam.py predict --saved_model=export --video=gs://bucket/videos \\
    --output=gs://bucket/predicted -- --runner=DaskRunner --dask_client_address=tcp://host:8786

The first word says what to do, then come the flags of tools/build_records.py or of a2d_tf.predict,
which --help of theirs shows; after -- those of Beam and its runner. What is finished is left out
when the command is given again. Paths may be URLs of Beam's file systems; others are of a disk that
every worker sees. docs/scaling.md says more. Needs `pip install .[beam]`.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # inherited by the workers

from absl import flags

from a2d_tf.commands.beam import files, pipeline
from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_text

FLAGS = flags.FLAGS
_STAGING = flags.DEFINE_string(
    "staging",
    None,
    "Folder on each machine for copies of what URLs name; by default one of yours in that for "
    "temporary files. Copies of inputs and models stay there for the next time.",
)
_INPUTS = {
    "records": ("release", "annotations", "coco", "videos", "labels", "names"),
    "predict": ("saved_model", "workdir", "model", "init_rgb"),
}
_LOCAL = ("task", "workers")  # which share the work without Beam


def main(argv: list[str], command: str = "", words: tuple[str, ...] = ()) -> int | None:
    """Run a command; `words` are those of Beam."""
    if command not in _INPUTS:
        raise InputError(
            f"{argv[1] if len(argv) > 1 else ''}: say what to do first: records, or predict"
        )
    for name in _LOCAL:
        if name in FLAGS and FLAGS[name].present:
            raise InputError(f"--{name}: here the runner shares the work; give its flags after --")
    logging.getLogger().setLevel(logging.ERROR)  # Beam says at its import what it does without
    pipeline.check(words)
    files.connect(words)
    own = os.path.join(tempfile.gettempdir(), f"a2d_tf-beam-{os.getuid()}")
    staging = os.path.abspath(_STAGING.value or own)
    with files.scratch(staging) as folder:
        copies = tuple(_copy_inputs(command, staging))
        return {"records": _records, "predict": _predict}[command](
            argv, words, copies, folder, staging
        )


def _copy_inputs(command, staging) -> Iterator[tuple[str, str]]:
    """Copy inputs that are URLs here, and let their flags name the copies; yield (URL, copy).

    Other paths become absolute, for workers may have another current folder.
    """
    for name in _INPUTS[command]:
        value = FLAGS[name].value
        if not value:
            continue
        new = []
        for text in value if isinstance(value, list) else [value]:
            before, url = _parted(text)
            if files.is_url(url):
                place = files.place_of_copy(url, staging)
                files.ensure(url, place)
                yield url, place
            else:
                place = os.path.abspath(url) if os.path.exists(url) else url
            new.append(before + place)
        FLAGS[name].value = new if isinstance(value, list) else new[0]


def _parted(text):
    """('VIDEO=' or '', the path) of what a flag names."""
    before, equals, path = text.partition("=")
    named = equals and not os.path.exists(text) and "/" not in before
    return (before + equals, path) if named else ("", text)


def _records(argv, words, copies, folder, staging):
    from a2d_tf.commands import build_records
    from a2d_tf.commands.beam import records

    url = FLAGS.output if files.is_url(FLAGS.output) else None
    builder = records.Builder(words, url, copies, staging)
    if not url:
        FLAGS.output = FLAGS.output and os.path.abspath(FLAGS.output)
        return build_records.main(argv, builder.build_all)
    FLAGS.output = os.path.join(folder, "records")
    with _named_by_urls([(FLAGS.output, url), *((place, url) for url, place in copies)]):
        records.fetch_published(url, FLAGS.output)
        status = build_records.main(argv, builder.build_all)
        records.publish(FLAGS.output, url)
    return status


@contextlib.contextmanager
def _named_by_urls(stands):
    """In what is printed and in errors, give URLs their names; by pairs of a folder and its URL."""

    def named(text):
        for folder, url in stands:
            text = text.replace(folder, url)
        return text

    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    except InputError as error:
        raise InputError(named(str(error))) from error
    finally:
        print(named(printed.getvalue()), end="")


def _predict(argv, words, copies, folder, staging):
    from a2d_tf import predict
    from a2d_tf.commands.beam import prediction

    stands, names, output = [], [], FLAGS.output
    if files.is_url(FLAGS.video):
        FLAGS.video, pair = files.outline(FLAGS.video, os.path.join(folder, "videos"))
        stands.append(pair)
    elif FLAGS.video:
        FLAGS.video = os.path.abspath(FLAGS.video)
    if FLAGS.videos:
        listed = _outline_list(FLAGS.videos, folder, stands)
        names.append((listed, FLAGS.videos))
        FLAGS.videos = listed
    if files.is_url(output):
        FLAGS.output = os.path.join(folder, "output")
        stands.append((FLAGS.output, output))
    elif output:
        FLAGS.output = output = os.path.abspath(output)
    work = prediction.Predictions(
        words, output or "", FLAGS.output or "", copies, tuple(stands), staging
    )
    with _named_by_urls([*stands, *names]):
        work.mirror()
        status = predict.main(argv, work.predict)
        work.publish()
    return status


def _outline_list(path, folder, stands):
    """Write a list of videos anew, with outlines in place of URLs; return its path."""
    try:
        text = files.read(path).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"--videos={path}: not a readable text file ({error})") from error
    lines = []
    for number, line in enumerate(map(str.strip, text.splitlines())):
        url = line
        if line and not files.is_url(line):  # of the current folder, or of that of the list
            beside = files.join(path.rpartition("/")[0] or ".", line)
            url = line if os.path.exists(line) else beside
            url = url if files.is_url(url) else os.path.abspath(url)
        if files.is_url(url):
            url, pair = files.outline(url, os.path.join(folder, f"listed-{number}"))
            stands.append(pair)
        lines.append(url)
    new = os.path.join(folder, "videos.txt")
    write_text(new, "\n".join(lines))
    return new


def run() -> None:
    """Run the command line."""
    command, words = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[1:]
    if command in _INPUTS:
        end = words.index("--") if "--" in words else len(words)
        _define_flags(command)
        sys.argv[1:], words = words[1:end], words[end + 1 :]
    elif command and not command_line.wants_help(sys.argv):
        sys.argv[1:1] = ["--"]  # what follows are words, of which `main` complains
    command_line.run(_named(functools.partial(main, command=command, words=tuple(words))))


def _define_flags(command):
    """Import the local command, which defines its flags; the two have some of the same names."""
    if command == "records":
        import a2d_tf.commands.build_records  # noqa: F401
    else:
        import a2d_tf.predict  # noqa: F401


def _named(function: Callable[[list[str]], int | None]) -> Callable[[list[str]], int | None]:
    function.__module__ = __name__  # whose text --help shows
    return function


if __name__ == "__main__":
    run()
