"""The classes of a detector whose boxes are reported, and the actor that each shows.

A detector numbers its classes; COCO's numbers go from 1 to 90.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from a2d_tf.core.errors import InputError, join_names
from a2d_tf.pretrained import coco


@dataclasses.dataclass(frozen=True)
class DetectorClasses:
    """The classes of a detector whose boxes are reported.

    Attributes:
      actors: names of the actors, those of the model if a model labels the boxes.
      index_of_number: {number of a class: index of its actor in `actors`}; the index is
        -1 if a model names the actor of the box.
      all_of_coco: whether the user chose no classes, so that all of COCO are reported.
        A box of another class is then an error; otherwise it is left out.
    """

    actors: tuple[str, ...]
    index_of_number: Mapping[int, int]
    all_of_coco: bool

    @classmethod
    def parse(cls, words: Sequence[str]) -> DetectorClasses:
        """Return the classes that --actors chooses, if no model labels the boxes.

        Args:
          words: the words of --actors, each CLASS or NAME=CLASS. CLASS is a class of
            COCO, or the number that the detector gives a class of its own; NAME is the
            actor. Without words, all classes of COCO.

        Raises:
          InputError: a class is unknown or has two names, or a word is =CLASS, which
            needs a model.
        """
        actor_of_class = _actor_of_class(words)
        if "" in actor_of_class.values():
            raise InputError(
                "--actors: =CLASS leaves the name of an actor to a model; it needs"
                " --saved_model, --workdir or --model"
            )
        actors = tuple(dict.fromkeys(actor_of_class.values()))
        return cls(actors, _numbers(actor_of_class, actors), all_of_coco=not words)

    @classmethod
    def for_model(cls, words: Sequence[str], actors: Sequence[str]) -> DetectorClasses:
        """Return the classes that --actors chooses, if a model labels the boxes.

        Args:
          words: the words of --actors, each CLASS or NAME=CLASS, where NAME is an actor
            of the model, or =CLASS to let the model name the actor. Without words, the
            classes of COCO that are called like actors of the model.
          actors: names of the model's actors.

        Raises:
          InputError: a class is unknown or has two names, a name is no actor of the
            model, or there are no words and no class of COCO is called like an actor.
        """
        known = join_names(actors)
        example = f"--actors={actors[0]}=CLASS"
        actor_of_class = _actor_of_class(words)
        if not words:
            for name in set(actor_of_class) - set(actors):
                del actor_of_class[name]
            if not actor_of_class:
                raise InputError(
                    f"--detector: no class of COCO is an actor of the model ({known});"
                    f" say which classes show them, as in {example}"
                )
        for actor in actor_of_class.values():
            if actor and actor not in actors:
                raise InputError(
                    f"--actors: '{actor}' is no actor of the model ({known}); name the"
                    f" class as the model does, as in {example}, or leave the name to"
                    " it, as in --actors==CLASS"
                )
        return cls(tuple(actors), _numbers(actor_of_class, actors), all_of_coco=False)


def _actor_of_class(words: Sequence[str]) -> dict[str, str]:
    """Return {class of COCO, or number of a class as text: actor} of --actors."""
    numbers = []
    for word in words:
        _, _, class_name = word.rpartition("=")
        if class_name.isdecimal():
            numbers.append(class_name)
    classes = (*coco.CLASSES, *numbers)
    return coco.actors_of_classes(words, classes, may_be_unnamed=True)


def _numbers(
    actor_of_class: Mapping[str, str], actors: Sequence[str]
) -> dict[int, int]:
    """Return the `index_of_number` of {class: actor}."""
    index_of_number = {}
    for class_name, actor in actor_of_class.items():
        index = -1
        if actor:
            index = actors.index(actor)
        if class_name in coco.IDS:
            index_of_number[coco.IDS[class_name]] = index
        else:
            index_of_number[int(class_name)] = index
    return index_of_number
