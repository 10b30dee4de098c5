"""How many individuals a video has: the groups of actors whose tracks are limited."""

from __future__ import annotations

import math
from typing import NamedTuple

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace


class Groups(NamedTuple):
    """Groups of actors; instances are linked within a group.

    Attributes:
      of_actors: the group of each actor: 0, or one of its own if it has a number.
      most_tracks: the number of individuals of each group; infinite for any number.
    """

    of_actors: list[int]
    most_tracks: list[float]


def parse(max_tracks: str | None, labels: LabelSpace) -> Groups:
    """Return the groups of `--max_tracks`.

    Args:
      max_tracks: the number of individuals, such as "4" or "mouse=2,wheel=1"; actors
        that are not named have any number. None: all have any number.

    Raises:
      InputError: this is no number of individuals, or names no actor of `labels`.
    """
    groups = Groups([0 for _ in labels.actors], [math.inf])
    if not max_tracks:
        return groups
    for part in max_tracks.split(","):
        actor, equals, count = part.rpartition("=")
        if actor in labels.actors:
            is_valid = groups.of_actors[labels.actors.index(actor)] == 0  # named once
        else:
            is_valid = part == max_tracks and not equals
        if not is_valid or not count.isdecimal() or int(count) < 1:
            raise InputError(
                f"--max_tracks={max_tracks}: '{part}' is not a number of individuals;"
                " use one for all, or ACTOR=NUMBER with actors from"
                f" {', '.join(labels.actors)}"
            )
        if equals:
            groups.of_actors[labels.actors.index(actor)] = len(groups.most_tracks)
            groups.most_tracks.append(int(count))
        else:
            groups.most_tracks[0] = int(count)
    return groups
