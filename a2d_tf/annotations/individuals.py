"""Individuals: which annotated animals the subjects of coded times are.

A subject is an individual only where the annotations say so: by its name, its actor,
the number by which the user knows it, or 'actor number'. Numbers that a tool gave to
its tracks are nobody's names; the user says by `Subjects` which of them are meant.
"""

from __future__ import annotations

import collections
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Union

from a2d_tf.annotations.document import AnnotatedFrame, Instance
from a2d_tf.annotations.names import Names
from a2d_tf.annotations.observations import CodedBout, Observation
from a2d_tf.core.checked_json import check_json, load_json
from a2d_tf.core.errors import InputError, join_names, quoted
from a2d_tf.core.labels import normalized

Target = Union[str, None, list[str]]
"""An individual, several that are one, or None for nobody."""
Subjects = Mapping[str, Union[Target, Mapping[str, Target]]]
"""{subject: individual}, or {subject: {video: individual}}.

An individual is a name, else the id of a track in its file, '3' or 'task_17.zip:3',
else an actor, or 'actor 3'. None leaves out the subject, or the behaviour of this name.
"""
_TARGET = (str, None, [str])
_SUBJECTS = {str: (*_TARGET, {str: _TARGET})}
_REMEDY = 'write {"subject": "track id or name"}'


def load_subjects(argument: str | os.PathLike) -> Subjects:
    """Read `Subjects` from JSON, or from a file of it; InputError if malformed."""
    text = os.fspath(argument)
    if not text.lstrip().startswith("{"):
        return load_json(text, _SUBJECTS, _REMEDY)
    try:
        subjects = json.loads(text)
        check_json(subjects, _SUBJECTS)
    except ValueError as error:
        raise InputError(f"--subjects={text}: {error}; {_REMEDY}") from error
    return subjects


class Individual(NamedTuple):
    """What tells the individuals of a video apart.

    Attributes:
      actor: its class.
      name, number: those by which the user knows it; None if there are none.
      track: the identity in its file; None if there is none.
      file: the file in which it has this track; '' without a track.
    """

    actor: str
    name: str | None
    number: int | None
    track: int | None
    file: str

    @classmethod
    def of(cls, instance: Instance, frame: AnnotatedFrame, names: Names) -> Individual:
        """Return the individual of an instance."""
        actor, _ = names.annotated_names(instance)
        return cls(
            actor=actor,
            name=instance.name or None,
            number=instance.number,
            track=instance.track,
            file="" if instance.track is None else str(frame.path),
        )

    def text(self) -> str:
        """Return what messages call it: 'Ann', 'mouse 3' or 'mouse (track 3)'."""
        if self.name or self.number is not None:
            return self.name or f"{self.actor} {self.number}"
        return (
            self.actor if self.track is None else f"{self.actor} (track {self.track})"
        )

    def is_named(self, word: str) -> bool:
        """Return whether this is its name, in any case."""
        return (
            self.name is not None
            and normalized(self.name).casefold() == word.casefold()
        )

    def is_of_actor(self, word: str) -> bool:
        """Return whether this is its actor, in any case."""
        return self.actor != "" and self.actor.casefold() == word.casefold()

    def has_number(self, word: str) -> bool:
        """Return whether the user knows it by a number, '3' or 'actor 3'."""
        return self._is_number(word, self.number)

    def has_track(self, word: str) -> bool:
        """Return whether this is the track '3' or 'actor 3' in its file."""
        return self._is_number(word, self.number if self.track is None else self.track)

    def is_in(self, file: str) -> bool:
        """Return whether a path, or a part of it such as a zip, is its file."""
        return file == self.file or file in re.split(r"[\\/]", self.file)

    def is_numbered_by_tool(self) -> bool:
        """Return whether its only number is one that a tool chose."""
        return self.track is not None and self.number is None

    def _is_number(self, word: str, number: int | None) -> bool:
        """Return whether a word is a number, perhaps after the actor."""
        words = (str(number), f"{self.actor} {number}".casefold())
        return number is not None and word.casefold() in words


