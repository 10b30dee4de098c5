"""Names of what a video was to a model: whether its training or fit saw the video."""

TRAINED = "trained"
"""The model learned from the video."""
HELD_OUT = "held out"
"""The video is annotated, but the model did not learn from it: it was scored there."""
NEW = "new"
"""The model neither learned from the video nor was scored there."""
SPLITS = (TRAINED, HELD_OUT, NEW)
"""All of these names."""
