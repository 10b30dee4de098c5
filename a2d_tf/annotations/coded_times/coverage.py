"""Coded subjects and behaviours that no annotated frame shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.observations import CodedBout, Observation
from a2d_tf.annotations.labels.names import Names
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations, instances_of
from a2d_tf.core.errors import InputError, join_names, quoted


class _CodedName(NamedTuple):
    """A coded subject or behaviour with its bouts in all videos.

    Attributes:
      kind: 'subject' or 'behaviour'.
      name: its coded name.
      observation: the first observation that has it.
      bouts: its bouts in all videos.
    """

    kind: str
    name: str
    observation: Observation
    bouts: list[CodedBout]


def _coded_names(coding: Coding, videos: Iterable[str]) -> list[_CodedName]:
    """Return the coded subjects and behaviours that the user does not leave out.

    Args:
      coding: the coded times, and the user's settings for them.
      videos: the names of the videos.
    """
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


def check_all_shown(
    coding: Coding, videos: Iterable[str], shown: set[CodedBout]
) -> None:
    """Raise InputError if a coded subject or behaviour is shown in no annotated frame.

    Names that the user leaves out do not count. The error says from when to when a
    frame should be annotated.

    Args:
      coding: the coded times, and the user's settings for them.
      videos: the names of the annotated videos.
      shown: the bouts of which an annotated frame shows an individual.
    """
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


def lost_behaviours(
    coding: Coding,
    videos: Iterable[str],
    coded_videos: Mapping[str, VideoAnnotations],
    names: Names,
) -> dict[str, str]:
    """Return the behaviours that were coded, but that no annotated instance shows.

    Args:
      coding: the coded times, and the user's settings for them.
      videos: the names of the annotated videos.
      coded_videos: {name of a video: its annotations}, with the coded actions.
      names: maps labels of the tool to actors and actions.

    Returns:
      {behaviour: the total length of its bouts, as text such as '2.5 s'}.
    """
    actions = set()
    for instance in instances_of(coded_videos):
        pair = names.pair(instance)
        if pair is not None:
            actions.add(pair[1])
    lost = {}
    for coded in _coded_names(coding, videos):
        if coded.kind == "behaviour" and coded.name not in actions:
            lost[coded.name] = coded.observation.time_text(coded.bouts)
    return lost