class Identities(NamedTuple):
    """The individuals of a video.

    Attributes:
      of_frame: {1-based number of an annotated frame: individual of each instance}.
      first_frame: {individual: the number of its first frame}.
    """

    of_frame: dict[int, list[Individual]]
    first_frame: dict[Individual, int]

    @classmethod
    def of(cls, frames: Mapping[int, AnnotatedFrame], names: Names) -> Identities:
        """Return the individuals of the annotated frames {1-based number: frame}."""
        of_frame: dict[int, list[Individual]] = {}
        first_frame: dict[Individual, int] = {}
        for number, frame in sorted(frames.items()):
            of_frame[number] = []
            for instance in frame.instances:
                individual = Individual.of(instance, frame, names)
                of_frame[number].append(individual)
                first_frame.setdefault(individual, number)
        return cls(of_frame, first_frame)

    def count_shown(self, frame: int, individuals: set[Individual]) -> int:
        """Count the instances of a frame that are of some individuals."""
        return sum(individual in individuals for individual in self.of_frame[frame])

    def of_subject(self, subject: str, where: str) -> set[Individual]:
        """Return those that the annotations call so; a name wins over the others.

        Raises:
          InputError: the subject is an actor, and the number of another individual;
            names `where` it is coded.
        """
        named = _named(self.first_frame, subject)
        of_actor = {own for own in self.first_frame if own.is_of_actor(subject)}
        numbered = {own for own in self.first_frame if own.has_number(subject)}
        if named:
            return named
        if of_actor and numbered - of_actor:
            example = json.dumps({subject: "track id or name"})
            raise InputError(
                f"{where}: {quoted(subject)} is an actor and the number of another one;"
                f" say in --subjects which is meant: {example}"
            )
        return of_actor or numbered

    def in_file(self, target: str) -> tuple[set[Individual], str]:
        """Return the individuals of the file in 'file:word', and the word.

        Everybody, and the whole target, if it names no file.
        """
        file, colon, word = target.rpartition(":")
        individuals = {own for own in self.first_frame if colon and own.is_in(file)}
        if individuals:
            return individuals, word
        return set(self.first_frame), target

    def only_one(self, subject: str) -> set[Individual]:
        """Return the only individual, if nothing contradicts a subject; else none.

        Several tracks of a tool, one after the other, may be several individuals; a
        name or a number of the user's tells that they are one. Another name, or another
        number, contradicts it.
        """
        everybody = set(self.first_frame)
        called = {(own.actor, own.name, own.number) for own in everybody}
        if len(called) != 1:
            return set()
        if any(len(individuals) > 1 for individuals in self.of_frame.values()):
            return set()
        individual = next(iter(everybody))
        if individual.name:
            return everybody if subject == "" else set()
        if individual.number is not None:
            return everybody if _number_in(subject) is None else set()
        return everybody if len(everybody) == 1 else set()

    def words(self) -> list[str]:
        """Return the names of all individuals, in lower case."""
        words: set[str] = set()
        for individual in self.first_frame:
            words.add(individual.actor.casefold())
            if individual.name:
                words.add(individual.name.casefold())
            if individual.number is not None:
                words.add(str(individual.number))
                words.add(f"{individual.actor} {individual.number}".casefold())
        return sorted(words - {""})

    def tracks_of_tools(self, subject: str) -> list[Individual]:
        """Return the tracks, numbered by tools, that a numeric subject may mean."""
        number = _number_in(subject)
        if number is None:
            return []
        actor = subject[: -len(number)].strip()
        tracks = []
        for individual in self.first_frame:
            is_of_actor = not actor or individual.is_of_actor(actor)
            if is_of_actor and individual.is_numbered_by_tool():
                tracks.append(individual)
        return sorted(tracks, key=lambda own: (own.file, own.track))


def _named(individuals: Iterable[Individual], word: str) -> set[Individual]:
    """Return those of a name; in another case only if none has it as it is written."""
    named = {own for own in individuals if own.is_named(word)}
    exactly = {own for own in named if normalized(own.name or "") == word}
    return exactly or named


def _number_in(subject: str) -> str | None:
    """Return the number of '2' or 'mouse 2'; None of another subject."""
    match = re.fullmatch(r"(?:.* )?([0-9]+)", subject)
    return match[1] if match else None


def find_individuals(
    vid: str,
    observations: Sequence[Observation],
    identities: Identities,
    subjects: Subjects,
    actors: Collection[str] = (),
) -> dict[str, set[Individual]]:
    """Return the individuals of each coded subject; of one that is left out, none.

    Args:
      actors: of all videos, in lower case. A subject of this name is no nickname.

    Raises:
      InputError: a subject fits no individual, or only numbers that a tool chose; or a
        track of `subjects` is in several files.
    """
    times = _times_of_subjects(observations)
    individuals: dict[str, set[Individual]] = {}
    strangers = []
    for subject, time in times.items():
        targets = targets_of(subjects, subject, vid)
        if targets is None:
            fitting = _individuals_called(vid, subject, time, identities)
            is_actor = subject.casefold() in actors
            if not fitting and len(times) == 1 and not is_actor:
                fitting = identities.only_one(subject)
            if not fitting:
                _check_tool_numbers(vid, subject, time, identities)
        else:
            fitting = _individuals_meant(vid, subject, targets, identities)
        individuals[subject] = fitting
        if not fitting and targets != []:
            strangers.append(subject)
    if strangers:
        raise _strangers_error(vid, strangers, times, identities)
    return individuals


