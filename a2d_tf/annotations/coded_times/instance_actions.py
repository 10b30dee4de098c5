"""The actions of a video's instances, from times coded in BORIS or alike.

What an individual did when a frame was shown becomes its action in that frame.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from a2d_tf.annotations.coded_times.bout_frames import BoutFrames
from a2d_tf.annotations.coded_times.bout_owners import (
    OwnedBout,
    doubts_of,
    find_owners,
)
from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.individual import Individual
from a2d_tf.annotations.coded_times.individuals import AnnotatedIndividuals
from a2d_tf.annotations.coded_times.observations import CodedBout, check_observations
from a2d_tf.annotations.coded_times.subject_individuals import find_individuals
from a2d_tf.annotations.documents.document import AnnotatedFrame
from a2d_tf.annotations.labels.names import Names
from a2d_tf.core.errors import InputError, quoted

_UNCODED = "frames between coded times"
_NEVER = "frames of videos without coded times"
_AT_ONCE = "frames with two coded actions of an individual"
_NOBODYS = "frames with an individual that is not coded in its video"


class CodedFrames(NamedTuple):
    """The result of `give_actions`: the frames of a video with coded actions.

    Attributes:
      frames: {1-based number: annotated frame} of the frames whose instances all have
        an action.
      left_out: {reason: the number of frames that were left out for it}.
      shown: the bouts of which an annotated frame shows an individual.
      not_coded: {text for an individual that is not coded in the video and has no
        annotated action: the number of its frames that were left out}.
      doubts: a sentence for each subject with bouts that may be of several individuals.
    """

    frames: dict[int, AnnotatedFrame]
    left_out: collections.Counter[str]
    shown: set[CodedBout]
    not_coded: collections.Counter[str]
    doubts: list[str]


def give_actions(
    vid: str,
    frames: Mapping[int, AnnotatedFrame],
    coding: Coding,
    names: Names,
    bout_frames: BoutFrames,
    actors: Collection[str] = (),
) -> CodedFrames:
    """Give the instances of a video the actions that were coded for their frames.

    An action holds from the frame that is shown when it starts to the last frame that
    begins before it stops. The action of a point event holds in the frame that is shown
    at its time. It is the action of the annotated individuals that the coded subject
    means, see `find_individuals`. If no annotation has the subject's name, and
    `coding.by_sight`, it is the action of the individual that is seen alone during the
    time.

    Args:
      vid: the name of the video.
      frames: {1-based number: annotated frame}.
      coding: the coded times, and the user's settings for them.
      names: maps labels of the tool to actors and actions.
      bout_frames: finds the frames of the video that show a bout.
      actors: the names of the actors in all videos, in lower case. A subject that is
        one of them stands for no single individual.

    Returns:
      the frames whose instances all have an action, and counts of the others.

    Raises:
      InputError: two observations contradict each other; a subject fits two individuals
        of a frame, or none; or a bout does not lie in the video.
    """
    observations = coding.of_video(vid)
    check_observations(observations)
    annotated = AnnotatedIndividuals.of(frames, names)
    individuals = find_individuals(
        vid,
        observations,
        annotated,
        coding.subjects,
        actors,
        by_sight=coding.by_sight,
    )
    owned_bouts = find_owners(
        observations, coding.fps, bout_frames, annotated, individuals
    )
    shown_bouts = [owned for owned in owned_bouts if owned.is_shown(annotated)]
    _check_unambiguous(vid, shown_bouts, frames, annotated)
    coder = _Coder(vid, coding, names, owned_bouts)
    result = CodedFrames(
        frames={},
        left_out=collections.Counter(),
        shown={owned.bout for owned in shown_bouts},
        not_coded=collections.Counter(),
        doubts=doubts_of(vid, owned_bouts),
    )
    for number, frame in frames.items():
        instances = coder.instances(number, frame, annotated.by_frame[number])
        not_coded = []
        for instance in instances:
            if not instance.actions and not coder.is_coded(instance.individual):
                not_coded.append(instance.individual.text())
        if all(len(instance.actions) == 1 for instance in instances):
            result.frames[number] = _coded_frame(frame, instances)
        elif not observations:
            result.left_out[_NEVER] += 1
        elif all(instance.actions for instance in instances):
            result.left_out[_AT_ONCE] += 1
        elif not_coded:
            result.left_out[_NOBODYS] += 1
            result.not_coded.update(not_coded)
        else:
            result.left_out[_UNCODED] += 1
    return result


class _CodedInstance(NamedTuple):
    """An instance that takes its action from coded times.

    Attributes:
      position: its index among the instances of the frame.
      individual: the individual that it shows.
      actions: {action of the individual in this frame: the file with the coded bout and
        the place in it; None if the action is `Coding.outside`}.
    """

    position: int
    individual: Individual
    actions: dict[str, str | None]


class _Coder:
    """Tells what the individuals of a video do in its frames."""

    def __init__(
        self,
        vid: str,
        coding: Coding,
        names: Names,
        owned_bouts: Iterable[OwnedBout],
    ) -> None:
        self._vid = vid
        self._coding = coding
        self._names = names
        self._coded: set[Individual] = set()  # in this video
        self._bouts_of_frame = collections.defaultdict[int, list[OwnedBout]](list)
        for owned in owned_bouts:
            if not owned.doubt:
                self._coded |= owned.individuals
            for number in owned.frames:
                self._bouts_of_frame[number].append(owned)

    def is_coded(self, individual: Individual) -> bool:
        """Return whether an individual is coded in this video."""
        return individual in self._coded

    def instances(
        self, number: int, frame: AnnotatedFrame, individuals: Iterable[Individual]
    ) -> list[_CodedInstance]:
        """Return the instances of a frame that take their actions from coded times.

        Args:
          individuals: the individual of each instance of the frame.
        """
        instances = []
        for position, individual in enumerate(individuals):
            is_replaced = self._coding.wins and self.is_coded(individual)
            if is_replaced or self._names.pair(frame.instances[position]) is None:
                actions = self._actions(number, individual)
                instances.append(_CodedInstance(position, individual, actions))
        return instances

    def _actions(self, number: int, individual: Individual) -> dict[str, str | None]:
        """Return the actions of an individual in a frame, see `_CodedInstance`.

        Actions that the user leaves out, and bouts in doubt, are missing.
        """
        bouts = []
        for owned in self._bouts_of_frame[number]:
            if individual in owned.individuals:
                bouts.append(owned)
        if not bouts and self._coding.outside and self.is_coded(individual):
            return {self._coding.outside: None}
        actions: dict[str, str | None] = {}
        for owned in bouts:
            action = owned.bout.action
            if not owned.doubt and not self._coding.leaves_out(action, self._vid):
                actions[action] = owned.bout.where
        return actions


def _coded_frame(
    frame: AnnotatedFrame, coded_instances: Iterable[_CodedInstance]
) -> AnnotatedFrame:
    """Return a frame with the coded actions of its instances.

    Args:
      coded_instances: the instances that take a coded action; each has exactly one.
    """
    instances = list(frame.instances)
    for coded in coded_instances:
        ((action, where),) = coded.actions.items()
        instances[coded.position] = dataclasses.replace(
            instances[coded.position], coded=action, coded_at=where
        )
    return dataclasses.replace(frame, instances=tuple(instances))


def _check_unambiguous(
    vid: str,
    shown_bouts: Iterable[OwnedBout],
    frames: Mapping[int, AnnotatedFrame],
    annotated: AnnotatedIndividuals,
) -> None:
    """Raise InputError if a subject may be either of two individuals of one frame.

    The frames of the bout count if the subject is known by sight alone. Otherwise all
    frames of the video count: a frame that shows one of two individuals of one name
    does not tell which one it is.

    Args:
      shown_bouts: the bouts of which an annotated frame shows an individual.
      frames: {1-based number: annotated frame}.
    """
    checked: set[str] = set()  # subjects that the annotations name
    for owned in shown_bouts:
        subject = owned.bout.subject
        if owned.doubt or subject in checked:
            continue
        numbers = list(owned.frames)
        if not owned.by_sight:
            checked.add(subject)
            numbers += frames
        for number in numbers:
            count = annotated.count_shown(number, owned.individuals)
            if count > 1:
                raise InputError(
                    f"{frames[number].where}: subject {quoted(subject)} fits {count}"
                    f" individuals of frame {number} of '{vid}'; tell them apart by"
                    " their tracks' numbers in --subjects"
                )
