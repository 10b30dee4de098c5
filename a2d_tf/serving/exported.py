"""Read an exported folder back: its facts and its functions, with no part of the network's code."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import load_json, number, whole
from a2d_tf.core.labels import LabelSpace
from a2d_tf.serving import functions

FACTS = "a2d_tf.json"
SAVED_MODEL = "saved_model.pb"
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
    "paint": str,
    "precision": str,
    "checkpoint": str,
    "functions": {str: str},
}


def load(folder: str) -> tuple[dict[str, functions.Function], dict[str, Any]]:
    """Load an exported folder for videos.

    Args:
      folder: of `export_folder.export`.

    Returns:
      ({name: function by keyword} of `functions.NAMES`, the contents of `a2d_tf.json` but for the
      digests in it).

    Raises:
      InputError: a folder that a2d_tf.export did not make, or a damaged one.
    """
    facts = load_json(os.path.join(folder, FACTS), _KIND, "name a folder that a2d_tf.export made")
    try:
        loaded = functions.load(folder, facts.pop("functions"))
        if loaded is None:
            model = tf.saved_model.load(folder)
            loaded = {
                name: functions.keeping(model, model.signatures[name]) for name in functions.NAMES
            }
    except (OSError, KeyError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder}: damaged ({reason}); export the run again") from error
    return loaded, facts
