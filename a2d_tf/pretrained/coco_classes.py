"""COCO's 80 classes, in the order in which its detectors count them, and what A2D calls them."""

import dataclasses

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

# Actors that COCO has under another name; all others go by their own.
ALIASES = {"adult": "person", "baby": "person", "ball": "sports ball"}


class ClassSpace(LabelSpace):
    """Classes that are nothing but actors, for a detector."""

    @classmethod
    def of(cls, classes):
        return cls(**dataclasses.asdict(label_space(classes, "object")))

    def name(self, code):
        return self.actors[code // self.base - 1]


def label_space(actors, action):
    """Actors with one action that says nothing, for a network that knows no actions."""
    codes = tuple(10 * number + 1 for number in range(1, len(actors) + 1))
    return LabelSpace(tuple(actors), (action,), codes)
