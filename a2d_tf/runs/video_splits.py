"""What a video was to a model: did its training, or its fit, see the video?"""

TRAINED = "trained"
HELD_OUT = "held out"
NEW = "new"
SPLITS = (TRAINED, HELD_OUT, NEW)
