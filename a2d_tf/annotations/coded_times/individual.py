"""An individual: an annotated animal of a video, and what it is called.

A number that the annotation tool gave to a track names no individual.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from a2d_tf.annotations.documents.document import AnnotatedFrame
from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.annotations.labels.names import Names


class Individual(NamedTuple):
    """An annotated individual of a video, told from others by names and track.

    Attributes:
      actor: the name of its actor; '' if its label says nothing.
      name: the user's name for it; None if there is none.
      number: the user's number for it; None if there is none.
      track: the number of its track in the file; None if it has no track.
      file: the file with that track; '' if it has no track.
    """

    actor: str
    name: str | None
    number: int | None
    track: int | None
    file: str

    @classmethod
    def of(cls, instance: Instance, frame: AnnotatedFrame, names: Names) -> Individual:
        """Return the individual that an instance shows.

        Args:
          instance: an annotated instance.
          frame: the annotated frame with the instance.
          names: maps labels of the tool to actors.
        """
        actor, _ = names.annotated_names(instance)
        return cls(
            actor=actor,
            name=instance.name or None,
            number=instance.number,
            track=instance.track,
            file="" if instance.track is None else str(frame.path),
        )

    def text(self) -> str:
        """Return its name for messages: 'Ann', 'mouse 3' or 'mouse (track 3)'."""
        if self.name or self.number is not None:
            return self.name or f"{self.actor} {self.number}"
        if self.track is None:
            return self.actor
        return f"{self.actor} (track {self.track})"

    def has_own_name(self) -> bool:
        """Return whether the user gave it a name that is more than its number."""
        return self.name not in (None, "", str(self.number))

    def has_actor(self, word: str) -> bool:
        """Return whether a word of the user is its actor, in upper or lower case.

        Args:
          word: a subject, or a word in --subjects.
        """
        return self.actor != "" and self.actor.casefold() == word.casefold()

    def number_words(self) -> set[str]:
        """Return the words by which a subject may call the individual by its number.

        They are in lower case: '3' and 'mouse 3'; there are none if the user gave no
        number.
        """
        return self._words_for(self.number)

    def track_words(self) -> set[str]:
        """Return the words by which --subjects may mean its track, in lower case.

        They are '3' and 'mouse 3' for track 3. Without a track they have the number
        that the user gave, if there is one.
        """
        return self._words_for(self.number if self.track is None else self.track)

    def is_in_file(self, file: str) -> bool:
        """Return whether its track is in a file.

        Args:
          file: the path of the file, or one part of the path, such as a zip:
            'task_17.zip'.
        """
        return file == self.file or file in re.split(r"[\\/]", self.file)

    def is_numbered_by_tool(self) -> bool:
        """Return whether its only number is one that the annotation tool chose."""
        return self.track is not None and self.number is None

    def _words_for(self, number: int | None) -> set[str]:
        """Return a number as text, alone and after the actor; nothing for None."""
        if number is None:
            return set()
        return {str(number), f"{self.actor} {number}".casefold()}


def number_in(subject: str) -> str | None:
    """Return the number at the end of a coded subject, such as '2' or 'mouse 2'.

    Args:
      subject: the name of the subject.

    Returns:
      the digits; None if the last word of the subject is no number.
    """
    match = re.fullmatch(r"(?:.* )?([0-9]+)", subject)
    return match[1] if match else None
