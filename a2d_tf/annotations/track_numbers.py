"""The numbers of tracks on pages."""

from __future__ import annotations

from collections.abc import Iterable

from a2d_tf.annotations.document import AnnotatedFrame
from a2d_tf.annotations.track_identities import TrackIdentities


def page_numbers(
    frames: Iterable[AnnotatedFrame], identities: TrackIdentities
) -> dict[int, int]:
    """Return {identity of a track: its number on pages, from 1}.

    It is the number by which the user knows the individual, else the tool's, which is
    one higher if the tool counts from 0. Where another track has this number already,
    it is the next one that is free.
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
