"""The numbers by which the pages of a prediction call tracks."""

from __future__ import annotations

from collections.abc import Iterable

from a2d_tf.annotations.documents.document import AnnotatedFrame
from a2d_tf.annotations.tracks.track_identities import TrackIdentities


def page_numbers(
    frames: Iterable[AnnotatedFrame], identities: TrackIdentities
) -> dict[int, int]:
    """Return the numbers by which a prediction's pages call the tracks of a video.

    A track has the number that the user gave to its individual. Otherwise it has the
    annotation tool's number, plus 1 if the tool counts from 0. If another track has
    that number, the track gets a number above all others so far.

    Args:
      frames: the annotated frames of the video.
      identities: tells which instances of the frames belong to one track.

    Returns:
      {identity of a track, as `identities` numbers it: its number on pages, from 1}.
    """
    user_numbers: dict[int, int] = {}
    tool_numbers: dict[int, int] = {}
    for frame in frames:
        values = identities.of_frame(frame)
        if values is None:
            continue
        for instance, identity in zip(frame.instances, values.tolist()):
            if identity < 0:
                continue
            if instance.number is not None:
                user_numbers.setdefault(identity, instance.number)
            tool_numbers.setdefault(identity, identity)
            if instance.track is not None:
                tool_numbers[identity] = instance.track
    numbers: dict[int, int] = {}
    for identity, number in sorted(user_numbers.items()):
        if number > 0 and number not in numbers.values():
            numbers[identity] = number
    offset = 0 if min(tool_numbers.values(), default=1) > 0 else 1
    for identity, tool_number in sorted(tool_numbers.items()):
        if identity in numbers:
            continue
        number = tool_number + offset
        if number in numbers.values():
            number = max(numbers.values()) + 1
        numbers[identity] = number
    return numbers
