"""The actions of the instances of a video, from coded times.

What an individual did when a frame was shown becomes its action in that frame.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.coded_times.coded_frames import CodedVideo
from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.individuals import Identities, Individual
from a2d_tf.annotations.coded_times.observations import (
    CodedBout,
    Observation,
    check_observations,
)
from a2d_tf.annotations.coded_times.subject_individuals import find_individuals
from a2d_tf.annotations.document import AnnotatedFrame
from a2d_tf.annotations.names import Names
from a2d_tf.core.errors import InputError, join_names, quoted

_UNCODED = "frames between coded times"
_NEVER = "frames of videos without coded times"
_AT_ONCE = "frames with two coded actions of an individual"
_NOBODYS = "frames with an individual that is not coded in its video"


class CodedFrames(NamedTuple):
    """The result of `give_actions`.

    Attributes:
      frames: {1-based number: frame}, whose instances all have an action.
      left_out: {reason: count}.
      shown: the bouts during which an annotated frame shows their individual.
      not_coded: {individual without an action that nobody coded: its frames}.
      doubts: sentences on bouts that may be of several individuals.
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
    video: CodedVideo,
    actors: Collection[str] = (),
) -> CodedFrames:
    """Give the instances of a video the actions that were coded for their frames.

    An action holds from the frame that is shown when it starts to the last frame that
    begins before it stops; the action of a point event holds in the frame that is
    shown. `subject_individuals` tells whose it is; of a subject that is known by sight
    alone, it is of the one who is seen.

    Args:
      frames: {1-based number: frame}.
      actors: see `find_individuals`.

    Raises:
      InputError: two observations contradict each other; a subject fits two individuals
        of a frame, or none; or a bout does not lie in the video.
    """
    observations = coding.of_video(vid)
    check_observations(observations)
    identities = Identities.of(frames, names)
    individuals = find_individuals(
        vid,
        observations,
        identities,
        coding.subjects,
        actors,
        by_sight=coding.by_sight,
    )
    coded_individuals = set().union(*individuals.values())
    bouts_of_frame: dict[int, list[CodedBout]] = collections.defaultdict(list)
    seen = _Seen(vid, identities, coded_individuals, {}, {})
    for observation in observations:
        for bout, numbers in video.frames_of_bouts(observation, coding.fps):
            shown_numbers = [number for number in numbers if number in frames]
            for number in shown_numbers:
                bouts_of_frame[number].append(bout)
            if bout.subject not in individuals:
                seen.look(bout, shown_numbers, observation)
    for bout, individuals_of_bout in seen.of_bout.items():
        if bout not in seen.several:
            coded_individuals = coded_individuals | individuals_of_bout
    result = CodedFrames(
        {}, collections.Counter(), set(), collections.Counter(), seen.doubts()
    )
    for number, frame in frames.items():
        coder = _FrameCoder(
            frame=frame,
            text=f"frame {number} of '{vid}'",
            shown=identities.of_frame[number],
            of_subject=individuals,
            coded=coded_individuals,
            seen=seen,
        )
        for index, instance in enumerate(frame.instances):
            is_replaced = coding.wins and coder.is_coded(index)
            if is_replaced or names.pair(instance) is None:
                coder.actions[index] = set()
        for bout in bouts_of_frame[number]:
            if coder.add(bout, is_ignored=coding.leaves_out(bout.action, vid)):
                result.shown.add(bout)
        if coding.outside:
            coder.fill(coding.outside)
        counts = [len(actions) for actions in coder.actions.values()]
        if all(count == 1 for count in counts):
            result.frames[number] = coder.coded_frame()
        elif not observations:
            result.left_out[_NEVER] += 1
        elif all(counts):
            result.left_out[_AT_ONCE] += 1
        elif coder.not_coded():
            result.left_out[_NOBODYS] += 1
            result.not_coded.update(coder.not_coded())
        else:
            result.left_out[_UNCODED] += 1
    bout_of_subject = {}
    for bout in result.shown:
        if bout.subject in individuals:
            bout_of_subject[bout.subject] = bout
    for bout in bout_of_subject.values():
        # Where only one of two individuals is shown, nothing tells which one it is.
        for number, frame in frames.items():
            count = identities.count_shown(number, individuals[bout.subject])
            if count > 1:
                raise _several_error(frame, f"frame {number} of '{vid}'", bout, count)
    return result


