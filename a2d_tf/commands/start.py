"""From an export of an annotation tool to the pages of all videos, in one command.

  a2d start --annotations=EXPORT --videos=FOLDER --output=own/first
  a2d start --annotations=EXPORT --annotations=MORE --videos=FOLDER \\
    --output=own/second --after=own/first

Checks the annotations, builds records, suggests settings, trains, scores on the videos
held out, exports, and predicts each video of the folder. It starts the single commands,
and prints each of them with its time; what they say is in own/first/logs. If it is
interrupted, run the same command again to continue. A round --after another has its
settings, weights, labels and split, and scores both on the same frames.

Tracks that you have, of all videos, and coded times of some need no training:

  a2d start --tracks=EXPORT --bouts=TIMES --videos=FOLDER --output=own/first

labels each track by a fit to the coded ones, and scores each behaviour in coded videos
that are left out of the fit. More coded times and the same command: a new fit.

Flags of the single commands follow after `--`, as in: -- --names=names.json --steps=900
--every=2. The last line is the path of the page.
"""

from __future__ import annotations

import pathlib
import signal
from collections.abc import Sequence

from a2d_tf import evaluate, export, predict, train
from a2d_tf.commands import records
from a2d_tf.commands.rounds import Round, Stages, Steps
from a2d_tf.commands.source_flags import SourceFlags
from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.register import Register
from a2d_tf.data.manifest import Manifest, MotionFacts
from a2d_tf.runs.scores import TEST
from a2d_tf.training.suggestion import Suggestion
from a2d_tf.video import library_videos

FLAGS = command_line.Register()
_ANNOTATIONS = FLAGS.define_multi_string(
    "annotations", [], "Exports, as for a2d records; repeatable."
)
_BOUTS = FLAGS.define_multi_string(
    "bouts", [], "Coded times, as for a2d records; may be repeated."
)
_TRACKS = FLAGS.define_multi_string(
    "tracks",
    [],
    "In place of --annotations: tracks of all videos, as for a2d predict; repeatable.",
)
_VIDEOS = FLAGS.define_string("videos", None, "Folder of all videos, annotated or not.")
_OUTPUT = FLAGS.define_string("output", None, "Folder for all results.")
_MINUTES = FLAGS.define_float(
    "minutes", 30, "Most minutes of training, by measured steps.", 0.1, 1e6
)
_AFTER = FLAGS.define_string(
    "after", None, "Output of an earlier a2d start, to go on from."
)

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


def _commands_with(flag: str) -> list[str]:
    """Return the commands that have a flag, which may be negated as in 'noflip'."""
    spellings = {flag, flag.removeprefix("no")} - {""}
    return [name for name, module in _COMMANDS.items() if spellings & {*module.FLAGS}]


def main(argv: list[str]) -> None:
    # A training that is stopped then saves its step.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if _TRACKS.value:
        _label_tracks(argv)
        return
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

    steps = Steps(this, before, _VIDEOS.value, stages)
    manifest = steps.build_records(_ANNOTATIONS.value, _BOUTS.value, jobs)
    if manifest.motion:
        print(describe_motion(manifest.motion))
    suggestion = steps.suggest_settings(manifest, _MINUTES.value)
    print(suggestion.duration)
    steps.train()
    tables = []
    if TEST in manifest.splits:
        tables = score(steps, manifest)
    steps.export()
    steps.predict(suggestion)

    for table in tables:
        print(f"\n{table}")
    print("\nWhat to do next:")
    for line in _next_steps(steps, manifest, suggestion):
        print(f"- {line}")
    print(this.videos / "index.html")


def _label_tracks(argv: list[str]) -> None:
    """Do a round by tracks that are given, see `track_round`."""
    from a2d_tf.commands import track_round

    for flag in (_ANNOTATIONS, _AFTER, _MINUTES):
        if flag.present:
            raise InputError(
                f"--tracks needs no training, so --{flag.name} has nothing to do; leave"
                " out one of both"
            )
    command_line.require(
        argv[:1], bouts=_BOUTS.value, videos=_VIDEOS.value, output=_OUTPUT.value
    )
    this = Round(pathlib.Path(_OUTPUT.value))
    jobs = library_videos.plan(_VIDEOS.value, None, str(this.videos))
    if jobs is None:
        raise InputError(f"--videos={_VIDEOS.value}: not a folder of videos")
    further_flags = share(argv[1:])
    source_flags = Register()
    SourceFlags.define(source_flags)
    for word in argv[1:]:
        name = word[2:].partition("=")[0]
        is_of_predict = name in track_round.PREDICT_FLAGS
        if not is_of_predict and not {name, name.removeprefix("no")} & {*source_flags}:
            raise InputError(f"{word}: has nothing to do with --tracks; leave it out")
    predict_words = []
    for word in further_flags["predict"]:
        if word[2:].partition("=")[0] in track_round.PREDICT_FLAGS:
            predict_words.append(word)
    further_flags["predict"] = predict_words
    track_round.TrackRound(
        output=this.folder,
        tracks=_TRACKS.value,
        bouts=_BOUTS.value,
        videos=_VIDEOS.value,
        jobs=jobs,
    ).run(further_flags)


def _round_before(folder: str, this: Round) -> Round:
    """Return the round that this one goes on from."""
    before = Round(pathlib.Path(folder))
    is_same = this.folder.resolve() == before.folder.resolve()
    if is_same or not before.is_trained():
        raise InputError(
            f"--after={before.folder}: not the output of another a2d start that has"
            " trained"
        )
    return before


def score(steps: Steps, manifest: Manifest) -> list[str]:
    """Score the run, and the one before on the same frames; return their tables."""
    from a2d_tf.evaluation.metrics import behaviour_counts, summaries

    metrics = steps.score(manifest)
    tables = [summaries.table(metrics)]
    if steps.before and "behaviours" in metrics:
        metrics_before = steps.score_before(steps.before, manifest)
        tables.append(behaviour_counts.compared(metrics_before, metrics).text())
    steps.browse()
    return tables


def describe_motion(motion: MotionFacts) -> str:
    """Describe the motion maps of records."""
    names = []
    if motion.action_backbone:
        names.append(f"features of {motion.action_backbone.upper()} (Kinetics-400)")
    if motion.flow_histograms:
        names.append("histograms of optical flow")
    return (
        f"the records have {' and '.join(names)}, from which actions are read"
        " (docs/real_video.md)"
    )


def _next_steps(steps: Steps, manifest: Manifest, suggestion: Suggestion) -> list[str]:
    """Return what a user can do next, a line each, with the remarks on the records."""
    this = steps.this
    lines = []
    if TEST in manifest.splits:
        page = this.scores / "browse.html"
        lines.append(f"to see the frames that were held out for these scores: {page}")
        if not steps.before:
            names = join_names(sorted(manifest.videos(TEST)), 3)
            lines.append(
                f"to hold out other videos than {names}: another --output, --"
                " --test_videos=NAMES"
            )
    lines += suggestion.remarks
    lines.append(
        "to choose predicted frames to correct: a2d next"
        f" --prediction={this.videos} --records={this.records}"
        f" --output={this.folder / 'next'}"
    )
    lines.append(
        "to train on them, too: a2d start with their exports added to the earlier"
        f" ones, another --output and --after={this.folder}"
    )
    lines.append(
        f"to predict a later video: a2d predict --saved_model={this.model}"
        f" --video=FILE --output=FOLDER {suggestion.predict_flag()}"
    )
    return lines


run = command_line.command(main, FLAGS)
