"""Videos whose instances get their actions from times coded in BORIS or alike."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.coded_times.bout_frames import BoutFrames
from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.coverage import check_all_shown, lost_behaviours
from a2d_tf.annotations.coded_times.instance_actions import give_actions
from a2d_tf.annotations.coded_times.observations import CodedBout
from a2d_tf.annotations.labels.names import Names
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations, instances_of
from a2d_tf.core.errors import InputError, join_names, quoted


class CodedVideos(NamedTuple):
    """The result of `code_videos`: annotations in which coded actions stand.

    Attributes:
      annotations: {name of a video: its annotations}; videos without a frame left are
        missing.
      left_out: {name of a video: {reason: the number of frames that were left out}}.
      lost_behaviours: {coded behaviour that no instance shows: its total length as
        text}.
      notes: sentences for the user on what the coding gave, and what was not used.
      doubts: sentences for the user on bouts that may be of several individuals.
    """

    annotations: Mapping[str, VideoAnnotations]
    left_out: Mapping[str, collections.Counter[str]] = {}
    lost_behaviours: Mapping[str, str] = {}
    notes: Sequence[str] = ()
    doubts: Sequence[str] = ()


def code_videos(
    videos: Mapping[str, VideoAnnotations],
    coding: Coding,
    names: Names,
    open_video: Callable[[str], BoutFrames],
) -> CodedVideos:
    """Give the annotated instances of videos the actions coded for their times.

    Frames in which an instance has no action are left out.

    Args:
      videos: {name of a video: its annotations}.
      coding: the coded times, and the user's settings for them.
      names: maps labels of the tool to actors and actions.
      open_video: a function that takes a video's name, and returns what finds the
        frames of its bouts.

    Raises:
      InputError: coded times contradict the annotations or each other; no annotated
        frame is within the coded times of a subject or a behaviour; or no frame has an
        action for each of its instances.
    """
    if not any(coding.of_video(vid) for vid in videos):
        raise InputError(
            "no annotated frame has a coded action: coded are"
            f" {join_names(coding.videos)}, annotated are {join_names(list(videos))};"
            " in BORIS, name the observation or its media file like the video"
        )
    _check_left_out(coding)
    actors = _actors(videos, names)
    annotations = {}
    left_out = {}
    doubts: list[str] = []
    shown: set[CodedBout] = set()
    not_coded = collections.Counter[str]()
    for vid, video_annotations in videos.items():
        observations = coding.of_video(vid)
        bout_frames = open_video(vid)
        bout_frames.check_rates(observations, coding.fps)
        coded = give_actions(
            vid, video_annotations.frames, coding, names, bout_frames, actors
        )
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
    check_all_shown(coding, videos, shown)
    if not annotations:
        raise _no_frames_error(left_out.values(), not_coded)
    return CodedVideos(
        annotations=annotations,
        left_out=left_out,
        lost_behaviours=lost_behaviours(coding, videos, annotations, names),
        notes=[_note_on_coding(coding, videos, annotations)],
        doubts=doubts,
    )


def _note_on_coding(
    coding: Coding,
    videos: Collection[str],
    coded_videos: Mapping[str, VideoAnnotations],
) -> str:
    """Return a note on the coding: what it gave, and what of it was not used.

    Args:
      videos: the names of the annotated videos.
      coded_videos: {video: its annotations} after coded actions were given.
    """
    count = sum(instance.coded is not None for instance in instances_of(coded_videos))
    notes = [
        f"coded times of {join_names(coding.videos)} give {count} instances their"
        " actions"
    ]
    not_annotated = [vid for vid in coding.videos if vid not in videos]
    if not_annotated:
        notes.append(f"not annotated: {join_names(not_annotated)}")
    coded_names = coding.coded_subjects | coding.coded_behaviours
    unused = [name for name in coding.subjects if name not in coded_names]
    if unused:
        notes.append(f"--subjects: nobody coded {join_names(unused)}")
    modifiers = sum(observation.modifiers for observation in coding.observations)
    if modifiers:
        notes.append(f"ignored: modifiers of {modifiers} events")
    return "; ".join(notes)


def _actors(videos: Mapping[str, VideoAnnotations], names: Names) -> set[str]:
    """Return the annotated actors of all videos, in lower case."""
    actors = set()
    for instance in instances_of(videos):
        actor, _ = names.annotated_names(instance)
        actors.add(actor.casefold())
    return actors - {""}


def _check_left_out(coding: Coding) -> None:
    """Raise InputError if the user leaves out a subject that is also a behaviour."""
    for name in sorted(coding.coded_subjects & coding.coded_behaviours):
        if any(coding.leaves_out(name, vid) for vid in coding.videos):
            raise InputError(
                f"--subjects: {quoted(name)} is a subject and a behaviour, so null may"
                " mean either; rename one in BORIS"
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
