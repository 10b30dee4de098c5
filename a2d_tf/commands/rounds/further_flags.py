"""The flags after `--` of a2d start, which are for the single commands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from a2d_tf import evaluate, export, predict, train
from a2d_tf.commands import records
from a2d_tf.commands.rounds.tracks import detection_flags, track_round_flags
from a2d_tf.core.command.register import Register
from a2d_tf.core.errors import InputError

_TRAINING: Mapping[str, Collection[str]] = {
    "records": {*records.FLAGS},
    # The network's size is suggested to that of the frames, which records have.
    "train": {*train.FLAGS} - {"image_height", "image_width"},
    "evaluate": {*evaluate.FLAGS},
    "export": {*export.FLAGS},
    "predict": {*predict.FLAGS},
}
"""{command of a round that trains: its flags}; suggest-config gets none of these."""
_SET_BY_START = {
    "annotations",
    "tracks",
    "detector",
    "bouts",
    "videos",
    "output",
    "minutes",
    "after",
    "records",
    "workdir",
    "video",
    "split",
    "checkpoint",  # scores of the best weights are in a folder of their own
}


def for_training(words: Sequence[str]) -> dict[str, list[str]]:
    """Give each flag to the single commands of a round that trains.

    Args:
      words: as they are typed.

    Returns:
      {command: its flags}.

    Raises:
      InputError: a flag that no command has, or one that a2d start sets itself.
    """
    for word in words:
        if _name(word) in _SET_BY_START or not _commands_with(word, _TRAINING):
            raise InputError(
                f"{word}: not a flag of a2d {', '.join(_TRAINING)}, or one that a2d"
                " start sets itself"
            )
    return _shares(words, _TRAINING)


def for_tracks(words: Sequence[str]) -> dict[str, list[str]]:
    """Give each flag to a round by given tracks.

    Returns:
      the flags of each command, see `for_training`.

    Raises:
      InputError: a flag is wrong, see `for_training`, or has no meaning here.
    """
    return _shares_of_tracks(words, "tracks", {})


def for_detector(words: Sequence[str]) -> dict[str, list[str]]:
    """Give each flag to a round by the tracks of a detector.

    Returns:
      the flags of each command, see `for_training`.

    Raises:
      InputError: a flag is wrong, see `for_tracks`.
    """
    detection = {detection_flags.COMMAND: {*detection_flags.FLAGS}}
    return _shares_of_tracks(words, "detector", detection)


def is_misplaced(word: str, register: Register) -> bool:
    """Return whether a word before `--` is a flag that belongs behind it.

    Args:
      register: the flags of a2d start itself.
    """
    if _name(word) in _SET_BY_START or _commands_with(word, {"start": {*register}}):
        return False
    return bool(_commands_with(word, _TRAINING))


def _shares_of_tracks(
    words: Sequence[str], flag: str, more: Mapping[str, Collection[str]]
) -> dict[str, list[str]]:
    for_training(words)  # raises
    commands = {track_round_flags.COMMAND: {*track_round_flags.FLAGS}, **more}
    for word in words:
        if not _commands_with(word, commands):
            raise InputError(f"{word}: has nothing to do with --{flag}; leave it out")
    return _shares(words, commands)


def _shares(
    words: Sequence[str], commands: Mapping[str, Collection[str]]
) -> dict[str, list[str]]:
    shares: dict[str, list[str]] = {command: [] for command in commands}
    for word in words:
        for command in _commands_with(word, commands):
            shares[command].append(word)
    return shares


def _commands_with(word: str, commands: Mapping[str, Collection[str]]) -> list[str]:
    """Return the commands that have a flag, which may be negated as in --noflip."""
    spellings = {_name(word), _name(word).removeprefix("no")}
    return [command for command, flags in commands.items() if spellings & {*flags}]


def _name(word: str) -> str:
    """Return the name of the flag that a word gives; '' if it gives none."""
    if not word.startswith("--"):
        return ""
    return word[2:].partition("=")[0]
