"""Read an exported folder back: its facts and its functions, with no part of the network's code."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, load_json, number, whole
from a2d_tf.core.labels import LabelSpace

FACTS = "a2d_tf.json"
SAVED_MODEL = "saved_model.pb"
NAMES = ("frame", "key_frame")
_KIND = {
    "labels": LabelSpace.from_fields,
    "frames": whole(1),
    "use_flow": bool,
    "label_mode": str,
    "flow_method": str,
    "image_height": whole(1),
    "image_width": whole(1),
    "clip_stride": whole(1),
    "score_threshold": number(0, 1),
    "boxes_alone?": bool,
    "precision": str,
    "checkpoint": str,
    "sha256": str,
}

Function = Callable[..., "dict[str, tf.Tensor]"]


def load(folder: str) -> tuple[dict[str, Function], dict[str, Any]]:
    """Load an exported folder for videos.

    Args:
      folder: of `export_folder.export`.

    Returns:
      ({name: function by keyword} of `NAMES`, the contents of `a2d_tf.json`).

    Raises:
      InputError: a folder that a2d_tf.export did not make, or a damaged one.
    """
    facts = load_json(os.path.join(folder, FACTS), _KIND, "name a folder that a2d_tf.export made")
    try:
        # TensorFlow checks the weights itself, but not the graph.
        if file_digest(os.path.join(folder, SAVED_MODEL)) != facts["sha256"]:
            raise OSError(f"{SAVED_MODEL} is not as it was exported")
        model = tf.saved_model.load(folder)
        loaded = {name: _keeping(model, model.signatures[name]) for name in NAMES}
    except (OSError, KeyError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder}: damaged ({reason}); export the run again") from error
    return loaded, facts


def _keeping(owner: Any, function: Function) -> Function:
    """Return the function with a reference to the owner of its variables, to keep it alive."""
    return lambda **arguments: (owner, function(**arguments))[1]
