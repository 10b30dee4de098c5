"""The annotated individuals of a video, and the frames that show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from a2d_tf.annotations.coded_times.individual import Individual
from a2d_tf.annotations.documents.document import AnnotatedFrame
from a2d_tf.annotations.labels.names import Names


class AnnotatedIndividuals(NamedTuple):
    """The annotated individuals of one video, and the frames that show them.

    Attributes:
      by_frame: {1-based number of an annotated frame: the individual of each of its
        instances, in their order}.
      first_frame: {individual: the 1-based number of the first frame that shows it}.
    """

    by_frame: dict[int, list[Individual]]
    first_frame: dict[Individual, int]

    @classmethod
    def of(
        cls, frames: Mapping[int, AnnotatedFrame], names: Names
    ) -> AnnotatedIndividuals:
        """Collect the individuals of a video from its annotated frames.

        Args:
          frames: {1-based number of a frame: its annotation}.
          names: maps labels of the tool to actors.
        """
        by_frame: dict[int, list[Individual]] = {}
        first_frame: dict[Individual, int] = {}
        for number, frame in sorted(frames.items()):
            by_frame[number] = []
            for instance in frame.instances:
                individual = Individual.of(instance, frame, names)
                by_frame[number].append(individual)
                first_frame.setdefault(individual, number)
        return cls(by_frame, first_frame)

    def count_shown(self, frame: int, individuals: set[Individual]) -> int:
        """Return how many instances of a frame show one of some individuals.

        Args:
          frame: the 1-based number of an annotated frame.
          individuals: the individuals that count.
        """
        return sum(individual in individuals for individual in self.by_frame[frame])

    def words(self) -> list[str]:
        """Return all words by which a subject may mean an individual of the video.

        They are the actors, the names and the user's numbers, in lower case and sorted.
        """
        words: set[str] = set()
        for individual in self.first_frame:
            words.add(individual.actor.casefold())
            if individual.name:
                words.add(individual.name.casefold())
            words |= individual.number_words()
        return sorted(words - {""})
