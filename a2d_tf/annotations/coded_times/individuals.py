"""Individuals: the annotated animals of a video, and what tells them apart.

A number that the annotation tool gave to a track names no individual.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from a2d_tf.annotations.documents.document import AnnotatedFrame
from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.annotations.labels.names import Names
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

    def has_own_name(self) -> bool:
        """Return whether it has a name that is not only its number."""
        return self.name not in (None, "", str(self.number))

    def has_actor(self, word: str) -> bool:
        """Return whether a word is its actor, in any case."""
        return self.actor != "" and self.actor.casefold() == word.casefold()

    def number_words(self) -> set[str]:
        """Return the words for the user's number, in lower case: '3' and 'mouse 3'."""
        return self._words_for(self.number)

    def track_words(self) -> set[str]:
        """Return such words for its track, or for its number if it has no track."""
        return self._words_for(self.number if self.track is None else self.track)

    def is_in_file(self, file: str) -> bool:
        """Return whether its track is in a file.

        Args:
          file: the path, or one part of it, such as a zip: 'task_17.zip'.
        """
        return file == self.file or file in re.split(r"[\\/]", self.file)

    def is_numbered_by_tool(self) -> bool:
        """Return whether its only number is one that a tool chose."""
        return self.track is not None and self.number is None

    def _words_for(self, number: int | None) -> set[str]:
        """Return a number as text, alone and after the actor; nothing for None."""
        if number is None:
            return set()
        return {str(number), f"{self.actor} {number}".casefold()}


class AnnotatedIndividuals(NamedTuple):
    """The annotated individuals of a video.

    Attributes:
      by_frame: {1-based number of an annotated frame: the individual of each of its
        instances}.
      first_frame: {individual: the 1-based number of its first frame}.
    """

    by_frame: dict[int, list[Individual]]
    first_frame: dict[Individual, int]

    @classmethod
    def of(
        cls, frames: Mapping[int, AnnotatedFrame], names: Names
    ) -> AnnotatedIndividuals:
        """Collect the individuals of a video.

        Args:
          frames: {1-based number: annotated frame}.
          names: maps labels to actors.
        """
        by_frame: dict[int, list[Individual]] = {}
        first_frame: dict[Individual, int] = {}
        for number, frame in sorted(frames.items()):
            by_frame[number] = []
            for instance in frame.instances:
                individual = Individual.of(instance, frame, names)
                by_frame[number].append(individual)
                first_frame.setdefault(individual, number)
        return cls(by_frame, first_frame)

    def count_shown(self, frame: int, individuals: set[Individual]) -> int:
        """Count the instances of a frame that show one of some individuals.

        Args:
          frame: the 1-based number of an annotated frame.
        """
        return sum(individual in individuals for individual in self.by_frame[frame])

    def with_subject(
        self, subject: str, where: str, others: Collection[str] = ()
    ) -> set[Individual]:
        """Return the individuals that a subject names, calls by actor, or numbers.

        A name wins over an actor, and an actor over a number.

        Args:
          subject: the coded subject.
          where: the place where it is coded, for the error.
          others: the other coded subjects of the video.

        Raises:
          InputError: the subject is an actor, and also the number of an individual of
            another actor.
        """
        with_name = named(self.first_frame, subject)
        with_actor = {one for one in self.first_frame if one.has_actor(subject)}
        with_number = self._with_number(subject, others)
        if with_name:
            return with_name
        if with_actor and with_number - with_actor:
            example = json.dumps({subject: "track id or name"})
            raise InputError(
                f"{where}: {quoted(subject)} is an actor and the number of another one;"
                f" say in --subjects which is meant: {example}"
            )
        return with_actor or with_number

    def _with_number(self, subject: str, others: Collection[str]) -> set[Individual]:
        """Return the individuals that have the number of a subject.

        The annotations may take one individual for a dog in one frame and for a cat in
        another. So 'dog 3' is also the individual 'cat 3', unless one frame shows both,
        or 'cat 3' is another subject.
        """
        word = subject.casefold()
        other_words = {other.casefold() for other in others}
        with_number = {one for one in self.first_frame if word in one.number_words()}
        numbers = {one.number for one in with_number}
        shown_together: set[Individual] = set()
        for individuals in self.by_frame.values():
            if not with_number.isdisjoint(individuals):
                shown_together.update(individuals)
        for one in self.first_frame:
            is_another = not other_words.isdisjoint(one.number_words())
            if one.number in numbers and one not in shown_together and not is_another:
                with_number.add(one)
        return with_number

    def split_target(self, target: str) -> tuple[set[Individual], str]:
        """Split 'file:word' into the individuals of the file and the word.

        Returns:
          all individuals and the whole target, if it names no file.
        """
        file, colon, word = target.rpartition(":")
        individuals = {
            one for one in self.first_frame if colon and one.is_in_file(file)
        }
        if individuals:
            return individuals, word
        return set(self.first_frame), target

    def only_one(self, subject: str) -> set[Individual]:
        """Return the tracks of the video's only individual if a subject may mean it.

        A named individual needs an empty subject. One that the user numbered needs a
        subject without a number. Otherwise any subject fits a single track; several
        tracks of a tool may be several individuals.

        Returns:
          the tracks; none if the video shows several individuals, or the subject does
          not fit.
        """
        everybody = set(self.first_frame)
        identities = {(one.actor, one.name, one.number) for one in everybody}
        if len(identities) != 1:
            return set()
        if any(len(individuals) > 1 for individuals in self.by_frame.values()):
            return set()
        individual = next(iter(everybody))
        if individual.name:
            return everybody if subject == "" else set()
        if individual.number is not None:
            return everybody if number_in(subject) is None else set()
        return everybody if len(everybody) == 1 else set()

    def may_be_unnamed(self, subject: str) -> bool:
        """Return whether a subject may be an individual that has no name here.

        A number means a track, and so does a name if the user has named individuals.
        """
        if number_in(subject) is not None:
            return False
        return subject == "" or not any(one.has_own_name() for one in self.first_frame)

    def words(self) -> list[str]:
        """Return all actors, names and numbers, in lower case, sorted."""
        words: set[str] = set()
        for individual in self.first_frame:
            words.add(individual.actor.casefold())
            if individual.name:
                words.add(individual.name.casefold())
            words |= individual.number_words()
        return sorted(words - {""})

    def tool_tracks(self, subject: str) -> list[Individual]:
        """Return the tracks that a numeric subject may mean, if a tool numbered them.

        Returns:
          the tracks, by file and number; none if the subject is not numeric.
        """
        number = number_in(subject)
        if number is None:
            return []
        actor = subject[: -len(number)].strip()
        tracks = []
        for individual in self.first_frame:
            fits_actor = not actor or individual.has_actor(actor)
            if fits_actor and individual.is_numbered_by_tool():
                tracks.append(individual)
        return sorted(tracks, key=lambda one: (one.file, one.track))


def named(individuals: Iterable[Individual], word: str) -> set[Individual]:
    """Return the individuals with a name: in any case, if none has exactly this one."""
    names = {one: normalized(one.name) for one in individuals if one.name}
    exactly = {one for one, name in names.items() if name == word}
    if exactly:
        return exactly
    return {one for one, name in names.items() if name.casefold() == word.casefold()}


def number_in(subject: str) -> str | None:
    """Return the number in '2' or 'mouse 2'; None if another word ends the subject."""
    match = re.fullmatch(r"(?:.* )?([0-9]+)", subject)
    return match[1] if match else None
