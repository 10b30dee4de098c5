"""The folder of an exported network: a SavedModel with `a2d_tf.json` in it.

`a2d_tf.json` holds what is not in the graph: the label space, the method of the flow,
the distance between the frames of a clip, and which motion maps key frames take.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import tensorflow as tf

from a2d_tf.core import files
from a2d_tf.core.checked_json import number, whole
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.manifest import BOUT_SECONDS_KIND, MOTION_KIND, load_current
from a2d_tf.runs import checkpoint_files
from a2d_tf.serving import stored_functions
from a2d_tf.serving.stored_functions import Function

INFO = "a2d_tf.json"
CHECKED = (stored_functions.GRAPH, f"{stored_functions.VARIABLES}.index")
"""Files whose digests `a2d_tf.json` holds: TensorFlow checks the weights itself, but
not the graph.
"""
VIDEO_SIGNATURES = ("frame", "key_frame")
BOX_SIGNATURES = ("frame", "boxes")
_POSITIVE = whole(1)
_KIND = {
    "labels": LabelSpace.from_fields,
    "frames": _POSITIVE,
    "image_height": _POSITIVE,
    "image_width": _POSITIVE,
    "clip_stride": _POSITIVE,
    "use_flow": bool,
    "joint": bool,
    "boxes_only?": bool,
    "labels_only?": bool,
    "label_mode": str,
    "flow_method": str,
    "precision": str,
    "checkpoint": str,
    "score_threshold": number(0, 1),
    "motion?": MOTION_KIND,
    "bout_seconds?": BOUT_SECONDS_KIND,
    "sha256": {str: str},
}


class VideoFunctions(NamedTuple):
    """What answers the frames of a video one by one.

    Attributes:
      frame, key_frame: the signatures, functions by keyword; see
        `served_network.SIGNATURES`.
      info: the contents of `a2d_tf.json`.
      block: likewise; None without an action backbone.
    """

    frame: Function
    key_frame: Function
    info: dict[str, Any]
    block: Function | None = None


class BoxFunctions(NamedTuple):
    """What labels boxes that are given; as of `VideoFunctions`."""

    frame: Function
    boxes: Function
    info: dict[str, Any]
    block: Function | None = None


def load(folder: str, for_boxes: bool = False) -> VideoFunctions | BoxFunctions:
    """Load an exported folder for videos.

    Args:
      for_boxes: whether boxes will be given, and only labels are wanted.

    Raises:
      InputError: a folder that a2d export did not make, a damaged one, or a path that
        TensorFlow cannot read; or an export that cannot do what is wanted.
    """
    info = read_info(folder)
    if info.get("labels_only") and not for_boxes:
        raise InputError(
            f"{folder}: a model of a2d start --tracks finds no instances, it only"
            " labels those of tracks; pass --tracks"
        )
    if not for_boxes:
        functions = _load_functions(folder, info, VIDEO_SIGNATURES)
        return VideoFunctions(**functions, info=info)
    if "boxes" not in info.get("signatures", {}):
        raise InputError(
            f"{folder}: an export of an older a2d_tf cannot label given boxes; export"
            " the run again"
        )
    functions = _load_functions(folder, info, BOX_SIGNATURES)
    return BoxFunctions(**functions, info=info)


def read_info(folder: str) -> dict[str, Any]:
    """Return the contents of `a2d_tf.json`; errors as of `load`."""
    checkpoint_files.check_path(folder)
    return load_current(
        os.path.join(folder, INFO),
        _KIND,
        "use a folder of a2d export or a2d train",
        "export the run again with a2d export",
    )


def _load_functions(folder, info, names):
    """Return {name: signature}, with `block` where there is an action backbone.

    The digests are checked, and removed from `info`.
    """
    if info.get("motion", {}).get("action_backbone"):
        names = [*names, "block"]
    try:
        for file, digest in info.pop("sha256").items():
            if files.file_digest(os.path.join(folder, file)) != digest:
                raise OSError(f"{file} has changed since the export")
        return stored_functions.load(folder, names)
    except (OSError, KeyError, tf.errors.OpError) as error:
        # TensorFlow's messages begin with the node: {{function_node ...}}.
        reason = str(error).splitlines()[0].rpartition("}} ")[2]
        raise InputError(
            f"{folder}: corrupt ({reason}); export the run again"
        ) from error
