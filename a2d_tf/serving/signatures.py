"""The names of a served network's signatures; `descriptions` says what they take."""

from __future__ import annotations

from typing import NamedTuple

SERVING_DEFAULT = "serving_default"
"""The signature of clips, which TensorFlow Serving calls by default."""


class FrameSignatures(NamedTuple):
    """The names of the three signatures that answer the frames of a video one by one.

    Attributes:
      frame: name of the signature that computes the features of a frame.
      answer: name of the signature that answers a key frame by the features of the
        frames around it.
      block: name of the signature that computes motion maps of a block of frames;
        networks without an action backbone lack it.
    """

    frame: str
    answer: str
    block: str = "block"


VIDEO_SIGNATURES = FrameSignatures("frame", "key_frame")
"""The signatures by which the instances of key frames are found."""
BOX_SIGNATURES = FrameSignatures("frame", "boxes")
"""The signatures by which given boxes in key frames are labelled."""
