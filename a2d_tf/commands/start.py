"""From an export of an annotation tool to the pages of all videos, in one command.

  a2d start --annotations=EXPORT --videos=FOLDER --output=own/first
  a2d start --annotations=EXPORT --annotations=MORE --videos=FOLDER \\
    --output=own/second --after=own/first

Checks the annotations, builds records, suggests settings, trains, scores on the videos
held out, exports, and predicts each video of the folder. It starts the single commands,
and prints each of them with its time; what they say is in own/first/logs. Stopped or
killed and given again, it goes on where it was. A round --after another has its
settings, weights, labels and split, and scores both on the same frames.

Flags of the single commands follow after `--`, as in: -- --names=names.json --steps=900
--every=2. The last line is the path of the page.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import signal
import time

from a2d_tf import evaluate, export, predict, train
from a2d_tf.commands import records, suggest_config
from a2d_tf.core import command_line, processes
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.files import read_text
from a2d_tf.data import video_frames
from a2d_tf.data.manifest import NAME, Manifest
from a2d_tf.runs import scores
from a2d_tf.runs.scores import TEST
from a2d_tf.video import library_videos

FLAGS = command_line.Register()
_ANNOTATIONS = FLAGS.define_multi_string(
    "annotations", [], "Exports, as for a2d records; repeatable."
)
_BOUTS = FLAGS.define_multi_string(
    "bouts", [], "Coded times, as for a2d records; may be repeated."
)
_VIDEOS = FLAGS.define_string("videos", None, "Folder of all videos, annotated or not.")
_OUTPUT = FLAGS.define_string("output", None, "Folder for all results.")
_MINUTES = FLAGS.define_float(
    "minutes", 30, "Most minutes of training, by measured steps.", 0.1, 1e6
)
_AFTER = FLAGS.define_string(
    "after", None, "Output of an earlier a2d start, to go on from."
)

_LARGEST = 448  # pixels, of the sides of a frame: what stills are trained on
_MOST_FRAMES = 3000  # for training: about as many as half an hour sees once or twice

_MAINS = {
    x.__name__.rpartition(".")[2]: x
    for x in (records, train, evaluate, export, predict)
}
"""Commands whose flags may follow; suggest-config has none but those that this one
gives it.
"""
_OWN = (*FLAGS, "records", "workdir", "video", "split", "checkpoint")
"""Flags of the single commands that this one decides.

