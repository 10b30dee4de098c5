"""Groups of actors within which instances are linked, and how many tracks each has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from a2d_tf.core.labels import LabelSpace


class Groups(NamedTuple):
    """Groups of actors, and the number of individuals of each group.

    An instance continues only a track of its group. Within a group the network may take
    one actor for another without breaking the track.

    Attributes:
      group_of_actor: for each actor of the label space, the number of its group from 0.
        An actor with a known number of individuals has a group of its own; all others
        are group 0.
      most_tracks: for each group, the number of its individuals in a video; infinite if
        it is not known.
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
        """Make the groups of a label space for known numbers of individuals.

        Args:
          labels: the label space, which has the actors.
          counts: {name of an actor: number of its individuals}, where it is known.
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
        """Return whether the number of individuals of a group is known.

        Args:
          group: number of the group, from 0.
        """
        return math.isfinite(self.most_tracks[group])
