"""The flags after `--` of a2d start: they go to the commands that it runs."""

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


_TRACKS = {track_round_flags.COMMAND: {*track_round_flags.FLAGS}}
"""{part of a round of given tracks: its flags}."""
_DETECTOR = _TRACKS | {detection_flags.COMMAND: {*detection_flags.FLAGS}}
"""{part of a round of a detector's tracks: its flags}."""


def for_training(words: Sequence[str]) -> dict[str, list[str]]:
    """Assign flags to the commands of a round that trains.

    Args:
      words: the flags after `--`, as they are typed.

    Returns:
      {command: its flags}; a flag may be of several commands.

    Raises:
      InputError: no command has a flag, or a2d start sets it itself.
    """
    _check_known(words)
    return _assign(words, _TRAINING)


def for_tracks(words: Sequence[str]) -> dict[str, list[str]]:
    """Assign flags to the parts of a round that labels given tracks.

    Args:
      words: the flags after `--`, as they are typed.

    Returns:
      {part of the round: its flags}; a flag may belong to several parts.

    Raises:
      InputError: no part has a flag, a2d start sets it itself, or it is only for
        trainings.
    """
    _check_meaning(words, "tracks", _TRACKS)
    return _assign(words, _TRACKS)


def for_detector(words: Sequence[str]) -> dict[str, list[str]]:
    """Assign flags to the parts of a round that labels the tracks of a detector.

    Args:
      words: the flags after `--`, as they are typed.

    Returns:
      {part of the round: its flags}; a flag may belong to several parts.

    Raises:
      InputError: no part has a flag, a2d start sets it itself, or it is only for
        trainings.
    """
    _check_meaning(words, "detector", _DETECTOR)
    return _assign(words, _DETECTOR)


def is_misplaced(word: str, register: Register) -> bool:
    """Return whether a word before `--` is a flag that belongs behind it.

    Args:
      word: a word of the command line, such as "--every=5".
      register: the flags of a2d start itself.
    """
    if _name(word) in _SET_BY_START or _commands_with(word, {"start": {*register}}):
        return False
    return bool(_commands_with(word, _TRAINING))


def _check_known(words: Sequence[str]) -> None:
    """Raise InputError if no command has a flag, or a2d start sets it itself."""
    for word in words:
        if _name(word) in _SET_BY_START or not _commands_with(word, _TRAINING):
            raise InputError(
                f"{word}: not a flag of a2d {', '.join(_TRAINING)}, or one that a2d"
                " start sets itself"
            )


def _check_meaning(
    words: Sequence[str], flag: str, commands: Mapping[str, Collection[str]]
) -> None:
    """Raise InputError if a flag is unknown, or has no meaning beside --tracks.

    Args:
      flag: tracks or detector, for the message.
      commands: {command: its flags}.
    """
    _check_known(words)
    for word in words:
        if not _commands_with(word, commands):
            raise InputError(f"{word}: has nothing to do with --{flag}; leave it out")


def _assign(
    words: Sequence[str], commands: Mapping[str, Collection[str]]
) -> dict[str, list[str]]:
    """Return {command: the words that are flags of it}."""
    flags_of: dict[str, list[str]] = {command: [] for command in commands}
    for word in words:
        for command in _commands_with(word, commands):
            flags_of[command].append(word)
    return flags_of


def _commands_with(word: str, commands: Mapping[str, Collection[str]]) -> list[str]:
    """Return the commands that have a flag, which may be negated as in --noflip."""
    spellings = {_name(word), _name(word).removeprefix("no")}
    return [command for command, flags in commands.items() if spellings & {*flags}]


def _name(word: str) -> str:
    """Return the name of a flag; '' if the word is no flag."""
    if not word.startswith("--"):
        return ""
    return word[2:].partition("=")[0]
