"""Groups of actors within which instances are linked, and how many tracks each has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from a2d_tf.core.labels import LabelSpace


class Groups(NamedTuple):
    """Groups of actors; instances are linked within a group.

    Attributes:
      of_actors: number of each actor's group. An actor with a known number of
        individuals has a group of its own; all others are group 0.
      most_tracks: number of individuals in each group; infinite if it is not known.
    """

    of_actors: list[int]
    most_tracks: list[float]

    @classmethod
    def of_numbers(
        cls, labels: LabelSpace, numbers: Mapping[str, int], number: float = math.inf
    ) -> Groups:
        """Make the groups for known numbers of individuals.

        Args:
          labels: the actors.
          numbers: {actor: number of its individuals}.
          number: number of individuals of all other actors together; infinite if it is
            not known.
        """
        of_actors = [0 for _ in labels.actors]
        most_tracks = [number]
        for actor, actor_number in numbers.items():
            of_actors[labels.actors.index(actor)] = len(most_tracks)
            most_tracks.append(actor_number)
        return cls(of_actors, most_tracks)

    def is_limited(self, group: int) -> bool:
        """Return whether the number of individuals of a group is known."""
        return math.isfinite(self.most_tracks[group])
