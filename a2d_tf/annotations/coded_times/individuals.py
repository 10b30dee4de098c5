"""Individuals: the annotated animals of a video, and what tells them apart.

Numbers that a tool gave to its tracks are nobody's names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from a2d_tf.annotations.document import AnnotatedFrame, Instance
from a2d_tf.annotations.names import Names
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import normalized


class Individual(NamedTuple):
    """An annotated individual of a video.

    Attributes:
      actor: its actor class.
      name: the user's name for it; None if there is none.
      number: the user's number for it; None if there is none.
      track: identity of its track in the file; None if it has no track.
      file: the file with that track; '' if it has no track.
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
        if self.track is None:
            return self.actor
        return f"{self.actor} (track {self.track})"

    def is_named(self, word: str) -> bool:
        """Return whether this is its name, in any case."""
        return (
            self.name is not None
            and normalized(self.name).casefold() == word.casefold()
        )

    def has_own_name(self) -> bool:
        """Return whether it has a name that is not only its number."""
        return self.name not in (None, "", str(self.number))

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

    def of_subject(
        self, subject: str, where: str, others: Collection[str] = ()
    ) -> set[Individual]:
        """Return the individuals that a subject is; a name wins over a number.

        Args:
          others: further coded subjects.

        Raises:
          InputError: the subject is an actor, and the number of another individual;
            names `where` it is coded.
        """
        called = named(self.first_frame, subject)
        of_actor = {one for one in self.first_frame if one.is_of_actor(subject)}
        numbered = self._numbered(subject, others)
        if called:
            return called
        if of_actor and numbered - of_actor:
            example = json.dumps({subject: "track id or name"})
            raise InputError(
                f"{where}: {quoted(subject)} is an actor and the number of another one;"
                f" say in --subjects which is meant: {example}"
            )
        return of_actor or numbered

    def _numbered(self, subject: str, others: Collection[str]) -> set[Individual]:
        """Return those that have the number of a subject.

        'dog 3' is the individual 3 also where it is taken for a cat: unless one frame
        shows both, or 'cat 3' is another subject.
        """
        numbered = {one for one in self.first_frame if one.has_number(subject)}
        numbers = {one.number for one in numbered}
        beside: set[Individual] = set()
        for shown in self.of_frame.values():
            if not numbered.isdisjoint(shown):
                beside.update(shown)
        for one in self.first_frame:
            is_another = any(one.has_number(other) for other in others)
            if one.number in numbers and one not in beside and not is_another:
                numbered.add(one)
        return numbered

    def in_file(self, target: str) -> tuple[set[Individual], str]:
        """Return the individuals of the file in 'file:word', and the word.

        Everybody, and the whole target, if it names no file.
        """
        file, colon, word = target.rpartition(":")
        individuals = {one for one in self.first_frame if colon and one.is_in(file)}
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
        called = {(one.actor, one.name, one.number) for one in everybody}
        if len(called) != 1:
            return set()
        if any(len(individuals) > 1 for individuals in self.of_frame.values()):
            return set()
        individual = next(iter(everybody))
        if individual.name:
            return everybody if subject == "" else set()
        if individual.number is not None:
            return everybody if number_in(subject) is None else set()
        return everybody if len(everybody) == 1 else set()

    def may_be_seen(self, subject: str) -> bool:
        """Return whether a subject may be somebody whom the annotations do not name.

        A number means a track that is not there; and beside names of the user's,
        another one is of somebody who has no track.
        """
        if number_in(subject) is not None:
            return False
        return subject == "" or not any(one.has_own_name() for one in self.first_frame)

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
        number = number_in(subject)
        if number is None:
            return []
        actor = subject[: -len(number)].strip()
        tracks = []
        for individual in self.first_frame:
            is_of_actor = not actor or individual.is_of_actor(actor)
            if is_of_actor and individual.is_numbered_by_tool():
                tracks.append(individual)
        return sorted(tracks, key=lambda one: (one.file, one.track))


def named(individuals: Iterable[Individual], word: str) -> set[Individual]:
    """Return the individuals of a name; case counts if one has exactly this name."""
    in_any_case = {one for one in individuals if one.is_named(word)}
    exactly = {one for one in in_any_case if normalized(one.name or "") == word}
    return exactly or in_any_case


def number_in(subject: str) -> str | None:
    """Return the number of '2' or 'mouse 2'; None of another subject."""
    match = re.fullmatch(r"(?:.* )?([0-9]+)", subject)
    return match[1] if match else None
