"""From an export of an annotation tool to the pages of all videos, in one command.

  a2d start --annotations=EXPORT --videos=FOLDER --output=own/first
  a2d start --annotations=EXPORT --annotations=MORE --videos=FOLDER \\
    --output=own/second --after=own/first

Checks the annotations, builds records, suggests settings, trains, scores on the videos
held out, exports, and predicts each video of the folder. It starts the single commands,
and prints each of them with its time; what they say is in own/first/logs. If it is
interrupted, run the same command again to continue. A round --after another has its
settings, weights, labels and split, and scores both on the same frames.

Flags of the single commands follow after `--`, as in: -- --names=names.json --steps=900
--every=2. The last line is the path of the page.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import signal
import time
from collections.abc import Sequence

from a2d_tf import evaluate, export, predict, train
from a2d_tf.commands import records
from a2d_tf.core import command_line, processes
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.files import read_text
from a2d_tf.data import video_frames
from a2d_tf.data.manifest import NAME, Manifest
from a2d_tf.runs import scores
from a2d_tf.runs.scores import TEST
from a2d_tf.training.suggestion import Suggestion, json_path
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

_MOST_SIDE = 448  # pixels, of the sides of a frame: what stills are trained on
_MOST_FRAMES = 3000  # for training: about as many as half an hour sees once or twice

_COMMANDS = {
    "records": records,
    "train": train,
    "evaluate": evaluate,
    "export": export,
    "predict": predict,
}
"""Commands that flags after `--` may be for; suggest-config gets none of these."""
_FIXED_FLAGS = (*FLAGS, "records", "workdir", "video", "split", "checkpoint")
"""Flags of the single commands that this one sets itself.