def _individuals_called(
    vid: str, subject: str, time: _CodedTime, identities: Identities
) -> set[Individual]:
    """Return the individuals that the annotations call by a subject's name."""
    fitting = identities.of_subject(subject, time.where)
    numbered = [own for own in fitting if own.has_number(subject)]
    _check_files(vid, time.where, subject, _number_in(subject), numbered)
    return fitting


def _individuals_meant(
    vid: str, subject: str, targets: Iterable[str], identities: Identities
) -> set[Individual]:
    """Return the individuals that the user's words for a subject mean."""
    individuals: set[Individual] = set()
    for target in targets:
        candidates, word = identities.in_file(target)
        named = _named(candidates, word)
        with_track = {own for own in candidates if own.has_track(word)}
        of_actor = {own for own in candidates if own.is_of_actor(word)}
        if not named:
            _check_files(vid, "--subjects", subject, word, with_track)
        individuals |= named or with_track or of_actor
    return individuals


def _check_tool_numbers(
    vid: str, subject: str, time: _CodedTime, identities: Identities
) -> None:
    """Raise InputError if a subject may be the number of a tool's track."""
    tracks = identities.tracks_of_tools(subject)
    if tracks:
        example = json.dumps({subject: "track id or name"})
        raise InputError(
            f"{time.where}: {quoted(subject)} ({time.text}) is no name in the"
            f" annotations of '{vid}', and their tool numbers the tracks itself:"
            f" {_listing(tracks, identities)}; say in --subjects which one is meant:"
            f" {example}"
        )


def _strangers_error(
    vid: str,
    strangers: Sequence[str],
    times: Mapping[str, _CodedTime],
    identities: Identities,
) -> InputError:
    """Return the error of subjects that fit no individual."""
    names = [quoted(subject) for subject in strangers]
    coded = [f"{quoted(subject)} {times[subject].text}" for subject in strangers]
    message = (
        f"{times[strangers[0]].where}: no annotated individual of '{vid}' is called"
        f" {join_names(names)}; they are called {join_names(identities.words())}"
    )
    tracks = [own for own in identities.first_frame if own.is_numbered_by_tool()]
    if tracks:
        message += f", or have tracks in {_listing(tracks, identities)}"
    example = json.dumps({strangers[0]: None})
    return InputError(
        f"{message}; coded: {join_names(coded)}; map each in --subjects, or leave it"
        f" out there: {example}"
    )


class _CodedTime(NamedTuple):
    """The first place where a subject is coded, and how long it is in all."""

    where: str
    text: str


def _times_of_subjects(observations: Iterable[Observation]) -> dict[str, _CodedTime]:
    """Return {subject: where it is coded and for how long}."""
    bouts_of_subject: dict[str, list[CodedBout]] = collections.defaultdict(list)
    observation_of_subject: dict[str, Observation] = {}
    for observation in observations:
        for bout in observation.bouts:
            bouts_of_subject[bout.subject].append(bout)
            observation_of_subject.setdefault(bout.subject, observation)
    times = {}
    for subject, bouts in bouts_of_subject.items():
        text = observation_of_subject[subject].time_text(bouts)
        times[subject] = _CodedTime(bouts[0].where, text)
    return times


def targets_of(subjects: Subjects, name: str, vid: str) -> list[str] | None:
    """Return what the user says that a subject of a video is.

    Returns:
      the words for one individual; [] if the subject is left out; None if the user does
      not say.
    """
    target = subjects.get(name, name)
    if isinstance(target, Mapping):
        if vid not in target:
            return None
        target = target[vid]
    elif name not in subjects:
        return None
    if target is None:
        return []
    return [target] if isinstance(target, str) else list(target)


def _check_files(
    vid: str,
    where: str,
    subject: str,
    track: str | None,
    individuals: Iterable[Individual],
) -> None:
    """Raise InputError if individuals that have one number are in several files.

    Args:
      where: names the subject's place in the error.
      track: the number, perhaps after the actor.
    """
    files = sorted({own.file for own in individuals})
    if len(files) > 1:
        examples = [f"{file}:{track}" for file in files]
        raise InputError(
            f"{where}: {quoted(subject)}: track {track} of '{vid}' is in"
            f" {join_names(files)}, and each may number its tracks by itself; name the"
            f" file in --subjects: {json.dumps({subject: examples[0]})}, or all that"
            f" show this individual: {json.dumps({subject: examples})}"
        )


def _listing(tracks: Sequence[Individual], identities: Identities) -> str:
    """Return tracks as text, with the files that number them."""
    texts = []
    for track in tracks:
        first_frame = identities.first_frame[track]
        texts.append(f"{track.track} ({track.actor}, from frame {first_frame})")
    files = sorted({track.file for track in tracks})
    return f"{join_names(files)}: {join_names(texts)}"
