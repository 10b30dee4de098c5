"""The annotated individuals that do what was coded in the bouts of a video."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.coded_times.bout_frames import BoutFrames
from a2d_tf.annotations.coded_times.individual import Individual
from a2d_tf.annotations.coded_times.individuals import AnnotatedIndividuals
from a2d_tf.annotations.coded_times.observations import CodedBout, Observation
from a2d_tf.core.errors import join_names, quoted


class OwnedBout(NamedTuple):
    """A coded bout of a video, and the annotated individuals that its subject means.

    Attributes:
      bout: the subject, its action, and the start and the end of the action.
      frames: the 1-based numbers of the annotated frames that show the bout.
      individuals: the individuals that the subject means. If it is known by sight
        alone, these are the individuals that are seen during the bout. An individual
        whose track has gaps may count as several, one after the other.
      by_sight: whether the subject is known by sight alone, since no annotation has its
        name: it is the individual that is seen alone during the bout.
      doubt: if several individuals are seen at once, when and who, as text; else ''. A
        bout in doubt gives no individual its action.
    """

    bout: CodedBout
    frames: Sequence[int]
    individuals: set[Individual]
    by_sight: bool = False
    doubt: str = ""

    def is_shown(self, annotated: AnnotatedIndividuals) -> bool:
        """Return whether a frame of the bout shows an individual of its subject.

        Args:
          annotated: the annotated individuals of the video.
        """
        return any(
            annotated.count_shown(number, self.individuals) for number in self.frames
        )


def find_owners(
    observations: Iterable[Observation],
    fps: float | None,
    bout_frames: BoutFrames,
    annotated: AnnotatedIndividuals,
    individuals: Mapping[str, set[Individual]],
) -> list[OwnedBout]:
    """Find the individuals and the annotated frames of each coded bout of a video.

    Args:
      observations: the coded times of the video.
      fps: images a second, if the video is a folder of images and the user states its
        rate; None for the rate that the observations state.
      bout_frames: finds the frames of the video that show a bout.
      annotated: the annotated individuals of the video.
      individuals: {subject: the individuals that it means}. A subject that is missing
        here is known by sight: it is the individual that is seen alone during its
        bouts.

    Returns:
      the bouts in the order of the observations.

    Raises:
      InputError: a bout is not within the video, the video is not as long as the coded
        one, or the rate of the images is unknown.
    """
    with_subject: set[Individual] = set().union(*individuals.values())
    owned_bouts = []
    for observation in observations:
        for bout, numbers in bout_frames.of_observation(observation, fps):
            shown = [number for number in numbers if number in annotated.by_frame]
            if bout.subject in individuals:
                owned = OwnedBout(bout, shown, individuals[bout.subject])
            else:
                owned = _owned_by_sight(
                    observation, bout, shown, annotated, with_subject
                )
            owned_bouts.append(owned)
    return owned_bouts


def _owned_by_sight(
    observation: Observation,
    bout: CodedBout,
    frames: Sequence[int],
    annotated: AnnotatedIndividuals,
    with_subject: set[Individual],
) -> OwnedBout:
    """Return a bout whose subject is known by sight alone, with the individuals seen.

    Args:
      observation: the coded times with the bout.
      bout: the bout.
      frames: the 1-based numbers of the annotated frames that show the bout.
      annotated: the annotated individuals of the video.
      with_subject: the individuals of other subjects, which do not count as seen.
    """
    seen: set[Individual] = set()
    most_at_once = 0
    for number in frames:
        seen_now = set(annotated.by_frame[number]) - with_subject
        seen |= seen_now
        most_at_once = max(most_at_once, len(seen_now))
    doubt = ""
    if most_at_once > 1:
        names = sorted(_text_of(individual) for individual in seen)
        unit = "image" if observation.counts_images else "second"
        doubt = (
            f"from {unit} {bout.start:g} to {bout.end:g} of '{observation.video}'"
            f" {join_names(names)} are visible"
        )
    return OwnedBout(bout, frames, seen, by_sight=True, doubt=doubt)


def doubts_of(vid: str, owned_bouts: Iterable[OwnedBout]) -> list[str]:
    """Return a sentence for each subject whose bouts may be of several individuals.

    It names the first of these bouts, and says that all of them are left out.

    Args:
      vid: the name of the video.
      owned_bouts: the bouts of the video with their individuals.
    """
    bouts_of_subject: dict[str, list[OwnedBout]] = {}
    for owned in owned_bouts:
        if owned.doubt:
            bouts_of_subject.setdefault(owned.bout.subject, []).append(owned)
    sentences = []
    for subject, bouts in bouts_of_subject.items():
        problem = "no subject"
        if subject:
            problem = f"nobody is called {quoted(subject)}"
        example = json.dumps({subject: {vid: "number of a track"}})
        sentences.append(
            f"{bouts[0].bout.where}: {problem}, and {bouts[0].doubt}; say in --subjects"
            f" whose time it is: {example}; {len(bouts)} such bouts are left out"
        )
    return sentences


def _text_of(individual: Individual) -> str:
    """Return what a doubt calls an individual: its own name, else actor and number."""
    if individual.number is None or individual.has_own_name():
        return individual.text()
    return f"{individual.actor} {individual.number}"
