"""From an export of an annotation tool to the pages of all videos, in one command.

  python tools/start.py --annotations=EXPORT --videos=FOLDER --output=OUT

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
import re
import signal
import time

from absl import flags

from a2d_tf.commands import processes
from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError, listed
from a2d_tf.core.files import read_json, read_text
from a2d_tf.data import frames
from a2d_tf.data.manifest import NAME, Manifest
from a2d_tf.data.sources import ConversionSettings
from a2d_tf.training import experiments
from a2d_tf.video import library

_ANNOTATIONS = flags.DEFINE_multi_string(
    "annotations", [], "Export of an annotation tool, as of build_records.py; may be repeated."
)
_VIDEOS = flags.DEFINE_string("videos", None, "Folder of the videos, annotated and others.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for everything that is made.")
_MINUTES = flags.DEFINE_float(
    "minutes", 30, "Most minutes of training, by an estimate of its steps.", lower_bound=0.1
)

_RECORDS, _SUGGEST = "commands.build_records", "commands.suggest_config"
_MAINS = (_RECORDS, "train", "evaluate", "predict")
"""Commands whose flags may follow; suggest_config has none but those that this one gives it."""
_OWN = (
    *("annotations", "videos", "minutes", "output", "records", "workdir", "video", "split"),
    "checkpoint",  # the scores of the best weights are in a folder of their own
)
"""Flags of the single commands that this one decides."""


def _run(logs, further, name, main, *words):
    """Run a main with its flags after `--`, a line; after an error, print what it has said."""
    command, start = [main, *words, *further.get(main, ())], time.monotonic()
    log = logs / f"{name}.txt"
    try:
        with open(log, "w", encoding="utf-8") as file:
            processes.call_main(command, file)
    except InputError:
        print(read_text(log), end="", flush=True)
        raise
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(f"{name:9}{minutes:3}:{seconds:02}  {processes.shown(command)}", flush=True)


def share(words: list[str]) -> dict[str, list[str]]:
    """Give each flag after `--` to the single commands that have it: {main: flags}.

    The size of the frames is that of the records, to which the network's is suggested.

    Raises:
      InputError: a flag of none of them, or one that this command decides itself.
    """
    further: dict[str, list[str]] = {main: [] for main in _MAINS if words}
    known = {main: processes.flags_of(main) for main in further}
    for word in words:
        name = word[2:].partition("=")[0] if word.startswith("--") else ""
        mains = [main for main in further if {name, name.removeprefix("no")} & known[main]]
        if not mains or name in _OWN:
            raise InputError(
                f"{word}: no flag of {', '.join(_MAINS)}, or one that this command decides itself"
            )
        for main in mains[:1] if name in ("image_height", "image_width") else mains:
            further[main].append(word)
    return further


def main(argv: list[str]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a training then saves its step
    given = {"annotations": _ANNOTATIONS.value, "videos": _VIDEOS.value, "output": _OUTPUT.value}
    command_line.require(argv[:1], **given)
    output = pathlib.Path(_OUTPUT.value)
    jobs = library.plan(_VIDEOS.value, None, str(output / "videos"))
    if jobs is None:
        raise InputError(f"--videos={_VIDEOS.value}: no folder of videos")
    logs = output / "logs"
    stage = functools.partial(_run, logs, share(argv[1:]))
    logs.mkdir(parents=True, exist_ok=True)
    records, settings, run = output / "records", output / "own.flags", output / "run"
    source = [f"--annotations={export}" for export in _ANNOTATIONS.value]
    source.append(f"--videos={_VIDEOS.value}")
    if not (records / NAME).exists():
        stage("check", _RECORDS, *source, "--check")
    # Compares the records with annotations and videos, where it has been here before.
    words = [*source, f"--output={records}", *_size(jobs, records), "--clip_frames=3"]
    stage("records", _RECORDS, *words)
    minutes, manifest = f"--minutes={_MINUTES.value:g}", Manifest.load(records)
    suggested = read_text(settings).split() if settings.exists() else []
    if not {minutes, manifest.source[:12]} <= {*suggested}:
        stage("settings", _SUGGEST, f"--records={records}", minutes, f"--output={settings}")
    of_run = [f"--records={records}", f"--workdir={run}"]
    stage("training", "train", f"--flagfile={settings}", *of_run)
    scores = run / "evaluation" / experiments.SPLIT
    lines = ["", "What to do next:"]
    if experiments.SPLIT in manifest.splits:
        if not processes.is_scored(run, records):
            stage("scores", "evaluate", *of_run, f"--split={experiments.SPLIT}")
        from a2d_tf.evaluation import metrics as registry

        found = registry.of_own_labels(read_json(scores / "metrics.json"))
        lines = ["", registry.table(found, labels=manifest.label_space), *lines]
        stage("browse", "commands.browse", f"--run={run}", f"--records={records}")
        named = listed(sorted(manifest.videos(experiments.SPLIT)), 3)
        lines += [
            f"- to see the frames that were held out for these scores: {scores}/browse.html",
            f"- to hold out other videos than {named}: another --output, -- --test_videos=NAMES",
        ]
    words = [f"--workdir={run}", f"--video={_VIDEOS.value}", f"--output={output / 'videos'}"]
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
    head, _, _ = read_text(settings).partition("\n\n")
    remarks = re.sub(r"\n#   ", " ", head).splitlines()
    words = f"--prediction={output / 'videos'} --records={output / 'records'} --output=next"
    return [
        *(line.removeprefix("# ") for line in remarks if line.startswith("# - ")),
        "- to choose frames of the predictions to correct in your tool, and start again with its "
        "exports beside the earlier ones and another --output: "
        + command_line.as_installed(f"python tools/next_frames.py {words}"),
    ]


run = command_line.command(main)
