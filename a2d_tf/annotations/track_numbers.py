"""The numbers of tracks on pages."""

from __future__ import annotations

from collections.abc import Iterable

from a2d_tf.annotations.document import AnnotatedFrame
from a2d_tf.annotations.track_identities import TrackIdentities


def page_numbers(
    frames: Iterable[AnnotatedFrame], identities: TrackIdentities
) -> dict[int, int]:
    """Return the numbers of tracks on pages.

    A track has the number that the user gave to its individual. If there is none, it
    has the annotation tool's number, plus 1 if the tool counts from 0. If another track
    already has that number, the track gets the next free one.

    Args:
      frames: the annotated frames of a video.
      identities: which instances of the frames are one track.

    Returns:
      {identity of a track: its number, from 1}.
    """
    of_user: dict[int, int] = {}
    of_tool: dict[int, int] = {}
    for frame in frames:
        values = identities.of_frame(frame)
        if values is None:
            continue
        for instance, identity in zip(frame.instances, values.tolist()):
            if identity < 0:
                continue
            if instance.number is not None:
                of_user.setdefault(identity, instance.number)
            of_tool.setdefault(identity, identity)
            if instance.track is not None:
                of_tool[identity] = instance.track
    numbers: dict[int, int] = {}
    for identity, number in sorted(of_user.items()):
        if number > 0 and number not in numbers.values():
            numbers[identity] = number
    offset = 0 if min(of_tool.values(), default=1) > 0 else 1
    for identity, number in sorted(of_tool.items()):
        if identity in numbers:
            continue
        number += offset
        if number in numbers.values():
            number = max(numbers.values()) + 1
        numbers[identity] = number
    return numbers