It sets the checkpoint, too: scores of the best weights are in a folder of their own.
"""


@dataclasses.dataclass(frozen=True)
class Round:
    """The output folder of an a2d start."""

    folder: pathlib.Path

    @property
    def records(self) -> pathlib.Path:
        return self.folder / "records"

    @property
    def flagfile(self) -> pathlib.Path:
        """The suggested settings."""
        return self.folder / "own.flags"

    @property
    def run(self) -> pathlib.Path:
        """The run folder of the training."""
        return self.folder / "run"

    @property
    def scores_before(self) -> pathlib.Path:
        """Scores of the round before, on the frames of this one."""
        return self.folder / "scores_before"

    @property
    def model(self) -> pathlib.Path:
        """The SavedModel."""
        return self.folder / "model"

    @property
    def videos(self) -> pathlib.Path:
        """The library of predictions."""
        return self.folder / "videos"

    @property
    def logs(self) -> pathlib.Path:
        return self.folder / "logs"

    def is_trained(self) -> bool:
        return (self.run / "finished.json").is_file()


@dataclasses.dataclass(frozen=True)
class Stages:
    """Runs the single commands, one after another.

    Attributes:
      logs: folder for what the commands print.
      further_flags: {command: flags that the user gave it after `--`}.
    """

    logs: pathlib.Path
    further_flags: dict[str, list[str]]

    def log(self, stage: str) -> pathlib.Path:
        """Return the file with what the command of a stage has printed."""
        return self.logs / f"{stage}.txt"

    def run(self, stage: str, command: str, *flags: str) -> None:
        """Run a command, and print a line with its time.

        Raises:
          InputError: it failed; what it has said is printed.
        """
        words = [command, *flags, *self.further_flags.get(command, ())]
        start = time.monotonic()
        log = self.log(stage)
        try:
            with open(log, "w", encoding="utf-8") as file:
                processes.call(words, file)
        except InputError:
            print(read_text(log), end="", flush=True)
            raise
        minutes, seconds = divmod(round(time.monotonic() - start), 60)
        print(
            f"{stage:9}{minutes:3}:{seconds:02}  {processes.command_text(words)}",
            flush=True,
        )


def share(words: Sequence[str]) -> dict[str, list[str]]:
    """Give each flag after `--` to the single commands that have it.

    The size of the frames is that of the records, to which the network's is suggested.

    Returns:
      {command: flags}.

    Raises:
      InputError: a flag that no command has, or one that this command sets itself.
    """
    further_flags: dict[str, list[str]] = {name: [] for name in _COMMANDS}
    for word in words:
        flag = ""
        if word.startswith("--"):
            flag = word[2:].partition("=")[0]
        names = _commands_with(flag)
        if not names or flag in _FIXED_FLAGS:
            raise InputError(
                f"{word}: not a flag of a2d {', '.join(_COMMANDS)}, or one that a2d"
                " start sets itself"
            )
        if flag in ("image_height", "image_width"):
            names = ["records"]
        for name in names:
            further_flags[name].append(word)
    return further_flags


def _commands_with(flag):
    """Return the commands that have a flag, which may be negated as in 'noflip'."""
    spellings = {flag, flag.removeprefix("no")} - {""}
    return [name for name, module in _COMMANDS.items() if spellings & {*module.FLAGS}]


def main(argv: list[str]) -> None:
    # A training that is stopped then saves its step.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command_line.require(
        argv[:1],
        annotations=_ANNOTATIONS.value,
        videos=_VIDEOS.value,
        output=_OUTPUT.value,
    )
    this = Round(pathlib.Path(_OUTPUT.value))
    before = None
    if _AFTER.value is not None:
        before = _round_before(_AFTER.value, this)
    jobs = library_videos.plan(_VIDEOS.value, None, str(this.videos))
    if jobs is None:
        raise InputError(f"--videos={_VIDEOS.value}: not a folder of videos")
    stages = Stages(this.logs, share(argv[1:]))
    this.logs.mkdir(parents=True, exist_ok=True)

    _build_records(stages, this, before, jobs)
    manifest = Manifest.load(this.records)
    suggestion = _suggest(stages, this, before, manifest)
    stages.run(
        "training",
        "train",
        f"--flagfile={this.flagfile}",
        f"--records={this.records}",
        f"--workdir={this.run}",
    )
    lines = []
    if TEST in manifest.splits:
        lines += _score(stages, this, before, manifest)
    stages.run("export", "export", f"--workdir={this.run}", f"--output={this.model}")
    stages.run(
        "videos",
        "predict",
        f"--workdir={this.run}",
        f"--video={_VIDEOS.value}",
        f"--output={this.videos}",
        suggestion.predict_flag(),
        "--overwrite",
        "--on_error=skip",
    )

    lines += ["", "What to do next:"]
    if TEST in manifest.splits:
        lines += _next_with_scores(this, before, manifest)
    lines += _next_steps(this, suggestion)
    print("\n".join(lines))
    print(this.videos / "index.html")


def _round_before(folder, this):
    """Return the round that this one goes on from."""
    before = Round(pathlib.Path(folder))
    is_same = this.folder.resolve() == before.folder.resolve()
    if is_same or not before.is_trained():
        raise InputError(
            f"--after={before.folder}: not the output of another a2d start that has"
            " trained"
        )
    return before


def _build_records(stages, this, before, jobs):
    """Check the annotations and build records.

    Split, labels and size of the frames are those of the round before, if there is one.
    """
    sources = [f"--annotations={export}" for export in _ANNOTATIONS.value]
    sources += [f"--bouts={path}" for path in _BOUTS.value]
    sources.append(f"--videos={_VIDEOS.value}")
    sized_records = this.records
    if before:
        sized_records = before.records
        sources += [
            f"--split_of={before.records}",
            f"--labels={before.records / 'labels.json'}",
        ]
    if not (this.records / NAME).exists():
        stages.run("check", "records", *sources, "--check")
        print(read_text(stages.log("check")).partition("\n\n")[2], flush=True)
    # Existing records are compared with annotations and videos.
    height, width = _frame_size(jobs, sized_records)
    stages.run(
        "records",
        "records",
        *sources,
        f"--output={this.records}",
        f"--image_height={min(height, _MOST_SIDE)}",
        f"--image_width={min(width, _MOST_SIDE)}",
        "--clip_frames=3",
        f"--max_frames={_MOST_FRAMES}",
    )


def _frame_size(jobs, records):
    """Return (height, width) of the frames of records, or of the largest video."""
    if (records / NAME).exists():  # larger videos may have come since
        manifest = Manifest.load(records)
        return manifest.image_height, manifest.image_width
    height = 1
    width = 1
    for job in jobs:
        # A video that cannot be read may be one that is not annotated.
        with contextlib.suppress(InputError):
            video_height, video_width = video_frames.size(job.path)
            height = max(height, video_height)
            width = max(width, video_width)
    return height, width


def _suggest(stages, this, before, manifest):
    """Return the suggested settings, which are written unless they are there."""
    minutes = _MINUTES.value
    after = str(before.run) if before else None
    path = pathlib.Path(json_path(this.flagfile))
    is_current = False
    if this.flagfile.exists() and path.exists():
        is_current = Suggestion.read(path).is_for(manifest.source, minutes, after)
    if not is_current:
        flags = [
            f"--records={this.records}",
            f"--minutes={minutes:g}",
            f"--output={this.flagfile}",
        ]
        if after:
            flags.append(f"--after={after}")
        stages.run("settings", "suggest-config", *flags)
    suggestion = Suggestion.read(path)
    print(suggestion.duration)
    return suggestion


def _score(stages, this, before, manifest):
    """Score the run, and the one before on the same frames; return their tables."""
    from a2d_tf.evaluation import metrics as registry
    from a2d_tf.evaluation.metrics import behaviours

    folder = scores.folder_of(this.run)
    metrics = _metrics(stages, "scores", this.run, manifest, folder)
    lines = ["", registry.table(metrics)]
    if before and "behaviours" in metrics:
        output = f"--output={this.scores_before}"
        metrics_before = _metrics(
            stages, "before", before.run, manifest, this.scores_before, output
        )
        lines += ["", behaviours.compared(metrics_before, metrics).text()]
    stages.run("browse", "browse", f"--run={this.run}", f"--records={this.records}")
    return lines


def _metrics(stages, stage, run, manifest, folder, *flags):
    """Return the metrics of a run on the test split, from a folder of scores.

    Scores that are there may be of other flags after `--`: with some they are redone.
    """
    from a2d_tf.evaluation import metrics as registry

    redo = bool(stages.further_flags.get("evaluate"))
    if redo or not scores.are_current(run, folder, manifest.source):
        stages.run(
            stage,
            "evaluate",
            f"--workdir={run}",
            f"--records={manifest.directory}",
            f"--split={TEST}",
            *flags,
        )
    metrics = load_json(folder / "metrics.json", {}, "delete it")
    return registry.of_own_labels(metrics)


def _next_with_scores(this, before, manifest):
    """Return what to do next with the frames that were held out."""
    page = scores.folder_of(this.run) / "browse.html"
    lines = [f"- to see the frames that were held out for these scores: {page}"]
    if not before:
        names = join_names(sorted(manifest.videos(TEST)), 3)
        lines.append(
            f"- to hold out other videos than {names}: another --output, --"
            " --test_videos=NAMES"
        )
    return lines


def _next_steps(this, suggestion):
    """Return the remarks on the records, then the usual next steps."""
    lines = [f"- {remark}" for remark in suggestion.remarks]
    lines.append(
        "- to choose predicted frames to correct: a2d next"
        f" --prediction={this.videos} --records={this.records}"
        f" --output={this.folder / 'next'}"
    )
    lines.append(
        "- to train on them, too: a2d start with their exports added to the"
        f" earlier ones, another --output and --after={this.folder}"
    )
    lines.append(
        f"- to predict a later video: a2d predict --saved_model={this.model}"
        f" --video=FILE --output=FOLDER {suggestion.predict_flag()}"
    )
    return lines


run = command_line.command(main, FLAGS)
