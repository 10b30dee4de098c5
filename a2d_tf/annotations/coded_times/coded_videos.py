"""Videos whose instances get their actions from coded times."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from a2d_tf.annotations.coded_times.bout_frames import BoutFrames
from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.instance_actions import give_actions
from a2d_tf.annotations.coded_times.observations import CodedBout, Observation
from a2d_tf.annotations.matching import VideoAnnotations
from a2d_tf.annotations.names import Names
from a2d_tf.core.errors import InputError, join_names, quoted


class CodedVideos(NamedTuple):
    """The result of `code_videos`.

    Attributes:
      annotations: {video: its annotations}, of the videos that have a frame left.
      left_out: {video: {reason: count}} of all videos.
      lost_behaviours: {coded behaviour that no instance shows: for how long}.
      length_notes: of videos that may not be those that were coded.
      doubts: on bouts that may be of several individuals.
    """

    annotations: dict[str, VideoAnnotations]
    left_out: dict[str, collections.Counter[str]]
    lost_behaviours: dict[str, str]
    length_notes: list[str]
    doubts: list[str]


def code_videos(
    videos: Mapping[str, VideoAnnotations],
    coding: Coding,
    names: Names,
    open_video: Callable[[str], BoutFrames],
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
    actors = _actors(videos, names)
    annotations = {}
    left_out = {}
    length_notes = []
    doubts: list[str] = []
    shown: set[CodedBout] = set()
    not_coded = collections.Counter[str]()
    for vid, video_annotations in videos.items():
        observations = coding.of_video(vid)
        video = open_video(vid)
        video.check_rates(observations, coding.fps)
        coded = give_actions(
            vid, video_annotations.frames, coding, names, video, actors
        )
        for observation in observations:
            note = video.length_note(observation, coding.fps)
            if note:
                length_notes.append(note)
        left_out[vid] = coded.left_out
        doubts += coded.doubts
        shown |= coded.shown
        not_coded += coded.not_coded
        if coded.frames:
            annotations[vid] = dataclasses.replace(
                video_annotations, frames=coded.frames
            )
    if doubts and not annotations:
        raise InputError(doubts[0])
    _check_all_shown(coding, videos, shown)
    if not annotations:
        raise _no_frames_error(left_out.values(), not_coded)
    return CodedVideos(
        annotations,
        left_out,
        _lost_behaviours(coding, videos, annotations, names),
        length_notes,
        doubts,
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
    subjects, behaviours = _subjects_and_behaviours(coding)
    unused = [name for name in coding.subjects if name not in subjects | behaviours]
    if unused:
        notes.append(f"--subjects: nobody coded {join_names(unused)}")
    modifiers = sum(observation.modifiers for observation in coding.observations)
    if modifiers:
        notes.append(f"ignored: modifiers of {modifiers} events")
    return notes


def _actors(videos: Mapping[str, VideoAnnotations], names: Names) -> set[str]:
    """Return the annotated actors of all videos, in lower case."""
    actors = set()
    for video_annotations in videos.values():
        for frame in video_annotations.frames.values():
            for instance in frame.instances:
                actor, _ = names.annotated_names(instance)
                actors.add(actor.casefold())
    return actors - {""}


def _observed_videos(coding: Coding) -> list[str]:
    """Return the names of the observed videos, each once."""
    return list(dict.fromkeys(one.video for one in coding.observations))


def _subjects_and_behaviours(coding: Coding) -> tuple[set[str], set[str]]:
    """Return the names of all coded subjects, and of all coded behaviours."""
    subjects: set[str] = set()
    behaviours: set[str] = set()
    for observation in coding.observations:
        subjects.update(bout.subject for bout in observation.bouts)
        behaviours.update(bout.action for bout in observation.bouts)
    return subjects, behaviours


def _check_left_out(coding: Coding) -> None:
    """Raise InputError if the user leaves out a subject that is also a behaviour."""
    subjects, behaviours = _subjects_and_behaviours(coding)
    for name in sorted(subjects & behaviours):
        if any(coding.leaves_out(name, vid) for vid in _observed_videos(coding)):
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
    unit = "image" if first.observation.counts_images else "second"
    raise InputError(
        f"{bout.where}: no annotated frame is within the coded times of"
        f" {join_names(texts)}; annotate one from {unit} {bout.start:g} to"
        f" {bout.end:g} of '{first.observation.video}', or leave it out in --subjects:"
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
                if instance.coded is not None:
                    actions.add(instance.coded)
                    continue
                pair = names.pair(instance)
                if pair is not None:
                    actions.add(pair[1])
    lost = {}
    for coded in _coded_names(coding, videos):
        if coded.kind == "behaviour" and coded.name not in actions:
            lost[coded.name] = coded.observation.time_text(coded.bouts)
    return lost
