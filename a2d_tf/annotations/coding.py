"""Actions from coded times.

What an individual did when a frame was shown becomes its action in that frame.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.coded_frames import CodedVideo
from a2d_tf.annotations.document import AnnotatedFrame
from a2d_tf.annotations.individuals import (
    Identities,
    Individual,
    Subjects,
    find_individuals,
    targets_of,
)
from a2d_tf.annotations.matching import VideoAnnotations
from a2d_tf.annotations.names import Names
from a2d_tf.annotations.observations import CodedBout, Observation, check_observations
from a2d_tf.core.errors import InputError, join_names, quoted

_UNCODED = "frames between coded times"
_NEVER = "frames of videos without coded times"
_AT_ONCE = "frames with two coded actions of an individual"
_NOBODYS = "frames with an individual that is not coded in its video"


@dataclasses.dataclass(frozen=True)
class Coding:
    """What people have coded of videos, and how it is used.

    Attributes:
      observations: of any videos.
      wins: whether coded actions replace annotated ones; else only missing ones are
        given.
      outside: the action between the coded times of an individual; None leaves these
        frames out.
      subjects: the individuals of subjects whose names differ, and names that are left
        out.
      fps: frames a second of folders of images; None: as the observations say.
    """

    observations: Sequence[Observation]
    wins: bool = False
    outside: str | None = None
    subjects: Subjects = dataclasses.field(default_factory=dict)
    fps: float | None = None

    def with_videos(self, spelling: Callable[[str], str]) -> Coding:
        """Return the coding with the names of videos in another spelling."""
        observations = []
        for observation in self.observations:
            video = spelling(observation.video)
            observations.append(dataclasses.replace(observation, video=video))
        return dataclasses.replace(self, observations=observations)

    def of_video(self, vid: str) -> list[Observation]:
        """Return the observations of a video."""
        return [own for own in self.observations if own.video == vid]

    def leaves_out(self, name: str, vid: str) -> bool:
        """Return whether the user leaves out a subject or a behaviour in a video."""
        return targets_of(self.subjects, name, vid) == []


class CodedFrames(NamedTuple):
    """The result of `give_actions`.

    Attributes:
      frames: {1-based number: frame}, whose instances all have an action.
      left_out: {reason: count}.
      shown: the bouts during which an annotated frame shows their individual.
      not_coded: {individual without an action that nobody coded: its frames}.
    """

    frames: dict[int, AnnotatedFrame]
    left_out: collections.Counter[str]
    shown: set[CodedBout]
    not_coded: collections.Counter[str]


class CodedVideos(NamedTuple):
    """The result of `code_videos`.

    Attributes:
      annotations: {video: its annotations}, of the videos that have a frame left.
      left_out: {video: {reason: count}} of all videos.
      lost_behaviours: {coded behaviour that no instance shows: for how long}.
    """

    annotations: dict[str, VideoAnnotations]
    left_out: dict[str, collections.Counter[str]]
    lost_behaviours: dict[str, str]


def code_videos(
    videos: Mapping[str, VideoAnnotations],
    coding: Coding,
    names: Names,
    open_video: Callable[[str], CodedVideo],
) -> CodedVideos:
    """Give the instances of videos their coded actions, see `give_actions`.

    Args:
      open_video: takes a video's name.

    Raises:
      InputError: as of `give_actions`; a subject or a behaviour is coded at no time of
        an annotated frame; or no frame has an action for each instance.
    """
    if not any(coding.of_video(vid) for vid in videos):
        raise InputError(
            "no annotated frame has a coded action: coded are"
            f" {join_names(_observed_videos(coding))}, annotated are"
            f" {join_names(list(videos))}; in BORIS, name the observation or its media"
            " file like the video"
        )
    _check_left_out(coding)
    annotations = {}
    left_out = {}
    shown: set[CodedBout] = set()
    not_coded = collections.Counter[str]()
    for vid, video_annotations in videos.items():
        coded = give_actions(
            vid, video_annotations.frames, coding, names, open_video(vid)
        )
        left_out[vid] = coded.left_out
        shown |= coded.shown
        not_coded += coded.not_coded
        if coded.frames:
            annotations[vid] = dataclasses.replace(
                video_annotations, frames=coded.frames
            )
    _check_all_shown(coding, videos, shown)
    if not annotations:
        raise _no_frames_error(left_out.values(), not_coded)
    return CodedVideos(
        annotations, left_out, _lost_behaviours(coding, videos, annotations, names)
    )


def coding_notes(
    coding: Coding,
    videos: Mapping[str, VideoAnnotations],
    coded_videos: Mapping[str, VideoAnnotations],
) -> list[str]:
    """Return notes of what was coded of `videos`.

    Args:
      coded_videos: the annotations that `code_videos` returned for them.
    """
    observed = _observed_videos(coding)
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
    video: CodedVideo,
) -> CodedFrames:
    """Give the instances of a video the actions that were coded for their frames.

    An action holds from the frame that is shown when it starts to the last frame that
    begins before it stops; the action of a point event holds in the frame that is
    shown. `individuals` tells whose it is.

    Args:
      frames: {1-based number: frame}.

    Raises:
      InputError: two observations contradict each other; a subject fits two individuals
        of a frame, or none; or a bout does not lie in the video.
    """
    observations = coding.of_video(vid)
    check_observations(observations)
    identities = Identities.of(frames, names)
    individuals = find_individuals(vid, observations, identities, coding.subjects)
    bouts_of_frame: dict[int, list[CodedBout]] = collections.defaultdict(list)
    for observation in observations:
        for bout, numbers in video.frames_of_bouts(observation, coding.fps):
            for number in numbers:
                if number in frames:
                    bouts_of_frame[number].append(bout)
    result = CodedFrames({}, collections.Counter(), set(), collections.Counter())
    for number, frame in frames.items():
        coder = _FrameCoder(
            frame,
            f"frame {number} of '{vid}'",
            identities.of_frame[number],
            individuals,
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
    bout_of_subject = {bout.subject: bout for bout in result.shown}
    for bout in bout_of_subject.values():
        # Where only one of two individuals is shown, nothing tells which one it is.
        for number, frame in frames.items():
            count = identities.count_shown(number, individuals[bout.subject])
            if count > 1:
                raise _several_error(frame, f"frame {number} of '{vid}'", bout, count)
    return result


class _FrameCoder:
    """Gathers the coded actions of the instances of a frame.

    Attributes:
      actions: {index of an instance that takes its action from coded times: the
        actions}.
    """

    def __init__(
        self,
        frame: AnnotatedFrame,
        frame_text: str,
        individual_of_instance: Sequence[Individual],
        individuals: Mapping[str, set[Individual]],
    ) -> None:
        """Store what is known of the frame.

        Args:
          frame_text: what errors call it.
          individual_of_instance: of each instance.
          individuals: {coded subject: its individuals}.
        """
        self.actions: dict[int, set[str]] = {}
        self._frame = frame
        self._frame_text = frame_text
        self._individual_of_instance = individual_of_instance
        self._individuals = individuals
        self._coded_individuals = set().union(*individuals.values())
        self._unknown: set[int] = set()  # indices of those with an ignored behaviour

    def add(self, bout: CodedBout, is_ignored: bool) -> bool:
        """Add a bout during which the frame is shown.

        Args:
          is_ignored: whether the user leaves out its behaviour.

        Returns:
          whether the frame shows an individual of its subject.

        Raises:
          InputError: it shows two.
        """
        fitting = []
        for index, individual in enumerate(self._individual_of_instance):
            if individual in self._individuals[bout.subject]:
                fitting.append(index)
        if len(fitting) > 1:
            raise _several_error(self._frame, self._frame_text, bout, len(fitting))
        for index in fitting:
            if is_ignored:
                self._unknown.add(index)
            elif index in self.actions:
                self.actions[index].add(bout.action)
        return bool(fitting)

    def fill(self, action: str) -> None:
        """Give an action to the coded individuals that have none."""
        for index, actions in self.actions.items():
            if not actions and self.is_coded(index) and index not in self._unknown:
                actions.add(action)

    def not_coded(self) -> list[str]:
        """Return who has no action and is not coded in this video, as texts."""
        texts = []
        for index, actions in self.actions.items():
            if not actions and not self.is_coded(index):
                texts.append(self._individual_of_instance[index].text())
        return texts

    def coded_frame(self) -> AnnotatedFrame:
        """Return the frame with the actions, of which each instance has one."""
        instances = list(self._frame.instances)
        for index, (action,) in self.actions.items():
            instances[index] = dataclasses.replace(instances[index], coded=action)
        return dataclasses.replace(self._frame, instances=tuple(instances))

    def is_coded(self, index: int) -> bool:
        """Return whether an instance is of an individual that is coded in its video."""
        return self._individual_of_instance[index] in self._coded_individuals


def _several_error(
    frame: AnnotatedFrame, frame_text: str, bout: CodedBout, count: int
) -> InputError:
    return InputError(
        f"{frame.where}: subject {quoted(bout.subject)} fits {count} individuals of"
        f" {frame_text}; tell them apart by their tracks' numbers in --subjects"
    )


def _observed_videos(coding: Coding) -> list[str]:
    """Return the names of the observed videos, each once."""
    return list(dict.fromkeys(own.video for own in coding.observations))


def _check_left_out(coding: Coding) -> None:
    """Raise InputError if the user leaves out a subject that is also a behaviour."""
    subjects: set[str] = set()
    behaviours: set[str] = set()
    for observation in coding.observations:
        subjects.update(bout.subject for bout in observation.bouts)
        behaviours.update(bout.action for bout in observation.bouts)
    for name in sorted(subjects & behaviours):
        if coding.subjects.get(name, name) is None:
            raise InputError(
                f"--subjects: {quoted(name)} is a subject and a behaviour, so null may"
                " mean either; rename one in BORIS"
            )


class _CodedName(NamedTuple):
    """A subject or a behaviour, and its bouts in an observation."""

    kind: str
    name: str
    observation: Observation
    bouts: list[CodedBout]


def _coded_names(coding: Coding, videos: Iterable[str]) -> list[_CodedName]:
    """Return the subjects and behaviours that are coded in videos and not left out."""
    coded: dict[tuple[str, str], _CodedName] = {}
    for vid in videos:
        for observation in coding.of_video(vid):
            for bout in observation.bouts:
                keys = [("subject", bout.subject), ("behaviour", bout.action)]
                if any(coding.leaves_out(name, vid) for _, name in keys):
                    continue
                for kind, name in keys:
                    first = _CodedName(kind, name, observation, [])
                    coded.setdefault((kind, name), first).bouts.append(bout)
    return list(coded.values())


def _check_all_shown(
    coding: Coding, videos: Iterable[str], shown: set[CodedBout]
) -> None:
    """Raise InputError if annotated frames show no bout of a subject or a behaviour."""
    missing = []
    for coded in _coded_names(coding, videos):
        if shown.isdisjoint(coded.bouts):
            missing.append(coded)
    if not missing:
        return
    texts = []
    for coded in missing:
        time = coded.observation.time_text(coded.bouts)
        texts.append(f"{coded.kind} {quoted(coded.name)} ({time})")
    first = missing[0]
    bout = first.bouts[0]
    raise InputError(
        f"{bout.where}: no annotated frame is within the coded times of"
        f" {join_names(texts)}; annotate one from {bout.start:g} to {bout.end:g}"
        f"{' s' if not first.observation.counts_images else ''} of"
        f" '{first.observation.video}', or leave it out in the file of --subjects:"
        f" {json.dumps({first.name: None})}"
    )


def _no_frames_error(
    left_out: Iterable[Mapping[str, int]], not_coded: collections.Counter[str]
) -> InputError:
    """Return the error that no frame has an action for each of its instances."""
    total = collections.Counter[str]()
    for counts in left_out:
        total.update(counts)
    reasons = [f"{count} {reason}" for reason, count in total.items()]
    message = f"no annotated frame has a coded action: {'; '.join(reasons)}"
    if not_coded:
        counted = [f"{text} ({count})" for text, count in not_coded.most_common()]
        message += (
            f"; nobody coded {join_names(counted)}; code them, or give them an action"
            " in the annotations or with --names, such as 'none'"
        )
    return InputError(message)


def _lost_behaviours(
    coding: Coding,
    videos: Mapping[str, VideoAnnotations],
    coded_videos: Mapping[str, VideoAnnotations],
    names: Names,
) -> dict[str, str]:
    """Return {coded behaviour that no instance shows: for how long it is coded}."""
    actions = set()
    for video_annotations in coded_videos.values():
        for frame in video_annotations.frames.values():
            for instance in frame.instances:
                pair = names.pair(instance)
                if pair is not None:
                    actions.add(pair[1])
    lost = {}
    for coded in _coded_names(coding, videos):
        if coded.kind == "behaviour" and coded.name not in actions:
            lost[coded.name] = coded.observation.time_text(coded.bouts)
    return lost