The checkpoint, too: the scores of the best weights are in a folder of their own.
"""


def _run(logs, further, stage, name, *words):
    """Run a command with its flags after `--`, a line; after an error, print what it
    has said.
    """
    command, start = [name, *words, *further.get(name, ())], time.monotonic()
    log = logs / f"{stage}.txt"
    try:
        with open(log, "w", encoding="utf-8") as file:
            processes.call(command, file)
    except InputError:
        print(read_text(log), end="", flush=True)
        raise
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(
        f"{stage:9}{minutes:3}:{seconds:02}  {processes.command_text(command)}",
        flush=True,
    )


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
                f"{word}: not a flag of a2d {', '.join(_MAINS)}, or one that a2d start"
                " sets itself"
            )
        for name in names[:1] if flag in ("image_height", "image_width") else names:
            further[name].append(word)
    return further


def main(argv: list[str]) -> None:
    # a training then saves its step
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = {
        "annotations": _ANNOTATIONS.value,
        "videos": _VIDEOS.value,
        "output": _OUTPUT.value,
    }
    command_line.require(argv[:1], **given)
    output = pathlib.Path(_OUTPUT.value)
    first = None if _AFTER.value is None else pathlib.Path(_AFTER.value)
    trained = first and (first / "run" / "finished.json").is_file()
    if first and (not trained or output.resolve() == first.resolve()):
        raise InputError(
            f"--after={first}: not the output of another a2d start that has trained"
        )
    jobs = library_videos.plan(_VIDEOS.value, None, str(output / "videos"))
    if jobs is None:
        raise InputError(f"--videos={_VIDEOS.value}: not a folder of videos")
    logs = output / "logs"
    further = share(argv[1:])
    stage = functools.partial(_run, logs, further)
    logs.mkdir(parents=True, exist_ok=True)
    _build(stage, logs, jobs, output / "records", first)
    manifest = Manifest.load(output / "records")
    settings = _suggest(stage, output, manifest, first)
    run, words = f"--workdir={output / 'run'}", [f"--flagfile={output / 'own.flags'}"]
    stage("training", "train", *words, f"--records={manifest.directory}", run)
    lines = ["", "What to do next:"]
    if TEST in manifest.splits:
        lines = _score(stage, output, manifest, first, bool(further["evaluate"]))
    stage("export", "export", run, f"--output={output / 'model'}")
    words = [run, f"--video={_VIDEOS.value}", f"--output={output / 'videos'}"]
    words += [
        *suggest_config.individuals_of(settings),
        "--overwrite",
        "--on_error=skip",
    ]
    stage("videos", "predict", *words)
    print("\n".join([*lines, *_next(settings, output)]))
    print(output / "videos" / "index.html")


def _build(stage, logs, jobs, folder, first):
    """Check the annotations and build records, with the split and labels of those
    before.
    """
    source = [f"--annotations={export}" for export in _ANNOTATIONS.value]
    source += [f"--bouts={path}" for path in _BOUTS.value]
    source.append(f"--videos={_VIDEOS.value}")
    sizes = folder
    if first:
        sizes = first / "records"
        source += [f"--split_of={sizes}", f"--labels={sizes / 'labels.json'}"]
    if not (folder / NAME).exists():
        stage("check", "records", *source, "--check")
        print(read_text(logs / "check.txt").partition("\n\n")[2], flush=True)
    # Compares the records with annotations and videos, where it has been here before.
    words = [*source, f"--output={folder}", *_size(jobs, sizes), "--clip_frames=3"]
    stage("records", "records", *words, f"--max_frames={_MOST_FRAMES}")


def _suggest(stage, output, manifest, first):
    """Write the settings, unless they are there, and return their text."""
    path, minutes, run = (
        output / "own.flags",
        _MINUTES.value,
        first and str(first / "run"),
    )
    if not (
        path.exists() and suggest_config.is_for(read_text(path), manifest, minutes, run)
    ):
        words = [
            f"--records={manifest.directory}",
            f"--minutes={minutes:g}",
            f"--output={path}",
        ]
        stage(
            "settings", "suggest-config", *words, *([f"--after={run}"] if run else [])
        )
    text = read_text(path)
    print(
        *(
            x
            for x in suggest_config.remarks_of(text)
            if x.startswith(suggest_config.TIME)
        )
    )
    return text


def _score(stage, output, manifest, first, anew):
    """Score the run, and the one before on the same frames; return what to print at the
    end.

    What is there may be of other flags after `--`, so that with some it is done `anew`.
    """
    from a2d_tf.evaluation import metrics as registry
    from a2d_tf.evaluation.metrics import behaviours

    def metrics(
        name: str, run: pathlib.Path, folder: pathlib.Path, *words: str
    ) -> dict:
        if anew or not scores.are_current(run, folder, manifest.source):
            of_run = [
                f"--workdir={run}",
                f"--records={manifest.directory}",
                f"--split={TEST}",
            ]
            stage(name, "evaluate", *of_run, *words)
        return registry.of_own_labels(
            load_json(folder / "metrics.json", {}, "delete it")
        )

    run, place = output / "run", output / "scores_before"
    folder = scores.folder_of(run)
    found = metrics("scores", run, folder)
    lines = ["", registry.table(found)]
    if first and "behaviours" in found:
        before = metrics("before", first / "run", place, f"--output={place}")
        lines += ["", behaviours.compared(before, found).text()]
    stage("browse", "browse", f"--run={run}", f"--records={manifest.directory}")
    named = join_names(sorted(manifest.videos(TEST)), 3)
    lines += ["", "What to do next:"]
    lines.append(
        f"- to see the frames that were held out for these scores: {folder}/browse.html"
    )
    if not first:
        words = "another --output, -- --test_videos=NAMES"
        lines.append(f"- to hold out other videos than {named}: {words}")
    return lines


def _size(jobs, records):
    """Return the flags of the largest stored frames: not larger than those of the
    videos.
    """
    sizes = [(1, 1)]
    if (records / NAME).exists():  # since when larger videos may have come
        manifest = Manifest.load(records)
        sizes, jobs = [(manifest.image_height, manifest.image_width)], ()
    for job in jobs:
        with contextlib.suppress(InputError):  # of one that is not annotated
            sizes.append(video_frames.size(job.path))
    height, width = map(max, zip(*sizes))
    return [
        f"--image_height={min(height, _LARGEST)}",
        f"--image_width={min(width, _LARGEST)}",
    ]


def _next(settings, output):
    """Return what to do next: the remarks of the suggested settings, then the usual
    steps.
    """
    words = f"--prediction={output / 'videos'} --records={output / 'records'}"
    limit = " ".join(suggest_config.individuals_of(settings))
    remarks = suggest_config.remarks_of(settings)
    return [
        *(f"- {line}" for line in remarks if not line.startswith(suggest_config.TIME)),
        (
            f"- to choose predicted frames to correct: a2d next {words}"
            f" --output={output / 'next'}"
        ),
        (
            "- to train on them, too: a2d start with their exports added to the"
            f" earlier ones, another --output and --after={output}"
        ),
        (
            f"- to predict a later video: a2d predict --saved_model={output / 'model'}"
            f" --video=FILE --output=FOLDER {limit}"
        ),
    ]


run = command_line.command(main, FLAGS)
