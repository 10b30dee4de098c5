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
    "annotations", [], "Export of an annotation tool, as for a2d records."
)
_BOUTS = FLAGS.define_multi_string(
    "bouts", [], "File of coded times, as for a2d records."
)
_TRACKS = FLAGS.define_multi_string(
    "tracks",
    [],
    "Tracks of all videos, as for a2d predict, in place of --annotations.",
)
_DETECTOR = FLAGS.define_string(
    "detector",
    None,
    "SavedModel whose boxes are followed, as for a2d predict, in place of --tracks.",
)
_VIDEOS = FLAGS.define_string("videos", None, "Folder of all videos, annotated or not.")
_OUTPUT = FLAGS.define_string("output", None, "Folder for all results.")
_MINUTES = FLAGS.define_float(
    "minutes", 30, "Maximum number of minutes of training.", 0.1, 1e6
)
_AFTER = FLAGS.define_string(
    "after",
    None,
    "Folder of the round to go on from, the output of an earlier a2d start.",
)
_FOLDS = FLAGS.define_string(
    "folds",
    None,
    "Number of folds of the annotated videos, each of which is also left out and"
    " scored; or a CSV of video and fold.",
)


def main(argv: list[str]) -> None:
    """Run a round: by training, by given tracks or by those of a detector."""
    # A training that is stopped then saves its step.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    program, *further_words = argv
    if _DETECTOR.value:
        _reject(
            (_ANNOTATIONS, _TRACKS, _AFTER, _MINUTES),
            "--detector finds the individuals, and nothing is trained",
        )
        command_line.require([program], bouts=_BOUTS.value)
        shares = further_flags.for_detector(further_words)
        command_line.require([], videos=_VIDEOS.value, output=_OUTPUT.value)
        detected = detection_flags.read(
            _DETECTOR.value,
            pathlib.Path(_OUTPUT.value),
            shares[detection_flags.COMMAND],
        )
        request = _read_request([str(detected.folder)], shares)
        track_round.run(track_round_flags.read(request, detected))
    elif _TRACKS.value:
        _reject((_ANNOTATIONS, _AFTER, _MINUTES), "--tracks needs no training")
        command_line.require([program], bouts=_BOUTS.value)
        shares = further_flags.for_tracks(further_words)
        request = _read_request(_TRACKS.value, shares)
        track_round.run(track_round_flags.read(request))
    else:
        command_line.require([program], annotations=_ANNOTATIONS.value)
        shares = further_flags.for_training(further_words)
        request = _read_request(_ANNOTATIONS.value, shares)
        trained_round.run(request)


def _reject(holders: Iterable[flags.FlagHolder], reason: str) -> None:
    """Raise InputError if a flag is given that has nothing to do, for a reason."""
    for flag in holders:
        if flag.present:
            raise InputError(
                f"{reason}, so --{flag.name} has nothing to do; leave out one of both"
            )


def _read_request(
    exports: Sequence[str], shares: Mapping[str, list[str]]
) -> RoundRequest:
    """Return the round that the flags describe.

    Args:
      exports: of an annotation tool, or of tracks.
      shares: {single command: its flags after `--`}.

    Raises:
      InputError: no folder of videos, or no round to go on from.
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
    has_steps = training_steps.steps_of_flags(shares.get("train", ())) is not None
    return RoundRequest(
        folder=folder,
        videos=_VIDEOS.value,
        jobs=jobs,
        exports=exports,
        bouts=_BOUTS.value,
        further_flags=shares,
        minutes=_MINUTES.value,
        accepts_few_steps=_MINUTES.present or has_steps,
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
    """Run the command, as of `command_line.run`; name flags that belong behind `--`."""
    if words is None:
        words = sys.argv
    for word in flagfiles.before_dashes(words):
        if further_flags.is_misplaced(word, FLAGS):
            problem = f"{word}: give it behind --, as in: a2d start ... -- {word}"
            sys.exit(command_line.complain(problem))
    command_line.run(main, FLAGS, words)
