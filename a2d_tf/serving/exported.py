"""Read an exported folder back: its facts and its functions, with no part of the network's code."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import load_json, number, whole
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.limits import MAX_FRAMES, MAX_SIDE
from a2d_tf.serving import functions

FACTS = "a2d_tf.json"
SAVED_MODEL = "saved_model.pb"
_KIND = {
    "labels": LabelSpace.from_fields,
    "frames": whole(1, MAX_FRAMES),
    "use_flow": bool,
    "label_mode": str,
    "flow_method": str,
    "image_height": whole(1, MAX_SIDE),
    "image_width": whole(1, MAX_SIDE),
    "clip_stride": whole(1, 1000),
    "score_threshold": number(0, 1),
    "paint": str,
    "precision": str,
    "checkpoint": str,
    "functions": {str: str},
}


def check_folder(folder: str) -> None:
    """Raise InputError unless the folder is one that `export_folder.export` made."""
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; a2d_tf.export makes one from a run")
    for name in (SAVED_MODEL, FACTS):
        if not os.path.isfile(os.path.join(folder, name)):
            raise InputError(f"{folder}: no {name} there, so not a SavedModel of a2d_tf.export")


def load(folder: str) -> tuple[dict[str, functions.Function], dict[str, Any]]:
    """Load an exported folder for videos.

    Args:
      folder: of `export_folder.export`.

    Returns:
      ({name: function by keyword} of `functions.NAMES`, the contents of `a2d_tf.json` but for the
      digests in it).

    Raises:
      InputError: no such folder, one that a2d_tf.export did not make, or a damaged one.
    """
    check_folder(folder)
    facts = load_json(os.path.join(folder, FACTS), _KIND, "export the run again")
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
