"""The individuals that do what was coded in the bouts of a video."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.coded_times.bout_frames import BoutFrames
from a2d_tf.annotations.coded_times.individuals import Identities, Individual
from a2d_tf.annotations.coded_times.observations import CodedBout, Observation
from a2d_tf.core.errors import join_names, quoted


class OwnedBout(NamedTuple):
    """A bout, and the annotated individuals that its subject is.

    Attributes:
      bout: the action, its start and its end.
      frames: numbers of the annotated frames that are shown during the bout.
      individuals: the individuals that the subject is. If the subject is known by sight
        alone, these are the individuals that are seen, one after the other if a track
        has gaps.
      by_sight: whether the subject is known by sight alone.
      doubt: if several are seen at once, when and who, as text; else ''. Such a bout
        gives nobody its action.
    """

    bout: CodedBout
    frames: Sequence[int]
    individuals: set[Individual]
    by_sight: bool = False
    doubt: str = ""

    def is_shown(self, identities: Identities) -> bool:
        """Return whether one of its frames shows one of its individuals."""
        return any(
            identities.count_shown(number, self.individuals) for number in self.frames
        )


def find_owners(
    observations: Iterable[Observation],
    fps: float | None,
    bout_frames: BoutFrames,
    identities: Identities,
    individuals: Mapping[str, set[Individual]],
) -> list[OwnedBout]:
    """Find the individuals and the annotated frames of each bout of a video.

    Args:
      fps: frames a second of a folder of images, see `BoutFrames.of_observation`.
      identities: identities of the instances of the annotated frames.
      individuals: {subject: the individuals that it is}, without subjects that are
        known by sight alone.

    Raises:
      InputError: as of `BoutFrames.of_observation`.
    """
    called: set[Individual] = set().union(*individuals.values())
    owned_bouts = []
    for observation in observations:
        for bout, numbers in bout_frames.of_observation(observation, fps):
            shown = [number for number in numbers if number in identities.of_frame]
            if bout.subject in individuals:
                owned = OwnedBout(bout, shown, individuals[bout.subject])
            else:
                owned = _owned_by_sight(observation, bout, shown, identities, called)
            owned_bouts.append(owned)
    return owned_bouts


def _owned_by_sight(
    observation: Observation,
    bout: CodedBout,
    frames: Sequence[int],
    identities: Identities,
    called: set[Individual],
) -> OwnedBout:
    """Return a bout with those who are seen during it.

    Args:
      called: individuals that other subjects are, who are not looked at.
    """
    seen: set[Individual] = set()
    most_at_once = 0
    for number in frames:
        seen_now = set(identities.of_frame[number]) - called
        seen |= seen_now
        most_at_once = max(most_at_once, len(seen_now))
    doubt = ""
    if most_at_once > 1:
        names = sorted(_spoken(individual) for individual in seen)
        unit = "image" if observation.counts_images else "second"
        doubt = (
            f"from {unit} {bout.start:g} to {bout.end:g} of '{observation.video}'"
            f" {join_names(names)} are visible"
        )
    return OwnedBout(bout, frames, seen, by_sight=True, doubt=doubt)


def doubts_of(vid: str, owned_bouts: Iterable[OwnedBout]) -> list[str]:
    """Return a sentence for each subject with bouts in doubt, which are left out."""
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


def _spoken(individual: Individual) -> str:
    """Return the name of an individual that is seen, which is its number at least."""
    if individual.number is None or individual.has_own_name():
        return individual.text()
    return f"{individual.actor} {individual.number}"
