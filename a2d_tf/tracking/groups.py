"""Groups of actors within which instances are linked, and how many tracks each has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from a2d_tf.core.labels import LabelSpace


class Groups(NamedTuple):
    """Groups of actors; instances are linked within a group.

    Attributes:
      group_of_actor: number of each actor's group. An actor with a known number of
        individuals has a group of its own; all others are group 0.
      most_tracks: number of individuals in each group; infinite if it is not known.
    """

    group_of_actor: list[int]
    most_tracks: list[float]

    @classmethod
    def from_counts(
        cls,
        labels: LabelSpace,
        counts: Mapping[str, int],
        count_of_others: float = math.inf,
    ) -> Groups:
        """Make the groups for known numbers of individuals.

        Args:
          labels: the actors.
          counts: {actor: number of its individuals}.
          count_of_others: number of individuals of all other actors together; infinite
            if it is not known.
        """
        group_of_actor = [0 for _ in labels.actors]
        most_tracks = [count_of_others]
        for actor, count in counts.items():
            group_of_actor[labels.actors.index(actor)] = len(most_tracks)
            most_tracks.append(count)
        return cls(group_of_actor, most_tracks)

    def is_limited(self, group: int) -> bool:
        """Return whether the number of individuals of a group is known."""
        return math.isfinite(self.most_tracks[group])
