"""Which annotated individuals the subjects of coded times are.

A subject means an individual if the annotations give this individual the subject as its
name, its actor, the user's number for it, or 'actor number'. A number that the
annotation tool gave to a track names no individual; the user says by `Subjects` which
track is meant.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.coded_times.individual import Individual, number_in
from a2d_tf.annotations.coded_times.individuals import AnnotatedIndividuals
from a2d_tf.annotations.coded_times.observations import CodedBout, Observation
from a2d_tf.annotations.coded_times.subject_rules import (
    individuals_called,
    individuals_named,
    may_be_unnamed,
    only_individual,
    split_target,
    tracks_numbered_by_tool,
)
from a2d_tf.annotations.coded_times.subjects import Subjects, targets_of
from a2d_tf.core.errors import InputError, join_names, quoted


def find_individuals(
    vid: str,
    observations: Sequence[Observation],
    annotated: AnnotatedIndividuals,
    subjects: Subjects,
    actors: Collection[str] = (),
    *,
    by_sight: bool = False,
) -> dict[str, set[Individual]]:
    """Find the annotated individuals that each coded subject of a video means.

    Args:
      vid: the name of the video.
      observations: the coded times of the video.
      annotated: the annotated individuals of the video.
      subjects: what the user says in --subjects of subjects: which individuals they
        mean, or that they are left out.
      actors: the names of the actors in all videos, in lower case. A subject that is
        one of them stands for no single individual.
      by_sight: whether a subject whose name no annotation has may be known by sight: it
        is the individual that is seen alone during its bouts.

    Returns:
      {subject: the individuals that it means}. A subject that the user leaves out has
      none. Subjects that are known by sight are missing.

    Raises:
      InputError: a subject fits no individual, or only numbers that a tool chose; or a
        track of `subjects` is in several files.
    """
    times = _times_of_subjects(observations)
    individuals: dict[str, set[Individual]] = {}
    unknown = []
    for subject, time in times.items():
        targets = targets_of(subjects, subject, vid)
        if targets is not None:
            fitting = _meant_by_user(vid, subject, targets, annotated)
        else:
            others = times.keys() - {subject}
            fitting = _called_by_annotations(vid, subject, others, time, annotated)
            is_actor = subject.casefold() in actors
            if not fitting and len(times) == 1 and not is_actor:
                fitting = only_individual(annotated, subject)
            if not fitting:
                _check_tool_numbers(vid, subject, time, annotated)
            may_be_seen = by_sight and not is_actor
            if not fitting and may_be_seen and may_be_unnamed(annotated, subject):
                continue
        individuals[subject] = fitting
        if not fitting and targets != []:
            unknown.append(subject)
    if unknown:
        raise _unknown_subjects_error(vid, unknown, times, annotated, subjects)
    return individuals


class _CodedTime(NamedTuple):
    """The times at which a subject is coded.

    Attributes:
      where: the file and the place in it of the first of them, for errors.
      text: how long they are in all, as text: '2.5 s'.
    """

    where: str
    text: str


def _times_of_subjects(observations: Iterable[Observation]) -> dict[str, _CodedTime]:
    """Return {subject: the times at which it is coded}."""
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


def _called_by_annotations(
    vid: str,
    subject: str,
    others: Collection[str],
    time: _CodedTime,
    annotated: AnnotatedIndividuals,
) -> set[Individual]:
    """Return the individuals that the annotations call as a subject is called.

    Args:
      vid: the name of the video.
      subject: the name of the subject.
      others: the other coded subjects of the video.
      time: the times at which the subject is coded, for errors.
      annotated: the annotated individuals of the video.

    Raises:
      InputError: the subject is an actor and the number of another one, or individuals
        of its number are in several files.
    """
    fitting = individuals_called(annotated, subject, time.where, others)
    word = subject.casefold()
    with_number = [one for one in fitting if word in one.number_words()]
    _check_files(vid, time.where, subject, number_in(subject), with_number)
    return fitting


def _meant_by_user(
    vid: str, subject: str, targets: Iterable[str], annotated: AnnotatedIndividuals
) -> set[Individual]:
    """Return the individuals that the user's words for a subject mean.

    A name wins over the number of a track, and this over an actor.

    Args:
      vid: the name of the video.
      subject: the name of the subject, for the error.
      targets: the user's words, as `targets_of` returns them.
      annotated: the annotated individuals of the video.

    Raises:
      InputError: a track of this number is in several files.
    """
    individuals: set[Individual] = set()
    for target in targets:
        candidates, word = split_target(annotated, target)
        with_name = individuals_named(candidates, word)
        with_track = {one for one in candidates if word.casefold() in one.track_words()}
        with_actor = {one for one in candidates if one.has_actor(word)}
        if not with_name:
            _check_files(vid, "--subjects", subject, word, with_track)
        individuals |= with_name or with_track or with_actor
    return individuals


def _check_tool_numbers(
    vid: str, subject: str, time: _CodedTime, annotated: AnnotatedIndividuals
) -> None:
    """Raise InputError if a subject may be a number that a tool gave to a track."""
    tracks = tracks_numbered_by_tool(annotated, subject)
    if tracks:
        example = json.dumps({subject: "track id or name"})
        raise InputError(
            f"{time.where}: {quoted(subject)} ({time.text}) is no name in the"
            f" annotations of '{vid}', and their tool numbers the tracks itself:"
            f" {_listing(tracks, annotated)}; say in --subjects which one is meant:"
            f" {example}"
        )


def _unknown_subjects_error(
    vid: str,
    unknown: Sequence[str],
    times: Mapping[str, _CodedTime],
    annotated: AnnotatedIndividuals,
    subjects: Subjects,
) -> InputError:
    """Return the error that coded subjects fit no individual.

    Args:
      vid: the name of the video.
      unknown: these subjects.
      times: {subject: the times at which it is coded}.
      annotated: the annotated individuals of the video.
      subjects: what the user says in --subjects.
    """
    names = [quoted(subject) for subject in unknown]
    coded = [f"{quoted(subject)} {times[subject].text}" for subject in unknown]
    message = (
        f"{times[unknown[0]].where}: no annotated individual of '{vid}' is called"
        f" {join_names(names)}; they are called {join_names(annotated.words())}"
    )
    tracks = [one for one in annotated.first_frame if one.is_numbered_by_tool()]
    if tracks:
        message += f", or have tracks in {_listing(tracks, annotated)}"
    for subject in unknown:
        targets = targets_of(subjects, subject, vid)
        if targets:
            words = join_names([quoted(target) for target in targets])
            message += f"; --subjects has {words} for {quoted(subject)}, also unknown"
    example = json.dumps({unknown[0]: None})
    return InputError(
        f"{message}; coded: {join_names(coded)}; map each in --subjects, or leave it"
        f" out there: {example}"
    )


def _check_files(
    vid: str,
    where: str,
    subject: str,
    track: str | None,
    individuals: Iterable[Individual],
) -> None:
    """Raise InputError if individuals of one number are in several files.

    Each file may number its tracks by itself, so that they may be different
    individuals.

    Args:
      vid: the name of the video.
      where: the place where the subject is coded, for the error.
      subject: the name of the subject.
      track: the number, or 'actor number'.
      individuals: the individuals that have it.
    """
    files = sorted({one.file for one in individuals})
    if len(files) > 1:
        examples = [f"{file}:{track}" for file in files]
        raise InputError(
            f"{where}: {quoted(subject)}: track {track} of '{vid}' is in"
            f" {join_names(files)}, and each may number its tracks by itself; name the"
            f" file in --subjects: {json.dumps({subject: examples[0]})}, or all that"
            f" show this individual: {json.dumps({subject: examples})}"
        )


def _listing(tracks: Sequence[Individual], annotated: AnnotatedIndividuals) -> str:
    """Return tracks as text: the files, then each number, actor and first frame."""
    texts = []
    for track in tracks:
        first_frame = annotated.first_frame[track]
        texts.append(f"{track.track} ({track.actor}, from frame {first_frame})")
    files = sorted({track.file for track in tracks})
    return f"{join_names(files)}: {join_names(texts)}"
