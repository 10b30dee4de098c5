"""From an export of an annotation tool to the pages of all videos, in one command.

  a2d start --annotations=EXPORT --videos=FOLDER --output=OUT

Checks the annotations, builds records, suggests settings, trains, scores on the videos held out,
and predicts each video of the folder. It starts the single commands, and prints each of them with
its time; what they say is in OUT/logs. Stopped or killed and given again, it goes on where it was.

Flags of the single commands follow after `--`, as in: -- --names=names.json --steps=900 --every=2.
The last line is the path of the page.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import signal
import time

from a2d_tf import evaluate, predict, train
from a2d_tf.commands import records, suggest_config
from a2d_tf.core import command_line, processes
from a2d_tf.core.errors import InputError, listed
from a2d_tf.core.files import read_json, read_text
from a2d_tf.data import frames
from a2d_tf.data.manifest import NAME, Manifest
from a2d_tf.data.sources import ConversionSettings
from a2d_tf.runs import scores
from a2d_tf.runs.scores import TEST
from a2d_tf.video import library

FLAGS = command_line.Register()
_ANNOTATIONS = FLAGS.multi_string(
    "annotations", [], "Export of an annotation tool, as for a2d records; may be repeated."
)
_VIDEOS = FLAGS.string("videos", None, "Folder of all videos, annotated or not.")
_OUTPUT = FLAGS.string("output", None, "Folder for all results.")
_MINUTES = FLAGS.float(
    "minutes", 30, "Maximum training time in minutes, by some measured steps.", lower_bound=0.1
)

_MAINS = {"records": records, "train": train, "evaluate": evaluate, "predict": predict}
"""Commands whose flags may follow; suggest-config has none but those that this one gives it."""
_OWN = (
    *("annotations", "videos", "minutes", "output", "records", "workdir", "video", "split"),
    "checkpoint",  # the scores of the best weights are in a folder of their own
)
"""Flags of the single commands that this one decides."""


def _run(logs, further, stage, name, *words):
    """Run a command with its flags after `--`, a line; after an error, print what it has said."""
    command, start = [name, *words, *further.get(name, ())], time.monotonic()
    log = logs / f"{stage}.txt"
    try:
        with open(log, "w", encoding="utf-8") as file:
            processes.call(command, file)
    except InputError:
        print(read_text(log), end="", flush=True)
        raise
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(f"{stage:9}{minutes:3}:{seconds:02}  {processes.shown(command)}", flush=True)


def share(words: list[str]) -> dict[str, list[str]]:
    """Give each flag after `--` to the single commands that have it: {command: flags}.

    The size of the frames is that of the records, to which the network's is suggested.

    Raises:
      InputError: a flag of none of them, or one that this command decides itself.
    """
    further: dict[str, list[str]] = {name: [] for name in _MAINS}
    for word in words:
        flag = word[2:].partition("=")[0] if word.startswith("--") else ""
        either = {flag, flag.removeprefix("no")} - {""}
        names = [name for name, main in _MAINS.items() if either & {*main.FLAGS}]
        if not names or flag in _OWN:
            raise InputError(
                f"{word}: not a flag of a2d {', '.join(_MAINS)}, or one that a2d start sets itself"
            )
        for name in names[:1] if flag in ("image_height", "image_width") else names:
            further[name].append(word)
    return further


def main(argv: list[str]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a training then saves its step
    given = {"annotations": _ANNOTATIONS.value, "videos": _VIDEOS.value, "output": _OUTPUT.value}
    command_line.require(argv[:1], **given)
    output = pathlib.Path(_OUTPUT.value)
    jobs = library.plan(_VIDEOS.value, None, str(output / "videos"))
    if jobs is None:
        raise InputError(f"--videos={_VIDEOS.value}: not a folder of videos")
    logs = output / "logs"
    stage = functools.partial(_run, logs, share(argv[1:]))
    logs.mkdir(parents=True, exist_ok=True)
    folder, settings, run = output / "records", output / "own.flags", output / "run"
    source = [f"--annotations={export}" for export in _ANNOTATIONS.value]
    source.append(f"--videos={_VIDEOS.value}")
    if not (folder / NAME).exists():
        stage("check", "records", *source, "--check")
    # Compares the records with annotations and videos, where it has been here before.
    words = [*source, f"--output={folder}", *_size(jobs, folder), "--clip_frames=3"]
    stage("records", "records", *words)
    minutes, manifest = _MINUTES.value, Manifest.load(folder)
    if not (settings.exists() and suggest_config.is_for(read_text(settings), manifest, minutes)):
        words = [f"--records={folder}", f"--minutes={minutes:g}", f"--output={settings}"]
        stage("settings", "suggest-config", *words)
    of_run = [f"--records={folder}", f"--workdir={run}"]
    stage("training", "train", f"--flagfile={settings}", *of_run)
    scored = scores.folder_of(run)
    lines = ["", "What to do next:"]
    if TEST in manifest.splits:
        if not scores.are_current(run, scored, manifest.source):
            stage("scores", "evaluate", *of_run, f"--split={TEST}")
        from a2d_tf.evaluation import metrics as registry

        found = registry.of_own_labels(read_json(scored / "metrics.json"))
        lines = ["", registry.table(found), *lines]
        stage("browse", "browse", f"--run={run}", f"--records={folder}")
        named = listed(sorted(manifest.videos(TEST)), 3)
        lines += [
            f"- to see the frames that were held out for these scores: {scored}/browse.html",
            f"- to hold out other videos than {named}: another --output, -- --test_videos=NAMES",
        ]
    words = [f"--workdir={run}", f"--video={_VIDEOS.value}", f"--output={output / 'videos'}"]
    words += suggest_config.individuals_of(read_text(settings))
    stage("videos", "predict", *words, "--overwrite", "--on_error=skip")
    print("\n".join([*lines, *_next(settings, output)]))
    print(output / "videos" / "index.html")


def _size(jobs, records):
    """Return the flags of the largest stored frames: not larger than those of the videos."""
    sizes, most = [(1, 1)], ConversionSettings()
    if (records / NAME).exists():  # since when larger videos may have come
        manifest = Manifest.load(records)
        sizes, jobs = [(manifest.image_height, manifest.image_width)], ()
    for job in jobs:
        with contextlib.suppress(InputError):  # of one that is not annotated
            sizes.append(frames.size(job.path))
    height, width = map(max, zip(*sizes))
    return [
        f"--image_height={min(height, most.image_height)}",
        f"--image_width={min(width, most.image_width)}",
    ]


def _next(settings, output):
    """Return what to do next: the remarks of the suggested settings, then the usual steps."""
    words = f"--prediction={output / 'videos'} --records={output / 'records'} --output=next"
    return [
        *(f"- {remark}" for remark in suggest_config.remarks_of(read_text(settings))),
        "- to choose predicted frames to correct in your tool, then start again with its "
        f"exports added to the earlier ones and another --output: a2d next {words}",
    ]


run = command_line.command(main, FLAGS)
