"""Actions from coded times: what an individual did when a frame was shown becomes
its label.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Union

import numpy as np

from a2d_tf.annotations.document import AnnotatedFrame, Instance
from a2d_tf.annotations.names import Names
from a2d_tf.annotations.observations import CodedBout, Observation, check_coders
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError, join_names, quoted

Subjects = Mapping[str, Union[str, Mapping[str, str]]]
_UNCODED = "frames between coded times"
_NEVER = "frames of videos without coded times"
_AT_ONCE = "frames with two coded actions of an individual"
_NOBODY = "bouts of subjects that no annotated individual fits"
_ROUNDING = 6e-4  # seconds; BORIS rounds to milliseconds
# seconds by which a bout may end behind the last frame: tools differ on the end
_PAST = 1.0


@dataclasses.dataclass(frozen=True)
class Coding:
    """What people have coded of videos, and how it is used.

    Attributes:
      observations: of any videos.
      wins: whether coded individuals lose annotated actions; else only missing ones are
        given.
      outside: the action between coded times; None leaves these frames out.
      subjects: {subject: individual, or {video: individual}} where names differ.
    """

    observations: Sequence[Observation]
    wins: bool = False
    outside: str | None = None
    subjects: Subjects = dataclasses.field(default_factory=dict)


def load_subjects(path: str) -> Subjects:
    """Read {"subject": "individual" or {"video": "individual"}}; InputError where
    malformed.
    """
    return load_json(
        path, {str: (str, {str: str})}, 'write {"subject": "track id or name"}'
    )


def give_actions(
    vid: str,
    frames: Mapping[int, AnnotatedFrame],
    coding: Coding,
    names: Names,
    seconds: Callable[[], np.ndarray],
) -> tuple[dict[int, AnnotatedFrame], collections.Counter[str]]:
    """Give the instances of a video the actions that were coded when their frames were
    shown.

    An action holds from the frame that is shown when it starts to the last that begins
    before it stops; that of a point event in the frame that is shown. A subject is an
    individual by number of its track, name, actor, or 'actor number'; or where the
    video has one of each.

    Args:
      frames: {1-based number: frame}; seconds: returns when each begins, float64 [N].

    Returns:
      ({number: frame} whose instances all have an action; {reason: count} of what is
      left out).

    Raises:
      InputError: a subject has two observations, or fits two individuals of a frame, or
        none fits any; or a bout lies behind the end of the video.
    """
    own = [each for each in coding.observations if each.video == vid]
    who = _subjects(vid, own, frames, names, coding.subjects)
    known = set().union(*who.values())
    left_out = collections.Counter[str]()
    doing: dict[int, list[CodedBout]] = collections.defaultdict(list)  # by frame
    times = seconds() if own else np.zeros(0)
    for bout in (bout for each in own for bout in each.bouts):
        left_out[_NOBODY] += not who[bout.subject]
        for number in _shown(bout, times):
            doing[number].append(bout)
    coded = {}
    for number, frame in frames.items():
        keys, instances = (
            [_key(x, names) for x in frame.instances],
            list(frame.instances),
        )
        # The actions of those that take theirs from the times.
        actions: dict[int, set[str]] = {
            i: set()
            for i, x in enumerate(instances)
            if (coding.wins and keys[i] in known) or names.pair(x) is None
        }
        for bout in doing[number]:
            fits = [i for i in actions if keys[i] in who[bout.subject]]
            if len(fits) > 1:
                told = f"fits {len(fits)} individuals of frame {number} of '{vid}'"
                told = f"{frame.where}: subject {quoted(bout.subject)} {told}"
                raise InputError(
                    f"{told}; tell them apart by their tracks' numbers in --subjects"
                )
            for i in fits:
                actions[i].add(bout.action)
        for i, found in actions.items():
            if own and coding.outside and not found:
                found.add(coding.outside)
            instances[i] = dataclasses.replace(
                instances[i], coded=min(found, default=None)
            )
        if all(len(found) == 1 for found in actions.values()):
            coded[number] = dataclasses.replace(frame, instances=tuple(instances))
        else:
            left_out[
                (_AT_ONCE if all(actions.values()) else _UNCODED) if own else _NEVER
            ] += 1
    return coded, left_out


_Key = tuple[str, Union[int, None], Union[str, None]]


def _key(instance: Instance, names: Names) -> _Key:
    return names.annotated_names(instance)[0], instance.track, instance.name


def _subjects(vid, observations, frames, names, renamed):
    """Return {subject: keys of the individuals that it is}."""
    check_coders(observations)
    coders = {bout.subject for each in observations for bout in each.bouts}
    called: dict[_Key, set[str]] = {}
    for instance in (x for frame in frames.values() for x in frame.instances):
        actor, track, name = key = _key(instance, names)
        words = (
            actor,
            name,
            *([] if track is None else [str(track), f"{actor} {track}"]),
        )
        called.setdefault(key, set()).update(word.casefold() for word in words if word)
    alone = len(coders) == 1 and all(
        len(frame.instances) < 2 for frame in frames.values()
    )
    who = {}
    for subject in coders:
        own = renamed.get(subject, subject)
        word = own if isinstance(own, str) else own.get(vid, subject)
        fits = {key for key, words in called.items() if word.casefold() in words}
        who[subject] = fits or ({*called} if alone else set())
    if coders and not any(who.values()):
        there = join_names(
            sorted({word for words in called.values() for word in words})
        )
        raise InputError(
            f"{observations[0].bouts[0].where}: no annotated individual of '{vid}' is"
            f" called {join_names(sorted(map(quoted, coders)))}; they are called {there};"
            " map them in --subjects"
        )
    return who


def _shown(bout, times):
    """Return the 1-based numbers of the frames in which a bout is seen, of the times
    of frames.
    """
    beyond = max(_PAST, np.diff(times[-2:]).sum())
    if bout.start > times[-1] + _ROUNDING or bout.end > times[-1] + beyond:
        raise InputError(
            f"{bout.where}: {bout.start:.3f} to {bout.end:.3f} s is behind the last"
            f" frame of the video, at {times[-1]:.3f} s; pass the video that was coded"
        )
    first = max(int(np.searchsorted(times, bout.start + _ROUNDING, "right")), 1)
    return range(
        first, max(int(np.searchsorted(times, bout.end - _ROUNDING)), first) + 1
    )
