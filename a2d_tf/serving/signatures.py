"""The names of a served network's signatures; `descriptions` says what they take."""

from __future__ import annotations

from typing import NamedTuple

SERVING_DEFAULT = "serving_default"
"""The signature of clips, which TensorFlow Serving calls by default."""


class FrameSignatures(NamedTuple):
    """The signatures that answer the frames of a video one by one.

    Attributes:
      frame: name of the one that computes the features of a frame.
      answer: name of the one that answers a key frame by the features around it.
      block: name of the one that computes motion maps; networks without an action
        backbone lack it.
    """

    frame: str
    answer: str
    block: str = "block"


VIDEO_SIGNATURES = FrameSignatures("frame", "key_frame")
"""To find the instances of key frames."""
BOX_SIGNATURES = FrameSignatures("frame", "boxes")
"""To label boxes that are given."""
