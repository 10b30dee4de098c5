"""From an export of an annotation tool to the pages of all videos, in one command.

  a2d start --annotations=EXPORT --videos=FOLDER --output=own/first
  a2d start --annotations=EXPORT --annotations=MORE --videos=FOLDER \\
    --output=own/second --after=own/first

It checks the annotations, builds records, suggests settings, trains, predicts each
video of the folder, scores the videos held out, and exports. It prints each single
command with its time; what the commands say is in own/first/logs. If it is interrupted,
run the same command again to continue. A round --after another begins with its
settings, weights, labels and split, and scores both on the same frames. New actors and
actions follow the earlier labels.

If you have tracks of all videos and coded times of some, nothing is trained:

  a2d start --tracks=EXPORT --bouts=TIMES --videos=FOLDER --output=own/first

This labels each track by a fit to the coded tracks, and scores each behaviour in coded
videos that are left out of the fit. If you code more, give the same command again.

If a detector of TensorFlow's convention finds the individuals, no tracks are needed:

  a2d start --detector=FOLDER --bouts=TIMES --videos=FOLDER --output=own/first \\
    -- --actors=person

This keeps the detector's tracks in own/first/tracks, one file a video for CVAT. Correct
them there, and give the same command again. If no track has the name of a subject, its
coded times belong to the track that is visible alone.

Flags of the single commands follow after `--`, as in: -- --names=names.json --steps=900
--every=2. The last line is the path of the page.
"""

from __future__ import annotations

import os
import pathlib
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence

from absl import flags

from a2d_tf.commands.rounds import further_flags
from a2d_tf.commands.rounds.round_folder import RoundFolder
from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.commands.rounds.tracks import (
    detection_flags,
    track_round,
    track_round_flags,
)
from a2d_tf.commands.rounds.trained import trained_round, training_steps
from a2d_tf.core.command import command_line, flagfiles
from a2d_tf.core.errors import InputError
from a2d_tf.video.library import library_videos

FLAGS = command_line.Register()
_ANNOTATIONS = FLAGS.define_multi_string(
    "annotations",
    [],
    "File or folder that an annotation tool exported, in any format that a2d records"
    " reads.",
)
_BOUTS = FLAGS.define_multi_string(
    "bouts",
    [],
    "File of coded times, such as a BORIS project or its events.",
)
_TRACKS = FLAGS.define_multi_string(
    "tracks",
    [],
    "File or folder with the tracks of all videos, in place of --annotations; nothing"
    " is trained then, and --bouts is needed.",
)
_DETECTOR = FLAGS.define_string(
    "detector",
    None,
    "Folder of a detector (a SavedModel) that finds the individuals, in place of"
    " --tracks; --bouts is needed.",
)
_VIDEOS = FLAGS.define_string("videos", None, "Folder of all videos, annotated or not.")
_OUTPUT = FLAGS.define_string("output", None, "Folder for all results.")
_MINUTES = FLAGS.define_float(
    "minutes", 30, "Maximum time of the training, in minutes.", 0.1, 1e6
)
_AFTER = FLAGS.define_string(
    "after",
    None,
    "Output folder of an earlier a2d start, whose round this one continues; by default"
    " this is a first round.",
)
_FOLDS = FLAGS.define_string(
    "folds",
    None,
    "Number of parts (folds) for a cross-validation, in which each part of the"
    " annotated videos is held out in turn and scored; or a CSV with the columns video"
    " and fold. By default there is none.",
)


def main(argv: list[str]) -> None:
    """Run a round: with a training, with given tracks, or with those of a detector."""
    # A training that is stopped then saves its step.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    program, *further_words = argv
    if _DETECTOR.value:
        _run_with_detector(program, further_words)
    elif _TRACKS.value:
        _run_with_tracks(program, further_words)
    else:
        _run_with_training(program, further_words)


def _run_with_training(program: str, further_words: Sequence[str]) -> None:
    command_line.require([program], annotations=_ANNOTATIONS.value)
    flags_of_commands = further_flags.for_training(further_words)
    trained_round.run(_read_request(_ANNOTATIONS.value, flags_of_commands))


