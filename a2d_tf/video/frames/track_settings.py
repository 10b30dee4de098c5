"""How the individuals of a video are followed, as the flags of `a2d predict` say."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking import tracker
from a2d_tf.tracking.bout_lengths import BoutLengths
from a2d_tf.tracking.groups import Groups


@dataclasses.dataclass(frozen=True)
class TrackSettings:
    """How the individuals of a video are tracked: the flags of the same names.

    Attributes:
      window: number of answered frames from which the label of a track is read in each
        of them; 1 to keep the network's own label of each frame.
      patience: number of answered frames in a row that may miss an individual before
        its track is lost.
      max_tracks: number of individuals, such as "4" for all actors together, or
        "mouse=2,wheel=1"; an actor that is not named there has any number. None if all
        actors have any number.
      min_bout: bouts shorter than this number of seconds are left out; 0 keeps all.
      merge_gap: gaps shorter than this number of seconds, between two bouts of one
        action, are filled; 0 keeps all.
    """

    window: int = tracker.WINDOW
    patience: int = tracker.PATIENCE
    max_tracks: str | None = None
    min_bout: float = 0.0
    merge_gap: float = 0.0

    @property
    def bout_lengths(self) -> BoutLengths:
        """The settings `min_bout` and `merge_gap`, in seconds."""
        return BoutLengths(self.min_bout, self.merge_gap)

    def recorded(self) -> dict[str, Any]:
        """Return the settings by which later calls tell this prediction from others.

        `video.json` keeps them. Lengths of bouts are left out if they are 0, because
        earlier versions had none.

        Returns:
          {name of a flag: its value}.
        """
        settings = dataclasses.asdict(self)
        for name in ("min_bout", "merge_gap"):
            if not settings[name]:
                del settings[name]
        return settings

    def groups(self, labels: LabelSpace) -> Groups:
        """Return the groups of actors within which instances are linked into tracks.

        A track never passes from one group to another. An actor with a number of its
        own in `max_tracks` is a group of its own. The others are group 0 together,
        which has no limit unless `max_tracks` is a single number.

        Args:
          labels: the label space, which has the names of the actors.

        Raises:
          InputError: `max_tracks` is neither a number of 1 or more, nor a list such as
            "mouse=2,wheel=1" of different actors of `labels`.
        """
        numbers: dict[str, int] = {}
        number_of_all = math.inf
        if not self.max_tracks:
            return Groups.from_counts(labels, numbers)
        for part in self.max_tracks.split(","):
            actor, equals, count = part.rpartition("=")
            if actor in labels.actors:
                is_valid = actor not in numbers
            else:
                is_valid = part == self.max_tracks and not equals
            if not is_valid or not count.isdecimal() or int(count) < 1:
                raise InputError(
                    f"--max_tracks={self.max_tracks}: '{part}' is not a number of"
                    " individuals; use one for all, or ACTOR=NUMBER with actors from"
                    f" {', '.join(labels.actors)}"
                )
            if equals:
                numbers[actor] = int(count)
            else:
                number_of_all = int(count)
        return Groups.from_counts(labels, numbers, number_of_all)


TRACK_DEFAULTS = TrackSettings()
"""The settings of a prediction for which the user gives no flags of tracks."""
