"""Rules by which a coded subject means annotated individuals.

Each rule returns the individuals of a video that a subject, or the user's word for it,
may mean. `subject_individuals` tries the rules one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import NamedTuple

from a2d_tf.annotations.coded_times.individual import Individual, number_in
from a2d_tf.annotations.coded_times.individuals import AnnotatedIndividuals
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import normalized


def individuals_called(
    annotated: AnnotatedIndividuals,
    subject: str,
    where: str,
    others: Collection[str],
) -> set[Individual]:
    """Return the individuals that a subject means by its name, its actor or its number.

    A name wins over an actor, and an actor over a number.

    Args:
      annotated: the annotated individuals of the video.
      subject: the name of the coded subject.
      where: the file and the place in it where the subject is coded, for the error.
      others: the names of the other coded subjects of the video.

    Raises:
      InputError: the subject is an actor, and also the number of an individual of
        another actor.
    """
    individuals = annotated.first_frame
    with_name = individuals_named(individuals, subject)
    with_actor = {one for one in individuals if one.has_actor(subject)}
    with_number = _with_number(annotated, subject, others)
    if with_name:
        return with_name
    if with_actor and with_number - with_actor:
        example = json.dumps({subject: "track id or name"})
        raise InputError(
            f"{where}: {quoted(subject)} is an actor and the number of another one;"
            f" say in --subjects which is meant: {example}"
        )
    return with_actor or with_number


def _with_number(
    annotated: AnnotatedIndividuals, subject: str, others: Collection[str]
) -> set[Individual]:
    """Return the individuals that have the number in a subject's name.

    The annotations may take one individual for a dog in one frame and for a cat in
    another. So 'dog 3' is also the individual 'cat 3', unless one frame shows both, or
    'cat 3' is another subject.

    Args:
      annotated: the annotated individuals of the video.
      subject: the name of the subject.
      others: the names of the other coded subjects of the video.
    """
    word = subject.casefold()
    other_words = {other.casefold() for other in others}
    with_number = {one for one in annotated.first_frame if word in one.number_words()}
    numbers = {one.number for one in with_number}
    shown_together: set[Individual] = set()
    for individuals in annotated.by_frame.values():
        if not with_number.isdisjoint(individuals):
            shown_together.update(individuals)
    for one in annotated.first_frame:
        is_another = not other_words.isdisjoint(one.number_words())
        if one.number in numbers and one not in shown_together and not is_another:
            with_number.add(one)
    return with_number


def individuals_named(individuals: Iterable[Individual], word: str) -> set[Individual]:
    """Return the individuals that have a name.

    Upper and lower case count only if an individual has exactly this name.

    Args:
      individuals: the individuals to choose from.
      word: the name: a subject, or a word in --subjects.
    """
    names = {one: normalized(one.name) for one in individuals if one.name}
    exactly = {one for one, name in names.items() if name == word}
    if exactly:
        return exactly
    return {one for one, name in names.items() if name.casefold() == word.casefold()}


def only_individual(annotated: AnnotatedIndividuals, subject: str) -> set[Individual]:
    """Return the tracks of the video's only individual if a subject may mean it.

    A named individual needs an empty subject. One that the user numbered needs a
    subject without a number. Otherwise any subject fits a single track; several tracks
    of a tool may be several individuals.

    Args:
      annotated: the annotated individuals of the video.
      subject: the name of the only coded subject.

    Returns:
      the individual, once for each of its tracks; none if the video shows several
      individuals, or the subject does not fit.
    """
    everybody = set(annotated.first_frame)
    identities = {(one.actor, one.name, one.number) for one in everybody}
    if len(identities) != 1:
        return set()
    if any(len(individuals) > 1 for individuals in annotated.by_frame.values()):
        return set()
    individual = next(iter(everybody))
    if individual.name:
        fits = subject == ""
    elif individual.number is not None:
        fits = number_in(subject) is None
    else:
        fits = len(everybody) == 1
    return everybody if fits else set()


def may_be_unnamed(annotated: AnnotatedIndividuals, subject: str) -> bool:
    """Return whether a subject may mean an individual to which nobody gave a name.

    A subject with a number means a track. If the user has named individuals, a subject
    with a name means one of these.

    Args:
      annotated: the annotated individuals of the video.
      subject: the name of the coded subject; '' for no one in particular.
    """
    if number_in(subject) is not None:
        return False
    has_names = any(one.has_own_name() for one in annotated.first_frame)
    return subject == "" or not has_names


def tracks_numbered_by_tool(
    annotated: AnnotatedIndividuals, subject: str
) -> list[Individual]:
    """Return the tracks that a subject with a number may mean, if a tool numbered them.

    Args:
      annotated: the annotated individuals of the video.
      subject: the name of the coded subject: '3' or 'mouse 3'.

    Returns:
      the individuals of these tracks, by file and number; none if the subject has no
      number.
    """
    number = number_in(subject)
    if number is None:
        return []
    actor = subject[: -len(number)].strip()
    tracks = []
    for individual in annotated.first_frame:
        fits_actor = not actor or individual.has_actor(actor)
        if fits_actor and individual.is_numbered_by_tool():
            tracks.append(individual)
    return sorted(tracks, key=lambda one: (one.file, one.track))


class Target(NamedTuple):
    """The user's word for an individual, and the individuals that it may mean.

    Attributes:
      individuals: the annotated individuals among which the word is looked up.
      word: a name, a number of a track, or an actor.
    """

    individuals: set[Individual]
    word: str


def split_target(annotated: AnnotatedIndividuals, target: str) -> Target:
    """Split 'file:word' in --subjects into the individuals of the file and the word.

    Args:
      annotated: the annotated individuals of the video.
      target: the user's text for an individual, with or without a file.

    Returns:
      both; or all annotated individuals and the whole text, if it has no colon or no
      individual is in such a file.
    """
    file, colon, word = target.rpartition(":")
    if colon:
        individuals = {one for one in annotated.first_frame if one.is_in_file(file)}
        if individuals:
            return Target(individuals, word)
    return Target(set(annotated.first_frame), target)