class _Seen(NamedTuple):
    """Who is seen while subjects are coded that are known by sight alone.

    Attributes:
      vid: the video.
      identities: its individuals.
      called: those that other subjects are, who are not looked at.
      of_bout: {bout: who is seen}: one after the other, if a track has gaps.
      several: {bout during which several are seen at once: they and its time, as text}.
    """

    vid: str
    identities: Identities
    called: set[Individual]
    of_bout: dict[CodedBout, set[Individual]]
    several: dict[CodedBout, str]

    def look(
        self, bout: CodedBout, numbers: Sequence[int], observation: Observation
    ) -> None:
        """Add a bout.

        Args:
          numbers: of the annotated frames that are shown during it.
        """
        individuals: set[Individual] = set()
        most = 0
        for number in numbers:
            visible = set(self.identities.of_frame[number]) - self.called
            individuals |= visible
            most = max(most, len(visible))
        self.of_bout[bout] = individuals
        if most > 1:
            names = sorted(_text(individual) for individual in individuals)
            unit = "image" if observation.counts_images else "second"
            self.several[bout] = (
                f"from {unit} {bout.start:g} to {bout.end:g} of '{self.vid}'"
                f" {join_names(names)} are visible"
            )

    def doubts(self) -> list[str]:
        """Return a sentence for each subject with bouts that are left out."""
        texts: dict[str, list[str]] = {}
        first: dict[str, CodedBout] = {}
        for bout, text in self.several.items():
            texts.setdefault(bout.subject, []).append(text)
            first.setdefault(bout.subject, bout)
        sentences = []
        for subject, texts_of_subject in texts.items():
            sentence = self._problem(first[subject], texts_of_subject[0])
            sentences.append(
                f"{sentence}; {len(texts_of_subject)} such bouts are left out"
            )
        return sentences

    def _problem(self, bout: CodedBout, text: str) -> str:
        example = json.dumps({bout.subject: {self.vid: "number of a track"}})
        subject = "no subject"
        if bout.subject:
            subject = f"nobody is called {quoted(bout.subject)}"
        return (
            f"{bout.where}: {subject}, and {text}; say in --subjects whose time it is:"
            f" {example}"
        )


def _text(individual: Individual) -> str:
    if individual.number is None or individual.has_own_name():
        return individual.text()
    return f"{individual.actor} {individual.number}"


@dataclasses.dataclass
class _FrameCoder:
    """Gathers the coded actions of the instances of a frame.

    Attributes:
      frame: the frame; text: what errors call it.
      shown: the individual of each of its instances.
      of_subject: {coded subject: its individuals}; those that are known by sight have
        no entry.
      coded: the individuals that are coded in this video.
      seen: whose the bouts of other subjects are.
      actions: {index of an instance that takes its action from coded times: the
        actions}.
      unknown: indices of the instances that do what the user leaves out.
    """

    frame: AnnotatedFrame
    text: str
    shown: Sequence[Individual]
    of_subject: Mapping[str, set[Individual]]
    coded: set[Individual]
    seen: _Seen
    actions: dict[int, set[str]] = dataclasses.field(default_factory=dict)
    unknown: set[int] = dataclasses.field(default_factory=set)

    def add(self, bout: CodedBout, is_ignored: bool) -> bool:
        """Add a bout during which the frame is shown.

        Args:
          is_ignored: whether the user leaves out its behaviour.

        Returns:
          whether the frame shows an individual of its subject.

        Raises:
          InputError: it shows two.
        """
        individuals = self.seen.of_bout.get(bout)
        if individuals is None:
            individuals = self.of_subject[bout.subject]
        fitting = []
        for index, individual in enumerate(self.shown):
            if individual in individuals:
                fitting.append(index)
        if bout in self.seen.several:
            self.unknown.update(fitting)
            return True
        if len(fitting) > 1:
            raise _several_error(self.frame, self.text, bout, len(fitting))
        for index in fitting:
            if is_ignored:
                self.unknown.add(index)
            elif index in self.actions:
                self.actions[index].add(bout.action)
        return bool(fitting)

    def fill(self, action: str) -> None:
        """Give an action to the coded individuals that have none."""
        for index, actions in self.actions.items():
            if not actions and self.is_coded(index) and index not in self.unknown:
                actions.add(action)

    def not_coded(self) -> list[str]:
        """Return who has no action and is not coded in this video, as texts."""
        texts = []
        for index, actions in self.actions.items():
            if not actions and not self.is_coded(index):
                texts.append(self.shown[index].text())
        return texts

    def coded_frame(self) -> AnnotatedFrame:
        """Return the frame with the actions, of which each instance has one."""
        instances = list(self.frame.instances)
        for index, actions in self.actions.items():
            (action,) = actions
            instances[index] = dataclasses.replace(instances[index], coded=action)
        return dataclasses.replace(self.frame, instances=tuple(instances))

    def is_coded(self, index: int) -> bool:
        """Return whether an instance is of an individual that is coded in its video."""
        return self.shown[index] in self.coded


def _several_error(
    frame: AnnotatedFrame, frame_text: str, bout: CodedBout, count: int
) -> InputError:
    return InputError(
        f"{frame.where}: subject {quoted(bout.subject)} fits {count} individuals of"
        f" {frame_text}; tell them apart by their tracks' numbers in --subjects"
    )
