"""The classes of COCO's detectors, and the names of A2D's actors among them."""

import re

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

A2D_ALIASES = {"adult": "person", "baby": "person", "ball": "sports ball"}
"""{actor of A2D: its class}, where the names differ."""
