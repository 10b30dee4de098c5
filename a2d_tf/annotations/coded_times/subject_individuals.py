"""Which annotated individuals the subjects of coded times are.

A subject is an individual only where the annotations say so: by its name, its actor,
the number by which the user knows it, or 'actor number'. Numbers that a tool gave to
its tracks are nobody's names; the user says by `Subjects` which of them are meant.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.coded_times.individuals import (
    Identities,
    Individual,
    named,
    number_in,
)
from a2d_tf.annotations.coded_times.observations import CodedBout, Observation
from a2d_tf.annotations.coded_times.subjects import Subjects, targets_of
from a2d_tf.core.errors import InputError, join_names, quoted


def find_individuals(
    vid: str,
    observations: Sequence[Observation],
    identities: Identities,
    subjects: Subjects,
    actors: Collection[str] = (),
    *,
    by_sight: bool = False,
) -> dict[str, set[Individual]]:
    """Return the individuals of each coded subject; of one that is left out, none.

    Args:
      actors: of all videos, in lower case. A subject of this name is no nickname.
      by_sight: as of `Coding`. The result lacks the subjects that are known by sight.

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
            others = times.keys() - {subject}
            fitting = _individuals_called(vid, subject, others, time, identities)
            is_actor = subject.casefold() in actors
            if not fitting and len(times) == 1 and not is_actor:
                fitting = identities.only_one(subject)
            if not fitting:
                _check_tool_numbers(vid, subject, time, identities)
            if not fitting and by_sight and not is_actor:
                if identities.may_be_seen(subject):
                    continue
        else:
            fitting = _individuals_meant(vid, subject, targets, identities)
        individuals[subject] = fitting
        if not fitting and targets != []:
            strangers.append(subject)
    if strangers:
        raise _strangers_error(vid, strangers, times, identities, subjects)
    return individuals


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


def _individuals_called(
    vid: str,
    subject: str,
    others: Collection[str],
    time: _CodedTime,
    identities: Identities,
) -> set[Individual]:
    """Return the individuals that the annotations call by a subject's name.

    Args:
      others: further subjects.
    """
    fitting = identities.of_subject(subject, time.where, others)
    numbered = [one for one in fitting if one.has_number(subject)]
    _check_files(vid, time.where, subject, number_in(subject), numbered)
    return fitting


def _individuals_meant(
    vid: str, subject: str, targets: Iterable[str], identities: Identities
) -> set[Individual]:
    """Return the individuals that the user's words for a subject mean."""
    individuals: set[Individual] = set()
    for target in targets:
        candidates, word = identities.in_file(target)
        called = named(candidates, word)
        with_track = {one for one in candidates if one.has_track(word)}
        of_actor = {one for one in candidates if one.is_of_actor(word)}
        if not called:
            _check_files(vid, "--subjects", subject, word, with_track)
        individuals |= called or with_track or of_actor
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
    subjects: Subjects,
) -> InputError:
    """Return the error of subjects that fit no individual."""
    names = [quoted(subject) for subject in strangers]
    coded = [f"{quoted(subject)} {times[subject].text}" for subject in strangers]
    message = (
        f"{times[strangers[0]].where}: no annotated individual of '{vid}' is called"
        f" {join_names(names)}; they are called {join_names(identities.words())}"
    )
    tracks = [one for one in identities.first_frame if one.is_numbered_by_tool()]
    if tracks:
        message += f", or have tracks in {_listing(tracks, identities)}"
    for subject in strangers:
        targets = targets_of(subjects, subject, vid)
        if targets:
            words = join_names([quoted(target) for target in targets])
            message += f"; --subjects has {words} for {quoted(subject)}, also unknown"
    example = json.dumps({strangers[0]: None})
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
    """Raise InputError if individuals that have one number are in several files.

    Args:
      where: names the subject's place in the error.
      track: the number, perhaps after the actor.
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


def _listing(tracks: Sequence[Individual], identities: Identities) -> str:
    """Return tracks as text, with the files that number them."""
    texts = []
    for track in tracks:
        first_frame = identities.first_frame[track]
        texts.append(f"{track.track} ({track.actor}, from frame {first_frame})")
    files = sorted({track.file for track in tracks})
    return f"{join_names(files)}: {join_names(texts)}"