def _run_with_tracks(program: str, further_words: Sequence[str]) -> None:
    _reject((_ANNOTATIONS, _AFTER, _MINUTES), "--tracks needs no training")
    command_line.require([program], bouts=_BOUTS.value)
    flags_of_parts = further_flags.for_tracks(further_words)
    request = _read_request(_TRACKS.value, flags_of_parts)
    track_round.run(track_round_flags.read(request))


def _run_with_detector(program: str, further_words: Sequence[str]) -> None:
    _reject(
        (_ANNOTATIONS, _TRACKS, _AFTER, _MINUTES),
        "--detector finds the individuals, and nothing is trained",
    )
    command_line.require([program], bouts=_BOUTS.value)
    flags_of_parts = further_flags.for_detector(further_words)
    command_line.require([], videos=_VIDEOS.value, output=_OUTPUT.value)
    detected = detection_flags.read(
        _DETECTOR.value,
        pathlib.Path(_OUTPUT.value),
        flags_of_parts[detection_flags.COMMAND],
    )
    request = _read_request([str(detected.folder)], flags_of_parts)
    track_round.run(track_round_flags.read(request, detected))


def _reject(holders: Iterable[flags.FlagHolder], reason: str) -> None:
    """Raise InputError if the user gave a flag that has nothing to do.

    Args:
      holders: the flags that have nothing to do.
      reason: why they have nothing to do, for the message.
    """
    for flag in holders:
        if flag.present:
            raise InputError(
                f"{reason}, so --{flag.name} has nothing to do; leave out one of both"
            )


def _read_request(
    exports: Sequence[str], flags_of_commands: Mapping[str, list[str]]
) -> RoundRequest:
    """Return what the flags ask for.

    Args:
      exports: the exports of an annotation tool, or those of the tracks.
      flags_of_commands: {command: its flags after `--`}.

    Raises:
      InputError: there is no folder of videos, or no round to go on from.
    """
    command_line.require([], videos=_VIDEOS.value, output=_OUTPUT.value)
    folder = RoundFolder(pathlib.Path(_OUTPUT.value))
    before = None
    if _AFTER.value is not None:
        before = RoundFolder(pathlib.Path(_AFTER.value))
        _check_before(before, folder)
        if _FOLDS.value is not None:
            raise InputError(
                f"--folds with --after={before.path}: that round has learned from"
                " videos of all folds; leave out one of both"
            )
    jobs = library_videos.plan(_VIDEOS.value, None, str(folder.videos))
    if jobs is None:
        problem = "not a folder of videos"
        if not os.path.exists(_VIDEOS.value):
            problem = "no such folder; correct the path"
        raise InputError(f"--videos={_VIDEOS.value}: {problem}")
    steps = training_steps.steps_of_flags(flags_of_commands.get("train", ()))
    return RoundRequest(
        folder=folder,
        videos=_VIDEOS.value,
        jobs=jobs,
        exports=exports,
        bouts=_BOUTS.value,
        further_flags=flags_of_commands,
        minutes=_MINUTES.value,
        accepts_few_steps=_MINUTES.present or steps is not None,
        before=before,
        folds=_FOLDS.value,
    )


def _check_before(before: RoundFolder, folder: RoundFolder) -> None:
    """Raise InputError unless a round can go on from the one before.

    Args:
      before: the folder of the round before, which --after names.
      folder: the folder of the round.
    """
    problem = ""
    if not before.path.exists():
        problem = "no such folder; correct the path"
    elif folder.path.resolve() == before.path.resolve():
        problem = "is the --output, too; use another --output"
    elif not before.run.exists():
        problem = "not the output of an a2d start that has trained"
    elif not before.is_trained():
        problem = "its training is not finished; give its a2d start again first"
    if problem:
        raise InputError(f"--after={before.path}: {problem}")


def run(words: Sequence[str] | None = None) -> None:
    """Run the command; name a flag that belongs behind `--`.

    Args:
      words: see `command_line.run`.
    """
    if words is None:
        words = sys.argv
    for word in flagfiles.before_dashes(words):
        if further_flags.is_misplaced(word, FLAGS):
            problem = f"{word}: give it behind --, as in: a2d start ... -- {word}"
            sys.exit(command_line.complain(problem))
    command_line.run(main, FLAGS, words)
