"""Actions from coded times.

What an individual did when a frame was shown becomes its action in that frame.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Union

import numpy as np

from a2d_tf.annotations.document import AnnotatedFrame, Instance
from a2d_tf.annotations.matching import VideoAnnotations
from a2d_tf.annotations.names import Names
from a2d_tf.annotations.observations import CodedBout, Observation, check_coders
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError, join_names, quoted

Subjects = Mapping[str, Union[str, Mapping[str, str]]]
"""{subject: individual}, or {subject: {video: individual}}."""
_UNCODED = "frames between coded times"
_NEVER = "frames of videos without coded times"
_AT_ONCE = "frames with two coded actions of an individual"
_NOBODY = "bouts of subjects that no annotated individual fits"
_ROUNDING = 6e-4  # seconds; BORIS rounds to milliseconds
# Seconds by which a bout may end after the last frame: tools differ on the end.
_PAST = 1.0


@dataclasses.dataclass(frozen=True)
class Coding:
    """What people have coded of videos, and how it is used.

    Attributes:
      observations: of any videos.
      wins: whether coded actions replace annotated ones; else only missing ones are
        given.
      outside: the action between coded times; None leaves these frames out.
      subjects: the individuals of subjects whose names differ.
    """

    observations: Sequence[Observation]
    wins: bool = False
    outside: str | None = None
    subjects: Subjects = dataclasses.field(default_factory=dict)

    def with_videos(self, spelling: Callable[[str], str]) -> Coding:
        """Return the coding with the names of videos in another spelling."""
        observations = []
        for observation in self.observations:
            video = spelling(observation.video)
            observations.append(dataclasses.replace(observation, video=video))
        return dataclasses.replace(self, observations=observations)


def load_subjects(path: str) -> Subjects:
    """Read `Subjects` from a JSON file; InputError if it is malformed."""
    return load_json(
        path, {str: (str, {str: str})}, 'write {"subject": "track id or name"}'
    )


class CodedVideos(NamedTuple):
    """The result of `code_videos`.

    Attributes:
      annotations: {video: its annotations}, of the videos that have a frame left.
      left_out: {video: {reason: count}} of all videos.
    """

    annotations: dict[str, VideoAnnotations]
    left_out: dict[str, collections.Counter[str]]


class CodedFrames(NamedTuple):
    """The result of `give_actions`.

    Attributes:
      frames: {1-based number: frame}, whose instances all have an action.
      left_out: {reason: count}.
    """

    frames: dict[int, AnnotatedFrame]
    left_out: collections.Counter[str]


def code_videos(
    videos: Mapping[str, VideoAnnotations],
    coding: Coding,
    names: Names,
    seconds: Callable[[str], np.ndarray],
) -> CodedVideos:
    """Give the instances of videos their coded actions, see `give_actions`.

    Args:
      seconds: takes a video's name, and returns when each frame begins, float64 [N].
    """
    annotations = {}
    left_out = {}
    for vid, video_annotations in videos.items():
        coded = give_actions(
            vid,
            video_annotations.frames,
            coding,
            names,
            functools.partial(seconds, vid),
        )
        left_out[vid] = coded.left_out
        if coded.frames:
            annotations[vid] = dataclasses.replace(
                video_annotations, frames=coded.frames
            )
    return CodedVideos(annotations, left_out)


def coding_notes(
    coding: Coding,
    videos: Mapping[str, VideoAnnotations],
    coded_videos: Mapping[str, VideoAnnotations],
) -> list[str]:
    """Return notes of what was coded of `videos`.

    Args:
      coded_videos: the annotations that `code_videos` returned for them.
    """
    observed = list(dict.fromkeys(o.video for o in coding.observations))
    coded_count = 0
    for video_annotations in coded_videos.values():
        for frame in video_annotations.frames.values():
            for instance in frame.instances:
                coded_count += instance.coded is not None
    notes = [
        f"coded times of {join_names(observed)} give {coded_count} instances their"
        " actions"
    ]
    not_annotated = [vid for vid in observed if vid not in videos]
    if not_annotated:
        notes.append(f"not annotated: {join_names(not_annotated)}")
    modifiers = sum(observation.modifiers for observation in coding.observations)
    if modifiers:
        notes.append(f"ignored: modifiers of {modifiers} events")
    return notes


def give_actions(
    vid: str,
    frames: Mapping[int, AnnotatedFrame],
    coding: Coding,
    names: Names,
    seconds: Callable[[], np.ndarray],
) -> CodedFrames:
    """Give the instances of a video the actions that were coded for their frames.

    An action holds from the frame that is shown when it starts to the last frame that
    begins before it stops; the action of a point event holds in the frame that is
    shown. A subject is an individual if it is the number of its track, its name, its
    actor, or 'actor number'; or if the video has one subject and one individual.

    Args:
      frames: {1-based number: frame}.
      seconds: returns when each frame of the video begins, float64 [N].

    Raises:
      InputError: a subject has two observations, or fits two individuals of a frame, or
        none fits any; or a bout lies after the end of the video.
    """
    observations = [o for o in coding.observations if o.video == vid]
    individuals = _individuals(vid, observations, frames, names, coding.subjects)
    left_out = collections.Counter[str]()
    bouts_of_frame: dict[int, list[CodedBout]] = collections.defaultdict(list)
    times = seconds() if observations else np.zeros(0)
    for observation in observations:
        for bout in observation.bouts:
            is_of_nobody = not individuals[bout.subject]
            left_out[_NOBODY] += is_of_nobody  # also 0, so that it is the first reason
            for number in _frames_of_bout(bout, times):
                bouts_of_frame[number].append(bout)
    coded_frames = {}
    for number, frame in frames.items():
        actions = _actions_of_instances(
            frame,
            f"frame {number} of '{vid}'",
            bouts=bouts_of_frame[number],
            individuals=individuals,
            names=names,
            replace=coding.wins,
        )
        if observations and coding.outside:
            for actions_of_instance in actions.values():
                if not actions_of_instance:
                    actions_of_instance.add(coding.outside)
        counts = [len(actions_of_instance) for actions_of_instance in actions.values()]
        if all(count == 1 for count in counts):
            coded_frames[number] = _with_actions(frame, actions)
        elif not observations:
            left_out[_NEVER] += 1
        elif all(counts):
            left_out[_AT_ONCE] += 1
        else:
            left_out[_UNCODED] += 1
    return CodedFrames(coded_frames, left_out)


def _actions_of_instances(
    frame: AnnotatedFrame,
    frame_text: str,
    *,
    bouts: Sequence[CodedBout],
    individuals: Mapping[str, set[_Individual]],
    names: Names,
    replace: bool,
) -> dict[int, set[str]]:
    """Return the actions that the instances of a frame take from the coded times.

    Args:
      frame_text: what the error calls the frame.
      bouts: those that the frame shows.
      individuals: {subject: its individuals}.
      replace: whether coded actions replace annotated ones.

    Returns:
      {index of an instance: its actions}, without the instances that take none.

    Raises:
      InputError: a subject fits two individuals of the frame.
    """
    coded_individuals = set().union(*individuals.values())
    individual_of_instance = []
    actions: dict[int, set[str]] = {}
    for index, instance in enumerate(frame.instances):
        individual = _Individual.of(instance, names)
        individual_of_instance.append(individual)
        is_replaced = replace and individual in coded_individuals
        if is_replaced or names.pair(instance) is None:
            actions[index] = set()
    for bout in bouts:
        fitting_indices = []
        for index in actions:
            if individual_of_instance[index] in individuals[bout.subject]:
                fitting_indices.append(index)
        if len(fitting_indices) > 1:
            raise InputError(
                f"{frame.where}: subject {quoted(bout.subject)} fits"
                f" {len(fitting_indices)} individuals of {frame_text}; tell them apart"
                " by their tracks' numbers in --subjects"
            )
        for index in fitting_indices:
            actions[index].add(bout.action)
    return actions


def _with_actions(
    frame: AnnotatedFrame, actions: Mapping[int, set[str]]
) -> AnnotatedFrame:
    """Return a frame whose instances have their coded actions, one each."""
    instances = list(frame.instances)
    for index, (action,) in actions.items():
        instances[index] = dataclasses.replace(instances[index], coded=action)
    return dataclasses.replace(frame, instances=tuple(instances))


class _Individual(NamedTuple):
    """What tells the individuals of a video apart."""

    actor: str
    track: int | None
    name: str | None

    @classmethod
    def of(cls, instance: Instance, names: Names) -> _Individual:
        """Return the individual of an instance."""
        actor, _ = names.annotated_names(instance)
        return cls(actor, instance.track, instance.name)

    def words(self) -> set[str]:
        """Return the names of a subject that mean this individual, in lower case."""
        words = {self.actor.casefold()}
        if self.name:
            words.add(self.name.casefold())
        if self.track is not None:
            words.add(str(self.track))
            words.add(f"{self.actor} {self.track}".casefold())
        return words - {""}


def _individuals(vid, observations, frames, names, renamed):
    """Return {subject of the observations: its `_Individual`s}.

    `renamed` are the `Subjects` of the user.
    """
    check_coders(observations)
    subjects: set[str] = set()
    for observation in observations:
        subjects.update(bout.subject for bout in observation.bouts)
    words: dict[_Individual, set[str]] = {}
    for frame in frames.values():
        for instance in frame.instances:
            individual = _Individual.of(instance, names)
            words[individual] = individual.words()
    is_alone = len(subjects) == 1 and all(
        len(frame.instances) < 2 for frame in frames.values()
    )
    individuals = {}
    for subject in subjects:
        called = renamed.get(subject, subject)
        if not isinstance(called, str):
            called = called.get(vid, subject)
        fitting = {i for i in words if called.casefold() in words[i]}
        if not fitting and is_alone:
            fitting = set(words)
        individuals[subject] = fitting
    if subjects and not any(individuals.values()):
        all_words = sorted(set().union(*words.values()))
        coded_observations = [o for o in observations if o.bouts]
        first_bout = coded_observations[0].bouts[0]
        raise InputError(
            f"{first_bout.where}: no annotated individual of '{vid}' is"
            f" called {join_names(sorted(map(quoted, subjects)))}; they are called"
            f" {join_names(all_words)}; map them in --subjects"
        )
    return individuals


def _frames_of_bout(bout, times):
    """Return the 1-based numbers of the frames that show a bout.

    `times`, float64 [N], are the seconds at which the frames begin.
    """
    last_time = times[-1]
    last_duration = np.diff(times[-2:]).sum()  # 0 if there is a single frame
    latest_end = last_time + max(_PAST, last_duration)
    if bout.start > last_time + _ROUNDING or bout.end > latest_end:
        raise InputError(
            f"{bout.where}: {bout.start:.3f} to {bout.end:.3f} s is behind the last"
            f" frame of the video, at {last_time:.3f} s; pass the video that was coded"
        )
    first = max(int(np.searchsorted(times, bout.start + _ROUNDING, "right")), 1)
    last = max(int(np.searchsorted(times, bout.end - _ROUNDING)), first)
    return range(first, last + 1)
