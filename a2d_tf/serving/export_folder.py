"""Load the folder of an export: a SavedModel with `a2d_tf.json` in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from a2d_tf.core import files
from a2d_tf.core.errors import InputError
from a2d_tf.serving import model_info, saved_model_loader
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.serving.saved_model_loader import Function
from a2d_tf.serving.signatures import (
    BOX_SIGNATURES,
    VIDEO_SIGNATURES,
    FrameSignatures,
)

CHECKED = (saved_model_loader.GRAPH, f"{saved_model_loader.VARIABLES}.index")
"""Files whose digests `a2d_tf.json` holds: TensorFlow checks the weights itself, but
not the graph.
"""


class FrameFunctions(NamedTuple):
    """The functions of a served network that answer the frames of a video in turn.

    They take tensors by keyword and return {name: tensor}; `descriptions` has their
    shapes.

    Attributes:
      frame: computes the features of a frame, the signature `frame`.
      answer: answers a key frame by the features of the frames around it: the signature
        `key_frame`, which finds instances, or `boxes`, which labels given boxes.
      info: the contents of `a2d_tf.json`, without digests.
      block: computes the motion maps of a block of frames; None without an action
        backbone.
    """

    frame: Function
    answer: Function
    info: ModelInfo
    block: Function | None


def load(folder: str, signatures: FrameSignatures = VIDEO_SIGNATURES) -> FrameFunctions:
    """Load the folder of an export, to answer the frames of videos.

    Args:
      folder: a folder that a2d export or a2d start made.
      signatures: VIDEO_SIGNATURES to find the instances of frames, or BOX_SIGNATURES
        to label given boxes.

    Raises:
      InputError: a folder that a2d export did not make, a damaged one, or a path that
        TensorFlow cannot read; or an export without these signatures.
    """
    info = model_info.read(folder)
    # The rest describes a network that is served from its run, too.
    digests = info.pop("sha256")
    if signatures == VIDEO_SIGNATURES and info.get("labels_only"):
        raise InputError(
            f"{folder}: a model of a2d start --tracks finds no instances, it only"
            " labels those of tracks; pass --tracks"
        )
    if signatures == BOX_SIGNATURES and "boxes" not in info.get("signatures", {}):
        raise InputError(
            f"{folder}: an export of an older a2d_tf cannot label given boxes; export"
            " the run again"
        )
    try:
        _check_digests(folder, digests)
        functions = saved_model_loader.load(folder, signatures)
        return FrameFunctions(
            frame=functions[signatures.frame],
            answer=functions[signatures.answer],
            info=info,
            block=functions.get(signatures.block),
        )
    except (OSError, KeyError, tf.errors.OpError) as error:
        # TensorFlow's messages begin with the node: {{function_node ...}}.
        reason = str(error).splitlines()[0].rpartition("}} ")[2]
        raise _corrupt(folder, reason) from error


def _check_digests(folder: str, digests: Mapping[str, str]) -> None:
    """Raise InputError unless files have the digests {name: digest}."""
    for name, digest in digests.items():
        if files.file_digest(os.path.join(folder, name)) != digest:
            raise _corrupt(folder, f"{name} has changed since the export")


def _corrupt(folder: str, reason: str) -> InputError:
    return InputError(f"{folder}: corrupt ({reason}); export the run again")
