"""The classes of COCO's detectors, and the names of A2D's actors among them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from a2d_tf.pretrained.named_classes import name_classes

_BY_KIND = """\
person
bicycle, car, motorcycle, airplane, bus, train, truck, boat
traffic light, fire hydrant, stop sign, parking meter, bench
bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe
backpack, umbrella, handbag, tie, suitcase
frisbee, skis, snowboard, sports ball, kite
baseball bat, baseball glove, skateboard, surfboard, tennis racket
bottle, wine glass, cup, fork, knife, spoon, bowl
banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake
chair, couch, potted plant, bed, dining table, toilet
tv, laptop, mouse, remote, keyboard, cell phone
microwave, oven, toaster, sink, refrigerator
book, clock, vase, scissors, teddy bear, hair drier, toothbrush"""
CLASSES = tuple(re.split(", |\n", _BY_KIND))
"""Names in the order of the detectors' outputs, without background."""

_UNUSED_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # of classes that COCO dropped
_USED_IDS = [number for number in range(1, 91) if number not in _UNUSED_IDS]
IDS = dict(zip(CLASSES, _USED_IDS))
"""{class: its number in COCO's annotations}, from 1 to 90."""

A2D_ALIASES = {"adult": "person", "baby": "person", "ball": "sports ball"}
"""{actor of A2D: class of COCO}, for actors that COCO names differently."""


def actors_of_classes(
    actors: Sequence[str],
    classes: Collection[str] = CLASSES,
    *,
    may_be_unnamed: bool = False,
) -> dict[str, str]:
    """Return the classes of COCO that a user chose, and the actors they stand for.

    Args:
      actors: the words of --actors, CLASS or NAME=CLASS each, such as 'person' or
        'mouse=cat'; several classes may have the same name. If empty, all classes are
        chosen under their own names.
      classes: the classes that the detector knows.
      may_be_unnamed: whether the name may be empty, as in =CLASS: the detector then
        finds the class, and another model names the actor.

    Returns:
      {class: name of the actor, or "" if it has none}.

    Raises:
      InputError: a class is unknown or has two names, or a name is not valid.
    """
    return name_classes(
        actors or tuple(classes),
        dict(zip(classes, classes)),
        flag="--actors",
        of="COCO",
        may_be_unnamed=may_be_unnamed,
    )
