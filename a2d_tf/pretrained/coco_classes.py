"""COCO's 80 classes, in the order of its detectors, and their names in A2D."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Iterable, Sequence

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import load_json
from a2d_tf.core.labels import LabelSpace

CLASSES = tuple(
    """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light,
    fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant,
    bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard,
    sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle,
    wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
    hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
    mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock,
    vase, scissors, teddy bear, hair drier, toothbrush""".replace("\n    ", " ").split(", ")
)

# Names of A2D's actors in COCO, where they differ.
ALIASES = {"adult": "person", "baby": "person", "ball": "sports ball"}


class ClassSpace(LabelSpace):
    """A label space of classes without actions, for a detector."""

    @classmethod
    def of(cls, classes: Iterable[str]) -> ClassSpace:
        """Make the space of these classes."""
        return cls(**dataclasses.asdict(label_space(classes, "object")))

    def name(self, code: int) -> str:
        """Return the class of a code."""
        return self.actors[code // self.base - 1]


def read_class_map(path: str | os.PathLike, actors: Sequence[str]) -> dict[str, str | None]:
    """Read a JSON file {actor: COCO class, or null for none}.

    Args:
      path: the file.
      actors: those that it may name; it may leave some out.

    Raises:
      InputError: no such file, or it names another actor or class; names the file and the actor.
    """
    chosen = load_json(path, {str: (str, None)}, "write {actor: COCO class or null}")
    for actor, name in chosen.items():
        if actor not in actors:
            raise InputError(
                f"{path}: {shown(actor)}: no actor of the records, which have {', '.join(actors)}; "
                "correct or delete the line"
            )
        if name is not None and name not in CLASSES:
            close = difflib.get_close_matches(str(name), CLASSES, 3) or CLASSES
            raise InputError(
                f"{path}: {shown(actor)}: {shown(name)} is no class of COCO; write null for "
                f"random weights, or one of {', '.join(close)}"
            )
    return chosen


def label_space(actors: Iterable[str], action: str) -> LabelSpace:
    """Make a label space of actors with one placeholder action, for a network without actions."""
    actors = tuple(actors)
    codes = tuple(10 * number + 1 for number in range(1, len(actors) + 1))
    return LabelSpace(actors, (action,), codes)
